//! What a segment says: where it belongs, what it carries, how a connection begins and is reset.

use analyzer::time::Timestamp;

use super::super::{
    assembler::{Piece, split},
    doubt::{Credence, Doubt, Held, Witness},
    half::{Mark, Phase},
    handler::StreamHandler,
    key::End,
    opening::Opening,
    outlet::Context,
    seq::{SeqNumber, StreamOffset},
    settings::MAX_SEGMENT,
};
use super::Connection;
use crate::packet::Segment;

impl<S> Connection<S> {
    /// Whether a SYN is not of this connection.
    pub(super) fn is_succeeded_by(&self, from: End, segment: &Segment<'_>) -> bool {
        let (own, peer) = self.halves.split(from);
        let answers_another = |ack: SeqNumber| !peer.is_beginning(ack) && peer.is_far(ack);
        if segment.ack.is_some_and(answers_another) {
            return true;
        }
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
                    peer.begin_answered(ack);
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
        let captured = segment.payload.len() as u64;
        let at = match own.place(segment.seq.plus(u32::from(segment.flags.syn))) {
            Credence::Plausible(at) => at,
            Credence::Doubtful(at) => {
                self.doubt(from, at, Witness::Segment(Held::of(segment)), cx);
                return;
            }
            Credence::Absurd => {
                cx.counters.absurd_seq += 1;
                cx.counters.absurd_bytes += captured;
                return;
            }
        };
        let (ack, doubtful) = match segment.ack.map(|ack| peer.acknowledge(ack)) {
            Some(Credence::Plausible(ack)) => (ack, None),
            Some(Credence::Doubtful(ack)) => (StreamOffset::NOTHING, Some(ack)),
            Some(Credence::Absurd) => {
                cx.counters.absurd_ack += 1;
                (StreamOffset::NOTHING, None)
            }
            None => (StreamOffset::NOTHING, None),
        };
        let length = if segment.wire_len <= MAX_SEGMENT {
            captured.max(u64::from(segment.wire_len))
        } else {
            captured
        };
        cx.counters.cut_bytes += length - captured;
        let is_control = segment.flags.syn || segment.flags.fin;
        if !is_control && own.is_probe(at, length) {
            cx.counters.keep_alives += 1;
            cx.counters.keep_alive_bytes += captured;
        } else {
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
            if length > 0 {
                let piece = Piece {
                    at,
                    bytes: segment.payload,
                    time: segment.time,
                    ack,
                    cut: (length - captured) as u32,
                };
                self.payload(from, piece, cx);
            }
        }
        if let Some(ack) = doubtful {
            self.doubt(from.other(), ack, Witness::Ack, cx);
        }
    }

    /// Takes the payload of a segment.
    fn payload<H>(&mut self, from: End, mut piece: Piece<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let own = self.halves.get_mut(from);
        if let Some(fin) = own.fin {
            let beyond;
            (piece.bytes, beyond) = split(piece.bytes, fin.offset.octets_since(piece.at));
            if !beyond.is_empty() {
                piece.cut = 0;
                cx.counters.after_end += 1;
                cx.counters.after_end_bytes += beyond.len() as u64;
            }
        }
        let (old, fresh) = split(piece.bytes, own.next().octets_since(piece.at));
        let from_old = piece.at.plus(old.len() as u64);
        let late = own.late(piece.at, from_old);
        cx.counters.late_bytes += late;
        cx.counters.retransmitted_bytes += old.len() as u64 - late;
        cx.counters.retransmitted_segments +=
            u64::from(fresh.is_empty() && !old.is_empty() && late == 0);
        (piece.at, piece.bytes) = (from_old, fresh);
        if own.phase != Phase::Open {
            cx.counters.after_end += u64::from(!fresh.is_empty());
            cx.counters.after_end_bytes += fresh.len() as u64;
            return;
        }
        if fresh.is_empty() {
            if piece.cut > 0 && piece.at == own.next() {
                own.note_cut(piece.at.plus(u64::from(piece.cut)));
            }
            return;
        }
        self.meet(from, fresh, piece.time, cx);
        let (own, peer) = self.halves.split_mut(from);
        let may_go = self.opening.is_settled() && !peer.holds(piece.ack);
        if may_go && let Some(fresh) = own.assembler.in_order(piece.at, fresh) {
            let sent = peer.sent(piece.time, piece.ack);
            self.outlet.data(from, fresh, sent, cx);
            own.assembler.advance(fresh.len());
            own.note_cut(own.next().plus(u64::from(piece.cut)));
            return;
        }
        let is_ahead = piece.at > own.next();
        let is_behind_hole = is_ahead && own.assembler.head().is_none();
        let done = own.assembler.insert(piece);
        cx.counters.out_of_order += u64::from(is_behind_hole && done.stored > 0);
        cx.counters.held += u64::from(!is_ahead && done.stored > 0 && peer.holds(piece.ack));
        cx.counters.retransmitted_bytes += done.repeated;
        cx.counters.retransmitted_segments += u64::from(done.stored == 0 && late == 0);
        cx.counters.conflicts += u64::from(done.conflicting > 0);
        cx.counters.conflict_bytes += done.conflicting;
    }

    /// Where this segment confirms a number that was doubted, what waited for that comes first.
    pub(super) fn confirm<H>(&mut self, from: End, segment: &Segment<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        let numbers = [(from, Some(segment.seq)), (from.other(), segment.ack)];
        for (end, number) in numbers {
            let half = self.halves.get_mut(end);
            if number.is_some_and(|number| half.confirms(number))
                && let Some(held) = half.believe()
            {
                self.take(end, &held.segment(segment), cx);
            }
        }
    }

    fn doubt<H>(&mut self, end: End, at: StreamOffset, by: Witness, cx: &mut Context<'_, H>) {
        let before = self.halves.get_mut(end).doubt(at, by);
        disbelieve(before, cx);
    }

    /// Gives up the numbers that nothing confirmed.
    pub(super) fn disbelieve<H>(&mut self, cx: &mut Context<'_, H>) {
        for end in End::BOTH {
            disbelieve(self.halves.get_mut(end).take_doubt(), cx);
        }
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
        let ack = match segment.ack.map(|ack| peer.acknowledge(ack)) {
            Some(Credence::Plausible(ack)) => ack,
            _ => StreamOffset::NOTHING,
        };
        own.rst = Some(Mark {
            offset,
            time: segment.time,
            ack,
        });
    }

    /// Payload of a connection whose beginning was not seen waits, for so many segments or so long.
    fn meet<H>(&mut self, from: End, payload: &[u8], time: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Stream = S>,
    {
        self.opening = self.opening.payload(time);
        if !self.opening.is_settled() || self.outlet.is_contested() {
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

/// Counts a number that was not confirmed.
fn disbelieve<H>(doubt: Option<Box<Doubt>>, cx: &mut Context<'_, H>) {
    match doubt.map(|doubt| doubt.by) {
        Some(Witness::Ack) => cx.counters.absurd_ack += 1,
        Some(Witness::Segment(held)) => {
            cx.counters.absurd_seq += 1;
            cx.counters.absurd_bytes += held.len();
        }
        None => {}
    }
}
