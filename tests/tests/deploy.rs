//! What deploy/ and the documents say to type: the flags and settings are those that there are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use analyzer::metrics::names::{self, Kind};
use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{process, tools};

const SUBCOMMANDS: [&str; 10] = [
    "run",
    "replay",
    "serve",
    "top",
    "check",
    "config",
    "completions",
    "calls",
    "stats",
    "export",
];

/// What stands in documents for a thing of the reader's, and a value of its kind.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("PORT", "8000"),
    ("NAME|PID", "1"),
    ("ADDR:PORT", "[::]:0"),
    ("SHELL", "bash"),
];

/// The documents of the repository's folder and of docs/, and all files of deploy/.
fn files() -> Result<Vec<PathBuf>> {
    let root = tools::file("..");
    let mut files = Vec::new();
    for folder in [root.clone(), root.join("docs"), root.join("deploy")] {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_document = path.extension().is_some_and(|extension| extension == "md");
            if path.is_file() && (is_document || folder.ends_with("deploy")) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The arguments of each `llmtap SUBCOMMAND …` in a file. In Markdown, only what is marked as code counts.
fn command_lines(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let text = text.replace("\\\n", " ");
    let markdown = path.extension().is_some_and(|extension| extension == "md");
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if markdown && !fenced {
            // Every second piece stands between back-ticks.
            for code in line.split('`').skip(1).step_by(2) {
                found.extend(arguments(code));
            }
        } else if let Some(command) = line.trim_start().strip_prefix("command: ") {
            // Compose: the image's entry point is llmtap.
            found.extend(arguments(&format!("llmtap {command}")));
        } else {
            found.extend(arguments(line));
        }
    }
    Ok(found)
}

/// The arguments of the `llmtap` in a line of shell.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = line
        .split_whitespace()
        .map(|word| word.trim_matches(['\'', '"']));
    // The name of an image or a container may come before the program's.
    loop {
        words.find(|word| *word == "llmtap" || word.ends_with("/llmtap"))?;
        let mut rest = words.clone();
        if rest.next().is_some_and(|word| SUBCOMMANDS.contains(&word)) {
            break;
        }
    }
    let arguments = words
        .take_while(|word| !word.starts_with(['|', '&', ';', '>', '<', '#', '(']) && *word != "…");
    let value = |word: &str| {
        let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
        known.map_or(word, |(_, value)| value).to_owned()
    };
    Some(arguments.map(value).collect())
}

#[test]
fn every_command_line_in_the_documents_is_one_that_llmtap_takes() -> Result<()> {
    let mut checked = 0;
    for path in files()? {
        for mut arguments in command_lines(&path)? {
            // Arguments are read in order: a wrong one is refused before the help is reached.
            arguments.push("--help".to_owned());
            let done = process::run_llmtap(&arguments)?;
            ensure!(
                done.code == Some(0),
                "{}: llmtap {}\n{}",
                path.display(),
                arguments.join(" "),
                done.stderr
            );
            checked += 1;
        }
    }
    ensure!(checked >= 8, "only {checked} command lines were found");
    Ok(())
}

#[test]
fn every_setting_in_the_environment_that_deploy_names_exists() -> Result<()> {
    let mut known = BTreeSet::new();
    for subcommand in SUBCOMMANDS {
        let help = process::run_llmtap(&[subcommand, "--help"])?.stdout;
        known.extend(settings(&help));
    }
    ensure!(known.contains("LLMTAP_PORT"), "no settings in the help");
    for path in files()? {
        if path
            .parent()
            .is_some_and(|folder| folder.ends_with("deploy"))
        {
            for setting in settings(&fs::read_to_string(&path)?) {
                ensure!(
                    known.contains(&setting),
                    "{}: {setting} is no setting",
                    path.display()
                );
            }
        }
    }
    Ok(())
}

fn settings(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("LLMTAP_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn prometheus_takes_the_scrape_configurations() -> Result<()> {
    for name in ["prometheus.yml", "prometheus-compose.yml"] {
        let file = tools::file("../deploy").join(name);
        let mut promtool = std::process::Command::new(tools::promtool());
        let done = process::run(promtool.args(["check", "config"]).arg(file))?;
        ensure!(
            done.code == Some(0),
            "{name}: {}{}",
            done.stdout,
            done.stderr
        );
    }
    Ok(())
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() -> Result<()> {
    let folder = tools::file("../deploy");
    for arguments in [
        ["check", "rules", "llmtap-rules.yml"],
        ["test", "rules", "llmtap-rules.test.yml"],
    ] {
        let mut promtool = std::process::Command::new(tools::promtool());
        let done = process::run(promtool.args(arguments).current_dir(&folder))?;
        ensure!(
            done.code == Some(0),
            "{arguments:?}: {}{}",
            done.stdout,
            done.stderr
        );
    }
    let names = |file: &str, key: &str| -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(folder.join(file))?;
        let found = text.split(key).skip(1).map(|rest| {
            let word = rest
                .trim_start()
                .split(|c: char| !c.is_ascii_alphanumeric());
            word.map(str::to_owned).next().unwrap_or_default()
        });
        Ok(found.collect())
    };
    let alerts = names("llmtap-rules.yml", "- alert:")?;
    ensure!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(alerts, names("llmtap-rules.test.yml", "alertname:")?);
    Ok(())
}

/// Names in Prometheus' expressions that look like llmtap's.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = ["llmtap_", "gen_ai_", "process_"];
    words
        .filter(|word| ours.iter().any(|beginning| word.starts_with(beginning)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboard_and_alerts_use_metrics_and_labels_that_exist() -> Result<()> {
    let mut known = BTreeSet::new();
    for row in names::ALL {
        known.extend(row.labels.iter().map(ToString::to_string));
        let suffixes: &[&str] = match row.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        known.extend(
            suffixes
                .iter()
                .map(|suffix| format!("{}{suffix}", row.name)),
        );
    }
    let folder = tools::file("../deploy");
    let dashboard = fs::read_to_string(folder.join("grafana-dashboard.json"))?;
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard)?;
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().context("panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            expressions.push(target["expr"].as_str().context("an expression")?.to_owned());
        }
    }
    ensure!(expressions.len() > 30, "{} expressions", expressions.len());
    // As Grafana fills them in; promtool then reads each as the expression of a rule.
    let rules = expressions.iter().enumerate().map(|(number, expression)| {
        let filled = expression.replace("$__rate_interval", "5m");
        serde_json::json!({"record": format!("panel:{number}"), "expr": filled})
    });
    let rules =
        serde_json::json!({"groups": [{"name": "panels", "rules": rules.collect::<Vec<_>>()}]});
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("panels.yml");
    fs::write(&file, rules.to_string())?;
    let mut promtool = std::process::Command::new(tools::promtool());
    let done = process::run(promtool.args(["check", "rules"]).arg(&file))?;
    ensure!(done.code == Some(0), "{}{}", done.stdout, done.stderr);

    let mut used = metrics_in(&expressions.join("\n"));
    for variable in dashboard["templating"]["list"]
        .as_array()
        .context("variables")?
    {
        used.extend(metrics_in(variable["query"].as_str().unwrap_or_default()));
    }
    for name in ["llmtap-rules.yml", "llmtap-rules.test.yml"] {
        used.extend(metrics_in(&fs::read_to_string(folder.join(name))?));
    }
    let unknown: Vec<_> = used.difference(&known).collect();
    ensure!(
        unknown.is_empty(),
        "in deploy/, and in no table: {unknown:?}"
    );
    Ok(())
}

#[test]
fn command_lines_are_found_where_they_stand() {
    let read = |line| arguments(line).map(|words| words.join(" "));
    assert_eq!(
        read("ExecStart=/usr/local/bin/llmtap run --db a.db").as_deref(),
        Some("run --db a.db")
    );
    assert_eq!(
        read("docker run -v llmtap:/x llmtap run -i 'veth*' | tee log").as_deref(),
        Some("run -i veth*")
    );
    assert_eq!(
        read("$ sudo llmtap check -p PORT # why").as_deref(),
        Some("check -p 8000")
    );
    assert_eq!(read("install llmtap and run it"), None);
}
