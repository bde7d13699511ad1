//! Events of exchanges in any order, through the analysis to rows.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use analyzer::{
    analysis::{Analyzer, HashKey, KeepBodies, Settings},
    exchange::{
        Begin, End, Ending, Event, EventKind, ExchangeId, Headers, Place, RequestHead,
        ResponseHead, Source, Transfer, Version,
    },
    time::Timestamp,
    tokens::{Counter, Tokenizers, Vocabulary},
};

use super::{rows, words};
use crate::fuzz::{
    Features, Target,
    choices::{Choices, cutting, pieces},
};

pub(super) const TARGET: Target = Target {
    name: "exchanges",
    check,
    seeds,
    words: words::BODIES,
    longest: 2_048,
    mutations: 10_000,
};

const STEPS: [i64; 8] = [0, 1, 1_000, 50_000, 1_200_000, -2_000, i64::MAX / 4, 10];

const TARGETS: [&str; 10] = [
    "/v1/chat/completions",
    "/v1/completions?key=secret",
    "/openai/deployments/d/chat/completions",
    "/anything",
    "/tokenize",
    "/v1/messages",
    "/api/chat",
    "/v1/embeddings",
    "http://host/v1/chat/completions",
    "*",
];

const METHODS: [&str; 4] = ["POST", "GET", "OPTIONS", "post"];

const STATUSES: [u16; 8] = [200, 429, 400, 500, 302, 101, 999, 204];

const HEADERS: [(&str, &str); 12] = [
    ("X-Forwarded-For", "192.0.2.7, 10.0.0.1"),
    ("X-Forwarded-For", "[2001:db8::1]:5, unknown"),
    ("X-Real-Ip", "192.0.2.8"),
    ("Forwarded", "for=\"[2001:db8::2]:99\";proto=http, for=_x"),
    ("Authorization", "Bearer sk-secret"),
    ("api-key", "secret"),
    ("X-Model", "routed"),
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Content-Type", "application/json"),
    ("Content-Type", "multipart/form-data; boundary=b"),
    ("x-api-key", ""),
    ("Cookie", "a=b"),
];

const PLACES: [Place; 4] = [
    Place::RequestHead,
    Place::RequestBody,
    Place::ResponseHead,
    Place::ResponseBody,
];

const ENDINGS: [Ending; 10] = [
    Ending::Complete,
    Ending::ServerFin,
    Ending::ServerReset,
    Ending::ClientFin,
    Ending::ClientReset,
    Ending::TimedOut,
    Ending::CaptureEnd,
    Ending::Evicted,
    Ending::Lost,
    Ending::Upgraded,
];

static SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| {
    Arc::new(Settings {
        bodies: KeepBodies::Full,
        user_header: "X-User".parse().ok(),
        hash_key: Some(HashKey::new(b"key")),
        ..Settings::default()
    })
});

fn check(bytes: &[u8]) -> Features {
    let events = events(bytes);
    let whole = play(&events, None);
    let cut = play(&events, Some(cutting(bytes)));
    assert_eq!(whole.rows, cut.rows, "in other pieces");
    whole.features
}

struct Played {
    rows: Vec<String>,
    features: Features,
}

fn play(events: &[Event<'_>], cut: Option<(u64, u64)>) -> Played {
    let counter = Counter::always_by(Tokenizers::always(Vocabulary::Cl100kBase));
    let mut analyzer = Analyzer::new(Arc::clone(&SETTINGS));
    let mut played = Played {
        rows: Vec::new(),
        features: Features::default(),
    };
    let (mut open, mut ended) = (BTreeSet::new(), 0_u64);
    for event in events {
        let mut all = vec![event.clone()];
        if let Some((seed, most)) = cut {
            all = cut_event(event, seed, most);
        }
        for event in all {
            let finished = analyzer.event(&event);
            let expected = match &event.kind {
                EventKind::Begin(_) => {
                    open.insert(event.id);
                    false
                }
                EventKind::End(_) => open.remove(&event.id),
                _ => false,
            };
            assert_eq!(finished.is_some(), expected, "{event:?}");
            assert_eq!(analyzer.in_flight(), open.len());
            let Some(finished) = finished else { continue };
            ended += 1;
            rows::exchange(&finished.exchange, &mut played.features);
            played.rows.push(format!("{:?}", finished.exchange));
            if let Some(call) = finished.call {
                let record = call.count(&counter);
                rows::call(&record.call, &mut played.features);
                played.rows.push(format!("{record:?}"));
            }
        }
    }
    let counters = analyzer.counters();
    assert_eq!(counters.exchanges, ended, "{counters:?}");
    let of_pieces = ["orphan_events"];
    played.features.counters(
        counters
            .iter()
            .filter(|(name, _)| !of_pieces.contains(name)),
    );
    played
}

/// An event with a body as several, of the same time.
fn cut_event<'e>(event: &'e Event<'e>, seed: u64, most: u64) -> Vec<Event<'e>> {
    let id = event.id;
    let kinds: Vec<EventKind<'e>> = match &event.kind {
        EventKind::RequestBody { bytes, time } => pieces(bytes, seed, most)
            .into_iter()
            .map(|piece| EventKind::RequestBody {
                bytes: Cow::Borrowed(piece),
                time: *time,
            })
            .collect(),
        EventKind::ResponseBody { bytes, time } => pieces(bytes, seed, most)
            .into_iter()
            .map(|piece| EventKind::ResponseBody {
                bytes: Cow::Borrowed(piece),
                time: *time,
            })
            .collect(),
        other => vec![other.clone()],
    };
    kinds.into_iter().map(|kind| Event { id, kind }).collect()
}

/// The events that the input asks for.
fn events(bytes: &[u8]) -> Vec<Event<'_>> {
    let mut choices = Choices::new(bytes);
    let mut time = Timestamp::from_micros(1_700_000_000_000_000);
    let mut events = Vec::new();
    while !choices.is_empty() {
        let code = choices.byte();
        time = time.plus_micros(STEPS[usize::from(code >> 5)]);
        let id = ExchangeId {
            connection: u64::from(code >> 3 & 3),
            number: 0,
        };
        let kind = match code & 7 {
            0 => EventKind::Begin(begin(choices.byte())),
            1 => EventKind::RequestHead(RequestHead {
                method: choices.of(&METHODS).to_owned(),
                target: choices.of(&TARGETS).to_owned(),
                version: Version::Http11,
                headers: headers(&mut choices),
                first: time,
                last: time.plus_micros(i64::from(choices.byte())),
            }),
            2 | 4 => {
                let length = usize::from(choices.u16());
                let bytes = Cow::Borrowed(choices.bytes(length));
                match (bytes.is_empty(), code & 7) {
                    (true, _) => continue,
                    (_, 2) => EventKind::RequestBody { bytes, time },
                    _ => EventKind::ResponseBody { bytes, time },
                }
            }
            3 => EventKind::ResponseHead(ResponseHead {
                status: choices.of(&STATUSES),
                version: Version::Http11,
                headers: headers(&mut choices),
                first: time,
                last: time,
            }),
            5 => EventKind::RequestEnd { time },
            6 => EventKind::Gap {
                place: choices.of(&PLACES),
                length: (choices.u64() >> (choices.byte() % 64)).max(1),
            },
            _ => EventKind::End(end(&mut choices, time)),
        };
        events.push(Event { id, kind });
    }
    events
}

fn begin(form: u8) -> Begin {
    let peers = [
        ([10, 0, 0, 9], 40_000).into(),
        ([203, 0, 113, 9], 40_000).into(),
        ([0_u16, 0, 0, 0, 0, 0xffff, 0x0a00, 9], 40_000).into(),
    ];
    Begin {
        source: Source::File,
        peer: peers.get(usize::from(form & 3)).copied(),
        server: (form & 4 == 0).then(|| ([10, 0, 0, 1], 8_000).into()),
    }
}

fn headers(choices: &mut Choices<'_>) -> Headers {
    let mut headers = Headers::new();
    for _ in 0..choices.byte() & 3 {
        let (name, value) = choices.of(&HEADERS);
        headers.push(name, value);
    }
    headers
}

fn end(choices: &mut Choices<'_>, time: Timestamp) -> End {
    let ending = choices.of(&ENDINGS);
    let form = choices.byte();
    let some = |bit: u8, micros: i64| (form & bit > 0).then(|| time.plus_micros(micros));
    let complete = matches!(ending, Ending::Complete | Ending::Upgraded);
    let lost = |bit: u8| if form & bit > 0 { 7 } else { 0 };
    End {
        ending,
        response_end: complete.then_some(time),
        time,
        client_left: some(1, -500_000),
        server_last: some(2, 300),
        request: Transfer {
            missing_head: lost(4),
            missing_body: lost(8),
            ..Transfer::default()
        },
        response: Transfer {
            missing_head: lost(16),
            missing_body: lost(32),
            unread: lost(64),
            ..Transfer::default()
        },
    }
}

fn seeds() -> Vec<Vec<u8>> {
    const ASKED: &str =
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    const STREAM: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m2\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n";
    const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" you\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    const PLAIN: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}"#;
    const ERROR: &str = r#"{"error":{"message":"m","type":"t","code":"c"}}"#;
    let body = |code: u8, text: &str| {
        let length = (text.len() as u16).to_le_bytes();
        [&[code][..], &length, text.as_bytes()].concat()
    };
    let head = |target: u8, headers: &[u8]| {
        let count = headers.len() as u8;
        [&[0x41, 0, target, count][..], headers, &[5]].concat()
    };
    let asked = |target, headers: &[u8]| {
        [
            vec![0, 0],
            head(target, headers),
            body(0x22, ASKED),
            vec![0x45],
        ]
        .concat()
    };
    let answered =
        |status: u8, headers: &[u8]| [&[0x63, status, headers.len() as u8][..], headers].concat();
    vec![
        [
            asked(0, &[0, 4, 6]),
            answered(0, &[7]),
            body(0x64, STREAM),
            body(0x84, LAST),
            vec![0x47, 0, 0],
        ]
        .concat(),
        [
            asked(1, &[2]),
            answered(0, &[8]),
            body(0x64, PLAIN),
            vec![0x47, 0, 0],
        ]
        .concat(),
        [
            asked(3, &[3, 5]),
            answered(0, &[]),
            body(0x64, PLAIN),
            vec![0x47, 4, 3],
        ]
        .concat(),
        [
            asked(0, &[]),
            answered(1, &[8]),
            body(0x64, ERROR),
            vec![0x47, 0, 0],
        ]
        .concat(),
        [
            asked(0, &[]),
            answered(3, &[8]),
            body(0x64, ERROR),
            vec![0x47, 1, 0x20],
        ]
        .concat(),
        [asked(2, &[1]), vec![0x47, 3, 3]].concat(),
        [
            asked(0, &[]),
            answered(0, &[7]),
            body(0x64, STREAM),
            vec![0x06, 3, 9, 0, 0, 0, 0, 0, 0, 0, 0],
            body(0x84, LAST),
            vec![0x47, 2, 0x30],
        ]
        .concat(),
    ]
}
