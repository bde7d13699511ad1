//! A push reader of server-sent events (WHATWG HTML, "Interpreting an event stream").
//!
//! Data is handed on as it comes, so that an event of any size needs no buffer. An event is
//! complete with the blank line after it; [`Reader::finish`] completes a last one that lacks it,
//! which browsers drop and model servers do send.

use memchr::memchr2;

/// Bytes of a field name that are kept: enough for a byte order mark and every name that counts.
const MAX_NAME: usize = 16;

/// Bytes of an event's name that are kept; more is cut. Names are words such as `error`.
pub const MAX_EVENT_NAME: usize = 64;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Takes what the reader finds.
pub trait Sink {
    /// A piece of the current event's data, never empty; lines are joined by LF.
    fn data(&mut self, piece: &[u8]);
    /// The current event is complete. `name` is its `event` field, cut to [`MAX_EVENT_NAME`] bytes;
    /// empty without one. Never called for an event without a data line.
    fn end(&mut self, name: &[u8]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a field's name, or at the start of a line.
    Name,
    /// Right after the colon: one space is dropped.
    Space(Field),
    Value(Field),
    /// After a hole: at the start of the first piece that follows it.
    Hole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    /// No field of the standard: llama.cpp's servers write `error: {…}` for an event of that name
    /// with this data.
    Error,
    Other,
}

/// Where a line of unknown content stands after a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// Lines are read.
    Good,
    /// They are passed over until a blank one.
    Lost,
}

/// The reader of one stream.
#[derive(Debug)]
pub struct Reader {
    state: State,
    sync: Sync,
    name: Vec<u8>,
    event: Vec<u8>,
    /// A data line was seen in the current event.
    has_data: bool,
    first_line: bool,
    /// The last byte was CR: an LF that follows belongs to it.
    after_cr: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub const fn new() -> Self {
        Self {
            state: State::Name,
            sync: Sync::Good,
            name: Vec::new(),
            event: Vec::new(),
            has_data: false,
            first_line: true,
            after_cr: false,
        }
    }

    /// Reads the next bytes.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                rest = tail;
                continue;
            }
            match self.state {
                State::Hole => {
                    rest = self.after_hole(byte, rest);
                }
                State::Name => {
                    rest = tail;
                    match byte {
                        b'\n' | b'\r' => self.end_line(byte, sink),
                        b':' => self.begin_value(sink),
                        _ if self.name.len() < MAX_NAME => self.name.push(byte),
                        _ => {}
                    }
                }
                State::Space(field) => {
                    self.state = State::Value(field);
                    if byte == b' ' {
                        rest = tail;
                    }
                }
                State::Value(field) => {
                    let end = memchr2(b'\n', b'\r', rest);
                    let (value, after) = rest.split_at(end.unwrap_or(rest.len()));
                    if !value.is_empty() {
                        self.value(field, value, sink);
                    }
                    rest = match after.split_first() {
                        Some((&ending, after)) => {
                            self.end_line(ending, sink);
                            after
                        }
                        None => after,
                    };
                }
            }
        }
    }

    /// Bytes are missing here. The event around the hole is given up (true: there was one, its
    /// data so far was handed on); reading goes on after the next blank line, or at once where the
    /// next bytes begin with a `data:` or `event:` field, as they do where an event is a packet.
    pub fn hole(&mut self) -> bool {
        let open = self.has_data;
        self.state = State::Hole;
        self.sync = Sync::Lost;
        self.name.clear();
        self.event.clear();
        self.has_data = false;
        self.first_line = false;
        self.after_cr = false;
        open
    }

    /// The stream ends here: a last event without its blank line is complete.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        if self.state == State::Name && self.name.is_empty() {
            self.end_event(sink);
        } else {
            self.end_line(b'\n', sink);
            self.end_event(sink);
        }
    }

    /// Keeps bytes until they can be told from a field's name.
    fn after_hole<'b>(&mut self, byte: u8, rest: &'b [u8]) -> &'b [u8] {
        const STARTS: [&[u8]; 2] = [b"data:", b"event:"];
        self.name.push(byte);
        let tail = rest.get(1..).unwrap_or_default();
        let starts = |start: &&[u8]| start.starts_with(&self.name);
        match STARTS.iter().find(|start| starts(start)) {
            Some(start) if start.len() == self.name.len() => {
                self.sync = Sync::Good;
                self.state = State::Name;
                self.name.pop();
                // The colon is read again.
                rest
            }
            Some(_) => tail,
            None => {
                // Some line's middle. The bytes kept hold no line end but perhaps the last.
                self.state = State::Value(Field::Other);
                self.name.clear();
                rest
            }
        }
    }

    fn begin_value(&mut self, sink: &mut impl Sink) {
        let field = match self.line_name() {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"error" => Field::Error,
            _ => Field::Other,
        };
        self.begin_field(field, sink);
        self.state = State::Space(field);
    }

    fn begin_field(&mut self, field: Field, sink: &mut impl Sink) {
        if self.sync == Sync::Lost {
            return;
        }
        if field == Field::Error {
            self.event.clear();
            self.event.extend_from_slice(b"error");
        }
        match field {
            Field::Data | Field::Error if self.has_data => sink.data(b"\n"),
            Field::Data | Field::Error => self.has_data = true,
            Field::Event => self.event.clear(),
            Field::Other => {}
        }
    }

    fn line_name(&self) -> &[u8] {
        match self.name.strip_prefix(BOM) {
            Some(name) if self.first_line => name,
            _ => &self.name,
        }
    }

    fn value(&mut self, field: Field, value: &[u8], sink: &mut impl Sink) {
        if self.sync == Sync::Lost {
            return;
        }
        match field {
            Field::Data | Field::Error => sink.data(value),
            Field::Event => {
                let room = MAX_EVENT_NAME.saturating_sub(self.event.len());
                self.event
                    .extend_from_slice(value.get(..room).unwrap_or(value));
            }
            Field::Other => {}
        }
    }

    fn end_line(&mut self, ending: u8, sink: &mut impl Sink) {
        self.after_cr = ending == b'\r';
        if self.state == State::Name {
            match self.line_name() {
                b"" => {
                    self.sync = Sync::Good;
                    self.end_event(sink);
                }
                b"data" => self.begin_field(Field::Data, sink),
                b"event" => self.begin_field(Field::Event, sink),
                _ => {}
            }
        }
        self.first_line = false;
        self.name.clear();
        self.state = State::Name;
    }

    fn end_event(&mut self, sink: &mut impl Sink) {
        if std::mem::take(&mut self.has_data) {
            sink.end(&self.event);
        }
        self.event.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Events {
        done: Vec<(String, String)>,
        data: Vec<u8>,
    }

    impl Sink for Events {
        fn data(&mut self, piece: &[u8]) {
            assert!(!piece.is_empty());
            self.data.extend_from_slice(piece);
        }
        fn end(&mut self, name: &[u8]) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            self.done.push((text(name), text(&self.data)));
            self.data.clear();
        }
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let mut reader = Reader::new();
        let mut events = Events::default();
        for piece in pieces {
            reader.push(piece, &mut events);
        }
        reader.finish(&mut events);
        events.done
    }

    fn check(stream: &[u8], expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
            .collect();
        assert_eq!(read([stream]), expected);
        for size in 1..=stream.len() {
            assert_eq!(read(stream.chunks(size)), expected, "in pieces of {size}");
        }
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(read([a, b]), expected, "cut at {at}");
        }
    }

    #[test]
    fn every_line_ending_and_field_form() {
        check(b"data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]);
        check(b"data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
        check(b"data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check(b"data:a\n\n", &[("", "a")]);
        check(b"data:  a \n\n", &[("", " a ")]);
        check(
            b"data: a\ndata: b\ndata:\ndata\ndata: c\n\n",
            &[("", "a\nb\n\n\nc")],
        );
        check(b": keep-alive\n\n:\n\ndata: a\n: note\n\n", &[("", "a")]);
        check(
            b"event: error\ndata: a\n\ndata: b\n\n",
            &[("error", "a"), ("", "b")],
        );
        check(b"data: a\nevent: late\n\n", &[("late", "a")]);
        check(b"event: nothing\n\ndata: a\n\n", &[("", "a")]);
        check(b"error: a\n\ndata: b\n\n", &[("error", "a"), ("", "b")]);
        check(b"data: a\nerror: b\n\n", &[("error", "a\nb")]);
        check(
            b"id: 1\nretry: 5\nunknown: x\na-very-long-field-name-indeed: data\ndata: a\n\n",
            &[("", "a")],
        );
        check(
            b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n",
            &[("", "a")],
        );
        check(b"data\n\n", &[("", "")]);
        check(b"", &[]);
    }

    #[test]
    fn a_last_event_may_lack_its_blank_line() {
        check(b"data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]);
        check(b"data: [DONE]\n", &[("", "[DONE]")]);
        check(b"data: a\r", &[("", "a")]);
        check(b"event: x", &[]);
    }

    #[test]
    fn an_event_around_a_hole_is_given_up_and_the_next_is_read() {
        for (before, after, expected) in [
            ("data: a\n\ndata: b", "c\n\ndata: d\n\n", vec!["a", "d"]),
            ("data: a\n\n", "data: d\n\n", vec!["a", "d"]),
            ("data: a\n\n", "event: e\ndata: d\n\n", vec!["a", "d"]),
            ("data: a\n\n", "datum\n\ndata: d\n\n", vec!["a", "d"]),
            (
                "data: a\n\nda",
                "\ndata: lost\n\ndata: d\n\n",
                vec!["a", "d"],
            ),
            (
                "data: a\n\nda",
                "d\ndata: lost\n\ndata: d\n\n",
                vec!["a", "d"],
            ),
        ] {
            for size in 1..=after.len() {
                let mut reader = Reader::new();
                let mut events = Events::default();
                reader.push(before.as_bytes(), &mut events);
                if reader.hole() {
                    events.data.clear();
                }
                for piece in after.as_bytes().chunks(size) {
                    reader.push(piece, &mut events);
                }
                reader.finish(&mut events);
                let data: Vec<_> = events.done.iter().map(|(_, data)| data.as_str()).collect();
                assert_eq!(data, expected, "{before:?} {after:?} {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_the_same_however_they_are_cut(
            bytes in proptest::collection::vec(
                prop_oneof![4 => proptest::sample::select(b"data: event\r\n\n\r:x".to_vec()), 1 => any::<u8>()], 0..80),
            size in 1usize..9,
        ) {
            prop_assert_eq!(read(bytes.chunks(size)), read([bytes.as_slice()]));
        }
    }
}
