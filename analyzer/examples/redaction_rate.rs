//! What keeping bodies costs, and taking secrets out of them: once with bodies, once without.
//!
//! `follow` is the work of the capture's threads (dialects, and data replaced as it comes), `close` that of the
//! threads behind them (counting tokens, and redaction).
//!
//! `cargo run --release -p analyzer --example redaction_rate`

use std::{
    borrow::Cow,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use analyzer::{
    analysis::{Analyzer, KeepBodies, Settings},
    exchange::{
        Begin, End, Ending, Event, EventKind, ExchangeId, Headers, RequestHead, ResponseHead,
        Source, Transfer, Version,
    },
    time::Timestamp,
    tokens::Counter,
};

/// Bytes of a packet's payload.
const PIECE: usize = 1_448;

const ROUNDS: u32 = 20;

fn main() -> io::Result<()> {
    let prose =
        "The albatross said \\\"good morning\\\" to the key keeper, and went on its way.\\n";
    let text = prose.repeat(300 * 1024 / prose.len());
    let chat =
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
    let noise: String = (0..4_000_000_u64)
        .map(|i| {
            let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[mixed as usize],
            )
        })
        .collect();
    let image = chat.replacen("good morning", &format!("data:image/png;base64,{noise}"), 1);
    let words: Vec<_> = text.split_inclusive(' ').collect();
    let event = |word: &&str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n"
        )
    };
    let stream: Vec<_> = words.iter().map(event).collect();
    let stream = stream.concat();
    let short: String = stream.chars().take(300 * 1024).collect();
    let answer = "{\"object\":\"chat.completion\",\"choices\":[]}";
    for (name, asked, told) in [
        ("a long prompt", chat.as_str(), answer),
        ("an image of 3 MB", &image, answer),
        ("a stream", "{}", &short),
    ] {
        let size = (asked.len() + told.len()) as f64 / 1e6;
        let [with, without] =
            [KeepBodies::Full, KeepBodies::No].map(|bodies| measure(bodies, asked, told));
        let rate = |with: Duration, without: Duration| {
            let cost = with.saturating_sub(without).as_secs_f64();
            format!(
                "{:7.2} ms more, {:6.0} MB/s",
                cost * 1e3,
                size / cost.max(1e-9)
            )
        };
        writeln!(
            io::stdout(),
            "{name:18} {size:5.2} MB  follow {}  close {}",
            rate(with[0], without[0]),
            rate(with[1], without[1])
        )?;
    }
    Ok(())
}

/// The least time that following and closing a call took.
fn measure(bodies: KeepBodies, asked: &str, told: &str) -> [Duration; 2] {
    let settings = Arc::new(Settings {
        bodies,
        ..Settings::default()
    });
    let counter = Counter::always();
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let mut analyzer = Analyzer::new(Arc::clone(&settings));
        let start = Instant::now();
        let call = follow(&mut analyzer, asked, told);
        let followed = start.elapsed();
        let start = Instant::now();
        let record = call.map(|call| call.count(&counter));
        let closed = start.elapsed();
        assert!(
            record.is_some_and(|record| record.bodies.is_some() == (bodies == KeepBodies::Full))
        );
        least = [least[0].min(followed), least[1].min(closed)];
    }
    least
}

fn follow(
    analyzer: &mut Analyzer,
    asked: &str,
    told: &str,
) -> Option<Box<analyzer::analysis::Uncounted>> {
    let id = ExchangeId {
        connection: 1,
        number: 0,
    };
    let time = Timestamp::from_micros(1);
    let mut done = None;
    let mut event = |kind: EventKind<'_>| done = analyzer.event(&Event { id, kind });
    event(EventKind::Begin(Begin {
        source: Source::File,
        peer: None,
        server: None,
    }));
    event(EventKind::RequestHead(RequestHead {
        method: "POST".to_owned(),
        target: "/v1/chat/completions".to_owned(),
        version: Version::Http11,
        headers: Headers::new(),
        first: time,
        last: time,
    }));
    for piece in asked.as_bytes().chunks(PIECE) {
        let bytes = Cow::Borrowed(piece);
        event(EventKind::RequestBody { bytes, time });
    }
    event(EventKind::ResponseHead(ResponseHead {
        status: 200,
        version: Version::Http11,
        headers: Headers::new(),
        first: time,
        last: time,
    }));
    for piece in told.as_bytes().chunks(PIECE) {
        let bytes = Cow::Borrowed(piece);
        event(EventKind::ResponseBody { bytes, time });
    }
    event(EventKind::End(End {
        ending: Ending::Complete,
        response_end: Some(time),
        time,
        client_left: None,
        server_last: None,
        request: Transfer::default(),
        response: Transfer::default(),
    }));
    done.and_then(|finished| finished.call)
}
