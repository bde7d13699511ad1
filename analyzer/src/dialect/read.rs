//! From a body's bytes to a dialect's visitor: JSON requests, and answers that are JSON or a stream
//! of JSON events.

use super::{
    Answer, AnswerReader, Answered, Expected, Final, Form, Request, RequestReader, StreamClocks,
    answer::Carried, clocks::Gaps, request::RequestFacts,
};
use crate::{
    json::{self, State, Visitor},
    sse,
    time::Timestamp,
};

/// Reads a request's body as one JSON value.
#[derive(Debug)]
pub(super) struct JsonRequest<V: Visitor> {
    reader: json::Reader<V::Node>,
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

impl<V: Visitor + Default> Default for JsonRequest<V> {
    fn default() -> Self {
        Self {
            reader: json::Reader::new(),
            visitor: V::default(),
            input: Input::Whole,
        }
    }
}

impl<V: Request + Send> RequestReader for JsonRequest<V> {
    fn push(&mut self, bytes: &[u8]) {
        if self.input == Input::Whole {
            self.reader.push(bytes, &mut self.visitor);
        }
    }

    fn hole(&mut self) {
        self.input = Input::Broken;
    }

    fn claims(&self) -> bool {
        self.visitor.claims()
    }

    fn held(&mut self) -> usize {
        self.visitor.facts().prompt.room.used()
    }

    fn stop_keeping(&mut self) {
        self.visitor.facts().prompt.room.close();
    }

    fn finish(mut self: Box<Self>) -> RequestFacts {
        let state = self.reader.finish(&mut self.visitor);
        let mut facts = std::mem::take(self.visitor.facts());
        facts.whole = state == State::Done && self.input == Input::Whole;
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
    read: Read<V>,
    /// The time of the last bytes.
    time: Timestamp,
}

/// What reads the JSON, of a plain body or of each event.
#[derive(Debug)]
struct Read<V: Visitor> {
    reader: json::Reader<V::Node>,
    visitor: V,
    clocks: StreamClocks,
    event: EventData,
    done: Final,
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
        Self {
            form: Form::Unseen,
            expected: Expected::Anything,
            opening: Vec::new(),
            input: Input::Whole,
            sse: sse::Reader::new(),
            read: Read {
                reader: json::Reader::new(),
                visitor: V::default(),
                clocks: StreamClocks::default(),
                event: EventData::Blank,
                done: Final::Unseen,
            },
            time: Timestamp::default(),
        }
    }
}

impl<V: Answer + Send> AnswerReader for JsonAnswer<V> {
    fn begin(&mut self, form: Expected, stall_threshold: i64) {
        self.expected = form;
        self.read.clocks.gaps = Gaps::new(stall_threshold);
    }

    fn push(&mut self, bytes: &[u8], time: Timestamp) {
        self.time = time;
        match self.form {
            Form::Unseen => self.open(bytes),
            Form::Json if self.input == Input::Whole => {
                self.read.reader.push(bytes, &mut self.read.visitor);
            }
            Form::Events => self.sse.push(bytes, &mut Events(&mut self.read, time)),
            Form::Json | Form::Other => {}
        }
    }

    fn hole(&mut self) {
        self.input = Input::Broken;
        match self.form {
            Form::Unseen if self.expected == Expected::Events => {
                self.form = Form::Events;
                self.sse.hole();
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
            Form::Json | Form::Other => {}
        }
    }

    fn claims(&self) -> bool {
        self.read.visitor.claims()
    }

    fn held(&mut self) -> usize {
        self.read.visitor.facts().room.used()
    }

    fn stop_keeping(&mut self) {
        self.read.visitor.facts().room.close();
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
                read.visitor.end_event(false);
                if state == State::Done {
                    read.done = Final::Seen;
                }
            }
            Form::Unseen | Form::Other => {}
        }
        // Half an event at the end of a broken stream: its text was sent.
        read.visitor.end_event(false);
        let detail = read.visitor.detail();
        let facts = std::mem::take(read.visitor.facts());
        if self.form == Form::Events && facts.all_finished(asked.expected_choices()) {
            read.done = Final::Seen;
        }
        let form = match self.form {
            Form::Unseen if !self.opening.is_empty() => Form::Other,
            Form::Unseen if self.expected == Expected::Events => Form::Events,
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
}

impl<V: Answer> Read<V> {
    fn next_event(&mut self) {
        self.reader.reset();
        self.event = EventData::Blank;
        self.visitor.facts().begin_event();
    }

    fn data(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.event {
                EventData::Json => return self.reader.push(rest, &mut self.visitor),
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
        let carried = self.visitor.facts().event;
        if carried > Carried::Nothing {
            self.clocks.event(carried, time);
        }
        if self.event == EventData::Done(DONE.len()) {
            self.done = Final::Seen;
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
