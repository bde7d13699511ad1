//! Zeek's traces, and what Zeek logs of them, against `--rows exchanges`.
//!
//! Compared are, as far as a log has the columns: method, uri, status, and the two body lengths with
//! framing and content coding taken off. Differences on purpose stand in [`DIFFERENCES`] with their
//! reasons; one that is not there, and one there that is no difference any more, fails.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{process, row::Row, tools};

/// A deliberate difference: the trace, Zeek's row, llmtap's row (`-`: none), and the reason.
/// Rows are written as [`compare`] prints them.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    ("http__http-11-request-then-cruft", "-", "- - 400 0 150",
     "bytes that are no request were answered: the answer is an exchange without a request"),
    ("http__http-filename",
     "GET /response-headers?Content-Type=application/octet-stream; charset=UTF-8&Content-Disposition=attachment; filename=\"test.json\" 200 0 191",
     "GET /response-headers?Content-Type=application/octet-stream;%20charset=UTF-8&Content-Disposition=attachment;%20filename%3d%22test.json%22 200 0 191",
     "Zeek takes the percent-encoding off; llmtap shows the target as sent"),
    ("http__http_09", "GET /zeek.html 0 0 51", "GET /zeek.html - 0 51",
     "an HTTP/0.9 answer has no status; Zeek writes 0"),
    ("http__http_09", "- - - 0 0", "POST /zeek.html - 0 11",
     "Zeek opens an exchange of nothing between the two; the order of the rest shifts"),
    ("http__http_09", "POST /zeek.html 0 0 11", "-",
     "as above: the row before it is this one, without Zeek's status 0"),
    ("http__http_09", "- - - 0 0", "-",
     "Zeek opens an exchange of nothing at the connection's end"),
    ("http__no-version",
     "GET /cgi-bin/formmail.pl?email=f2@aol.com&subject=www-nrg.ee/cgi-bin/formmail.pl&recipient=unknownz@buy2save.com&msg=w00t 0 0 323",
     "GET /cgi-bin/formmail.pl?email=f2@aol.com&subject=www-nrg.ee/cgi-bin/formmail.pl&recipient=unknownz@buy2save.com&msg=w00t - 0 323",
     "a request without a version is HTTP/0.9, whose answer has no status; Zeek writes 0"),
    ("http__no-version", "- - - 0 0", "-",
     "Zeek opens an exchange of nothing at the connection's end"),
];

/// Zeek's columns and llmtap's.
const COLUMNS: [(&str, &str); 5] = [
    ("method", "method"),
    ("uri", "target"),
    ("status_code", "status"),
    ("request_body_len", "request_decoded_len"),
    ("response_body_len", "response_decoded_len"),
];

#[test]
fn exchanges_are_those_that_zeek_logs() -> Result<()> {
    let mut found = Vec::new();
    let mut traces = 0;
    let mut files: Vec<_> = fs::read_dir(tools::file("data/zeek"))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::path);
    for file in files {
        let path = file.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("a name in UTF-8")?;
        if let Some(trace) = name.strip_suffix(".http.log") {
            traces += 1;
            found.extend(compare(trace, &path)?);
        }
    }
    ensure!(traces >= 22, "only {traces} logs are there");
    let mut deliberate: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (trace, zeek, ours, _) in DIFFERENCES {
        *deliberate.entry((trace, zeek, ours)).or_default() += 1;
    }
    let mut unexpected = Vec::new();
    for (trace, zeek, ours) in &found {
        match deliberate.get_mut(&(trace.as_str(), zeek.as_str(), ours.as_str())) {
            Some(left) if *left > 0 => *left -= 1,
            _ => unexpected.push(format!("(\"{trace}\", {zeek:?}, {ours:?}, \"…\"),")),
        }
    }
    let gone: Vec<_> = deliberate.iter().filter(|(_, left)| **left > 0).collect();
    assert!(
        unexpected.is_empty() && gone.is_empty(),
        "in {traces} traces, differences that have no reason:\n{}\nreasons without a difference: {gone:?}",
        unexpected.join("\n")
    );
    Ok(())
}

/// The rows in which a trace's log and llmtap differ: (trace, Zeek's, ours), in pairs as far as both
/// sides have rows left.
fn compare(trace: &str, log: &Path) -> Result<Vec<(String, String, String)>> {
    let (columns, mut zeek) = read_log(&fs::read_to_string(log)?)?;
    let capture = log.with_file_name(format!("{trace}.pcap"));
    let capture = capture.to_str().context("a path in UTF-8")?;
    let done = process::run_llmtap(&[
        "replay",
        capture,
        "--rows",
        "exchanges",
        "--format",
        "ndjson",
    ])?;
    // 1: nothing was found, which the comparison will show.
    ensure!(matches!(done.code, Some(0 | 1)), "{trace}: {done:?}");
    let mut ours: Vec<String> = done
        .rows()?
        .iter()
        .map(|row| shown(row, &columns))
        .collect();
    zeek.retain(|row| match ours.iter().position(|our| our == row) {
        Some(index) => {
            ours.remove(index);
            false
        }
        None => true,
    });
    let rows = zeek.len().max(ours.len());
    let none = || "-".to_owned();
    Ok((0..rows)
        .map(|index| {
            let of = |rows: &[String]| rows.get(index).cloned().unwrap_or_else(none);
            (trace.to_owned(), of(&zeek), of(&ours))
        })
        .collect())
}

/// The compared columns that a log has, and its rows of them.
fn read_log(text: &str) -> Result<(Vec<&'static str>, Vec<String>)> {
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("###"));
    let header = text
        .lines()
        .find_map(|line| line.strip_prefix("#fields\t"))
        .or_else(|| lines.next())
        .context("a log has a line of column names")?;
    let names: Vec<&str> = header.split('\t').collect();
    let (mut ours, mut places) = (Vec::new(), Vec::new());
    for (zeek, our) in COLUMNS {
        if let Some(place) = names.iter().position(|name| *name == zeek) {
            ours.push(our);
            places.push(place);
        }
    }
    ensure!(!ours.is_empty(), "no column to compare in {header:?}");
    let rows = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let field = |place: &usize| match fields.get(*place).copied() {
                Some("(empty)") => "",
                field => field.unwrap_or("-"),
            };
            places.iter().map(field).collect::<Vec<_>>().join(" ")
        })
        .collect();
    Ok((ours, rows))
}

/// One of our rows, written as Zeek would write it.
fn shown(row: &Row, columns: &[&str]) -> String {
    let value = |column: &&str| match row.get(column) {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    columns.iter().map(value).collect::<Vec<_>>().join(" ")
}
