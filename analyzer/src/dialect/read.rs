//! From a body's bytes to a dialect's visitor: requests that are JSON or a form, and answers that are
//! JSON, a stream of JSON events, lines or elements, or neither.

use super::{
    Answer, AnswerHead, AnswerReader, Answered, Expected, Final, Form, Request, RequestReader,
    StreamClocks,
    answer::{AnswerFacts, Carried},
    clocks::Gaps,
    form::FormRequest,
    request::RequestFacts,
};
use crate::{
    json::{self, State, Visitor},
    sse,
    time::Timestamp,
};

/// Reads a request's body as one JSON value, or as a form where its Content-Type says so.
#[derive(Debug)]
pub(super) struct JsonRequest<V: Visitor> {
    reader: json::Reader<V::Node>,
    form: Option<FormRequest>,
    visitor: V,
    input: Input,
}

/// Whether reading can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Input {
    #[default]
    Whole,
    /// Bytes are missing: what follows stands nobody knows where in the document, so it is not read.
    Broken,
}

impl<V: Request> Default for JsonRequest<V> {
    fn default() -> Self {
        Self::of(V::default())
    }
}

impl<V: Request> JsonRequest<V> {
    pub(super) fn of(visitor: V) -> Self {
        Self {
            reader: json::Reader::new(),
            form: None,
            visitor,
            input: Input::Whole,
        }
    }

    pub(super) fn visitor(&self) -> &V {
        &self.visitor
    }
}

impl<V: Request + Send> RequestReader for JsonRequest<V> {
    fn begin(&mut self, content_type: Option<&str>) {
        self.form = content_type.and_then(FormRequest::for_type);
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.input == Input::Broken {
            return;
        }
        match &mut self.form {
            Some(form) => form.push(bytes, &mut self.visitor),
            None => {
                self.reader.push(bytes, &mut self.visitor);
            }
        }
    }

    fn hole(&mut self) {
        self.input = Input::Broken;
    }

    fn held(&mut self) -> usize {
        self.visitor.facts().prompt.held()
    }

    fn stop_keeping(&mut self) {
        self.visitor.facts().prompt.room.close();
    }

    fn so_far(&mut self) -> &RequestFacts {
        self.visitor.facts()
    }

    fn finish(mut self: Box<Self>) -> RequestFacts {
        let done = match &self.form {
            Some(form) => form.is_done(),
            None => self.reader.finish(&mut self.visitor) == State::Done,
        };
        self.visitor.settle();
        let mut facts = std::mem::take(self.visitor.facts());
        if let Some(form) = self.form {
            facts.files = form.files;
        }
        facts.whole = done && self.input == Input::Whole;
        facts.damage = self.reader.damage();
        facts
    }
}

/// Reads an answer's body as what it turns out to be.
#[derive(Debug)]
pub(super) struct JsonAnswer<V: Visitor> {
    form: Form,
    expected: Expected,
    /// The first bytes, while the form is open.
    opening: Vec<u8>,
    input: Input,
    sse: sse::Reader,
    line: Line,
    read: Read<V>,
    /// The time of the last bytes.
    time: Timestamp,
    /// When a plain value was complete: it was a stream's first where another one follows.
    first_value: Option<Timestamp>,
    /// Something else follows it.
    junk_follows: bool,
}

/// Where the reading of lines (or of an array's elements) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Between,
    Value,
    /// No JSON: passed over up to the line's end.
    Junk,
    /// Behind a hole: a value is known by its brace at the beginning of a line.
    Lost,
    LostAtStart,
}

/// What reads the JSON, of a plain body or of each event.
#[derive(Debug)]
struct Read<V: Visitor> {
    reader: json::Reader<V::Node>,
    visitor: V,
    clocks: StreamClocks,
    event: EventData,
    /// Bytes of the current event's data.
    bytes: u64,
    done: Final,
    has_error: bool,
    /// The error ended the stream: no output followed it.
    failed: bool,
}

/// What the current event's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventData {
    /// Only white space so far.
    Blank,
    Json,
    /// This many bytes of [`DONE`].
    Done(usize),
    Other,
}

const DONE: &[u8] = b"[DONE]";

/// Beginnings by which a stream is known without its Content-Type.
const STREAM_STARTS: [&[u8]; 6] = [b"data:", b"event:", b"error:", b"id:", b"retry:", b":"];

impl<V: Answer> Default for JsonAnswer<V> {
    fn default() -> Self {
        Self::of(V::default())
    }
}

impl<V: Answer> JsonAnswer<V> {
    pub(super) fn of(visitor: V) -> Self {
        Self {
            form: Form::Unseen,
            expected: Expected::Anything,
            opening: Vec::new(),
            input: Input::Whole,
            sse: sse::Reader::new(),
            line: Line::Between,
            read: Read {
                reader: json::Reader::new(),
                visitor,
                clocks: StreamClocks::default(),
                event: EventData::Blank,
                bytes: 0,
                done: Final::Unseen,
                has_error: false,
                failed: false,
            },
            time: Timestamp::default(),
            first_value: None,
            junk_follows: false,
        }
    }

    pub(super) fn visitor(&self) -> &V {
        &self.read.visitor
    }
}

impl<V: Answer + Send> AnswerReader for JsonAnswer<V> {
    fn begin(&mut self, head: &AnswerHead<'_>) {
        self.expected = head.expected;
        self.read.clocks.gaps = Gaps::new(head.stall_threshold);
        self.read.visitor.head(head);
        if head.expected == Expected::Binary || V::PLAIN_TEXT && head.expected == Expected::Text {
            self.form = Form::Other;
        }
    }

    fn push(&mut self, bytes: &[u8], time: Timestamp) {
        self.time = time;
        match self.form {
            Form::Unseen => self.open(bytes),
            Form::Json if self.input == Input::Whole => self.value(bytes),
            Form::Events => self.sse.push(bytes, &mut Events(&mut self.read, time)),
            Form::Lines | Form::Array => self.lines(bytes),
            Form::Other => self.read.visitor.other(bytes, time),
            Form::Json => {}
        }
    }

    fn hole(&mut self) {
        self.input = Input::Broken;
        match self.form {
            Form::Unseen if self.expected == Expected::Events => {
                self.form = Form::Events;
                self.sse.hole();
            }
            Form::Unseen if self.expected == Expected::Lines => {
                self.form = Form::Lines;
                self.line = Line::Lost;
            }
            Form::Unseen => self.form = Form::Other,
            Form::Events => {
                if self.sse.hole() {
                    // Its text so far was sent and stays; it has no time, since its end was not seen.
                    self.read.visitor.end_event(false);
                    self.read.next_event();
                }
                self.read.clocks.hole();
            }
            Form::Lines | Form::Array => {
                if self.line == Line::Value {
                    self.read.visitor.end_event(false);
                    self.read.next_event();
                }
                self.line = Line::Lost;
                self.read.clocks.hole();
            }
            Form::Json | Form::Other => {}
        }
    }

    fn held(&mut self) -> usize {
        let staged = self.read.visitor.staged();
        staged.saturating_add(self.read.visitor.facts().room.used())
    }

    fn stop_keeping(&mut self) {
        self.read.visitor.facts().room.close();
    }

    fn so_far(&mut self) -> (&AnswerFacts, Option<&StreamClocks>) {
        let clocks = self.form.is_stream().then_some(&self.read.clocks);
        (self.read.visitor.facts(), clocks)
    }

    fn finish(mut self: Box<Self>, asked: &RequestFacts) -> Answered {
        let read = &mut self.read;
        match self.form {
            Form::Events => {
                let last = &mut Last(Events(read, self.time));
                self.sse.finish(last);
            }
            Form::Json => {
                let state = read.reader.finish(&mut read.visitor);
                if state == State::Done {
                    read.done = Final::Seen;
                }
            }
            Form::Unseen | Form::Lines | Form::Array | Form::Other => {}
        }
        // The plain body, or half an event at the end of a broken stream: its text was sent.
        read.visitor.end_event(false);
        read.visitor.settle();
        let detail = read.visitor.detail();
        let facts = std::mem::take(read.visitor.facts());
        if facts.ended == Final::Seen
            || read.failed
            || self.form.is_stream() && facts.all_finished(asked.expected_choices())
        {
            read.done = Final::Seen;
        }
        let form = match self.form {
            Form::Unseen if !self.opening.is_empty() => Form::Other,
            Form::Unseen => self.expected.unseen(),
            form => form,
        };
        Answered {
            facts,
            detail,
            form,
            ended: read.done,
            clocks: std::mem::take(&mut read.clocks),
            damage: read.reader.damage(),
        }
    }
}

impl<V: Answer + Send> JsonAnswer<V> {
    /// Looks at the first bytes until they tell the form. What is kept is shorter than the longest
    /// beginning, besides white space, which means nothing in either form.
    fn open(&mut self, bytes: &[u8]) {
        let kept = self.opening.len();
        let longest = STREAM_STARTS.iter().map(|start| start.len()).max();
        let wanted = longest.unwrap_or(0).saturating_sub(kept);
        let skipped = if kept == 0 {
            bytes
                .iter()
                .position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF))
                .unwrap_or(bytes.len())
        } else {
            0
        };
        let fresh = bytes.get(skipped..).unwrap_or_default();
        let (looked_at, _) = fresh.split_at(wanted.min(fresh.len()));
        self.opening.extend_from_slice(looked_at);
        let Some(form) = self.form_of_opening() else {
            return;
        };
        self.form = form;
        let opening = std::mem::take(&mut self.opening);
        let time = self.time;
        self.push(opening.get(..kept).unwrap_or_default(), time);
        self.push(fresh, time);
        self.opening = Vec::new();
    }

    fn form_of_opening(&self) -> Option<Form> {
        let opening = self.opening.as_slice();
        match opening.first()? {
            b'[' if V::ARRAY_IS_STREAM => return Some(Form::Array),
            b'{' if self.expected == Expected::Lines => return Some(Form::Lines),
            b'{' | b'[' => return Some(Form::Json),
            _ if self.expected == Expected::Events => return Some(Form::Events),
            _ => {}
        }
        if STREAM_STARTS.iter().any(|start| opening.starts_with(start)) {
            return Some(Form::Events);
        }
        let open = STREAM_STARTS.iter().any(|start| start.starts_with(opening));
        (!open).then_some(Form::Other)
    }

    /// Reads the bytes of one value. Where another one follows it, the two are lines of a stream.
    fn value(&mut self, bytes: &[u8]) {
        let rest = self.read.reader.push(bytes, &mut self.read.visitor);
        self.read.bytes += (bytes.len() - rest.len()) as u64;
        if self.read.reader.state() != State::Done {
            return;
        }
        let complete = *self.first_value.get_or_insert(self.time);
        let next = rest.iter().position(|b| !b.is_ascii_whitespace());
        let Some(rest) = next.and_then(|at| rest.get(at..)) else {
            return;
        };
        self.junk_follows |= rest.first() != Some(&b'{');
        if !self.junk_follows {
            self.form = Form::Lines;
            self.line = Line::Between;
            self.read.end(b"", complete);
            self.lines(rest);
        }
    }

    fn lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.line {
                Line::Between => match byte {
                    b'{' => {
                        self.read.reader.reset();
                        self.read.event = EventData::Json;
                        self.line = Line::Value;
                    }
                    b']' if self.form == Form::Array => {
                        self.read.done = Final::Seen;
                        rest = tail;
                    }
                    b'[' | b',' if self.form == Form::Array => rest = tail,
                    _ if byte.is_ascii_whitespace() => rest = tail,
                    _ => self.line = Line::Junk,
                },
                Line::Value => {
                    let after = self.read.reader.push(rest, &mut self.read.visitor);
                    self.read.bytes += (rest.len() - after.len()) as u64;
                    rest = after;
                    match self.read.reader.state() {
                        State::Incomplete => {}
                        State::Done => {
                            self.read.end(b"", self.time);
                            self.line = Line::Between;
                        }
                        // What was read of it stays, without a time.
                        State::Invalid => {
                            self.read.visitor.end_event(false);
                            self.read.next_event();
                            self.line = Line::Junk;
                        }
                    }
                }
                Line::Junk | Line::Lost => {
                    let end = memchr::memchr(b'\n', rest);
                    rest = end.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
                    if end.is_some() {
                        self.line = match self.line {
                            Line::Junk => Line::Between,
                            _ => Line::LostAtStart,
                        };
                    }
                }
                Line::LostAtStart => {
                    self.line = match byte {
                        b'{' => Line::Between,
                        _ => Line::Lost,
                    }
                }
            }
        }
    }
}

impl<V: Answer> Read<V> {
    fn next_event(&mut self) {
        self.reader.reset();
        self.event = EventData::Blank;
        self.bytes = 0;
        self.visitor.facts().begin_event();
    }

    fn data(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.event {
                EventData::Json => {
                    self.reader.push(rest, &mut self.visitor);
                    return;
                }
                EventData::Other => return,
                EventData::Blank => match byte {
                    b' ' | b'\t' | b'\n' | b'\r' => rest = tail,
                    // Events are objects: an array can only be the end's mark.
                    b'[' => self.event = EventData::Done(0),
                    b'{' => self.event = EventData::Json,
                    _ => self.event = EventData::Other,
                },
                EventData::Done(matched) => {
                    self.event = match DONE.get(matched) {
                        Some(&expected) if expected == byte => EventData::Done(matched + 1),
                        None if byte.is_ascii_whitespace() => self.event,
                        _ => EventData::Other,
                    };
                    rest = tail;
                }
            }
        }
    }

    fn end(&mut self, name: &[u8], time: Timestamp) {
        self.visitor.end_event(name == b"error");
        let facts = self.visitor.facts();
        if facts.error.is_some() && !self.has_error {
            self.has_error = true;
            self.failed = true;
        } else if facts.event == Carried::Output {
            self.failed = false;
        }
        if self.event == EventData::Done(DONE.len()) {
            self.done = Final::Seen;
        } else {
            let facts = self.visitor.facts();
            let (carried, kind) = (facts.event, facts.event_kind);
            self.clocks.event(carried, kind, self.bytes, time);
        }
        self.next_event();
    }
}

/// The events of a stream, whose bytes came at this time.
struct Events<'a, V: Visitor>(&'a mut Read<V>, Timestamp);

impl<V: Answer> sse::Sink for Events<'_, V> {
    fn data(&mut self, piece: &[u8]) {
        self.0.data(piece);
    }

    fn end(&mut self, name: &[u8]) {
        self.0.end(name, self.1);
    }
}

/// An event that ends with the stream, without its blank line: it has clocks only if it is whole.
struct Last<'a, V: Visitor>(Events<'a, V>);

impl<V: Answer> sse::Sink for Last<'_, V> {
    fn data(&mut self, piece: &[u8]) {
        self.0.data(piece);
    }

    fn end(&mut self, name: &[u8]) {
        let Events(read, time) = &mut self.0;
        let whole = read.event != EventData::Json || read.reader.state() == State::Done;
        if whole {
            read.end(name, *time);
        }
    }
}
