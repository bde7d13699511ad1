//! Golden captures: each `NAME.pcap.gz` in `data/golden` and `data/clients` (and the README's `data/demo.pcap.gz`) with the
//! rows that are expected of it in `NAME.ndjson` beside it. `LLMTAP_RENEW=1 cargo test -p llmtap-tests --test golden`
//! writes the rows anew; read the difference before you commit it.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{process, tools};

/// All of them, in the order of their names.
fn captures() -> Result<Vec<PathBuf>> {
    let mut captures = vec![tools::file("data/demo.pcap.gz")];
    for folder in ["data/golden", "data/clients"] {
        let folder = tools::file(folder);
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                captures.push(entry?.path());
            }
        }
    }
    captures.retain(|path| path.to_string_lossy().ends_with(".pcap.gz"));
    captures.sort();
    Ok(captures)
}

#[test]
fn captures_give_their_expected_rows() -> Result<()> {
    for capture in &captures()? {
        let name = capture.to_str().context("a path in UTF-8")?;
        let replay =
            process::run_llmtap(&["replay", name, "--count", "always", "--format", "ndjson"])?;
        ensure!(replay.code == Some(0), "{name}: {replay:?}");
        let expected = PathBuf::from(name.replace(".pcap.gz", ".ndjson"));
        if env::var_os("LLMTAP_RENEW").is_some() {
            fs::write(&expected, &replay.stdout)?;
            continue;
        }
        let rows = fs::read_to_string(&expected)
            .with_context(|| format!("{} is not there", expected.display()))?;
        for (number, (is, should_be)) in (1..).zip(replay.stdout.lines().zip(rows.lines())) {
            assert_eq!(is, should_be, "{name}, row {number}");
        }
        assert_eq!(
            replay.stdout.lines().count(),
            rows.lines().count(),
            "{name}: rows"
        );
    }
    Ok(())
}

#[test]
fn played_at_their_own_pace_they_give_the_same_rows() -> Result<()> {
    for capture in captures()? {
        let name = capture.to_str().context("a path in UTF-8")?;
        let replay = |how: &[&str]| {
            let all = ["replay", name, "--format", "ndjson"];
            process::run_llmtap(&[&all[..], how].concat())
        };
        let at_once = replay(&[])?;
        // A day takes less than a tenth of a second.
        let played = replay(&["--realtime", "--speed", "1000000"])?;
        assert_eq!((at_once.code, played.code), (Some(0), Some(0)), "{name}");
        assert_eq!(at_once.stdout, played.stdout, "{name}");
    }
    Ok(())
}
