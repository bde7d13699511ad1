//! Settings by flag, environment, file and default; the commands that show and check them; and the pages that are
//! generated from their definition.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    process::{self, Daemon, Done},
    tools,
};
use serde_json::{Value, json};

/// A folder with a settings file.
struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn with(text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("llmtap.toml");
        fs::write(&file, text)?;
        Ok(Self { folder, file })
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Done> {
        let mut llmtap = process::llmtap(arguments)?;
        llmtap
            .env("LLMTAP_CONFIG", &self.file)
            // Here the file's and the default count.
            .env_remove("LLMTAP_AUDIT_RATE")
            .envs(variables.iter().copied());
        process::run(&mut llmtap)
    }

    /// Value and origin of each setting of a command line.
    fn shown(
        &self,
        line: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<BTreeMap<String, (Value, String)>> {
        let show = ["config", "show", "--origin", "--format", "json"];
        let done = self.run(&[&show, line].concat(), variables)?;
        ensure!(done.code == Some(0), "{done:?}");
        let settings: BTreeMap<String, Value> = serde_json::from_str(&done.stdout)?;
        settings
            .into_iter()
            .map(|(key, shown)| {
                let origin = shown["origin"].as_str().context("an origin")?.to_owned();
                Ok((key, (shown["value"].clone(), origin)))
            })
            .collect()
    }

    fn line(&self, number: usize) -> String {
        format!("{}:{number}", self.file.display())
    }
}

/// One setting of each kind: its key, its default, and how it is set by file, variable and flag, with what it then is.
struct Kind {
    key: &'static str,
    default: Value,
    file: (&'static str, Value),
    variable: (&'static str, Value),
    flag: (&'static [&'static str], Value),
}

fn kinds() -> Vec<Kind> {
    let kind = |key, default, file, variable, flag| Kind {
        key,
        default,
        file,
        variable,
        flag,
    };
    vec![
        // An address, a name without a default, one of a few words.
        kind(
            "listen",
            json!("127.0.0.1:9464"),
            ("'[::1]:1'", json!("[::1]:1")),
            ("[::1]:2", json!("[::1]:2")),
            (&["--listen", "[::1]:3"], json!("[::1]:3")),
        ),
        kind(
            "user-header",
            json!(null),
            ("'X-File'", json!("X-File")),
            ("X-Variable", json!("X-Variable")),
            (&["--user-header=X-Flag"], json!("X-Flag")),
        ),
        kind(
            "backend",
            json!("auto"),
            ("'pcap'", json!("pcap")),
            ("ebpf", json!("ebpf")),
            (&["--backend", "auto"], json!("auto")),
        ),
        // Numbers, sizes, times.
        kind(
            "max-connections",
            json!(262_144),
            ("1_000", json!(1_000)),
            ("2000", json!(2_000)),
            (&["--max-connections", "3000"], json!(3_000)),
        ),
        kind(
            "max-text",
            json!("2GiB"),
            ("'1MiB'", json!("1MiB")),
            ("2000000", json!(2_000_000)),
            (&["--max-text", "3 kB"], json!("3 kB")),
        ),
        kind(
            "idle-timeout",
            json!("5m"),
            ("'1h30m'", json!("1h30m")),
            ("90s", json!("90s")),
            (&["--idle-timeout", "2m"], json!("2m")),
        ),
        // Lists: each replaces the one before it. Of numbers, with commas; of texts, in which commas are nothing special.
        kind(
            "port",
            json!(null),
            ("[8000, 8001]", json!([8_000, 8_001])),
            ("9000,9001", json!([9_000, 9_001])),
            (&["-p", "1", "-p", "2,3"], json!([1, 2, 3])),
        ),
        kind(
            "redact",
            json!(null),
            ("['-a, b', 'c']", json!(["-a, b", "c"])),
            ("-d, e\nf", json!(["-d, e", "f"])),
            (&["--redact=-g, h"], json!(["-g, h"])),
        ),
    ]
}

/// A file that sets each, in this order.
fn file_of(kinds: &[Kind]) -> String {
    let lines = kinds
        .iter()
        .map(|kind| [kind.key, " = ", kind.file.0, "\n"].concat());
    lines.collect()
}

#[test]
fn a_flag_comes_before_a_variable_before_the_file_before_the_default() -> Result<()> {
    let text = file_of(&kinds());
    let (with, without) = (Place::with(&text)?, Place::with("")?);
    for (row, kind) in kinds().into_iter().enumerate() {
        let name = format!("LLMTAP_{}", kind.key.to_uppercase().replace('-', "_"));
        let variable = [(name.as_str(), kind.variable.0)];
        let flag = [&["run"], kind.flag.0].concat();
        for (place, arguments, variables, expected) in [
            (
                &with,
                &flag[..],
                &variable[..],
                (kind.flag.1.clone(), "flag".to_owned()),
            ),
            (&without, &flag, &[], (kind.flag.1, "flag".to_owned())),
            (
                &with,
                &[],
                &variable,
                (kind.variable.1.clone(), name.clone()),
            ),
            (&without, &[], &variable, (kind.variable.1, name.clone())),
            (&with, &[], &[], (kind.file.1.clone(), with.line(row + 1))),
            // An empty variable is none.
            (
                &with,
                &[],
                &[(name.as_str(), "")],
                (kind.file.1, with.line(row + 1)),
            ),
            (&without, &[], &[], (kind.default, "default".to_owned())),
        ] {
            let shown = place.shown(arguments, variables)?;
            assert_eq!(
                shown[kind.key], expected,
                "{} {arguments:?} {variables:?}",
                kind.key
            );
        }
    }
    Ok(())
}

#[test]
fn what_the_file_sets_is_done() -> Result<()> {
    let place = Place::with("listen = '127.0.0.1:0'\nbodies = 'none'\ninterface = ['lo']\n")?;
    let store = place.folder.path().join("file.db");
    fs::write(
        &place.file,
        format!("{}db = {:?}\n", fs::read_to_string(&place.file)?, store),
    )?;
    let mut serve = process::llmtap(&["serve", "--config"])?;
    serve.arg(&place.file);
    let serve = Daemon::start(serve)?;
    assert_ne!(serve.ready()?.port(), 9464);
    let said = serve.stop("TERM")?;
    assert!(
        said.stderr.contains("file.db") && said.stderr.contains("without their text"),
        "{said:?}"
    );
    assert!(store.exists());
    Ok(())
}

#[test]
fn a_replay_takes_from_the_file_how_to_read_and_nothing_of_what_it_prints_or_stores() -> Result<()>
{
    let place = Place::with("format = 'none'\nport = [1]\nmax-body-read = 100\n")?;
    let store = place.folder.path().join("never.db");
    fs::write(
        &place.file,
        format!("{}db = {store:?}\n", fs::read_to_string(&place.file)?),
    )?;
    let capture = tools::file("data/demo.pcap.gz");
    let capture = capture.to_str().context("a path in UTF-8")?;
    let done = place.run(&["replay", capture], &[])?;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("outcomes: "), "{done:?}");
    assert!(
        done.stdout.contains("bodies_capped (--max-body-read)"),
        "{done:?}"
    );
    assert!(!store.exists());
    let shown = place.run(&["config", "show", "replay"], &[])?.stdout;
    let unused = format!(
        "# format ({}) is no setting of `llmtap replay`\n",
        place.line(1)
    );
    assert!(shown.contains(&unused), "{shown}");
    Ok(())
}

#[test]
fn a_wrong_file_is_refused_with_its_lines() -> Result<()> {
    let place = Place::with("# ours\nlistn = ':1'\nport = [80, 'http']\n")?;
    for (arguments, code) in [
        (&["serve"][..], 2),
        (&["config", "show"], 2),
        (&["config", "check"], 1),
    ] {
        let done = place.run(arguments, &[])?;
        assert_eq!(done.code, Some(code), "{arguments:?} {done:?}");
        for part in [
            format!(
                "{}: there is no setting `listn`: did you mean `listen`?",
                place.line(2)
            ),
            format!(
                "{}: `port` cannot be \"80\", \"http\": invalid digit",
                place.line(3)
            ),
        ] {
            assert!(done.stderr.contains(&part), "{arguments:?} {done:?}");
        }
    }
    // What needs no settings works all the same.
    for arguments in [
        &["config", "example"][..],
        &["completions", "bash"],
        &["run", "--help"],
    ] {
        assert_eq!(place.run(arguments, &[])?.code, Some(0), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_named_file_must_be_there_and_a_default_one_need_not() -> Result<()> {
    let done = process::run_llmtap(&["serve", "--config", "/nowhere/llmtap.toml"])?;
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr
            .contains("no settings file /nowhere/llmtap.toml")
            && done.stderr.contains("config example"),
        "{done:?}"
    );
    // In the folder that systemd makes for a unit.
    let place = Place::with("tokenizer = 'p50k_base'\n")?;
    let show = |folder: &Path| {
        let mut llmtap = process::llmtap(&["config", "show", "--origin"])?;
        llmtap
            .env_remove("LLMTAP_CONFIG")
            .env("CONFIGURATION_DIRECTORY", folder);
        process::run(&mut llmtap)
    };
    let found = show(place.folder.path())?;
    assert!(found.stdout.contains(&place.line(1)), "{found:?}");
    let empty = tempfile::tempdir()?;
    let missing = show(empty.path())?;
    assert_eq!(missing.code, Some(0), "{missing:?}");
    assert!(!missing.stdout.contains("p50k_base"), "{missing:?}");
    Ok(())
}

#[test]
fn a_wrong_variable_is_named_as_what_it_is() -> Result<()> {
    let place = Place::with("")?;
    let wrong = [("LLMTAP_LISTEN", "here")];
    let done = place.run(&["serve"], &wrong)?;
    assert_eq!(done.code, Some(2));
    let tip = "the value is that of the variable LLMTAP_LISTEN";
    assert!(
        done.stderr.contains("'here'") && done.stderr.contains(tip),
        "{done:?}"
    );
    let done = place.run(&["serve", "--listen", "there"], &wrong)?;
    assert!(
        done.stderr.contains("'there'") && !done.stderr.contains(tip),
        "{done:?}"
    );
    let done = place.run(&["config", "check"], &wrong)?;
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains(tip), "{done:?}");
    let linked = [("LLMTAP_PORT", "tcp://10.3.0.1:9464")];
    let done = place.run(&["run"], &linked)?;
    assert!(
        done.stderr.contains("enableServiceLinks: false"),
        "{done:?}"
    );
    // A name that is near one is told, any other is somebody else's.
    let near = [
        ("LLMTAP_TOKENISER", "p50k_base"),
        ("LLMTAP_SERVICE_HOST", "10.3.0.1"),
    ];
    let done = place.run(&["config", "check"], &near)?;
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = "LLMTAP_TOKENISER is no setting: did you mean LLMTAP_TOKENIZER?";
    assert!(
        done.stderr.contains(told) && !done.stderr.contains("SERVICE_HOST"),
        "{done:?}"
    );
    Ok(())
}

#[test]
fn check_finds_what_no_single_value_shows() -> Result<()> {
    for (text, part) in [
        ("trusted-proxy = ['any', '10.0.0.0/8']", "stand alone"),
        ("tokenizer = 'no_such'", "no tokenizer named \"no_such\""),
        (
            "redact-file = '/nowhere/rules'",
            "cannot read the redaction rules in /nowhere/rules",
        ),
        ("log = 'verbose'", "a level is error, warn"),
    ] {
        let done = Place::with(text)?.run(&["config", "check"], &[])?;
        assert_eq!(done.code, Some(1), "{text} {done:?}");
        assert!(done.stderr.contains(part), "{text} {done:?}");
    }
    let good = Place::with("bodies = 'none'\nlabel = ['team=X-Team']")?;
    let done = good.run(&["config", "check"], &[])?;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout
            .ends_with("is good; 2 settings of run are set\n"),
        "{done:?}"
    );
    Ok(())
}

#[test]
fn settings_shown_as_a_file_are_that_file() -> Result<()> {
    let text = file_of(&kinds());
    let first = Place::with(&text)?;
    let shown = first
        .run(&["config", "show", "--format", "toml"], &[])?
        .stdout;
    let second = Place::with(&shown)?;
    assert_eq!(
        second
            .run(&["config", "show", "--format", "toml"], &[])?
            .stdout,
        shown
    );
    assert_eq!(
        first
            .run(&["config", "show", "--format", "json"], &[])?
            .stdout,
        second
            .run(&["config", "show", "--format", "json"], &[])?
            .stdout
    );
    Ok(())
}

#[test]
fn the_example_sets_what_is_there_without_it() -> Result<()> {
    let place = Place::with("")?;
    let example = place.run(&["config", "example"], &[])?.stdout;
    let plain = place.shown(&["run"], &[])?;
    let all = Place::with(&example)?.shown(&["run"], &[])?;
    assert_eq!(all, plain, "all of it is commented out");
    // Without its comment signs, each line that has a default says what is the default.
    let mut set = 0;
    for line in example.lines().filter_map(|line| line.strip_prefix('#')) {
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) else {
            continue;
        };
        // One of another command alone is not shown with those of `run`.
        let Some((value, _)) = plain.get(key) else {
            continue;
        };
        if !value.is_null() {
            let with = Place::with(&format!("{line}\n"))?.shown(&["run"], &[])?;
            assert_eq!(with[key].0, *value, "{line}");
            assert!(with[key].1.ends_with("llmtap.toml:1"), "{line}");
            set += 1;
        }
    }
    ensure!(set > 15, "{example}");
    Ok(())
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let path = below.join(entry?.file_name());
        if folder.join(&path).is_dir() {
            files(folder, &path, found)?;
        } else {
            found.insert(path.clone(), fs::read_to_string(folder.join(&path))?);
        }
    }
    Ok(())
}

#[test]
fn the_generated_pages_are_those_of_the_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut llmtap = process::llmtap(&["docs"])?;
    let done = process::run(
        llmtap
            .arg(folder.path())
            .env("LLMTAP_LISTEN", "127.0.0.1:1"),
    )?;
    ensure!(done.code == Some(0), "{done:?}");
    let (mut generated, mut committed) = (BTreeMap::new(), BTreeMap::new());
    files(folder.path(), Path::new(""), &mut generated)?;
    ensure!(generated.len() > 10, "{generated:?}");
    let root = tools::file("..");
    for folder in ["docs/man", "deploy/completions"] {
        files(&root, Path::new(folder), &mut committed)?;
    }
    for path in [
        "docs/settings.md",
        "docs/metrics.md",
        "docs/api.md",
        "deploy/llmtap.toml",
    ] {
        committed.insert(path.into(), fs::read_to_string(root.join(path))?);
    }
    assert_eq!(
        committed.keys().collect::<Vec<_>>(),
        generated.keys().collect::<Vec<_>>()
    );
    for (path, text) in &generated {
        assert!(
            committed[path] == *text,
            "{} is not what the program generates: cargo xtask docs",
            path.display()
        );
    }
    Ok(())
}

#[test]
fn a_shell_completes_commands_and_flags() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("llmtap.bash");
    fs::write(
        &script,
        process::run_llmtap(&["completions", "bash"])?.stdout,
    )?;
    let complete = |words: &str| {
        let text = format!(
            ". {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _llmtap llmtap \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        process::run(std::process::Command::new("bash").args(["-c", &text]))
    };
    assert_eq!(complete("llmtap rep")?.stdout, "replay\n");
    assert_eq!(
        complete("llmtap run --max-conn")?.stdout,
        "--max-connections --max-connection-buffer\n"
    );
    assert_eq!(complete("llmtap config s")?.stdout, "show\n");
    assert_eq!(complete("llmtap run --backend p")?.stdout, "pcap\n");
    Ok(())
}
