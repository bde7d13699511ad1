//! Finding one's way in a stored body: which strings of a stream belong together, and what stands at a
//! JSON path.
//!
//! A stream says one text in many events. Strings at one place (the same keys and indices on the way to
//! them, and the same `index` in the objects around them) are the pieces of one text, whatever the dialect.
//! So a secret that came a few characters at a time is found in the text, and taken out of each piece.
//!
//! Bodies are cut and damaged: the walk goes on wherever it can and never fails.

use std::{hash::BuildHasher as _, ops::Range};

use super::{
    json_path::{self, JsonPath, Places, Step},
    view::View,
};

/// How deep containers are told apart; what is deeper is taken as one value.
const MAX_DEPTH: usize = 128;

/// Bytes of a key that are looked at; a longer one fits no name.
const MAX_KEY: usize = 1_024;

/// Keys whose numbers say to which of several interleaved texts an event belongs.
const INDEX_KEYS: [&[u8]; 5] = [
    b"index",
    b"output_index",
    b"content_index",
    b"summary_index",
    b"choice_index",
];

/// What a walk found. Ranges are bytes of the body.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Texts that came in several strings: the strings' insides, in order.
    pub(super) texts: Vec<Vec<Range<usize>>>,
    /// Values at the paths.
    pub(super) values: Vec<Range<usize>>,
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// One or many JSON values.
    Json,
    /// Anything else.
    Other,
}

/// Tells the form by the beginning; of a text that begins in the middle, by any line.
pub(super) fn form(body: &[u8], starts_cut: bool) -> Form {
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    let is_field = |line: &[u8]| FIELDS.iter().any(|field| line.starts_with(field));
    if starts_cut {
        let line = |start: &[u8]| memchr::memmem::find(body, start).is_some();
        return match (line(b"\ndata:") || line(b"\rdata:"), line(b"\n{")) {
            (true, _) => Form::Events,
            (false, true) => Form::Json,
            (false, false) => Form::Other,
        };
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match body.trim_ascii_start() {
        [b'{' | b'[', ..] => Form::Json,
        text if is_field(text) => Form::Events,
        _ => Form::Other,
    }
}

/// Walks through a body of this form.
pub(super) fn walk(body: &[u8], form: Form, starts_cut: bool, paths: &[JsonPath]) -> Walked {
    let mut walk = Walk {
        body,
        paths,
        hasher: foldhash::fast::FixedState::default(),
        frames: Vec::new(),
        too_deep: 0,
        leaves: Vec::new(),
        values: Vec::new(),
    };
    match form {
        Form::Events => walk.events(),
        Form::Json => {
            // The line in the middle of which it begins is not read.
            let line = memchr::memchr(b'\n', body).filter(|_| starts_cut);
            walk.tokens(line.unwrap_or(0)..body.len());
            walk.end_document();
        }
        Form::Other => {}
    }
    let mut leaves = walk.leaves;
    leaves.sort_by_key(|leaf| leaf.text);
    let texts = leaves
        .chunk_by(|a, b| a.text == b.text)
        .filter(|pieces| pieces.len() > 1)
        .map(|pieces| pieces.iter().map(|piece| piece.range.clone()).collect())
        .collect();
    Walked {
        texts,
        values: walk.values,
    }
}

struct Walk<'b> {
    body: &'b [u8],
    paths: &'b [JsonPath],
    hasher: foldhash::fast::FixedState,
    frames: Vec<Frame>,
    /// Containers below the deepest frame.
    too_deep: usize,
    leaves: Vec<Leaf>,
    values: Vec<Range<usize>>,
}

/// A string's inside, and the number of the text that it belongs to.
struct Leaf {
    text: u64,
    range: Range<usize>,
}

/// An open container.
struct Frame {
    kind: Container,
    /// The number of its place.
    place: u64,
    /// The next element's, or of the value whose key was read.
    step: NextStep,
    index: u32,
    places: Places,
    /// Where it began, if it is to go as a whole.
    goes_from: Option<usize>,
    /// The first leaf in it.
    leaves: usize,
    /// Its `index` fields.
    indices: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// What a string or value in a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NextStep {
    /// A key of an object.
    Key,
    /// A value behind this key.
    Value(Range<usize>),
    /// An element.
    Element,
}

/// Where a value stands.
struct Place {
    number: u64,
    places: Places,
    goes: bool,
}

impl Walk<'_> {
    /// Each `data:` line is read; a blank one ends the document.
    fn events(&mut self) {
        let mut at = 0;
        while let Some(rest) = self.body.get(at..).filter(|rest| !rest.is_empty()) {
            let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or_default();
            if line.is_empty() {
                // The blank between CR and LF is none.
                let within_crlf = rest.first() == Some(&b'\n')
                    && at.checked_sub(1).and_then(|before| self.body.get(before)) == Some(&b'\r');
                if !within_crlf {
                    self.end_document();
                }
            } else if line.starts_with(b"data:") {
                self.tokens(at + b"data:".len()..at + length);
            }
            at += length + 1;
        }
        self.end_document();
    }

    fn tokens(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some(&byte) = self.body.get(at).filter(|_| at < range.end) {
            match byte {
                b'"' => at = self.string(at, range.end),
                b'{' => {
                    self.open(Container::Object, at);
                    at += 1;
                }
                b'[' => {
                    self.open(Container::Array, at);
                    at += 1;
                }
                b'}' | b']' => {
                    at += 1;
                    self.close(at);
                }
                b':' | b',' => {
                    self.separator(byte);
                    at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' => at += 1,
                _ => at = self.bare(at, range.end),
            }
        }
    }

    /// A string; gives where it ends.
    fn string(&mut self, at: usize, limit: usize) -> usize {
        let inside = at + 1;
        let mut end = inside;
        let closed = loop {
            let rest = self.body.get(end..limit).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest.get(found) == Some(&b'"') => {
                    end += found;
                    break true;
                }
                Some(found) => end = (end + found + 2).min(limit),
                None => {
                    end = limit;
                    break false;
                }
            }
        };
        let range = inside..end;
        let after = if closed { end + 1 } else { end };
        if self.too_deep > 0 {
            return after;
        }
        if let Some(frame) = self.frames.last_mut()
            && frame.step == NextStep::Key
        {
            frame.step = NextStep::Value(range);
            return after;
        }
        let place = self.place();
        if place.goes {
            self.values.push(at..after);
        } else if !range.is_empty() {
            self.leaves.push(Leaf {
                text: place.number,
                range,
            });
        }
        self.value_ended();
        after
    }

    /// A number or word; gives where it ends.
    fn bare(&mut self, at: usize, limit: usize) -> usize {
        let rest = self.body.get(at..limit).unwrap_or_default();
        let ends = |b: &u8| {
            matches!(b, b',' | b']' | b'}' | b':' | b'"' | b'{' | b'[') || b.is_ascii_whitespace()
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len()).max(1);
        if self.too_deep > 0 {
            return at + length;
        }
        if self.place().goes {
            self.values.push(at..at + length);
        }
        let text = rest.get(..length).unwrap_or_default();
        let key = match self.frames.last().map(|frame| &frame.step) {
            Some(NextStep::Value(key)) => self.body.get(key.clone()).unwrap_or_default(),
            _ => &[],
        };
        if INDEX_KEYS.contains(&key) {
            let number = self.hasher.hash_one((key, text));
            if let Some(frame) = self.frames.last_mut() {
                frame.indices = Some(frame.indices.unwrap_or(0).wrapping_add(number));
            }
        }
        self.value_ended();
        at + length
    }

    fn open(&mut self, kind: Container, at: usize) {
        if self.too_deep > 0 || self.frames.len() >= MAX_DEPTH {
            // Whether a path leads into it is not known, so it goes where one might.
            if self.too_deep == 0 && self.frames.last().is_some_and(|f| !f.places.is_empty()) {
                self.values.push(at..self.body.len());
            }
            self.too_deep += 1;
            return;
        }
        let place = self.place();
        self.frames.push(Frame {
            kind,
            place: place.number,
            step: match kind {
                Container::Object => NextStep::Key,
                Container::Array => NextStep::Element,
            },
            index: 0,
            places: place.places,
            goes_from: place.goes.then_some(at),
            leaves: self.leaves.len(),
            indices: None,
        });
    }

    fn close(&mut self, end: usize) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            if self.too_deep == 0 {
                self.value_ended();
            }
            return;
        }
        let Some(frame) = self.frames.pop() else {
            return;
        };
        self.leave(&frame, end);
        self.value_ended();
    }

    fn leave(&mut self, frame: &Frame, end: usize) {
        if let Some(from) = frame.goes_from {
            self.values.push(from..end);
        }
        if let Some(indices) = frame.indices {
            for leaf in self.leaves.iter_mut().skip(frame.leaves) {
                leaf.text = self.hasher.hash_one((leaf.text, indices));
            }
        }
    }

    fn separator(&mut self, byte: u8) {
        if self.too_deep > 0 {
            return;
        }
        if let Some(frame) = self.frames.last_mut()
            && byte == b','
            && frame.kind == Container::Object
        {
            frame.step = NextStep::Key;
        }
    }

    fn value_ended(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.index = frame.index.saturating_add(1);
            if frame.kind == Container::Object {
                frame.step = NextStep::Key;
            }
        }
    }

    /// What is open ends with the document; a value that was to go goes up to here.
    fn end_document(&mut self) {
        while let Some(frame) = self.frames.pop() {
            self.leave(&frame, self.body.len());
        }
        self.too_deep = 0;
    }

    /// Where the value that begins here stands. Elements of an array at the root are events, as Gemini sends
    /// them, and stand at one place.
    fn place(&mut self) -> Place {
        let Some(frame) = self.frames.last() else {
            let (places, goes) = json_path::at_root(self.paths);
            return Place {
                number: 0,
                places,
                goes,
            };
        };
        let in_root_array = self.frames.len() == 1 && frame.kind == Container::Array;
        let (number, step) = match &frame.step {
            NextStep::Value(key) => {
                let key = self.body.get(key.clone()).unwrap_or_default();
                (self.hasher.hash_one((frame.place, key)), Some(key))
            }
            _ if in_root_array => (1, None),
            _ => (self.hasher.hash_one((frame.place, frame.index)), None),
        };
        if frame.places.is_empty() {
            return Place {
                number,
                places: Places::new(),
                goes: false,
            };
        }
        let (places, goes) = match step {
            Some(key) => {
                let key = name(key);
                json_path::step(self.paths, &frame.places, Step::Key(key.as_deref()))
            }
            None => json_path::step(self.paths, &frame.places, Step::Index(frame.index)),
        };
        // What goes with the container around it need not go once more.
        let goes = goes && self.frames.iter().all(|frame| frame.goes_from.is_none());
        Place {
            number,
            places,
            goes,
        }
    }
}

/// A key, its escapes resolved.
fn name(key: &[u8]) -> Option<String> {
    if key.len() > MAX_KEY {
        return None;
    }
    let mut view = View::default();
    view.push_unescaped(key, 0..key.len());
    String::from_utf8(view.text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<String> {
        let bytes = body.as_bytes();
        let walked = walk(bytes, form(bytes, false), false, &[]);
        let joined = |pieces: &Vec<Range<usize>>| pieces.iter().map(|r| &body[r.clone()]).collect();
        let mut texts: Vec<String> = walked.texts.iter().map(joined).collect();
        texts.sort();
        texts
    }

    fn values<'b>(body: &'b str, paths: &[&str]) -> Vec<&'b str> {
        let bytes = body.as_bytes();
        let paths: Vec<_> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let walked = walk(bytes, form(bytes, false), false, &paths);
        walked.values.into_iter().map(|r| &body[r]).collect()
    }

    #[test]
    fn the_pieces_of_a_stream_are_joined_by_choice() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"He\"},\"index\":0}]}\n\n\
            data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"Gu\"}}]}\r\n\r\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"index\":0},\n\
            data: {\"index\":1,\"delta\":{\"reasoning\":\"x\"}}]}\n\n\
            : comment\n\n\
            data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"ten\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(texts(stream), ["Guten", "Hello"]);
    }

    #[test]
    fn lines_and_arrays_of_objects_are_streams_too() {
        let lines = "{\"message\":{\"content\":\"a\"}}\n{\"message\":{\"content\":\"b\"}}\n";
        assert_eq!(texts(lines), ["ab"]);
        let array = "[{\"c\":[{\"parts\":[{\"text\":\"a\"}]}]}\n,\n{\"c\":[{\"parts\":[{\"text\":\"b\"}]}]}]";
        assert_eq!(texts(array), ["ab"]);
        let tools = "data: {\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\"}},{\"index\":1,\"function\":{\"arguments\":\"x\"}}]}\n\n\
            data: {\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"b\"}}]}\n\n";
        assert_eq!(texts(tools), ["{\\\"ab"]);
        // One document: its strings are whole.
        assert_eq!(
            texts("{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}],\"c\":\"z\"}"),
            [""; 0]
        );
    }

    #[test]
    fn values_at_paths_are_found_whatever_they_are() {
        let body = r#"{"a":{"b":[1,"two",{"c":null}],"k\u0065y":true},"b":"x"}"#;
        assert_eq!(values(body, &["$.a.b"]), [r#"[1,"two",{"c":null}]"#]);
        assert_eq!(values(body, &["$.a.b[1]", "$.a.b[0]"]), ["1", "\"two\""]);
        assert_eq!(values(body, &["$..c", "$.a.key"]), ["null", "true"]);
        assert_eq!(
            values(body, &["$..b"]),
            [r#"[1,"two",{"c":null}]"#, "\"x\""]
        );
        assert_eq!(values(body, &["$"]), [body]);
        assert_eq!(values(body, &["$.nothing"]), [""; 0]);
        let stream = "data: {\"a\":\"x\"}\n\ndata: {\"a\":2}\n\n";
        assert_eq!(values(stream, &["$.a"]), ["\"x\"", "2"]);
        assert_eq!(values("{\"a\":1}\n{\"a\":2}", &["$.a"]), ["1", "2"]);
        assert_eq!(values("[{\"a\":1},{\"a\":2}]", &["$[1].a"]), ["2"]);
    }

    #[test]
    fn what_is_cut_goes_to_its_end() {
        assert_eq!(values("{\"a\":\"secr", &["$.a"]), ["\"secr"]);
        assert_eq!(values("{\"a\":{\"b\":[1", &["$.a"]), ["{\"b\":[1"]);
        assert_eq!(values("{\"a\":\"x\\", &["$.a"]), ["\"x\\"]);
        assert_eq!(values("{\"a\":12", &["$.a"]), ["12"]);
    }

    #[test]
    fn depth_hides_nothing() {
        let deep = format!(
            "{}\"a\":\"secret\"{}",
            "{\"x\":".repeat(200),
            "}".repeat(200)
        );
        let found = values(&deep, &["$..a"]);
        assert!(found.len() == 1 && found[0].contains("secret"));
        assert_eq!(texts(&"[".repeat(100_000)), [""; 0]);
    }

    #[test]
    fn nonsense_is_walked_through() {
        for body in [
            "}",
            "]]}}",
            "{,,:}",
            "{\"a\"}",
            "{\"a\":,\"b\":\"c\"}",
            "\"",
            "{\"a\" \"b\" \"c\"}",
            "data: }\n\n",
        ] {
            values(body, &["$..a", "$"]);
            texts(body);
        }
    }
}
