//! What is missing of one direction, and when it is given up.

use analyzer::time::Timestamp;

use super::{
    super::{
        seq::StreamOffset,
        settings::{GAP_MICROS, GAP_PACKETS, RESEND_MICROS},
    },
    Half, Phase,
};

/// Who may yet bring what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The tap, a little late: the other end is known to have it, or it cannot come any more.
    Tap,
    /// The sender, once more: the other end does not have it.
    Sender,
}

/// A hole that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    from: From,
    since: Timestamp,
    /// The connection's packet at which it was first known; `None` where packets do not count, since
    /// no acknowledgement was seen and the octets may yet be sent again.
    packet: Option<u64>,
    /// What was acknowledged by then. What is acknowledged later waits anew: on a tap an ACK is often
    /// captured before its data.
    upto: StreamOffset,
}

impl Wait {
    fn deadline(self) -> Timestamp {
        self.since.plus_micros(match self.from {
            From::Tap => GAP_MICROS,
            From::Sender => RESEND_MICROS,
        })
    }
}

impl Half {
    /// Up to where something is missing that is to be given up in time, and who may yet bring it.
    fn hole(&self, peer: &Self) -> Option<(StreamOffset, From)> {
        if self.phase != Phase::Open || self.lost_fin() || self.head().is_some() {
            return None;
        }
        let mut limit = self.acked;
        if let Some(rst) = self.rst {
            limit = limit.max(rst.offset).max(self.assembler.end());
        }
        if let Some(fin) = self.fin
            && peer.rst.is_some()
        {
            // Nobody is left to take what is missing.
            limit = limit.max(fin.offset).max(self.assembler.end());
        }
        if !peer.seen {
            // One direction alone is captured: there are no acknowledgements to wait for.
            limit = limit.max(self.assembler.end());
        }
        let mut from = From::Tap;
        if let Some(fin) = self.fin {
            if limit <= self.next() && peer.fin.is_some() {
                // Both ends are done, but what is missing may be sent again until it is acknowledged.
                (limit, from) = (fin.offset, From::Sender);
            }
            limit = limit.min(fin.offset);
        }
        (limit > self.next()).then_some((limit, from))
    }

    /// Looks at the hole before the next byte: up to where it is to be given up now, and the time
    /// for which that counts.
    pub(in crate::tcp) fn due(
        &mut self,
        peer: &Self,
        packets: u64,
        last: Timestamp,
        now: Timestamp,
    ) -> Option<(StreamOffset, Timestamp)> {
        let Some((limit, from)) = self.hole(peer) else {
            self.wait = None;
            return None;
        };
        let next = self.next();
        let packet = (peer.seen && from == From::Tap).then_some(packets);
        let fresh = || match self.suspected() {
            // It was no FIN, since more follows; it has waited long enough.
            Some(since) => Wait {
                from,
                since,
                packet,
                upto: next.plus(1),
            },
            None => Wait {
                from,
                since: last,
                packet,
                upto: limit,
            },
        };
        let wait = self
            .wait
            .filter(|wait| wait.upto > next && wait.from == from)
            .unwrap_or_else(fresh);
        self.wait = Some(wait);
        let to = wait.upto.min(limit).min(self.barrier(peer));
        if let Some(end) = self.cut_end() {
            // What the receiver has will not be sent again, and the tap did see its packet.
            return Some((to.min(end), last));
        }
        let deadline = wait.deadline();
        let passed = wait.packet.map_or(0, |first| packets.saturating_sub(first));
        if now >= deadline {
            Some((to, deadline))
        } else if passed >= GAP_PACKETS {
            Some((to, last.min(deadline)))
        } else {
            None
        }
    }

    /// When the hole before the next byte is due.
    pub(in crate::tcp) fn deadline(&self) -> Option<Timestamp> {
        self.wait.map(Wait::deadline)
    }

    /// Up to where [`Half::give_up`] may go when everything that waits is to be handed on.
    pub(in crate::tcp) fn forced_limit(&self, peer: &Self) -> StreamOffset {
        let fin = self.fin.map(|fin| fin.offset);
        let first = self.assembler.first_start();
        first.or(fin).unwrap_or(self.acked).min(self.barrier(peer))
    }

    /// The place in a hole at which the other end sent what comes next of it: the hole is given up in
    /// two parts, as the one is of what came before that (an answer's end) and the other of what came
    /// after (the next answer's head).
    fn barrier(&self, peer: &Self) -> StreamOffset {
        let sent = peer.head().map(|(_, _, ack)| ack);
        sent.filter(|ack| *ack > self.next())
            .unwrap_or(StreamOffset::END)
    }

    /// Gives up what is missing before `to`; says how many octets are known to be lost.
    pub(in crate::tcp) fn give_up(&mut self, to: StreamOffset, time: Timestamp) -> u64 {
        let next = self.next();
        let fin = self.fin.map_or(next, |fin| fin.offset);
        let first = self.assembler.first_start().unwrap_or(next);
        // An RST further on is no proof that there were octets before it.
        let to = to.min(self.acked.max(fin).max(first));
        if to <= next {
            if let Some(rst) = &mut self.rst {
                rst.offset = next;
            }
            self.wait = None;
            return 0;
        }
        let tail = self.assembler.is_empty() && self.fin.is_none() && self.acked == to;
        if tail && to == next.plus(1) && self.cut_end().is_none() {
            // A FIN that was not captured looks the same as a lost octet, and is far more common.
            self.suspect = Some((next, self.wait.map_or(time, |wait| wait.since)));
            self.wait = None;
            return 0;
        }
        let skipped = self.assembler.skip_to(to);
        if skipped > 0 {
            let lost = self.lost.get_or_insert_default();
            lost.add(next, next.plus(skipped));
        }
        skipped
    }
}
