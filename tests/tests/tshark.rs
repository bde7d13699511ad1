//! tshark beside `--rows exchanges`: its requests and answers and how it pairs them, over every capture
//! in `data/` and over generated ones.
//!
//! Compared are the client, method, target, status, and the lengths of bodies that heads or chunks tell,
//! where an exchange came to its end and nothing of it is missing. tshark reads each capture in both of its
//! ways (putting segments in order first, or not: the one stops at a hole, the other at disorder), and the
//! better reading counts. Differences on purpose stand in [`DIFFERENCES`] with their reasons; one that is
//! not there, and one there that is no difference any more, fails.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{Capture, Link},
    process,
    row::Row,
    simulator::{Bait, KINDS, Scenario, Size, capture, to_pcapng},
    tools,
    traffic::{Damage, Traffic},
    tshark::{self, Order, Transaction},
};

/// In the place of a row that there is not.
const NONE: &str = "-";

/// A deliberate difference: the trace, tshark's row, llmtap's row (`-`: none), and the reason. Rows are
/// written as [`shown`] and [`Difference`] print them.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    ("demo", "POST /v1/chat/completions - 232 -", "POST /v1/chat/completions 200 232 -", BROKEN),
    ("demo", "POST /v1/chat/completions - 319 -", "POST /v1/chat/completions 200 319 -", BROKEN),
    ("demo", "POST /v1/chat/completions - 462 -", "POST /v1/chat/completions 200 462 -", BROKEN),
    ("demo", "POST /v1/chat/completions - 463 -", "POST /v1/chat/completions 200 463 -", BROKEN),
    ("http__261__variant-01-chunk_2pow64_overflow", "-", "GET /smuggled-chunk-2pow64 - 0 -",
     "after a chunk size that cannot be read, a request begins; tshark waits for the chunk's end"),
    ("http__261__variant-09-te_obs_fold", "-", "GET /smuggled-obsfold - 0 -",
     "a folded Transfer-Encoding is read; tshark takes the chunks and what follows for one body"),
    ("http__connect-with-smtp", "CONNECT mailin03.sul.t-online.de:25 200 - -",
     "CONNECT mailin03.sul.t-online.de:25 / 200 0 -",
     "a target with a space in it is shown as sent; tshark cuts it at the space"),
    ("http__entity_gap", "GET /download/CHANGES.bro-aux.txt - - -",
     "GET /download/CHANGES.bro-aux.txt 200 0 -", BROKEN),
    ("http__http_09", "-", "GET /zeek.html - 0 51", "tshark does not know HTTP/0.9"),
    ("http__http_09", "-", "POST /zeek.html - 0 11", "tshark does not know HTTP/0.9"),
    ("http__no-version", "-",
     "GET /cgi-bin/formmail.pl?email=f2@aol.com&subject=www-nrg.ee/cgi-bin/formmail.pl&recipient=unknownz@buy2save.com&msg=w00t - 0 323",
     "a request without a version is HTTP/0.9, which tshark does not know"),
    ("http__query-method-non-standard-port", "- - 200 - 58", "QUERY /users 200 57 58",
     "tshark does not know the method QUERY"),
];

const BROKEN: &str =
    "tshark shows an answer only when all of it is there; this one broke off, or has a hole";

/// Scenarios of the simulator in a capture.
const SCENARIOS: u64 = 16;

/// Kinds of damage that leave tshark able to tell. In disorder of all kinds together it takes a chunked
/// answer of 3,362 octets for one of 1,204.
const TELLING: [&str; 12] = [
    "none",
    "late by up to 2 ms",
    "late by up to 150 ms",
    "answers 20 ms early",
    "requests 20 ms early",
    "displaced, times going backwards",
    "doubled",
    "merged",
    "split",
    "all ACKs lost",
    "joined late",
    "stopped early",
];

#[test]
fn captures_of_others() -> Result<()> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["data", "data/zeek"] {
        for file in fs::read_dir(tools::file(folder))? {
            files.push(file?.path());
        }
    }
    files.sort();
    let mut found = Vec::new();
    let mut traces = 0;
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.context("a name in UTF-8")?;
        if let Some((trace, _)) = name.split_once(".pcap") {
            traces += 1;
            found.extend(compare(trace, &path, Unit::Exchanges)?);
        }
    }
    ensure!(traces >= 32, "only {traces} captures are there");
    check(&found, DIFFERENCES)
}

#[test]
fn much_traffic() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Where an answer was captured before its request's end, tshark does not pair them.
    let damages = [
        ("as it was", 0, 0, Unit::Exchanges),
        ("some packets twice", 30_000, 0, Unit::Exchanges),
        ("some packets late", 0, 2_000, Unit::Messages),
    ];
    let mut found = Vec::new();
    for (name, doubled, late, unit) in damages {
        let damage = Damage {
            lost: 0,
            doubled,
            late,
        };
        let (traffic, _) = Traffic::new(51, 20, 8).damaged(5, damage);
        let file = folder.path().join("traffic.pcap");
        let mut capture = Capture::new(Link::Ethernet);
        capture.add_packets(&traffic.packets());
        capture.write(&file)?;
        found.extend(compare(&format!("traffic, {name}"), &file, unit)?);
    }
    check(&found, &[])
}

#[test]
fn scenarios_of_the_simulator() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut found = Vec::new();
    let kinds = KINDS.iter().filter(|kind| TELLING.contains(&kind.name));
    ensure!(kinds.clone().count() == TELLING.len(), "a kind is missing");
    for kind in kinds {
        let file = folder.path().join("scenarios.pcapng");
        let mut all = Scenario::default();
        for seed in 0..SCENARIOS {
            all.add(Scenario::new(seed, Size::WHOLE, Bait::Escaped)?);
        }
        let fates = kind.tap.fates(&all.frames, 1);
        let captured = capture(&all.frames, &fates);
        fs::write(&file, to_pcapng(&all, &captured))?;
        found.extend(compare(kind.name, &file, Unit::Messages)?);
    }
    check(&found, &[])
}

/// Fails where differences have no reason, or reasons no difference.
fn check(found: &[Difference], reasons: &[(&str, &str, &str, &str)]) -> Result<()> {
    let is_of = |it: &Difference, reason: &(&str, &str, &str, &str)| {
        (reason.0, reason.1, reason.2) == (&*it.trace, &*it.theirs, &*it.ours)
    };
    let unexpected: Vec<String> = found
        .iter()
        .filter(|it| !reasons.iter().any(|reason| is_of(it, reason)))
        .map(|it| {
            format!(
                "{} times: ({:?}, {:?}, {:?}, \"…\"),",
                it.times, it.trace, it.theirs, it.ours
            )
        })
        .collect();
    let gone: Vec<_> = reasons
        .iter()
        .filter(|reason| !found.iter().any(|it| is_of(it, reason)))
        .collect();
    ensure!(
        unexpected.is_empty() && gone.is_empty(),
        "differences that have no reason:\n{}\nreasons without a difference: {gone:?}",
        unexpected.join("\n")
    );
    Ok(())
}

/// Rows of a trace in which tshark and llmtap differ, and how often they do.
struct Difference {
    trace: String,
    theirs: String,
    ours: String,
    times: usize,
}

/// The differences of a trace in tshark's better reading.
fn compare(trace: &str, file: &Path, unit: Unit) -> Result<Vec<Difference>> {
    let path = file.to_str().context("a path in UTF-8")?;
    let options = ["--rows", "exchanges", "--format", "ndjson"];
    let done = process::run_llmtap(&[&["replay", path], &options[..]].concat())?;
    // 1: nothing was found, which the comparison will show.
    ensure!(matches!(done.code, Some(0 | 1)), "{trace}: {done:?}");
    let rows = unit.of(done.rows()?.iter().map(of_row).collect());
    let theirs = |order| tshark::transactions(file, order).map(|them| unit.of(them));
    let mut best = differences(&theirs(Order::Restored)?, &rows);
    if !best.is_empty() {
        let other = differences(&theirs(Order::AsCaptured)?, &rows);
        if other.len() < best.len() {
            best = other;
        }
    }
    if unit == Unit::Messages {
        best.retain(|(theirs, _)| theirs != NONE);
    }
    let mut counted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pair in best {
        *counted.entry(pair).or_default() += 1;
    }
    Ok(counted
        .into_iter()
        .map(|((theirs, ours), times)| Difference {
            trace: trace.to_owned(),
            theirs,
            ours,
            times,
        })
        .collect())
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Requests with their answers, and nothing may be there on one side alone.
    Exchanges,
    /// Requests and answers, each by itself, since tshark pairs neither those whose capture is out of
    /// order nor pipelined ones, nor those with interim answers; and what tshark shows must be there. What
    /// it does not show (an answer that broke off, or was put in order by itself) is for the simulator's
    /// own judge.
    Messages,
}

impl Unit {
    fn of(self, rows: Vec<Transaction>) -> Vec<Transaction> {
        match self {
            Self::Exchanges => rows,
            Self::Messages => rows.into_iter().flat_map(messages).collect(),
        }
    }
}

fn messages(it: Transaction) -> impl Iterator<Item = Transaction> {
    let client = it.client.clone();
    let request = it.method.is_some().then(|| Transaction {
        client: client.clone(),
        method: it.method,
        uri: it.uri,
        request_length: it.request_length,
        ..Transaction::default()
    });
    let answer = it.status.is_some().then_some(Transaction {
        client,
        status: it.status,
        response_length: it.response_length,
        ..Transaction::default()
    });
    request.into_iter().chain(answer)
}

/// The rows that have no equal on the other side, in pairs of the same client as far as there are such.
fn differences(theirs: &[Transaction], ours: &[Transaction]) -> Vec<(String, String)> {
    let mut ours: Vec<&Transaction> = ours.iter().collect();
    let mut left = Vec::new();
    for transaction in theirs {
        match ours.iter().position(|our| is_same(transaction, our)) {
            Some(place) => {
                ours.remove(place);
            }
            None => left.push(transaction),
        }
    }
    let mut pairs = Vec::new();
    for transaction in left {
        let own = ours.iter().position(|our| our.client == transaction.client);
        let own = own.map_or_else(|| NONE.to_owned(), |place| shown(ours.remove(place)));
        pairs.push((shown(transaction), own));
    }
    pairs.extend(ours.into_iter().map(|our| (NONE.to_owned(), shown(our))));
    pairs
}

/// Whether both say the same, as far as both say it.
fn is_same(theirs: &Transaction, ours: &Transaction) -> bool {
    let heads = |it: &Transaction| {
        let (client, method) = (it.client.clone(), it.method.clone());
        (client, method, it.uri.clone(), it.status)
    };
    let length = |theirs: Option<u64>, ours: Option<u64>| {
        theirs.zip(ours).is_none_or(|(theirs, ours)| theirs == ours)
    };
    heads(theirs) == heads(ours)
        && length(theirs.request_length, ours.request_length)
        && length(theirs.response_length, ours.response_length)
}

fn client(row: &Row) -> String {
    let peer = row.text("peer").unwrap_or_default();
    format!("{peer} {}", row.int("client_port").unwrap_or_default())
}

/// One of our rows. Lengths are compared where a message is whole, and its head tells the length of what
/// is sent: not of an answer to HEAD.
fn of_row(row: &Row) -> Transaction {
    let text = |column| row.text(column).map(str::to_owned);
    let number = |column| row.int(column).and_then(|it| u64::try_from(it).ok());
    let is_whole = |side: &str| {
        ["head", "body"]
            .iter()
            .all(|part| row.int(&format!("missing_{side}_{part}")) == Some(0))
    };
    let is_asked = row.get("request_end").is_number() && is_whole("request");
    let is_answered = row.text("ending") == Some("complete")
        && is_whole("response")
        && row.text("method") != Some("HEAD")
        && !matches!(row.int("status"), Some(204 | 304));
    Transaction {
        client: client(row),
        method: text("method"),
        uri: text("target"),
        status: number("status"),
        request_length: number("request_body_len").filter(|_| is_asked),
        response_length: number("response_body_len").filter(|_| is_answered),
    }
}

fn shown(it: &Transaction) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    format!(
        "{} {} {} {} {}",
        text(&it.method),
        text(&it.uri),
        number(it.status),
        number(it.request_length),
        number(it.response_length)
    )
}
