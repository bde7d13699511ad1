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

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use super::{
    half::{Half, Item, Mark, Phase},
    handler::{CloseReason, StreamHandler},
    key::{End, Pair},
    opening::Opening,
    outlet::{Context, Outlet},
    seq::{SeqNumber, StreamOffset},
    settings::{JOIN_MICROS, MAX_SEGMENT, RESET_LINGER_MICROS},
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
    /// It is open.
    Idle,
    /// An answer is awaited.
    Waiting,
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
    pub(super) const fn buffered(&self) -> usize {
        self.halves.low.assembler.buffered() + self.halves.high.assembler.buffered()
    }

    /// The sequence numbers of each direction's first octet, where known, and of what came next.
    pub(super) fn numbers(&self) -> Pair<(Option<SeqNumber>, Option<SeqNumber>)> {
        Pair {
            low: self.halves.low.numbers(),
            high: self.halves.high.numbers(),
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
            None if !both_seen => Patience::HalfOpen,
            _ => Patience::Idle,
        };
        (patience, self.last)
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
            self.reset(from, segment, cx);
        } else {
            if syn {
                self.synchronise(from, segment);
            }
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
        if self.buffered() > 0 {
            self.join(cx);
        }
        self.pump(cx);
        while self.force(self.outlet.first(), cx) || self.force(self.outlet.first().other(), cx) {
            self.pump(cx);
        }
        self.outlet.close(reason, time, cx);
    }

    /// Whether a SYN is not of this connection.
    fn is_succeeded_by(&self, from: End, segment: &Segment<'_>) -> bool {
        let (own, peer) = self.halves.split(from);
        if own.is_beginning(segment.seq.plus(1)) {
            return false;
        }
        // A server may answer the same SYN anew with another number of its own.
        let answers_again = own.is_pristine()
            && own.assembler.is_empty()
            && segment.ack.is_some_and(|ack| peer.has_sent(ack));
        !answers_again
    }

    /// Whether payload can only be of another connection, whose handshake was not captured: its number
    /// is far from all that was seen, and so is what it acknowledges (or this one was reset).
    fn is_far_from(&self, from: End, segment: &Segment<'_>) -> bool {
        let (own, peer) = self.halves.split(from);
        !segment.payload.is_empty()
            && own.is_far(segment.seq)
            && (self.is_reset() || segment.ack.is_some_and(|ack| peer.is_far(ack)))
    }

    fn synchronise(&mut self, from: End, segment: &Segment<'_>) {
        let (own, peer) = self.halves.split_mut(from);
        own.begin(segment.seq.plus(1));
        let client = match segment.ack {
            Some(ack) => {
                // What of it was seen before may have had others before it that were lost.
                if peer.is_pristine() && peer.is_beginning(ack) {
                    peer.begin(ack);
                }
                from.other()
            }
            None => from,
        };
        self.outlet.synchronise(client);
        self.opening = Opening::Settled;
    }

    /// Takes what a segment that is no RST says and carries.
    fn take<H>(&mut self, from: End, segment: &Segment<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let (own, peer) = self.halves.split_mut(from);
        own.seen = true;
        let Some(at) = own.place(segment.seq.plus(u32::from(segment.flags.syn))) else {
            cx.counters.absurd_seq += 1;
            return;
        };
        let ack = match segment.ack.map(|ack| peer.acknowledge(ack)) {
            Some(Some(ack)) => ack,
            Some(None) => {
                cx.counters.absurd_ack += 1;
                StreamOffset::NOTHING
            }
            None => StreamOffset::NOTHING,
        };
        let captured = segment.payload.len() as u64;
        let length = if segment.wire_len <= MAX_SEGMENT {
            captured.max(u64::from(segment.wire_len))
        } else {
            captured
        };
        cx.counters.cut_bytes += length - captured;
        let is_control = segment.flags.syn || segment.flags.fin;
        if length <= 1 && !is_control && at.plus(1) == own.next() && own.phase == Phase::Open {
            cx.counters.keep_alives += 1;
            return;
        }
        if length > 0 && own.began_earlier(at) {
            own.begin_at(at);
        }
        let end = at.plus(length);
        own.reach(end.plus(u64::from(segment.flags.fin)));
        if segment.flags.fin {
            let (offset, time) = (end, segment.time);
            if !own.finish(Mark { offset, time, ack }) && own.fin.is_none() {
                cx.counters.after_end += 1;
            }
        }
        if captured > 0 {
            self.payload(from, at, ack, segment, cx);
        }
    }

    /// Takes the payload of a segment.
    fn payload<H>(
        &mut self,
        from: End,
        at: StreamOffset,
        ack: StreamOffset,
        segment: &Segment<'_>,
        cx: &mut Context<'_, H>,
    ) where
        H: StreamHandler<Stream = S>,
    {
        let own = self.halves.get_mut(from);
        let room = own.fin.map_or(u64::MAX, |fin| fin.offset.octets_since(at));
        let length = usize::try_from(room).map_or(segment.payload.len(), |room| {
            room.min(segment.payload.len())
        });
        let payload = segment.payload.get(..length).unwrap_or_default();
        if own.phase != Phase::Open || payload.is_empty() {
            if at < own.next() {
                cx.counters.retransmitted_segments += 1;
                cx.counters.retransmitted_bytes += segment.payload.len() as u64;
            } else {
                cx.counters.after_end += 1;
            }
            return;
        }
        self.meet(from, payload, segment.time, cx);
        let (own, peer) = self.halves.split_mut(from);
        let may_go = self.opening.is_settled() && !peer.holds(ack);
        if may_go && let Some(fresh) = own.assembler.in_order(at, payload) {
            cx.counters.retransmitted_bytes += (payload.len() - fresh.len()) as u64;
            let length = fresh.len();
            self.outlet.data(from, fresh, segment.time, cx);
            own.assembler.advance(length);
            return;
        }
        let is_ahead = at > own.next();
        let done = own.assembler.insert(at, payload, segment.time, ack);
        cx.counters.out_of_order += u64::from(is_ahead && done.stored > 0);
        cx.counters.held += u64::from(!is_ahead && done.stored > 0 && peer.holds(ack));
        cx.counters.retransmitted_bytes += done.repeated;
        cx.counters.retransmitted_segments += u64::from(done.stored == 0);
        cx.counters.conflicts += u64::from(done.conflicting > 0);
    }

    /// Takes an RST, if it can be meant.
    fn reset<H>(&mut self, from: End, segment: &Segment<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let (own, peer) = self.halves.split_mut(from);
        if own.phase == Phase::Reset || own.rst.is_some() {
            cx.counters.after_end += 1;
            return;
        }
        let refuses = !own.seen && segment.ack.is_some_and(|ack| peer.has_sent(ack));
        let offset = match own.space() {
            Some(space) => {
                Some(space.offset(segment.seq, own.next())).filter(|at| own.may_reset_at(*at))
            }
            None => None,
        };
        let Some(offset) = offset.or(refuses.then(|| own.next())) else {
            cx.counters.rst_ignored += 1;
            return;
        };
        own.seen = true;
        let ack = segment.ack.and_then(|ack| peer.acknowledge(ack));
        own.rst = Some(Mark {
            offset,
            time: segment.time,
            ack: ack.unwrap_or(StreamOffset::NOTHING),
        });
    }

    /// Hands on what can be, and gives up what is due.
    fn settle<H>(&mut self, now: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        self.pump(cx);
        while self.give_up_due(now, cx) {
            self.pump(cx);
        }
        for end in End::BOTH {
            let (own, peer) = self.halves.split(end);
            if peer.phase != Phase::Open && own.phase == Phase::Open && own.lost_fin() {
                self.pass_lost_fin(end, cx);
            }
        }
    }

    /// Hands on all that is in order and waits for nothing.
    fn pump<H>(&mut self, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        if self.opening.joining().is_some() {
            return;
        }
        loop {
            let first = self.outlet.first();
            let heads = [first, first.other()].map(|end| {
                let (own, peer) = self.halves.split(end);
                own.head()
                    .map(|(_, time, ack)| (end, time, peer.holds(ack)))
            });
            let next = match heads {
                [Some((end, _, false)), _] | [_, Some((end, _, false))] => end,
                [Some((one, time, true)), Some((other, later, true))] => {
                    if later > time {
                        other
                    } else {
                        one
                    }
                }
                _ => return,
            };
            self.deliver(next, cx);
        }
    }

    /// Hands on the head of a direction.
    fn deliver<H>(&mut self, end: End, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let own = self.halves.get_mut(end);
        match own.head() {
            Some((Item::Data, ..)) => {
                if let Some(chunk) = own.assembler.take_head() {
                    self.outlet.data(end, &chunk.bytes, chunk.time, cx);
                }
            }
            Some((Item::Fin, time, _)) => {
                own.pass_fin();
                self.outlet.fin(end, time, cx);
            }
            Some((Item::Rst, time, _)) => {
                own.pass_rst();
                self.reset_at.get_or_insert(time);
                self.outlet.rst(end, time, cx);
            }
            None => {}
        }
    }

    /// Gives up one hole that is due, if there is one.
    fn give_up_due<H>(&mut self, now: Timestamp, cx: &mut Context<'_, H>) -> bool
    where
        H: StreamHandler<Stream = S>,
    {
        let first = self.outlet.first();
        for end in [first, first.other()] {
            let (own, peer) = self.halves.split_mut(end);
            if let Some((to, time)) = own.due(peer, self.packets, self.last, now) {
                if self.opening.joining().is_some() {
                    self.join(cx);
                } else {
                    self.give_up(end, to, time, cx);
                }
                return true;
            }
        }
        false
    }

    fn give_up<H>(&mut self, end: End, to: StreamOffset, time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let lost = self.halves.get_mut(end).give_up(to, time);
        if lost > 0 {
            self.outlet.gap(end, lost, time, cx);
        }
    }

    /// Makes one direction go on, whatever it waits for; says whether it did.
    fn force<H>(&mut self, end: End, cx: &mut Context<'_, H>) -> bool
    where
        H: StreamHandler<Stream = S>,
    {
        let own = self.halves.get(end);
        if own.head().is_some() {
            // It waits for the other direction: what is missing there is given up first.
            if self.halves.get(end.other()).head().is_none() && self.force_hole(end.other(), cx) {
                return true;
            }
            self.deliver(end, cx);
            return true;
        }
        self.force_hole(end, cx)
    }

    fn force_hole<H>(&mut self, end: End, cx: &mut Context<'_, H>) -> bool
    where
        H: StreamHandler<Stream = S>,
    {
        let (own, peer) = self.halves.split(end);
        if own.phase != Phase::Open {
            return false;
        }
        if own.lost_fin() {
            self.pass_lost_fin(end, cx);
            return true;
        }
        let (to, next) = (own.forced_limit(peer), own.next());
        if to > next || own.rst.is_some() {
            self.give_up(end, to, self.last, cx);
            return true;
        }
        false
    }

    /// Takes the octet after the last of the data for a FIN that was not captured.
    fn pass_lost_fin<H>(&mut self, end: End, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let own = self.halves.get_mut(end);
        let time = own.lost_fin_time().unwrap_or(self.last);
        own.pass_fin();
        self.outlet.fin(end, time, cx);
    }

    /// Payload of a connection whose beginning was not seen waits, for so many segments or so long.
    fn meet<H>(&mut self, from: End, payload: &[u8], time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        self.opening = self.opening.payload(time);
        if !self.opening.is_settled() {
            self.outlet.decide(from, payload, cx);
        }
        if self.opening.is_full() {
            self.join(cx);
        }
    }

    /// Ends the wait for the beginning.
    fn join<H>(&mut self, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        if self.opening.joining().is_some() {
            self.opening = Opening::Settled;
            self.outlet.guess_roles(cx);
        }
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
