//! One TCP end: what its application does, and how far it has come.

use std::collections::{BTreeMap, VecDeque};

/// The first retransmission time-out, in microseconds (Linux: 200 ms at least).
pub(super) const TIME_OUT: u64 = 200_000;
/// One thing that an application does, and what it waits for.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Octets of the other end's stream that must have been read before.
    pub(super) after: u64,
    /// Whether the other end's FIN must have been read before.
    pub(super) after_fin: bool,
    /// Microseconds that it thinks.
    pub(super) delay: u64,
    pub(super) act: Act,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Send(Vec<u8>),
    /// Sends no more, and goes on reading.
    Fin,
    /// Sends no more and is gone: what still comes is answered by a reset.
    Leave,
    Rst,
    /// A keep-alive probe, with an octet of no meaning in it or without.
    KeepAlive {
        junk: bool,
    },
    /// A probe of a zero window: the first octet of what is sent next, which is not accepted.
    WindowProbe,
}

/// One end. Places count the octets of its stream from 0; its FIN is one more.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct End {
    pub(super) steps: VecDeque<Step>,
    pub(super) is_due: bool,
    pub(super) stream: Vec<u8>,
    /// Where the application's writes end that were not sent whole yet.
    pub(super) writes: VecDeque<u64>,
    pub(super) unacked: u64,
    pub(super) next: u64,
    pub(super) fin: bool,
    pub(super) gone: bool,
    pub(super) dead: bool,
    pub(super) received: u64,
    pub(super) ahead: BTreeMap<u64, u64>,
    pub(super) peer_fin: Option<u64>,
    pub(super) unacknowledged: u32,
    pub(super) ack_turn: u64,
    pub(super) time_out: u64,
    pub(super) time_out_turn: u64,
    pub(super) tries: u32,
    pub(super) repeated_acks: u32,
    pub(super) recover: u64,
    pub(super) resets: u32,
    pub(super) id: u16,
    pub(super) last_seen: u64,
    pub(super) last_arrival: u64,
}

impl End {
    pub(super) fn new(steps: Vec<Step>, id: u16) -> Self {
        Self {
            steps: steps.into(),
            is_due: false,
            stream: Vec::new(),
            writes: VecDeque::new(),
            unacked: 0,
            next: 0,
            fin: false,
            gone: false,
            dead: false,
            received: 0,
            ahead: BTreeMap::new(),
            peer_fin: None,
            unacknowledged: 0,
            ack_turn: 0,
            time_out: TIME_OUT,
            time_out_turn: 0,
            tries: 0,
            repeated_acks: 0,
            recover: 0,
            resets: 0,
            id,
            last_seen: 0,
            last_arrival: 0,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.stream.len() as u64
    }

    pub(super) fn piece(&self, at: u64, length: u64) -> Vec<u8> {
        let range = at as usize..(at + length) as usize;
        self.stream.get(range).unwrap_or_default().to_vec()
    }

    /// Notes octets that arrived; says whether they were the next ones.
    pub(super) fn take(&mut self, at: u64, end: u64) -> bool {
        if at > self.received {
            let known = self.ahead.entry(at).or_default();
            *known = end.max(*known);
            return false;
        }
        let is_new = end > self.received;
        self.received = self.received.max(end);
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.received {
                break;
            }
            let end = entry.remove();
            self.received = self.received.max(end);
        }
        is_new
    }
}
