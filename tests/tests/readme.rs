//! The README, docs/ and the map of the code against the program, and against each other.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use analyzer::{
    call::Outcome,
    dialect::DIALECTS,
    metrics::names::{self, Kind},
};
use anyhow::{Context as _, Result, bail, ensure};
use llmtap_tests::{
    markdown::{self, Block, Document},
    process, tools,
};

/// Flags of other programs that the documents name: docker, cargo, our automation.
const OTHERS_FLAGS: [&str; 5] = ["--cap-add", "--markdown", "--network", "--renew", "--test"];

fn root() -> PathBuf {
    tools::file("..")
}

fn documents() -> Result<Vec<Document>> {
    Ok(markdown::documents(&root())?)
}

fn page(name: &str) -> Result<Document> {
    let path = root().join(name);
    Document::read(&path).with_context(|| name.to_owned())
}

/// The table of APIs is that of the code.
#[test]
fn every_api_is_named() -> Result<()> {
    let text = page("docs/apis.md")?.text;
    for dialect in DIALECTS {
        let names = [dialect.name]
            .into_iter()
            .chain(dialect.paths.iter().copied());
        for name in names {
            ensure!(
                text.contains(&format!("`{name}`")),
                "docs/apis.md does not name `{name}` of {}",
                dialect.name
            );
        }
    }
    Ok(())
}

/// The outcome after this one: a new one cannot be forgotten here.
const fn next(outcome: Outcome) -> Option<Outcome> {
    Some(match outcome {
        Outcome::Ok => Outcome::ErrorIn200,
        Outcome::ErrorIn200 => Outcome::RateLimited,
        Outcome::RateLimited => Outcome::ClientError,
        Outcome::ClientError => Outcome::ServerError,
        Outcome::ServerError => Outcome::ClientAbort,
        Outcome::ClientAbort => Outcome::ServerAbort,
        Outcome::ServerAbort => Outcome::Incomplete,
        Outcome::Incomplete => Outcome::Other,
        Outcome::Other => return None,
    })
}

#[test]
fn every_outcome_is_explained() -> Result<()> {
    let text = page("docs/outcomes.md")?.text;
    let mut outcome = Some(Outcome::Ok);
    while let Some(one) = outcome {
        let row = format!("\n| `{}` | ", one.as_str());
        ensure!(text.contains(&row), "docs/outcomes.md: {}", one.as_str());
        outcome = next(one);
    }
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut checked = 0;
    for document in documents()? {
        for link in document.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let place = || format!("{}: {link}", document.path.display());
            let target = if file.is_empty() {
                document.path.clone()
            } else {
                let folder = document.path.parent().context("a folder")?;
                folder.join(file)
            };
            ensure!(target.exists(), "{} is not there", place());
            if !anchor.is_empty() {
                let anchors = Document::read(&target).with_context(place)?.anchors();
                ensure!(
                    anchors.iter().any(|there| there == anchor),
                    "{}: no such heading",
                    place()
                );
            }
            checked += 1;
        }
    }
    ensure!(checked > 100, "only {checked} links were found");
    Ok(())
}

#[test]
fn every_page_stands_in_the_index() -> Result<()> {
    let index = page("docs/README.md")?;
    let links = index.links();
    for document in markdown::documents(&root().join("docs"))? {
        let name = document.path.file_name().unwrap_or_default();
        let is_named = links.iter().any(|link| OsStr::new(link) == name);
        ensure!(
            document.path == index.path || is_named,
            "docs/README.md does not name {}",
            document.path.display()
        );
    }
    Ok(())
}

/// The words of a text that are long flags.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
    })
}

/// The long flags of all commands.
fn known_flags() -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for command in [
        &["run"][..],
        &["replay"],
        &["serve"],
        &["top"],
        &["check"],
        &["calls"],
        &["stats"],
        &["export"],
        &["config", "show"],
    ] {
        let help = process::run_llmtap(&[command, &["--help"]].concat())?;
        ensure!(help.code == Some(0), "{command:?}: {help:?}");
        known.extend(flags(&help.stdout).map(str::to_owned));
    }
    Ok(known)
}

#[test]
fn every_flag_that_is_named_exists() -> Result<()> {
    let known = known_flags()?;
    let mut checked = 0;
    for document in documents()? {
        for code in document.code() {
            let flag = flags(&code)
                .next()
                .filter(|flag| code.starts_with(flag) && !OTHERS_FLAGS.contains(flag));
            let Some(flag) = flag else { continue };
            ensure!(
                known.contains(flag),
                "{}: llmtap has no {flag}",
                document.path.display()
            );
            checked += 1;
        }
    }
    ensure!(checked > 100, "only {checked} flags were found");
    Ok(())
}

#[test]
fn every_metric_that_is_named_exists() -> Result<()> {
    let mut known = BTreeSet::new();
    for row in names::ALL {
        known.insert(row.name.to_owned());
        let suffixes: &[&str] = match row.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        let names = suffixes
            .iter()
            .map(|suffix| format!("{}{suffix}", row.name));
        known.extend(names);
        known.extend(row.labels.iter().map(|&label| label.to_owned()));
    }
    let mut checked = 0;
    for document in documents()? {
        for code in document.code() {
            let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let ours = ["llmtap_", "gen_ai_", "process_"];
            for word in words.filter(|word| ours.iter().any(|start| word.starts_with(start))) {
                // `process_*` stands for several.
                ensure!(
                    word.ends_with('_') || known.contains(word),
                    "{}: there is no metric {word}",
                    document.path.display()
                );
                checked += 1;
            }
        }
    }
    ensure!(checked > 100, "only {checked} metrics were found");
    Ok(())
}

#[test]
fn every_query_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let mut llmtap = process::llmtap(&["replay", "--db"])?;
    let done = process::run(llmtap.arg(&store).arg(tools::file("data/demo.pcap.gz")))?;
    ensure!(done.code == Some(0), "{done:?}");
    let db = rusqlite::Connection::open(&store)?;
    let mut checked = 0;
    for document in documents()? {
        for block in document.blocks() {
            if block.language == "sql" {
                let query = block.lines.join("\n");
                let mut statement = db
                    .prepare(&query)
                    .with_context(|| format!("{}: {query}", document.path.display()))?;
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                checked += 1;
            }
        }
    }
    ensure!(checked > 0, "no query was found");
    Ok(())
}

/// Whether the lines are those of a page, where a line with `…` stands for any.
fn shows(shown: &[String], said: &[&str]) -> Result<(), String> {
    let Some((first, rest)) = shown.split_first() else {
        return match said.first() {
            None => Ok(()),
            Some(more) => Err(format!("the program goes on: {more}")),
        };
    };
    if first == "…" {
        let more = (0..=said.len()).find_map(|left_out| shows(rest, &said[left_out..]).ok());
        return more.ok_or_else(|| {
            let next = rest.first().map_or("", String::as_str);
            format!("the program does not say so after what was left out: {next}")
        });
    }
    match said.split_first() {
        Some((line, more)) if line.trim_end() == first.trim_end() => shows(rest, more),
        Some((line, _)) => Err(format!("the program says\n{line}\nand the page\n{first}")),
        None => Err(format!("the program does not say: {first}")),
    }
}

/// A command that a page shows: its arguments, and what it is said to print.
type Shown<'b> = (Vec<&'b str>, &'b [String]);

/// The commands of a block that does nothing but run llmtap on captures that are here.
fn shown(block: &Block) -> Option<Vec<Shown<'_>>> {
    let is_command = |line: &String| line.starts_with("$ ");
    if block.language != "console" || !block.lines.first().is_some_and(is_command) {
        return None;
    }
    let mut commands = Vec::new();
    let mut rest = block.lines.as_slice();
    while let Some((command, after)) = rest.split_first() {
        let end = after.iter().position(is_command).unwrap_or(after.len());
        let (said, others) = after.split_at(end);
        let arguments = command.strip_prefix("$ llmtap ")?;
        commands.push((arguments.split_whitespace().collect(), said));
        rest = others;
    }
    let is_here = |(arguments, _): &Shown<'_>| {
        let mut words = arguments.iter();
        words.any(|word| word.starts_with("tests/data/"))
    };
    commands.iter().any(is_here).then_some(commands)
}

#[test]
fn what_llmtap_is_said_to_print_it_prints() -> Result<()> {
    let mut checked = 0;
    for document in documents()? {
        for block in document.blocks() {
            // What is stored by one command is there for the next.
            let folder = tempfile::tempdir()?;
            symlink(
                root().canonicalize()?.join("tests"),
                folder.path().join("tests"),
            )?;
            for (arguments, page) in shown(&block).unwrap_or_default() {
                let mut llmtap = process::llmtap(&arguments)?;
                llmtap.current_dir(&folder).env_remove("COLUMNS");
                let done = process::run(&mut llmtap)?;
                let said: Vec<&str> = done.stdout.lines().collect();
                if let Err(why) = shows(page, &said) {
                    bail!("{}: {arguments:?}: {why}", document.path.display());
                }
                checked += 1;
            }
        }
    }
    ensure!(checked >= 5, "only {checked} commands were found");
    Ok(())
}

/// The sources of the program, each literal that goes over several lines put together.
fn sources(folder: &Path, all: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, all)?;
        } else if path.extension() == Some(OsStr::new("rs")) {
            let text = fs::read_to_string(&path)?;
            let mut lines = text.lines();
            while let Some(mut line) = lines.next() {
                while let Some(begun) = line.strip_suffix('\\') {
                    all.push_str(begun);
                    line = lines.next().unwrap_or_default().trim_start();
                }
                all.push_str(line);
                all.push('\n');
            }
        }
    }
    Ok(())
}

/// In docs/troubleshooting.md what llmtap says stands as a quotation, with `…` for what differs.
#[test]
fn what_llmtap_is_said_to_say_stands_in_the_program() -> Result<()> {
    let mut all = String::new();
    for folder in ["sniffer/src", "analyzer/src"] {
        sources(&root().join(folder), &mut all)?;
    }
    let page = page("docs/troubleshooting.md")?;
    let quoted = page.prose().filter_map(|line| line.strip_prefix("> "));
    let mut checked = 0;
    for message in quoted {
        for piece in message.split('…') {
            let piece = piece.trim_matches([' ', ':', ',', '.', ';']);
            ensure!(
                all.contains(piece),
                "docs/troubleshooting.md: nowhere in the program: {piece}"
            );
        }
        checked += 1;
    }
    ensure!(checked > 20, "only {checked} messages were found");
    Ok(())
}

/// The rooms of the map are there, and no room of a crate is missing on it.
#[test]
fn the_map_has_the_rooms_that_there_are() -> Result<()> {
    let map = page("ARCHITECTURE.md")?;
    let (_, rooms) = map.text.split_once("## The rooms").context("the rooms")?;
    let (rooms, _) = rooms.split_once("\n## ").context("what comes after them")?;
    let mut named = BTreeSet::new();
    for row in rooms.lines().filter(|line| line.starts_with("| `")) {
        let first = row.split('|').nth(1).unwrap_or_default();
        let paths: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
        let folder = Path::new(paths.first().copied().unwrap_or_default());
        for path in &paths {
            // A later one of a row is told from the folder that the first one lies in.
            let beside = folder.parent().unwrap_or(folder).join(path);
            let path = if root().join(path).exists() {
                PathBuf::from(path)
            } else {
                beside
            };
            ensure!(
                root().join(&path).exists(),
                "ARCHITECTURE.md: there is no {}",
                path.display()
            );
            named.insert(path);
        }
    }
    for krate in ["analyzer/src", "sniffer/src"] {
        for entry in fs::read_dir(root().join(krate))? {
            let entry = entry?;
            let path = Path::new(krate).join(entry.file_name());
            let is_named = named.contains(&path) || named.contains(&path.with_extension("rs"));
            ensure!(
                !entry.path().is_dir() || is_named,
                "ARCHITECTURE.md does not name {}",
                path.display()
            );
        }
    }
    Ok(())
}

#[test]
fn a_page_that_differs_is_noticed() {
    let shown = |lines: &[&str]| {
        lines
            .iter()
            .map(|&line| line.to_owned())
            .collect::<Vec<_>>()
    };
    let said = ["a", "b", "c"];
    for good in [
        &["a", "b", "c"][..],
        &["…"],
        &["a", "…"],
        &["…", "c"],
        &["a", "…", "b", "c"],
    ] {
        assert_eq!(shows(&shown(good), &said), Ok(()), "{good:?}");
    }
    for bad in [
        &["a", "b"][..],
        &["b", "…"],
        &["…", "d", "…"],
        &["a", "b", "c", "d"],
    ] {
        assert!(shows(&shown(bad), &said).is_err(), "{bad:?}");
    }
}
