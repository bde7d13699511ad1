//! What is known of one direction of a connection.

mod holes;

use analyzer::time::Timestamp;

use self::holes::Wait;
use super::{
    assembler::Assembler,
    doubt::{Credence, Doubt, Held, Witness},
    handler::Sent,
    late::Lost,
    seq::{SeqNumber, SeqSpace, StreamOffset},
    settings::{ABSURD_JUMP, LATE_WINDOW, MAX_SEGMENT, PLAUSIBLE_WINDOW, TcpSettings},
};

/// How well the beginning of a direction is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// Nothing was seen of it.
    Unknown,
    /// Joined late: the first thing seen stands for it.
    Guessed(SeqSpace),
    /// From the answer to a SYN. It may acknowledge data of the SYN as well (RFC 7413), which then turns
    /// up before this.
    Answered(SeqSpace),
    /// From a SYN.
    Exact(SeqSpace),
}

/// How far a direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// More may come.
    Open,
    /// Its FIN was handed on.
    Finished,
    /// Its RST was handed on.
    Reset,
}

/// A FIN or RST that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) offset: StreamOffset,
    pub(super) time: Timestamp,
    pub(super) ack: StreamOffset,
}

/// What can be handed on next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Data,
    Fin,
    Rst,
}

/// Where a direction began and ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// The number of its first octet of data.
    pub(super) first: Option<SeqNumber>,
    /// Whether that was seen; else it is that of the first segment seen.
    pub(super) is_certain: bool,
    /// The number after its last octet, its FIN included.
    pub(super) end: Option<SeqNumber>,
    /// Whether its FIN was seen, so that nothing can come after it.
    pub(super) is_finished: bool,
}

/// One direction. Offsets count the octets of its data from [`StreamOffset::ORIGIN`]; its FIN is one more.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) origin: Origin,
    /// Where its data begins.
    start: StreamOffset,
    pub(super) assembler: Assembler,
    /// The end of the furthest segment seen.
    seen_end: StreamOffset,
    /// The furthest acknowledgement of it by the other end.
    acked: StreamOffset,
    pub(super) fin: Option<Mark>,
    pub(super) rst: Option<Mark>,
    wait: Option<Wait>,
    /// The one octet after the last of the data that was acknowledged but never seen, and since when.
    suspect: Option<(StreamOffset, Timestamp)>,
    /// Where the capture cut octets off a packet, and up to where, if that is what comes next.
    cut: (StreamOffset, StreamOffset),
    /// What was given up, once something was.
    lost: Option<Box<Lost>>,
    /// A number too far ahead to be believed, until another packet confirms it.
    doubt: Option<Box<Doubt>>,
    pub(super) phase: Phase,
    /// Whether any segment of this sender was seen.
    pub(super) seen: bool,
}

impl Half {
    pub(super) const fn new() -> Self {
        Self {
            origin: Origin::Unknown,
            start: StreamOffset::ORIGIN,
            assembler: Assembler::new(StreamOffset::ORIGIN),
            seen_end: StreamOffset::ORIGIN,
            acked: StreamOffset::ORIGIN,
            fin: None,
            rst: None,
            wait: None,
            suspect: None,
            cut: (StreamOffset::NOTHING, StreamOffset::NOTHING),
            lost: None,
            doubt: None,
            phase: Phase::Open,
            seen: false,
        }
    }

    /// One whose first octet of data has this number.
    pub(super) const fn exact(first: SeqNumber) -> Self {
        let mut half = Self::new();
        half.origin = Origin::Exact(SeqSpace::starting_at(first));
        half
    }

    pub(super) const fn next(&self) -> StreamOffset {
        self.assembler.next()
    }

    pub(super) const fn space(&self) -> Option<SeqSpace> {
        match self.origin {
            Origin::Unknown => None,
            Origin::Guessed(space) | Origin::Answered(space) | Origin::Exact(space) => Some(space),
        }
    }

    /// Where it began, and how far it came.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            first: self.space().map(|space| space.seq(self.start)),
            is_certain: matches!(self.origin, Origin::Answered(_) | Origin::Exact(_)),
            end: self.space().map(|space| space.seq(self.next())),
            is_finished: self.fin.is_some(),
        }
    }

    /// Whether nothing was handed on or given up.
    pub(super) fn is_pristine(&self) -> bool {
        self.phase == Phase::Open && self.next() == self.start
    }

    /// The offset of what a segment of this sender carries; a sender of whom nothing is known begins here.
    pub(super) fn place(&mut self, seq: SeqNumber) -> Credence {
        let Some(space) = self.space() else {
            self.origin = Origin::Guessed(SeqSpace::starting_at(seq));
            return Credence::Plausible(self.next());
        };
        self.credence(space.offset(seq, self.next()))
    }

    /// Takes an acknowledgement by the other end.
    pub(super) fn acknowledge(&mut self, ack: SeqNumber) -> Credence {
        let Some(space) = self.space() else {
            self.origin = Origin::Guessed(SeqSpace::starting_at(ack));
            return Credence::Plausible(self.next());
        };
        let credence = self.credence(space.offset(ack, self.next()));
        if let Credence::Plausible(at) = credence {
            let is_guess = matches!(self.origin, Origin::Guessed(_));
            if is_guess && self.is_pristine() && self.is_bare() && at == self.next().plus(1) {
                // The first thing seen of this sender was a keep-alive probe, one octet back.
                self.assembler.skip_to(at);
                self.start = at;
            }
            self.acked = self.acked.max(at);
        }
        credence
    }

    /// What a piece of the other end says of this direction, by its acknowledgement.
    pub(super) fn sent(&self, time: Timestamp, ack: StreamOffset) -> Sent {
        let received = (ack >= self.start).then(|| ack.octets_since(self.start));
        Sent { time, received }
    }

    /// Keeps a doubtful number until another packet confirms it; gives back the one that it displaces.
    pub(super) fn doubt(&mut self, at: StreamOffset, by: Witness) -> Option<Box<Doubt>> {
        self.doubt.replace(Box::new(Doubt { at, by }))
    }

    /// Whether a number is of the same place as the doubtful one.
    pub(super) fn confirms(&self, seq: SeqNumber) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| {
            let is_near = |space: SeqSpace| {
                let distance = seq.offset_from(space.seq(doubt.at)).unsigned_abs();
                u64::from(distance) <= PLAUSIBLE_WINDOW
            };
            self.space().is_some_and(is_near)
        })
    }

    /// Believes the doubtful number; gives back the segment that waited for that.
    pub(super) fn believe(&mut self) -> Option<Held> {
        let doubt = *self.doubt.take()?;
        match doubt.by {
            Witness::Ack => {
                self.acked = self.acked.max(doubt.at);
                None
            }
            Witness::Segment(held) => {
                self.seen_end = self.seen_end.max(doubt.at);
                Some(held)
            }
        }
    }

    /// Gives up a doubtful number that nothing confirmed.
    pub(super) const fn take_doubt(&mut self) -> Option<Box<Doubt>> {
        self.doubt.take()
    }

    /// What waits, in octets with their overhead.
    pub(super) fn buffered(&self) -> usize {
        let doubt = self.doubt.as_ref().map_or(0, |doubt| doubt.cost());
        self.assembler.buffered() + doubt
    }

    /// Whether a segment of none or one octet is a probe: a keep-alive repeats the last octet sent, or
    /// pretends to (RFC 9293 §3.8.4), so what it carries must be neither data nor a conflict.
    pub(super) fn is_probe(&self, at: StreamOffset, length: u64) -> bool {
        let end = at.plus(1);
        let repeats = |last| length == 1 && end == last && end > self.next() && self.fin.is_none();
        self.phase == Phase::Open
            && length <= 1
            && (end == self.next()
                || repeats(self.assembler.end())
                || (self.suspected().is_some() && repeats(self.acked)))
    }

    /// Notes that the capture cut off what comes next, up to `end`.
    pub(super) fn note_cut(&mut self, end: StreamOffset) {
        self.cut = (self.next(), end);
    }

    /// How many octets of an old stretch were given up before they came.
    pub(super) fn late(&mut self, from: StreamOffset, to: StreamOffset) -> u64 {
        self.lost.as_mut().map_or(0, |lost| lost.find(from, to))
    }

    /// Learns its beginning from a SYN; starts anew where that is another than before.
    pub(super) fn begin(&mut self, first: SeqNumber) {
        if !self.is_beginning(first) {
            *self = Self::exact(first);
            return;
        }
        match self.origin {
            Origin::Guessed(space) | Origin::Answered(space) => {
                let at = space.offset(first, self.start);
                if self.is_pristine() {
                    self.begin_at(at);
                }
                if at == self.start {
                    self.origin = Origin::Exact(space);
                }
            }
            Origin::Unknown => self.origin = Origin::Exact(SeqSpace::starting_at(first)),
            Origin::Exact(_) => {}
        }
    }

    /// Learns its beginning from the answer to its SYN.
    pub(super) fn begin_answered(&mut self, first: SeqNumber) {
        let is_certain = matches!(self.origin, Origin::Exact(_));
        self.begin(first);
        if let Origin::Exact(space) = self.origin
            && !is_certain
        {
            self.origin = Origin::Answered(space);
        }
    }

    /// Whether a SYN with this first octet of data can be the one that this direction began with.
    pub(super) fn is_beginning(&self, first: SeqNumber) -> bool {
        match self.origin {
            Origin::Unknown => true,
            Origin::Exact(space) => space.seq(self.start) == first,
            Origin::Guessed(space) => {
                let at = space.offset(first, self.start);
                at <= self.start && self.start.octets_since(at) <= LATE_WINDOW
            }
            Origin::Answered(space) => {
                let at = space.offset(first, self.start);
                at <= self.start && self.start.octets_since(at) <= u64::from(MAX_SEGMENT)
            }
        }
    }

    /// Whether data at `at` shows that a direction joined late began earlier than was guessed.
    pub(super) fn began_earlier(&self, at: StreamOffset) -> bool {
        matches!(self.origin, Origin::Guessed(_))
            && self.is_pristine()
            && at < self.start
            && self.start.octets_since(at) <= LATE_WINDOW
    }

    /// Puts the beginning at an earlier place.
    pub(super) fn begin_at(&mut self, at: StreamOffset) {
        self.assembler.start_earlier(at);
        self.start = self.assembler.next();
    }

    /// Notes that a segment reached up to `end`.
    pub(super) fn reach(&mut self, end: StreamOffset) {
        self.seen_end = self.seen_end.max(end);
    }

    /// Notes a FIN; the first stands. One before data that was seen is false.
    pub(super) fn finish(&mut self, mark: Mark) -> bool {
        if self.fin.is_some() || self.phase != Phase::Open || mark.offset < self.assembler.end() {
            return false;
        }
        self.fin = Some(mark);
        true
    }

    /// Whether an RST at this place can be the sender's. The receiver heeds none before what it has
    /// acknowledged (RFC 9293 §3.10.7.4); Linux one octet before that, as some send it behind their FIN.
    pub(super) fn may_reset_at(&self, at: StreamOffset) -> bool {
        at.plus(1) >= self.acked
            && at.plus(PLAUSIBLE_WINDOW) >= self.next()
            && at <= self.seen_end.max(self.acked).plus(PLAUSIBLE_WINDOW)
    }

    /// Whether a number is further than any window from what was seen last.
    pub(super) fn is_far(&self, seq: SeqNumber) -> bool {
        let near = |offset| seq.offset_from(offset).unsigned_abs();
        self.space().is_some_and(|space| {
            let ends = [self.next(), self.seen_end.max(self.acked)];
            let mut distances = ends.into_iter().map(|end| near(space.seq(end)));
            distances.all(|distance| u64::from(distance) > PLAUSIBLE_WINDOW)
        })
    }

    /// Whether an acknowledgement is of something that was seen: what proves the answer to a SYN.
    pub(super) fn has_sent(&self, ack: SeqNumber) -> bool {
        self.space().is_some_and(|space| {
            let at = space.offset(ack, self.next());
            self.start <= at && at <= self.seen_end
        })
    }

    /// What can be handed on next, with its time and acknowledgement.
    pub(super) fn head(&self) -> Option<(Item, Timestamp, StreamOffset)> {
        if let Some(chunk) = self.assembler.head() {
            return Some((Item::Data, chunk.time, chunk.ack));
        }
        if self.phase == Phase::Open
            && let Some(fin) = self.fin.filter(|fin| fin.offset == self.next())
        {
            return Some((Item::Fin, fin.time, fin.ack));
        }
        let rst = self.rst.filter(|rst| {
            self.phase != Phase::Reset
                && self.assembler.is_empty()
                && (rst.offset <= self.next() || self.phase == Phase::Finished || self.lost_fin())
        })?;
        Some((Item::Rst, rst.time, rst.ack))
    }

    /// Whether what acknowledges `ack` has to wait: the octets before it may yet come.
    pub(super) fn holds(&self, ack: StreamOffset) -> bool {
        ack.min(self.acked) > self.next()
            && self.phase == Phase::Open
            && !(self.lost_fin() && ack == self.next().plus(1))
    }

    /// Whether the one octet missing after all data is taken for a FIN that was not captured.
    pub(super) fn lost_fin(&self) -> bool {
        self.suspected().is_some() && self.acked == self.next().plus(1) && self.assembler.is_empty()
    }

    /// When that FIN was known to be missing.
    pub(super) fn lost_fin_time(&self) -> Option<Timestamp> {
        self.suspected().filter(|_| self.lost_fin())
    }

    /// Whether anything waits, so that [`Half::due`] and [`Half::head`] have to be asked.
    pub(super) fn is_unsettled(&self) -> bool {
        match self.phase {
            Phase::Open => {
                self.acked > self.next()
                    || !self.assembler.is_empty()
                    || self.fin.is_some()
                    || self.rst.is_some()
                    || self.wait.is_some()
            }
            Phase::Finished => self.rst.is_some(),
            Phase::Reset => false,
        }
    }

    /// Passes the octet that a FIN takes.
    pub(super) fn pass_fin(&mut self) {
        self.assembler.skip_to(self.next().plus(1));
        self.phase = Phase::Finished;
        self.wait = None;
    }

    /// Ends at its RST.
    pub(super) fn pass_rst(&mut self) {
        self.phase = Phase::Reset;
        self.wait = None;
    }

    /// Whether its chunks pass the limit of their number.
    pub(super) fn has_too_many_chunks(&self, settings: &TcpSettings) -> bool {
        self.assembler.chunks() > settings.max_chunks
    }

    /// Since when the next octet is suspected to be a FIN.
    fn suspected(&self) -> Option<Timestamp> {
        let (offset, since) = self.suspect?;
        (offset == self.next()).then_some(since)
    }

    /// Up to where the capture cut off what comes next.
    fn cut_end(&self) -> Option<StreamOffset> {
        let (from, end) = self.cut;
        (from == self.next() && end > from).then_some(end)
    }

    /// How far a number of this place can be believed.
    fn credence(&self, at: StreamOffset) -> Credence {
        let reach = self.seen_end.max(self.acked);
        if at.plus(PLAUSIBLE_WINDOW) < self.next() {
            Credence::Absurd
        } else if at <= reach.plus(PLAUSIBLE_WINDOW) {
            Credence::Plausible(at)
        } else if at <= reach.plus(ABSURD_JUMP) {
            Credence::Doubtful(at)
        } else {
            Credence::Absurd
        }
    }

    /// Whether no data was seen of it.
    fn is_bare(&self) -> bool {
        self.assembler.is_empty() && self.seen_end <= self.start
    }
}
