//! The reader of server-sent events, in pieces and against a slow one.

use analyzer::sse::{MAX_EVENT_NAME, Reader, Sink};

use super::words;
use crate::fuzz::{
    Features, Target,
    choices::{cutting, pieces},
};

pub(super) const TARGET: Target = Target {
    name: "sse",
    check,
    seeds,
    words: words::BODIES,
    longest: 1_024,
    mutations: 60_000,
};

/// An event's name and data.
type Event = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
struct Events {
    done: Vec<Event>,
    data: Vec<u8>,
}

impl Sink for Events {
    fn data(&mut self, piece: &[u8]) {
        assert!(!piece.is_empty(), "an empty piece");
        self.data.extend_from_slice(piece);
    }

    fn end(&mut self, name: &[u8]) {
        assert!(
            name.len() <= MAX_EVENT_NAME,
            "a name of {} bytes",
            name.len()
        );
        self.done
            .push((name.to_vec(), std::mem::take(&mut self.data)));
    }
}

fn check(bytes: &[u8]) -> Features {
    let whole = read([bytes]);
    let (seed, most) = cutting(bytes);
    assert_eq!(whole, read(pieces(bytes, seed, most)), "in other pieces");
    assert_eq!(whole, slowly(bytes), "not as the standard reads it");
    after_a_hole(bytes, &whole);

    let mut features = Features::default();
    features.count("events", whole.len() as u64);
    for (name, data) in &whole {
        features.count("name", name.len() as u64);
        features.count("data", data.len() as u64);
        features.count("lines", data.split(|byte| *byte == b'\n').count() as u64);
        if name == b"error" {
            features.seen("error");
        }
    }
    for pair in bytes.windows(2) {
        if pair.iter().all(|byte| b"\r\n:".contains(byte)) {
            features.followed(&pair[0].to_string(), &pair[1].to_string());
        }
    }
    features
}

fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<Event> {
    let mut reader = Reader::new();
    let mut events = Events::default();
    for piece in pieces {
        reader.push(piece, &mut events);
    }
    reader.finish(&mut events);
    events.done
}

/// Bytes are missing in the middle: whole events come out before, and none that is not there.
fn after_a_hole(bytes: &[u8], whole: &[Event]) {
    let (before, after) = bytes.split_at(bytes.len() / 2);
    let mut reader = Reader::new();
    let mut events = Events::default();
    reader.push(before, &mut events);
    let first = events.done.len();
    assert_eq!(
        events.done,
        whole[..first.min(whole.len())],
        "before the hole"
    );
    if reader.hole() {
        events.data.clear();
    }
    assert!(events.data.is_empty(), "data of no event");
    reader.push(after, &mut events);
    reader.finish(&mut events);
    let fields = after.split(|byte| matches!(byte, b'\r' | b'\n')).count();
    assert!(
        events.done.len() - first <= fields,
        "more events than lines"
    );
}

/// The standard's own way (WHATWG HTML, "Interpreting an event stream"), with what llmtap adds to it: a
/// last event may lack its blank line, `error` is a field that names its event, and names are cut.
fn slowly(bytes: &[u8]) -> Vec<Event> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, ending) = rest.split_at(end.unwrap_or(rest.len()));
        lines.push(line);
        let taken = match ending {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        rest = &ending[taken..];
    }
    // The end of the stream is a blank line.
    lines.push(b"");
    if let Some(first) = lines.first_mut() {
        *first = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first);
    }
    let mut done = Vec::new();
    let (mut name, mut data): (Vec<u8>, Option<Vec<u8>>) = Default::default();
    for line in lines {
        if line.is_empty() {
            name.truncate(MAX_EVENT_NAME);
            let name = std::mem::take(&mut name);
            done.extend(data.take().map(|data| (name, data)));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let is_error = field == b"error" && colon.is_some();
        if field == b"event" {
            name = value.to_vec();
        } else if is_error {
            name = b"error".to_vec();
        }
        if field == b"data" || is_error {
            match &mut data {
                Some(data) => data.extend([b"\n", value].concat()),
                None => data = Some(value.to_vec()),
            }
        }
    }
    done
}

fn seeds() -> Vec<Vec<u8>> {
    let long = format!("event: {}\ndata: a\n\n", "n".repeat(100));
    [
        "data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d",
        ": comment\nevent: error\ndata: {\"a\":1}\ndata: second\n\n",
        "\u{feff}data:  a \ndata\ndata:\n\n",
        "error: {\"message\":\"m\"}\n\ndata: [DONE]\n\n",
        "id: 1\nretry: 5\na-very-long-field-name: data\nevent: x\nevent\ndata: a\n\n",
        &long,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
