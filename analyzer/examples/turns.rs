//! What a chat of ten turns costs to count, with and without the memory of counts: each turn sends all earlier
//! messages again.
//!
//! `cargo xtask bench turns`, or `cargo run --release -p analyzer --example turns [MODEL]`

use std::{
    borrow::Cow,
    env,
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use analyzer::{
    analysis::{Analyzer, Settings, Uncounted},
    exchange::{
        Begin, End, Ending, Event, EventKind, ExchangeId, Headers, RequestHead, ResponseHead,
        Source, Transfer, Version,
    },
    time::Timestamp,
    tokens::{
        Counter, Tokenizers,
        cache::{Cache, DEFAULT_ENTRIES},
        policy::Policy,
    },
};

const TURNS: usize = 10;

/// The least of so many runs holds.
const ROUNDS: usize = 20;

/// Bytes of the system's message, of a question, and of an answer.
const SIZES: [usize; 3] = [4_000, 800, 2_400];

fn main() -> Result<(), Box<dyn Error>> {
    let model = env::args().nth(1).unwrap_or_else(|| "gpt-4o".to_owned());
    let chat = chat(&model);
    // The vocabulary is loaded before the clock runs.
    let mut tokens = Vec::new();
    play(&chat, 0, &mut |_, record, _| {
        tokens.push((record.input_tokens, record.output_tokens));
    })?;
    let mut least = [[Duration::MAX; TURNS]; 2];
    let mut bytes = [[0; TURNS]; 2];
    for _ in 0..ROUNDS {
        for (way, entries) in [0, DEFAULT_ENTRIES].into_iter().enumerate() {
            play(&chat, entries, &mut |turn, record, cost| {
                assert_eq!(
                    tokens[turn],
                    (record.input_tokens, record.output_tokens),
                    "both ways count the same"
                );
                least[way][turn] = least[way][turn].min(cost.time);
                bytes[way][turn] = cost.counted_bytes;
            })?;
        }
    }
    let mut out = io::stdout();
    writeln!(
        out,
        "{model}: the least of {ROUNDS} chats each, taken in turn, on one thread that does nothing else"
    )?;
    writeln!(
        out,
        "{:>4} {:>12} {:>14} {:>14} {:>12} {:>12} {:>6}",
        "turn", "tokens", "bytes counted", "with memory", "µs", "with memory", "ratio"
    )?;
    for turn in 0..TURNS {
        let [without, with] = [least[0][turn], least[1][turn]];
        writeln!(
            out,
            "{:>4} {:>12} {:>14} {:>14} {:>12.1} {:>12.1} {:>6.1}",
            turn + 1,
            tokens[turn].0.unwrap_or(0) + tokens[turn].1.unwrap_or(0),
            bytes[0][turn],
            bytes[1][turn],
            without.as_secs_f64() * 1e6,
            with.as_secs_f64() * 1e6,
            without.as_secs_f64() / with.as_secs_f64(),
        )?;
    }
    Ok(())
}

/// What counting one turn took.
struct Cost {
    time: Duration,
    counted_bytes: u64,
}

/// Counts a chat, turn by turn, and tells of each.
fn play(
    chat: &[(String, String)],
    entries: usize,
    told: &mut dyn FnMut(usize, analyzer::call::Call, Cost),
) -> io::Result<()> {
    let tokenizers = Arc::new(Tokenizers::by_model());
    let counter = Counter::new(tokenizers, Policy::ALWAYS, Arc::new(Cache::new(entries)));
    for (turn, (asked, answered)) in chat.iter().enumerate() {
        let Some(call) = follow(asked, answered) else {
            return Err(io::Error::other("no call"));
        };
        let before = counter.cache().totals().counted_bytes;
        let start = Instant::now();
        let record = call.count(&counter);
        let cost = Cost {
            time: start.elapsed(),
            counted_bytes: counter.cache().totals().counted_bytes - before,
        };
        told(turn, record.call, cost);
    }
    Ok(())
}

/// The request and the answer of each turn.
fn chat(model: &str) -> Vec<(String, String)> {
    let mut seed = 1_u64;
    let [system, question, answer] = SIZES;
    let mut messages = format!(
        r#"{{"role":"system","content":"{}"}}"#,
        prose(system, &mut seed)
    );
    (0..TURNS)
        .map(|_| {
            let (asked, said) = (prose(question, &mut seed), prose(answer, &mut seed));
            let _ = write!(messages, r#",{{"role":"user","content":"{asked}"}}"#);
            let request = format!(r#"{{"model":"{model}","messages":[{messages}]}}"#);
            let _ = write!(messages, r#",{{"role":"assistant","content":"{said}"}}"#);
            let response = format!(
                r#"{{"object":"chat.completion","model":"{model}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{said}"}},"finish_reason":"stop"}}]}}"#
            );
            (request, response)
        })
        .collect()
}

/// English words in no order, with some marks, code and Chinese among them.
fn prose(bytes: usize, seed: &mut u64) -> String {
    const WORDS: &str = "the of and a to in is you that it he was for on are as with his they I at be this have \
        from or one had by word but not what all were we when your can said there use an each which she do how \
        their if will up other about out many then them these so some her would make like him into time has look \
        two more write go see number no way could people my than first water been call who oil its now find long \
        down day did get come made may part tokenizer, throughput. reassembly; (connection) latency: \
        fn_main() let_x=41; https://example.org/a?b=c 1,024 世界 你好， こんにちは naïve";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(words[(*seed >> 33) as usize % words.len()]);
    }
    text
}

fn follow(asked: &str, answered: &str) -> Option<Box<Uncounted>> {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
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
    event(EventKind::RequestBody {
        bytes: Cow::Borrowed(asked.as_bytes()),
        time,
    });
    event(EventKind::ResponseHead(ResponseHead {
        status: 200,
        version: Version::Http11,
        headers: Headers::new(),
        first: time,
        last: time,
    }));
    event(EventKind::ResponseBody {
        bytes: Cow::Borrowed(answered.as_bytes()),
        time,
    });
    event(EventKind::End(End {
        ending: Ending::Complete,
        response_end: Some(time),
        time,
        client_left: None,
        server_last: None,
        request: Transfer::default(),
        response: Transfer::default(),
    }));
    done?.call
}
