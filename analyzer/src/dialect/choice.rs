//! The choice of the dialects that an exchange is read as: one for its request, one for its answer.
//!
//! A path that says it surely chooses the request's. Otherwise the body's beginning is held back until
//! its shape tells; where that stays open, a few dialects read along. The answer's beginning is held
//! back in any case until it bears a sign: it is read as what it is, whatever the request was.

use super::{
    AnswerHead, AnswerReader, Answered, Dialect, Expected, KeptHeaders, RequestReader,
    StreamClocks,
    answer::AnswerFacts,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    shape::Shape,
};
use crate::time::Timestamp;

/// Bytes of a request's beginning that are held back until its shape is taken as it then is. Most
/// requests are shorter; of longer ones the fields before their texts have come.
pub const MAX_REQUEST_PROBED: usize = 64 << 10;

/// Bytes of an answer's beginning that are held back for a sign: the first event, or the fields before
/// a plain answer's text. Without one until then, it is read as the request's dialect.
pub const MAX_ANSWER_PROBED: usize = 16 << 10;

/// Pieces of an answer's beginning that are held back: at most so many different times.
const MAX_PIECES: usize = 1_024;

/// Dialects that read a request along where its shape leaves several.
const MAX_ALONG: usize = 4;

/// The choice of a request's dialect, and its readers.
pub(crate) struct RequestChoice {
    /// What the path says; sure, if the probe is none.
    preferred: Vec<&'static Dialect>,
    probe: Option<Box<JsonRequest<Shape>>>,
    kept: Vec<u8>,
    /// What the body's beginning left, where it is known.
    readers: Option<Vec<(&'static Dialect, Box<dyn RequestReader>)>>,
    content_type: Option<String>,
    keeping: bool,
    /// How much of `kept` comes before a hole; reading ends there.
    broken: bool,
}

impl RequestChoice {
    /// A request that follows this dialect.
    pub(crate) fn sure(dialect: &'static Dialect, content_type: Option<&str>) -> Self {
        let mut choice = Self::open(vec![dialect], content_type);
        choice.probe = None;
        choice.readers = Some(vec![choice.reader(dialect)]);
        choice
    }

    /// A request whose shape decides; of equal ones, the dialects that its path speaks for.
    pub(crate) fn open(preferred: Vec<&'static Dialect>, content_type: Option<&str>) -> Self {
        let mut probe = JsonRequest::of(Shape::of_request());
        probe.begin(content_type);
        Self {
            preferred,
            probe: Some(Box::new(probe)),
            kept: Vec::new(),
            readers: None,
            content_type: content_type.map(str::to_owned),
            keeping: true,
            broken: false,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(probe) = &mut self.probe {
            probe.push(bytes);
        }
        let mut rest = bytes;
        if self.readers.is_none() && !self.broken {
            let room = MAX_REQUEST_PROBED.saturating_sub(self.kept.len());
            let (held, after) = bytes.split_at(room.min(bytes.len()));
            self.kept.extend_from_slice(held);
            rest = after;
            if rest.is_empty() {
                return;
            }
            self.decide();
        }
        for (_, reader) in self.readers.iter_mut().flatten() {
            reader.push(rest);
        }
    }

    pub(crate) fn hole(&mut self) {
        self.broken = true;
        if let Some(probe) = &mut self.probe {
            probe.hole();
        }
        for (_, reader) in self.readers.iter_mut().flatten() {
            reader.hole();
        }
    }

    pub(crate) fn held(&mut self) -> usize {
        let readers = self.readers.iter_mut().flatten();
        let texts: usize = readers.map(|(_, reader)| reader.held()).sum();
        texts.saturating_add(self.kept.len())
    }

    /// Keeps no more, and holds nothing back: what the shape says so far has to do.
    pub(crate) fn stop_keeping(&mut self) {
        self.keeping = false;
        match &mut self.readers {
            Some(readers) => readers.iter_mut().for_each(|(_, r)| r.stop_keeping()),
            None => self.decide(),
        }
    }

    /// The dialect, if the path says it or the body bears a sign.
    pub(crate) fn claimed(&self) -> Option<&'static Dialect> {
        let Some(probe) = &self.probe else {
            return self.preferred.first().copied();
        };
        let likenesses = probe.visitor().likenesses(&self.preferred);
        let (dialect, likeness) = likenesses.first()?;
        likeness.whole.then_some(*dialect)
    }

    /// The dialect that it is taken for until more is known.
    pub(crate) fn likely(&self) -> Option<&'static Dialect> {
        self.claimed().or(self.preferred.first().copied())
    }

    /// What was read so far. At the body's end (`whole`), what its beginning leaves open is read as all that it
    /// may be, as it is in [`RequestChoice::finish`].
    pub(crate) fn so_far(&mut self, whole: bool) -> Option<&RequestFacts> {
        if self.readers.is_none() && whole {
            self.decide();
        }
        let likely = self.likely().map(|dialect| dialect.name);
        let mut readers = self.readers.iter_mut().flatten();
        let (_, reader) = readers.find(|(dialect, _)| Some(dialect.name) == likely)?;
        Some(reader.so_far())
    }

    /// The request's dialect and facts, given what the answer bears a sign of: between dialects that
    /// the request may follow, the answer decides.
    pub(crate) fn finish(
        mut self,
        answered: Option<&'static Dialect>,
    ) -> (Option<&'static Dialect>, RequestFacts) {
        if self.readers.is_none() {
            self.decide();
        }
        let likely = self.likely();
        let mut readers = self.readers.unwrap_or_default();
        let place = |dialect: Option<&'static Dialect>| {
            readers
                .iter()
                .position(|(known, _)| Some(known.name) == dialect.map(|d| d.name))
        };
        let Some(place) = place(answered).or_else(|| place(likely)) else {
            return (likely, RequestFacts::default());
        };
        let (dialect, reader) = readers.swap_remove(place);
        (Some(dialect), reader.finish())
    }

    /// The body's beginning is known: the dialects that it may follow begin to read.
    fn decide(&mut self) {
        let mut dialects = self.preferred.clone();
        if let Some(probe) = &self.probe {
            let likenesses = probe.visitor().likenesses(&self.preferred);
            let best = likenesses.iter().map(|(dialect, _)| *dialect);
            dialects = best.take(MAX_ALONG).collect();
            for preferred in &self.preferred {
                if dialects.len() <= MAX_ALONG && !dialects.iter().any(|d| d.name == preferred.name)
                {
                    dialects.push(preferred);
                }
            }
        }
        let mut readers: Vec<_> = dialects.into_iter().map(|d| self.reader(d)).collect();
        let kept = std::mem::take(&mut self.kept);
        for (_, reader) in &mut readers {
            reader.push(&kept);
            if self.broken {
                reader.hole();
            }
            if !self.keeping {
                reader.stop_keeping();
            }
        }
        self.readers = Some(readers);
    }

    fn reader(&self, dialect: &'static Dialect) -> (&'static Dialect, Box<dyn RequestReader>) {
        let mut reader = (dialect.request)();
        reader.begin(self.content_type.as_deref());
        (dialect, reader)
    }
}

/// The choice of an answer's dialect, and its reader.
pub(crate) struct AnswerChoice {
    expected: Expected,
    headers: KeptHeaders,
    stall_threshold: i64,
    /// The request's dialect.
    likely: Option<&'static Dialect>,
    state: State,
    keeping: bool,
}

enum State {
    /// The beginning is held back.
    Probing(Box<Probing>),
    Reading {
        dialect: &'static Dialect,
        /// Its sign was seen.
        claimed: bool,
        reader: Box<dyn AnswerReader>,
    },
    /// It bears no sign, and nothing is known of its request.
    GivenUp,
}

struct Probing {
    probe: JsonAnswer<Shape>,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// What came, in order.
enum Piece {
    Bytes { length: usize, time: Timestamp },
    Hole,
}

impl AnswerChoice {
    /// An answer with this head, to a request that is taken for the dialect `likely`.
    pub(crate) fn new(
        expected: Expected,
        headers: KeptHeaders,
        stall_threshold: i64,
        likely: Option<&'static Dialect>,
    ) -> Self {
        let mut probe = JsonAnswer::of(Shape::of_answer(likely));
        probe.begin(&AnswerHead {
            expected,
            headers: &headers,
            stall_threshold,
        });
        let probing = Probing {
            probe,
            bytes: Vec::new(),
            pieces: Vec::new(),
        };
        Self {
            expected,
            headers,
            stall_threshold,
            likely,
            state: State::Probing(Box::new(probing)),
            keeping: true,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], time: Timestamp) {
        let rest = match &mut self.state {
            State::Probing(probing) => probing.push(bytes, time),
            State::Reading { .. } => bytes,
            State::GivenUp => return,
        };
        if let State::Probing(probing) = &self.state {
            match probing.probe.visitor().first() {
                Some(dialect) => self.read_as(Some(dialect), true),
                None if probing.is_full() || !rest.is_empty() => self.read_as(self.likely, false),
                None => {}
            }
        }
        if let State::Reading { reader, .. } = &mut self.state
            && !rest.is_empty()
        {
            reader.push(rest, time);
        }
    }

    pub(crate) fn hole(&mut self) {
        match &mut self.state {
            State::Probing(probing) => {
                probing.probe.hole();
                if !matches!(probing.pieces.last(), Some(Piece::Hole)) {
                    probing.pieces.push(Piece::Hole);
                }
            }
            State::Reading { reader, .. } => reader.hole(),
            State::GivenUp => {}
        }
    }

    pub(crate) fn held(&mut self) -> usize {
        match &mut self.state {
            State::Probing(probing) => probing.bytes.len(),
            State::Reading { reader, .. } => reader.held(),
            State::GivenUp => 0,
        }
    }

    /// Keeps no more, and holds nothing back: it is read as its request.
    pub(crate) fn stop_keeping(&mut self) {
        self.keeping = false;
        match &mut self.state {
            State::Reading { reader, .. } => reader.stop_keeping(),
            State::Probing(_) => self.read_as(self.likely, false),
            State::GivenUp => {}
        }
    }

    /// The dialect of which the answer bears a sign.
    pub(crate) fn claimed(&self) -> Option<&'static Dialect> {
        match &self.state {
            State::Reading {
                dialect,
                claimed: true,
                ..
            } => Some(*dialect),
            _ => None,
        }
    }

    /// What was read so far, and its clocks where it is a stream.
    pub(crate) fn so_far(&mut self) -> Option<(&AnswerFacts, Option<&StreamClocks>)> {
        match &mut self.state {
            State::Reading { reader, .. } => Some(reader.so_far()),
            State::Probing(_) | State::GivenUp => None,
        }
    }

    /// Whether nothing will come of it.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp)
    }

    /// Reads as this dialect what is not yet read as any; for when the request's is known at the end only.
    pub(crate) fn settle(&mut self, likely: Option<&'static Dialect>) {
        if let State::Probing(_) = self.state {
            self.read_as(likely, false);
        }
    }

    /// What was read, and the dialect that it was read as; `None` where it was read as none.
    pub(crate) fn finish(self, asked: &RequestFacts) -> Option<(&'static Dialect, Answered)> {
        match self.state {
            State::Reading {
                dialect, reader, ..
            } => Some((dialect, reader.finish(asked))),
            State::Probing(_) | State::GivenUp => None,
        }
    }

    fn read_as(&mut self, dialect: Option<&'static Dialect>, claimed: bool) {
        let State::Probing(probing) = std::mem::replace(&mut self.state, State::GivenUp) else {
            return;
        };
        let Some(dialect) = dialect else {
            return;
        };
        let mut reader = (dialect.answer)();
        reader.begin(&AnswerHead {
            expected: self.expected,
            headers: &self.headers,
            stall_threshold: self.stall_threshold,
        });
        let mut rest = probing.bytes.as_slice();
        for piece in probing.pieces {
            match piece {
                Piece::Hole => reader.hole(),
                Piece::Bytes { length, time } => {
                    let (bytes, after) = rest.split_at(length.min(rest.len()));
                    reader.push(bytes, time);
                    rest = after;
                }
            }
        }
        if !self.keeping {
            reader.stop_keeping();
        }
        self.state = State::Reading {
            dialect,
            claimed,
            reader,
        };
    }
}

impl Probing {
    /// Holds back what there is room for.
    fn push<'b>(&mut self, bytes: &'b [u8], time: Timestamp) -> &'b [u8] {
        let room = MAX_ANSWER_PROBED.saturating_sub(self.bytes.len());
        let (held, rest) = bytes.split_at(room.min(bytes.len()));
        self.probe.push(held, time);
        self.bytes.extend_from_slice(held);
        match self.pieces.last_mut() {
            Some(Piece::Bytes { length, time: last }) if *last == time => *length += held.len(),
            _ => self.pieces.push(Piece::Bytes {
                length: held.len(),
                time,
            }),
        }
        rest
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= MAX_ANSWER_PROBED || self.pieces.len() >= MAX_PIECES
    }
}
