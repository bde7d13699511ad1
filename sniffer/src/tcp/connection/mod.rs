//! Both directions of one connection: roles, order of cause and effect, holes, the end.
//!
//! Bytes are handed on when two things are true: all before them in their direction were handed on
//! or given up, and so was all of the other direction that their sender acknowledged with them. The
//! second rule puts a request before its answer even where the capture had them the other way round,
//! and finds what was lost at the end of a direction, where no later byte shows the hole.
//!
//! The rules cannot lock each other: what waits for a hole waits only until that is given up, since
//! only acknowledged octets are waited for; and where the heads of both directions wait for each
//! other, one of them was sent again, and the one that was captured later goes first.

mod intake;
mod progress;

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use super::{
    half::{Bounds, Half, Phase},
    handler::{CloseReason, StreamHandler},
    key::{End, Pair},
    opening::Opening,
    outlet::{Context, Outlet},
    settings::{JOIN_MICROS, RESET_LINGER_MICROS},
};
use crate::packet::Segment;

/// What a connection asks of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Keep,
    /// It is over since this time.
    Over(Timestamp),
    /// The segment begins another connection of the same ends.
    Reopen,
}

/// How patient to be with a connection that is silent, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Patience {
    /// One end alone was seen, and nothing was handed on.
    HalfOpen,
    /// Both were seen, and nothing was handed on.
    Empty,
    /// It carried something.
    Idle,
    /// An answer is awaited.
    Waiting,
}

impl Patience {
    /// All of them, the least patient first.
    pub(super) const ALL: [Self; 4] = [Self::HalfOpen, Self::Empty, Self::Idle, Self::Waiting];
}

/// Both directions of one connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    outlet: Outlet<S>,
    halves: Pair<Half>,
    packets: u64,
    /// The latest packet time.
    last: Timestamp,
    reset_at: Option<Timestamp>,
    opening: Opening,
}

impl<S> Connection<S> {
    /// A connection of which nothing was seen.
    pub(super) fn new(id: u64, ends: Pair<SocketAddr>, time: Timestamp) -> Self {
        Self {
            outlet: Outlet::new(id, ends),
            halves: Pair {
                low: Half::new(),
                high: Half::new(),
            },
            packets: 0,
            last: time,
            reset_at: None,
            opening: Opening::Unseen,
        }
    }

    pub(super) const fn id(&self) -> u64 {
        self.outlet.id()
    }

    pub(super) const fn is_from_start(&self) -> bool {
        self.outlet.is_from_start()
    }

    pub(super) const fn is_reset(&self) -> bool {
        self.reset_at.is_some()
    }

    /// What waits, in octets with their overhead.
    pub(super) fn buffered(&self) -> usize {
        self.halves.low.buffered() + self.halves.high.buffered()
    }

    /// Where each direction began and ended.
    pub(super) fn bounds(&self) -> Pair<Bounds> {
        Pair {
            low: self.halves.low.bounds(),
            high: self.halves.high.bounds(),
        }
    }

    /// How patient to be with it, and the latest packet time of which that counts.
    pub(super) fn patience<H>(&self, handler: &H) -> (Patience, Timestamp)
    where
        H: StreamHandler<Stream = S>,
    {
        let both_seen = self.halves.low.seen && self.halves.high.seen;
        let patience = match self.outlet.stream() {
            Some(stream) if handler.is_waiting(stream) => Patience::Waiting,
            Some(_) => Patience::Idle,
            None if both_seen => Patience::Empty,
            None => Patience::HalfOpen,
        };
        (patience, self.last)
    }

    /// What waits, here and with the handler, in octets with their overhead.
    pub(super) fn weight<H: StreamHandler<Stream = S>>(&self, handler: &H) -> usize {
        let held = self
            .outlet
            .stream()
            .map_or(0, |stream| handler.held(stream));
        self.buffered() + held
    }

    /// Gives up all that waits: its holes, and then what the handler keeps.
    pub(super) fn shed<H: StreamHandler<Stream = S>>(
        &mut self,
        cx: &mut Context<'_, H>,
    ) -> Verdict {
        let verdict = self.relieve(0, cx);
        if let Some(stream) = self.outlet.stream_mut()
            && cx.handler.held(stream) > 0
        {
            cx.handler.shed(stream);
        }
        verdict
    }

    /// When [`Connection::advance`] has to be called, if nothing comes before.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let linger = self.reset_at.map(|at| at.plus_micros(RESET_LINGER_MICROS));
        let joined = self.opening.joining().map(|at| at.plus_micros(JOIN_MICROS));
        let holes = [self.halves.low.deadline(), self.halves.high.deadline()];
        holes.into_iter().chain([linger, joined]).flatten().min()
    }

    /// Takes a segment of this connection, sent by `from`.
    pub(super) fn segment<H>(
        &mut self,
        from: End,
        segment: &Segment<'_>,
        cx: &mut Context<'_, H>,
    ) -> Verdict
    where
        H: StreamHandler<Stream = S>,
    {
        let (syn, rst) = (segment.flags.syn, segment.flags.rst);
        let is_foreign = match (rst, syn) {
            (true, _) => false,
            (false, true) => self.is_succeeded_by(from, segment),
            (false, false) => self.is_far_from(from, segment),
        };
        if is_foreign {
            return Verdict::Reopen;
        }
        self.packets = self.packets.saturating_add(1);
        self.last = self.last.max(segment.time);
        if rst {
            cx.counters.rst_bytes += segment.payload.len() as u64;
            self.reset(from, segment, cx);
        } else {
            if syn {
                self.disbelieve(cx);
                self.synchronise(from, segment);
            }
            self.confirm(from, segment, cx);
            self.take(from, segment, cx);
        }
        if self.halves.low.is_unsettled() || self.halves.high.is_unsettled() {
            self.settle(self.last, cx);
        }
        self.verdict()
    }

    /// Does what is due at `now`: gives up holes, decides roles, ends what was reset.
    pub(super) fn advance<H>(&mut self, now: Timestamp, cx: &mut Context<'_, H>) -> Verdict
    where
        H: StreamHandler<Stream = S>,
    {
        let due = |since: Timestamp, patience| now >= since.plus_micros(patience);
        if self
            .opening
            .joining()
            .is_some_and(|at| due(at, JOIN_MICROS))
        {
            self.join(cx);
        }
        self.settle(now, cx);
        match self.reset_at {
            Some(at) if due(at, RESET_LINGER_MICROS) => {
                Verdict::Over(at.plus_micros(RESET_LINGER_MICROS))
            }
            _ => self.verdict(),
        }
    }

    /// Gives up holes until no more than `limit` octets wait.
    pub(super) fn relieve<H>(&mut self, limit: usize, cx: &mut Context<'_, H>) -> Verdict
    where
        H: StreamHandler<Stream = S>,
    {
        self.join(cx);
        self.disbelieve(cx);
        while self.buffered() > limit || self.has_too_many_chunks(cx) {
            let load = |end| {
                let half: &Half = self.halves.get(end);
                (
                    half.has_too_many_chunks(cx.settings),
                    half.assembler.buffered(),
                )
            };
            let end = if load(End::Low) > load(End::High) {
                End::Low
            } else {
                End::High
            };
            let gaps = cx.counters.gaps;
            let went_on = self.force(end, cx);
            cx.counters.gaps_for_budget += cx.counters.gaps - gaps;
            if !went_on {
                break;
            }
            self.pump(cx);
        }
        self.settle(self.last, cx);
        self.verdict()
    }

    /// Whether a budget of its own is passed.
    pub(super) fn is_too_heavy<H>(&self, cx: &Context<'_, H>) -> bool {
        self.buffered() > cx.settings.max_connection_bytes || self.has_too_many_chunks(cx)
    }

    /// Hands on all that waits, with gaps for what is missing, and ends.
    pub(super) fn close<H>(mut self, reason: CloseReason, time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        self.last = time.max(self.last);
        self.disbelieve(cx);
        if self.buffered() > 0 {
            self.join(cx);
        }
        self.pump(cx);
        while self.force(self.outlet.first(), cx) || self.force(self.outlet.first().other(), cx) {
            self.pump(cx);
        }
        self.outlet.close(reason, time, cx);
    }

    fn has_too_many_chunks<H>(&self, cx: &Context<'_, H>) -> bool {
        End::BOTH
            .into_iter()
            .any(|end| self.halves.get(end).has_too_many_chunks(cx.settings))
    }

    fn verdict(&self) -> Verdict {
        let (low, high) = (&self.halves.low, &self.halves.high);
        let both_ended = low.phase != Phase::Open && high.phase != Phase::Open;
        // Where nothing was ever carried there is nothing to wait for.
        let is_empty = !self.outlet.is_opened() && self.buffered() == 0;
        if both_ended || (is_empty && self.is_reset()) {
            Verdict::Over(self.last)
        } else {
            Verdict::Keep
        }
    }
}
