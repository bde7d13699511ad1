//! What a segment says: where it belongs, what it carries, how a connection begins and is reset.

use analyzer::time::Timestamp;

use super::super::{
    half::{Mark, Phase},
    handler::StreamHandler,
    key::End,
    opening::Opening,
    outlet::Context,
    seq::StreamOffset,
    settings::MAX_SEGMENT,
};
use super::Connection;
use crate::packet::Segment;

impl<S> Connection<S> {
    /// Whether a SYN is not of this connection.
    pub(super) fn is_succeeded_by(&self, from: End, segment: &Segment<'_>) -> bool {
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
    pub(super) fn is_far_from(&self, from: End, segment: &Segment<'_>) -> bool {
        let (own, peer) = self.halves.split(from);
        !segment.payload.is_empty()
            && own.is_far(segment.seq)
            && (self.is_reset() || segment.ack.is_some_and(|ack| peer.is_far(ack)))
    }

    pub(super) fn synchronise(&mut self, from: End, segment: &Segment<'_>) {
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
    pub(super) fn take<H>(&mut self, from: End, segment: &Segment<'_>, cx: &mut Context<'_, H>)
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
    pub(super) fn reset<H>(&mut self, from: End, segment: &Segment<'_>, cx: &mut Context<'_, H>)
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
    pub(super) fn join<H>(&mut self, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        if self.opening.joining().is_some() {
            self.opening = Opening::Settled;
            self.outlet.guess_roles(cx);
        }
    }
}
