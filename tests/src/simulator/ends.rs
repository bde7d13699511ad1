//! Two TCP ends that talk: what of it passes the place of the tap, and when.
//!
//! A small model, event by event: windows, delayed acknowledgements, losses before and after the tap
//! with their retransmissions (time-out and three duplicates, cut anew, so that they overlap in part),
//! probes, half-closes and resets. Frames keep their order on the way; a tap that does not is another
//! matter.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    end::{Act, End, Step, TIME_OUT},
    frame::{Frame, Signals},
};
use crate::traffic::{From, Random};

/// An acknowledgement waits so long for data to go with, in microseconds (Linux: 40 ms).
const DELAYED_ACK: u64 = 40_000;
/// Retransmissions after which an end gives up.
const TRIES: u32 = 6;
/// Resets that a dead end answers with; more say nothing new.
const RESETS: u32 = 2;

/// The way between the ends, and how they use it. Losses in a million.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Octets of data in a segment at most.
    pub(super) segment: u64,
    /// Octets that may be under way.
    pub(super) window: u64,
    /// Microseconds from the client to the tap, and from the tap to the server.
    pub(super) legs: [u64; 2],
    /// Losses of the client's leg and of the server's.
    pub(super) losses: [u64; 2],
    /// The initial sequence numbers of client and server.
    pub(super) first: [u32; 2],
}

/// Lets the ends talk. What they wrote, and the frames that passed the tap, in order.
pub(super) fn talk(
    random: &mut Random,
    path: Path,
    steps: [Vec<Step>; 2],
    start: u64,
) -> ([Vec<u8>; 2], Vec<Frame>) {
    let mut net = Net::new(random, path, steps);
    let opened = net.handshake(start);
    net.check(From::Client, opened);
    net.check(From::Server, opened);
    while let Some(Reverse((now, _, event))) = net.queue.pop() {
        match event {
            Event::Act(side) => net.act(side, now),
            Event::Arrive(packet) => net.arrive(&packet, now),
            Event::TimeOut(side, turn) => net.time_out(side, turn, now),
            Event::Acknowledge(side, turn) => {
                if net.end(side).ack_turn == turn && net.end(side).unacknowledged > 0 {
                    net.acknowledge(side, now);
                }
            }
        }
    }
    let frames = std::mem::take(&mut net.frames);
    let [client, server] = net.ends;
    ([client.stream, server.stream], frames)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Act(From),
    Arrive(Packet),
    TimeOut(From, u64),
    Acknowledge(From, u64),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    from: From,
    at: u64,
    bytes: Vec<u8>,
    ack: u64,
    fin: bool,
    rst: bool,
    probe: Probe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Probe {
    No,
    KeepAlive,
    Window,
}

struct Net<'r> {
    random: &'r mut Random,
    path: Path,
    ends: [End; 2],
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    events: u64,
    frames: Vec<Frame>,
}

const fn index(side: From) -> usize {
    match side {
        From::Client => 0,
        From::Server => 1,
    }
}

const fn other(side: From) -> From {
    match side {
        From::Client => From::Server,
        From::Server => From::Client,
    }
}

impl<'r> Net<'r> {
    fn new(random: &'r mut Random, path: Path, steps: [Vec<Step>; 2]) -> Self {
        let ends = steps.map(|steps| End::new(steps, random.any() as u16));
        Self {
            random,
            path,
            ends,
            queue: BinaryHeap::new(),
            events: 0,
            frames: Vec::new(),
        }
    }

    const fn end(&mut self, side: From) -> &mut End {
        let [client, server] = &mut self.ends;
        match side {
            From::Client => client,
            From::Server => server,
        }
    }

    fn schedule(&mut self, time: u64, event: Event) {
        self.events += 1;
        self.queue.push(Reverse((time, self.events, event)));
    }

    /// SYN, SYN-ACK, ACK, any of them perhaps twice. Says when the connection is open.
    fn handshake(&mut self, start: u64) -> u64 {
        let legs = self.path.legs;
        let trip = (legs[0] + legs[1]) * 2;
        let mut now = start;
        let syn = Signals {
            syn: true,
            ..Signals::default()
        };
        for (side, signals, ack) in [
            (From::Client, syn, None),
            (From::Server, syn, Some(0)),
            (From::Client, Signals::default(), Some(0)),
        ] {
            let again = self.random.happens(20_000);
            for _ in 0..=u32::from(again) {
                let seen = now + legs[0];
                self.record(side, seen, 0, Vec::new(), ack, signals, Probe::No);
                if again && signals.syn {
                    now += 1_000_000;
                }
            }
            now += trip / 2;
        }
        now + trip
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of a frame")]
    fn record(
        &mut self,
        from: From,
        micros: u64,
        at: u64,
        payload: Vec<u8>,
        ack: Option<u64>,
        signals: Signals,
        probe: Probe,
    ) {
        let place = |first: u32, at: u64| first.wrapping_add(1).wrapping_add(at as u32);
        let first = self.path.first;
        let seq = if signals.syn {
            first[index(from)]
        } else {
            place(first[index(from)], at)
        };
        let end = self.end(from);
        let id = end.id;
        end.id = end.id.wrapping_add(1);
        end.last_seen = micros;
        let junk = probe == Probe::KeepAlive && !payload.is_empty();
        self.frames.push(Frame {
            micros,
            connection: 0,
            from,
            at,
            payload,
            junk,
            interface: 0,
            cut: None,
            seq,
            ack: ack.map(|ack| place(first[index(other(from))], ack)),
            acknowledged: ack,
            signals,
            id,
        });
    }

    /// Puts a segment on its way.
    fn send(&mut self, packet: Packet, now: u64) {
        let side = packet.from;
        let (before, after) = match side {
            From::Client => (0, 1),
            From::Server => (1, 0),
        };
        let [mut is_lost, mut is_lost_after] =
            [before, after].map(|leg| self.random.happens(self.path.losses[leg]));
        if packet.rst || packet.probe != Probe::No {
            // Nobody would send them again.
            (is_lost, is_lost_after) = (false, false);
        }
        let jitter = self.random.below(self.path.legs[before] / 8 + 2);
        let seen = (now + self.path.legs[before] + jitter).max(self.end(side).last_seen);
        if is_lost {
            return;
        }
        let signals = Signals {
            syn: false,
            fin: packet.fin,
            rst: packet.rst,
        };
        // The reset of an end that is gone acknowledges nothing.
        let ack = (!packet.rst || self.random.happens(500_000)).then_some(packet.ack);
        let bytes = packet.bytes.clone();
        self.record(side, seen, packet.at, bytes, ack, signals, packet.probe);
        if !is_lost_after {
            let arrival = seen + self.path.legs[after];
            let end = self.end(side);
            end.last_arrival = arrival.max(end.last_arrival);
            let arrival = end.last_arrival;
            self.schedule(arrival, Event::Arrive(packet));
        }
    }

    /// A segment of `side` with what it has received so far.
    fn segment(&mut self, side: From, at: u64, length: u64, fin: bool) -> Packet {
        let end = self.end(side);
        end.unacknowledged = 0;
        end.ack_turn += 1;
        Packet {
            from: side,
            at,
            bytes: end.piece(at, length),
            ack: end.received,
            fin,
            rst: false,
            probe: Probe::No,
        }
    }

    fn acknowledge(&mut self, side: From, now: u64) {
        let at = self.end(side).next;
        let packet = self.segment(side, at, 0, false);
        self.send(packet, now);
    }

    fn reset(&mut self, side: From, at: u64, now: u64) {
        let end = self.end(side);
        end.dead = true;
        end.resets += 1;
        if end.resets > RESETS {
            return;
        }
        let mut packet = self.segment(side, at, 0, false);
        packet.rst = true;
        self.send(packet, now);
    }

    /// Plans the next step of an application, if what it waits for is there.
    fn check(&mut self, side: From, now: u64) {
        let end = self.end(side);
        let data = end.received.min(end.peer_fin.unwrap_or(u64::MAX));
        let is_finished = end.peer_fin.is_some_and(|fin| end.received > fin);
        let Some(step) = end.steps.front() else {
            return;
        };
        if end.is_due || end.dead || data < step.after || (step.after_fin && !is_finished) {
            return;
        }
        let at = now + step.delay;
        end.is_due = true;
        self.schedule(at, Event::Act(side));
    }

    fn act(&mut self, side: From, now: u64) {
        let end = self.end(side);
        end.is_due = false;
        if end.dead {
            return;
        }
        let Some(step) = end.steps.pop_front() else {
            return;
        };
        match step.act {
            Act::Send(bytes) => {
                end.stream.extend(bytes);
                let written = end.length();
                end.writes.push_back(written);
                self.pump(side, now);
            }
            Act::Fin => {
                end.fin = true;
                self.pump(side, now);
            }
            Act::Leave => {
                end.fin = true;
                end.gone = true;
                self.pump(side, now);
            }
            Act::Rst => {
                let at = end.next;
                self.reset(side, at, now);
            }
            Act::KeepAlive { junk } => self.keep_alive(side, junk, now),
            Act::WindowProbe => self.window_probe(side, now),
        }
        self.check(side, now);
    }

    fn keep_alive(&mut self, side: From, junk: bool, now: u64) {
        let end = self.end(side);
        let at = end.next;
        if at == 0 || end.unacked < at || end.fin {
            return;
        }
        let mut packet = self.segment(side, at - 1, 0, false);
        packet.probe = Probe::KeepAlive;
        packet.bytes = vec![0; usize::from(junk)];
        self.send(packet, now);
    }

    fn window_probe(&mut self, side: From, now: u64) {
        let end = self.end(side);
        let at = end.next;
        let first = match end.steps.front().map(|step| &step.act) {
            Some(Act::Send(bytes)) => bytes.first().copied(),
            _ => None,
        };
        if let Some(first) = first
            && at == end.length()
        {
            let mut packet = self.segment(side, at, 0, false);
            packet.probe = Probe::Window;
            packet.bytes = vec![first];
            self.send(packet, now);
        }
    }

    /// Sends what the window allows.
    fn pump(&mut self, side: From, now: u64) {
        loop {
            let Path {
                segment, window, ..
            } = self.path;
            let (together, with_fin) = (self.random.happens(300_000), self.random.happens(500_000));
            let end = self.end(side);
            let written = end.length();
            if end.dead {
                return;
            }
            if end.next >= written {
                if end.fin && end.next == written {
                    end.next += 1;
                    let packet = self.segment(side, written, 0, true);
                    self.send(packet, now);
                    self.expect(side, now);
                }
                return;
            }
            let room = (end.unacked + window).saturating_sub(end.next);
            if room == 0 {
                return;
            }
            let at = end.next;
            while end.writes.front().is_some_and(|write| *write <= at) {
                end.writes.pop_front();
            }
            let write = end.writes.front().copied().unwrap_or(written);
            let until = if together { written } else { write };
            let length = (until - at).min(segment).min(room);
            let fin = end.fin && with_fin && at + length == written;
            end.next += length + u64::from(fin);
            let packet = self.segment(side, at, length, fin);
            self.send(packet, now);
            self.expect(side, now);
        }
    }

    /// Starts the time-out for what is under way.
    fn expect(&mut self, side: From, now: u64) {
        let end = self.end(side);
        end.time_out_turn += 1;
        let (at, turn) = (now + end.time_out, end.time_out_turn);
        self.schedule(at, Event::TimeOut(side, turn));
    }

    fn time_out(&mut self, side: From, turn: u64, now: u64) {
        let end = self.end(side);
        if end.dead || turn != end.time_out_turn || end.unacked >= end.next {
            return;
        }
        end.tries += 1;
        if end.tries > TRIES {
            end.dead = true;
            return;
        }
        end.time_out *= 2;
        end.recover = end.next;
        self.repeat(side, now);
    }

    /// Sends the oldest octets under way again, cut as it comes.
    fn repeat(&mut self, side: From, now: u64) {
        let longest = 1 + self.random.below(self.path.segment);
        let longest = match self.random.below(3) {
            0 => longest,
            _ => self.path.segment,
        };
        let end = self.end(side);
        let at = end.unacked;
        let length = (end.next.min(end.length()) - at.min(end.length())).min(longest);
        let fin = end.fin && at + length == end.length() && end.next > end.length();
        let packet = self.segment(side, at, length, fin);
        self.send(packet, now);
        self.expect(side, now);
    }

    fn arrive(&mut self, packet: &Packet, now: u64) {
        let side = other(packet.from);
        let is_dead = self.end(side).dead;
        if packet.rst {
            self.end(side).dead = true;
            return;
        }
        if is_dead {
            self.reset(side, packet.ack, now);
            return;
        }
        self.acknowledged(side, packet, now);
        if packet.probe != Probe::No {
            self.acknowledge(side, now);
            return;
        }
        let length = packet.bytes.len() as u64;
        if length == 0 && !packet.fin {
            return;
        }
        if self.end(side).gone && length > 0 {
            let at = self.end(side).next;
            self.reset(side, at, now);
            return;
        }
        let end = self.end(side);
        if packet.fin {
            end.peer_fin = Some(packet.at + length);
        }
        let is_next = end.take(packet.at, packet.at + length + u64::from(packet.fin));
        end.unacknowledged += 1;
        if !is_next || packet.fin || end.unacknowledged >= 2 {
            self.acknowledge(side, now);
        } else {
            let turn = end.ack_turn;
            self.schedule(now + DELAYED_ACK, Event::Acknowledge(side, turn));
        }
        self.check(side, now);
    }

    fn acknowledged(&mut self, side: From, packet: &Packet, now: u64) {
        let end = self.end(side);
        if packet.ack > end.unacked {
            end.unacked = packet.ack.min(end.next);
            end.repeated_acks = 0;
            end.tries = 0;
            end.time_out = TIME_OUT;
            if end.unacked < end.recover {
                self.repeat(side, now);
            } else if end.unacked < end.next {
                self.expect(side, now);
            }
            self.pump(side, now);
        } else if packet.ack == end.unacked && packet.bytes.is_empty() && end.unacked < end.next {
            end.repeated_acks += 1;
            if end.repeated_acks == 3 {
                end.recover = end.next;
                self.repeat(side, now);
            }
        }
    }
}
