//! A capture file through everything, to rows: the same whatever the number of threads.

use std::sync::{Arc, LazyLock, atomic::AtomicBool};

use analyzer::{
    analysis,
    exchange::Source,
    tokens::{Counter, Tokenizers, Vocabulary},
};
use sniffer::{
    capture::file::FileSource,
    http::{HttpLimits, HttpSettings},
    pipeline::{self, Output, Pace, Report, Settings},
    tcp::TcpSettings,
};

use super::{rows, words};
use crate::{
    fuzz::{Features, Target, corpus},
    pcap::{ByteOrder, Capture, Conversation, Link, Resolution},
    traffic::{Damage, Traffic},
};

pub(super) const TARGET: Target = Target {
    name: "pipeline",
    check,
    seeds,
    words: words::HTTP,
    longest: 16_384,
    mutations: 2_000,
};

static ANALYSIS: LazyLock<Arc<analysis::Settings>> = LazyLock::new(Arc::default);

/// Bytes of the shortest request, and of the shortest answer: what an exchange costs at least.
const SHORTEST: usize = 5;

fn settings(workers: usize) -> Settings {
    let limits = HttpLimits {
        body_read: 1 << 20,
        ..HttpLimits::default()
    };
    Settings {
        source: Source::File,
        pace: Pace::Replay,
        feed: None,
        ports: Vec::new(),
        workers,
        tcp: TcpSettings::default(),
        http: HttpSettings {
            limits,
            ..HttpSettings::new(Source::File)
        },
        analysis: Arc::clone(&ANALYSIS).into(),
        counter: Counter::always_by(Tokenizers::always(Vocabulary::Cl100kBase)).into(),
    }
}

fn check(bytes: &[u8]) -> Features {
    let mut features = Features::default();
    let Some((outputs, report)) = run(bytes, 1) else {
        features.seen("refused");
        return features;
    };
    let mut exchanges = 0;
    for output in &outputs {
        match output {
            Output::Exchange(row, record) => {
                exchanges += 1;
                rows::exchange(row, &mut features);
                if let Some(record) = record {
                    rows::call(&record.call, &mut features);
                }
            }
            Output::Protocol(_, protocol) => features.seen(protocol.as_str()),
        }
    }
    let totals = &report.totals;
    assert_eq!(totals.exchanges, exchanges);
    assert_eq!(
        (totals.in_flight, totals.open_connections),
        (0, 0),
        "{totals:?}"
    );
    assert_eq!(totals.http.exchanges, exchanges, "{totals:?}");
    assert_eq!(totals.tcp.segments, report.packets.segments, "{report:?}");
    assert_eq!(report.capture.packets, report.packets.packets, "{report:?}");
    let most = report.capture.bytes as usize / SHORTEST;
    assert!(
        exchanges as usize <= most,
        "{exchanges} exchanges in {} bytes",
        report.capture.bytes
    );

    if let Some((others, other)) = run(bytes, 3) {
        assert_eq!(
            format!("{outputs:?}"),
            format!("{others:?}"),
            "with 3 workers"
        );
        assert_eq!(totals.tcp, other.totals.tcp, "with 3 workers");
        assert_eq!(totals.http, other.totals.http, "with 3 workers");
    }
    features.counters(totals.tcp.iter());
    features.counters(totals.http.iter());
    features.counters(totals.analysis.iter());
    features.counters(report.packets.iter());
    features
}

fn run(bytes: &[u8], workers: usize) -> Option<(Vec<Output>, Report)> {
    let reader = std::io::Cursor::new(bytes.to_vec());
    let mut source = FileSource::from_readers(vec![("it".to_owned(), Box::new(reader))]).ok()?;
    let mut outputs = Vec::new();
    let report = pipeline::run(
        &mut source,
        &settings(workers),
        &AtomicBool::new(false),
        |output| outputs.push(output),
        |_| {},
    );
    match report {
        Ok(report) => Some((outputs, report)),
        Err(error) => panic!("damage is no error: {error}"),
    }
}

/// The largest of the traces that others made that are taken.
const SMALL_TRACE: usize = 6_000;

fn seeds() -> Vec<Vec<u8>> {
    let damage = Damage {
        lost: 50_000,
        doubled: 50_000,
        late: 2_000,
    };
    let pcap = |capture: &Capture| capture.to_pcap(ByteOrder::Little, Resolution::Micro);
    let mut seeds = Vec::new();
    for seed in 0..6 {
        let traffic = Traffic::new(seed, 1, 3);
        let packets = match seed % 2 {
            0 => traffic.packets(),
            _ => traffic.damaged(seed, damage).0.packets(),
        };
        let mut capture = Capture::new(Link::RawIp);
        capture.add_packets(&packets[..packets.len().min(30)]);
        seeds.push(pcap(&capture));
    }
    let mut talk = Conversation::new(([10, 0, 0, 9], 40_000).into(), ([10, 0, 0, 1], 80).into());
    talk.handshake(1_000)
        .client(2_000, "GET / HTTP/1.1\r\n\r\n")
        .server(3_000, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        .close(4_000);
    seeds.push(pcap(&Capture::of(&talk)));
    let traces = corpus::workspace().join("tests/data/zeek");
    // Without them there are fewer seeds: the corpus holds what came of them.
    let traces = corpus::read_folder(&traces).unwrap_or_default();
    let is_trace = |bytes: &Vec<u8>| bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    seeds.extend(
        traces
            .into_iter()
            .filter(|bytes| is_trace(bytes) && bytes.len() < SMALL_TRACE),
    );
    seeds
}
