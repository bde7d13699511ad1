//! Live capture through libpcap.

mod filter;
mod refusal;
#[cfg(test)]
mod tests;

use std::os::fd::AsFd;

use analyzer::time::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Stat};

pub use self::filter::filter_expression;
use super::{CaptureError, CaptureStats, LinkType, Next, Packet, PacketSource};

/// No interface's ring is smaller: below it a short stall already loses frames.
const MIN_RING_BYTES: usize = 4 * 1024 * 1024;

/// Bytes kept of a frame: libpcap's own largest. Only segments that the kernel joins to more than this
/// are cut.
pub const DEFAULT_SNAPLEN: u32 = 262_144;

/// How long the kernel gathers frames before it hands them on, in milliseconds. Frames carry their own
/// time, so this delays rows but changes none.
const READ_TIMEOUT_MS: i32 = 50;

/// How long one call waits for frames, in milliseconds.
const POLL_TIMEOUT_MS: u8 = 100;

/// Frames taken from one interface before the others have their turn.
const TURN: u32 = 256;

/// What to tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// Names of interfaces; `any` is all of them, without their link layer.
    pub interfaces: Vec<String>,
    /// TCP ports; none for all.
    pub ports: Vec<u16>,
    /// Bytes of the kernel's rings, shared evenly by the interfaces; each gets at least 4 MiB.
    pub ring_bytes: usize,
    /// Bytes kept of each frame.
    pub snaplen: u32,
}

impl LiveSettings {
    /// Settings with the default ring and snapshot length.
    pub const fn new(interfaces: Vec<String>, ports: Vec<u16>) -> Self {
        Self {
            interfaces,
            ports,
            ring_bytes: super::DEFAULT_RING_BYTES as usize,
            snaplen: DEFAULT_SNAPLEN,
        }
    }
}

/// Packets of one or several interfaces.
///
/// Each interface's packets come in the order of time; those of several come in bursts of up to
/// 50 ms each. Fragments and packets with IPv6 extension headers pass the kernel's filter whatever
/// their port.
pub struct LiveSource {
    taps: Vec<Tap>,
    /// Whose turn it is, and how many frames are left of it.
    turn: usize,
    left: u32,
    stats: CaptureStats,
}

/// One interface.
struct Tap {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    state: State,
    counted: Stat,
    /// Its place among the interfaces that were asked for.
    number: u32,
}

/// What is known of an interface's ring.
#[derive(Debug)]
enum State {
    Empty,
    HasFrames,
    Failed(String),
}

impl LiveSource {
    /// Opens all interfaces, each with the kernel's filter set.
    ///
    /// # Errors
    /// Where one of them cannot be tapped: no such interface, no privileges, an interface that is down, a
    /// link type that llmtap does not read. The text says what to do.
    pub fn open(settings: &LiveSettings) -> Result<Self, CaptureError> {
        let Some(share) = settings.ring_bytes.checked_div(settings.interfaces.len()) else {
            return Err(CaptureError(
                "no interface to tap: name one with -i (or -i any)".into(),
            ));
        };
        let ring = i32::try_from(share.max(MIN_RING_BYTES)).unwrap_or(i32::MAX);
        let open = |(name, number): (&String, u32)| {
            Tap::open(name, number, ring, settings).map_err(|error| refusal::explain(name, &error))
        };
        let taps = settings
            .interfaces
            .iter()
            .zip(0..)
            .map(open)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            taps,
            turn: 0,
            left: 0,
            stats: CaptureStats::default(),
        })
    }

    /// The interface to take a frame from, waiting a little for one; `None` where there is none.
    fn pick(&mut self) -> Option<usize> {
        if self.left > 0 && self.taps.get(self.turn).is_some_and(Tap::has_frames) {
            self.left -= 1;
            return Some(self.turn);
        }
        let none = !self.taps.iter().any(Tap::has_frames);
        let timeout = if none {
            PollTimeout::from(POLL_TIMEOUT_MS)
        } else {
            PollTimeout::ZERO
        };
        let mut fds: Vec<_> = self
            .taps
            .iter()
            .map(|tap| PollFd::new(tap.capture.as_fd(), PollFlags::POLLIN))
            .collect();
        // An interrupted call found nothing; the next one looks again.
        let _ = poll(&mut fds, timeout);
        // Errors too make a ring worth reading: the read says which.
        let ready: Vec<_> = fds.iter().map(|fd| fd.any() != Some(false)).collect();
        for (tap, ready) in self.taps.iter_mut().zip(ready) {
            if ready {
                tap.state = State::HasFrames;
            }
        }
        let count = self.taps.len();
        let after = (1..=count).map(|step| (self.turn + step) % count);
        self.turn = after
            .into_iter()
            .find(|i| self.taps.get(*i).is_some_and(Tap::has_frames))?;
        self.left = TURN - 1;
        Some(self.turn)
    }

    /// Lets go of interfaces that failed.
    ///
    /// # Errors
    /// Where none is left.
    fn sweep(&mut self) -> Result<(), CaptureError> {
        let mut last = None;
        let mut index = 0;
        while let Some(tap) = self.taps.get_mut(index) {
            let State::Failed(why) = &tap.state else {
                index += 1;
                continue;
            };
            let sentence = format!("{} is no longer tapped: {why}", tap.name);
            tap.count(&mut self.stats);
            self.taps.remove(index);
            self.stats.lost_interfaces += 1;
            self.stats
                .warn(format!("{sentence}; start llmtap again once it is back"));
            last = Some(sentence);
        }
        match (last, self.taps.is_empty()) {
            (_, false) => Ok(()),
            (Some(sentence), true) => Err(CaptureError(format!(
                "{sentence}, and no other interface is left: bring it up and start llmtap again"
            ))),
            (None, true) => Err(CaptureError("no interface is left to tap".into())),
        }
    }
}

impl PacketSource for LiveSource {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        if self
            .taps
            .iter()
            .any(|tap| matches!(tap.state, State::Failed(_)))
            || self.taps.is_empty()
        {
            self.sweep()?;
        }
        let Some(tap) = self.pick().and_then(|index| self.taps.get_mut(index)) else {
            return Ok(Next::Idle);
        };
        match tap.capture.next_packet() {
            Ok(packet) => {
                self.stats.packets += 1;
                self.stats.bytes += packet.data.len() as u64;
                let time = packet.header.ts;
                let micros = time
                    .tv_sec
                    .saturating_mul(1_000_000)
                    .saturating_add(time.tv_usec);
                Ok(Next::Packet(Packet {
                    time: Timestamp::from_micros(micros),
                    link: tap.link,
                    data: packet.data,
                    wire_len: packet.header.len.max(packet.header.caplen),
                    interface: tap.number,
                }))
            }
            Err(pcap::Error::TimeoutExpired) => {
                tap.state = State::Empty;
                Ok(Next::Idle)
            }
            Err(error) => {
                tap.state = State::Failed(refusal::text(&error));
                Ok(Next::Idle)
            }
        }
    }

    fn stats(&mut self) -> CaptureStats {
        for tap in &mut self.taps {
            tap.count(&mut self.stats);
        }
        self.stats.clone()
    }
}

impl Tap {
    fn open(
        name: &str,
        number: u32,
        ring: i32,
        settings: &LiveSettings,
    ) -> Result<Self, refusal::Cause> {
        let snaplen = i32::try_from(settings.snaplen).unwrap_or(i32::MAX);
        let capture = Capture::from_device(name)?
            // All of them at once cannot be promiscuous, and libpcap's remark on that would end it.
            .promisc(name != "any")
            .snaplen(snaplen)
            .timeout(READ_TIMEOUT_MS)
            .buffer_size(ring)
            .open()?;
        let kind = capture.get_datalink().0;
        let link = u16::try_from(kind).ok().and_then(LinkType::from_number);
        // The kernel's filter cannot look into the netfilter log.
        let link = link.filter(|link| *link != LinkType::Nflog);
        let link = link.ok_or(refusal::Cause::LinkType(kind))?;
        let mut capture = capture;
        capture.filter(&filter_expression(&settings.ports, link), true)?;
        let capture = capture.setnonblock()?;
        let counted = Stat {
            received: 0,
            dropped: 0,
            if_dropped: 0,
        };
        Ok(Self {
            name: name.to_owned(),
            capture,
            link,
            state: State::Empty,
            counted,
            number,
        })
    }

    const fn has_frames(&self) -> bool {
        matches!(self.state, State::HasFrames)
    }

    /// Adds what the kernel lost since the last time. Its counters are 32 bits wide and wrap.
    fn count(&mut self, stats: &mut CaptureStats) {
        let Ok(now) = self.capture.stats() else {
            return;
        };
        let since = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        // On Linux this counts what passed the filter, dropped or not (pcap_stats(3PCAP)).
        stats.seen += since(now.received, self.counted.received);
        stats.dropped_ring += since(now.dropped, self.counted.dropped);
        stats.dropped_interface += since(now.if_dropped, self.counted.if_dropped);
        self.counted = now;
    }
}
