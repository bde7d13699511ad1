//! What attacks on its memory take of a replay, as a table in Markdown.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::attacks::{self, ATTACKS, Traffic};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "llmtap-bounds: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the attacks whose names are given, or all.
fn run() -> Result<()> {
    let names: Vec<String> = env::args().skip(1).collect();
    for name in &names {
        let known = ATTACKS.iter().any(|attack| attack.name == name);
        ensure!(known, "there is no attack {name}");
    }
    let folder = env::temp_dir().join(format!("llmtap-bounds-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut out = io::stdout();
    writeln!(
        out,
        "| attack | packets | peak MiB | shed |\n|---|--:|--:|---|"
    )?;
    let first = ATTACKS
        .iter()
        .take(1)
        .map(|attack| (attack, Traffic::HonestAlone));
    let all = ATTACKS.iter().map(|attack| (attack, Traffic::Attacked));
    for (attack, traffic) in first.chain(all) {
        if !names.is_empty() && !names.iter().any(|name| name == attack.name) {
            continue;
        }
        let measured = attacks::run(attack, attack.size, traffic, &[], &folder)?;
        ensure!(
            measured.done.code == Some(0),
            "{}: {measured:?}",
            attack.name
        );
        let what = match traffic {
            Traffic::HonestAlone => "none: the honest call alone".to_owned(),
            Traffic::Attacked => attack.what.replace("{}", &attack.size.to_string()),
        };
        writeln!(
            out,
            "| {what} | {} | {:.0} | {} |",
            measured.packets,
            measured.peak as f64 / 1024.0,
            measured.limits().unwrap_or("nothing")
        )?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}
