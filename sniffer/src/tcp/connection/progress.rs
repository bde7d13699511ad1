//! What is handed on, and what is given up.

use analyzer::time::Timestamp;

use super::super::{
    half::{Item, Phase},
    handler::StreamHandler,
    key::End,
    outlet::Context,
    seq::StreamOffset,
};
use super::Connection;

impl<S> Connection<S> {
    /// Hands on what can be, and gives up what is due.
    pub(super) fn settle<H>(&mut self, now: Timestamp, cx: &mut Context<'_, H>)
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
    pub(super) fn pump<H>(&mut self, cx: &mut Context<'_, H>)
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
        let (own, peer) = self.halves.split_mut(end);
        match own.head() {
            Some((Item::Data, ..)) => {
                if let Some(chunk) = own.assembler.take_head() {
                    own.note_cut(own.next().plus(u64::from(chunk.cut)));
                    let sent = peer.sent(chunk.time, chunk.ack);
                    self.outlet.data(end, &chunk.bytes, sent, cx);
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
    pub(super) fn force<H>(&mut self, end: End, cx: &mut Context<'_, H>) -> bool
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
}
