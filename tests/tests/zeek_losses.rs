//! Zeek's traces of losses and odd beginnings, for which it has no log: the exchanges were counted by
//! hand, and with Wireshark.

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{process, row::Row, tools};

/// Method, status, ending, and the length of the response's body.
type Exchange = (Option<&'static str>, Option<i64>, &'static str, i64);

/// Traces in which no request came to the end of its head.
const NO_EXCHANGES: [&str; 4] = [
    // A connection's last FIN, sent again.
    "tcp__fin_retransmission.pcap",
    // A request line of 30 KB that never ends, with holes.
    "tcp__reassembly.pcap",
    // Packets cut to their headers.
    "tcp__retransmit-fast009.pcap",
    "tcp__truncated-header.pcap",
];

#[test]
fn nothing_is_invented() -> Result<()> {
    for trace in NO_EXCHANGES {
        let path = tools::file("data/zeek").join(trace);
        let path = path.to_str().context("a path in UTF-8")?;
        let options = ["--rows", "exchanges", "--format", "ndjson"];
        let done = process::run_llmtap(&[&["replay", path], &options[..]].concat())?;
        ensure!(done.code == Some(1), "{trace}: {done:?}");
        ensure!(done.stdout.is_empty(), "{trace}: {done:?}");
    }
    Ok(())
}

fn exchanges(trace: &str) -> Result<Vec<Row>> {
    let path = tools::file("data/zeek").join(trace);
    let path = path.to_str().context("a path in UTF-8")?;
    let options = ["--rows", "exchanges", "--format", "ndjson"];
    let done = process::run_llmtap(&[&["replay", path], &options[..]].concat())?;
    ensure!(done.code == Some(0), "{trace}: {done:?}");
    done.rows()
}

fn missing(row: &Row) -> i64 {
    [
        "request_head",
        "request_body",
        "response_head",
        "response_body",
    ]
    .into_iter()
    .filter_map(|place| row.int(&format!("missing_{place}")))
    .sum()
}

#[test]
fn of_a_thousand_answers_one_is_lost() -> Result<()> {
    let rows = exchanges("http__1000-requests-one-dropped-response.pcap.gz")?;
    assert_eq!(rows.len(), 1_000);
    let (whole, hurt): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| missing(row) == 0);
    assert_eq!((whole.len(), hurt.len()), (999, 1));
    for row in whole {
        assert_eq!(row.int("status"), Some(200), "{row:?}");
        assert_eq!(row.int("response_body_len"), Some(615), "{row:?}");
        assert_eq!(row.text("ending"), Some("complete"), "{row:?}");
    }
    assert_eq!(
        hurt.first().and_then(|row| row.text("ending")),
        Some("lost")
    );
    Ok(())
}

#[test]
fn small_traces() -> Result<()> {
    let get = |status, length| (Some("GET"), Some(status), "complete", length);
    let cases: [(&str, i64, &[Exchange]); 7] = [
        ("http__entity_gap.pcap", 1_448, &[get(200, 3_257)]),
        ("http__get_nosyn.pcap", 0, &[get(200, 4_705)]),
        ("http__get-gzip.pcap", 0, &[get(200, 165)]),
        ("tcp__handshake-reorder.pcap", 0, &[get(200, 4_705)]),
        ("tcp__missing-syn.pcap", 0, &[get(200, 9_130)]),
        (
            "tcp__payload-syn.pcap",
            0,
            &[(Some("GET"), None, "client_fin", 0)],
        ),
        (
            "tcp__tcp-fast-open.pcap",
            0,
            &[get(302, 0), get(200, 1_158)],
        ),
    ];
    for (trace, lost, expected) in cases {
        let rows = exchanges(trace)?;
        let number = |row: &Row, column| row.int(column).unwrap_or_default();
        let found: Vec<_> = rows
            .iter()
            .map(|row| {
                let ending = row.text("ending").unwrap_or_default();
                let length = number(row, "response_body_len");
                (row.text("method"), row.int("status"), ending, length)
            })
            .collect();
        assert_eq!(found, expected, "{trace}");
        assert_eq!(rows.iter().map(missing).sum::<i64>(), lost, "{trace}");
    }
    Ok(())
}

#[test]
fn answers_without_bodies_and_a_request_that_was_lost() -> Result<()> {
    let rows = exchanges("http__zero-length-bodies-with-drops.pcap")?;
    assert_eq!(rows.len(), 8);
    let unasked: Vec<&Row> = rows
        .iter()
        .filter(|row| row.text("method").is_none())
        .collect();
    assert_eq!(unasked.len(), 1);
    assert_eq!(rows.iter().map(missing).sum::<i64>(), 1_275);
    assert!(
        rows.iter()
            .all(|row| row.text("ending") == Some("complete")),
        "{rows:?}"
    );
    Ok(())
}
