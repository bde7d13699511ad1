//! A capture at its own pace.
//!
//! Packets of a file come as fast as they can be read. Here each is handed on when as much time has passed since the
//! first one as lies between the two in the capture, times a factor. Until then the source is idle, so that whoever
//! reads it can tell what it has so far.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{CaptureError, CaptureStats, Next, Packet, PacketSource};

/// The longest wait for one packet. Captures of several days have nights in them, and a damaged time stamp may be
/// years ahead: what is beyond this is skipped.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The longest sleep: after it the source says again that it is idle, and can be stopped.
const IDLE_AFTER: Duration = Duration::from_millis(50);

/// Hands on the packets of a source when they are due.
pub struct Paced<S> {
    source: S,
    speed: f64,
    /// The packet that waits, with its bytes in `data`.
    waits: Option<Waiting>,
    data: Vec<u8>,
    clock: Option<Clock>,
}

#[derive(Clone, Copy)]
struct Waiting {
    packet: Packet<'static>,
    due: Instant,
    /// Whether it was said that nothing comes until then.
    told: bool,
}

/// When which packet time was, or would have been.
#[derive(Clone, Copy)]
struct Clock {
    real: Instant,
    micros: i64,
}

impl<S: PacketSource> Paced<S> {
    /// Plays `source` so many times as fast as it was captured; a factor that is no positive number is 1.
    pub fn new(source: S, speed: f64) -> Self {
        Self {
            source,
            speed: if speed.is_finite() && speed > 0.0 {
                speed
            } else {
                1.0
            },
            waits: None,
            data: Vec::new(),
            clock: None,
        }
    }

    /// When a packet of this time is due, now being this.
    fn due(&mut self, micros: i64, now: Instant) -> Instant {
        let clock = self.clock.get_or_insert(Clock { real: now, micros });
        // Times that go back are due at once.
        let passed = micros.saturating_sub(clock.micros).max(0) as f64 / 1e6 / self.speed;
        let passed = Duration::try_from_secs_f64(passed).unwrap_or(Duration::MAX);
        let latest = now + LONGEST_WAIT;
        match clock.real.checked_add(passed) {
            Some(due) if due <= latest => due,
            _ => {
                // From here on, time counts from this packet.
                self.clock = Some(Clock {
                    real: latest,
                    micros,
                });
                latest
            }
        }
    }
}

impl<S: PacketSource> PacketSource for Paced<S> {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        let waiting = if let Some(waiting) = self.waits.take() {
            waiting
        } else {
            let (head, micros) = match self.source.next()? {
                Next::Packet(packet) => {
                    self.data.clear();
                    self.data.extend_from_slice(packet.data);
                    let head = Packet {
                        data: &[],
                        time: packet.time,
                        link: packet.link,
                        wire_len: packet.wire_len,
                        interface: packet.interface,
                    };
                    (head, packet.time.as_micros())
                }
                Next::Idle => return Ok(Next::Idle),
                Next::End => return Ok(Next::End),
            };
            Waiting {
                packet: head,
                due: self.due(micros, Instant::now()),
                told: false,
            }
        };
        let left = waiting.due.saturating_duration_since(Instant::now());
        if !left.is_zero() && !waiting.told {
            // At once, so that the packets before are looked at now, and not when this one comes.
            self.waits = Some(Waiting {
                told: true,
                ..waiting
            });
            return Ok(Next::Idle);
        }
        thread::sleep(left.min(IDLE_AFTER));
        if left > IDLE_AFTER {
            self.waits = Some(waiting);
            return Ok(Next::Idle);
        }
        Ok(Next::Packet(Packet {
            data: &self.data,
            ..waiting.packet
        }))
    }

    fn stats(&mut self) -> CaptureStats {
        self.source.stats()
    }

    fn utc_correction(&self) -> i64 {
        self.source.utc_correction()
    }
}

#[cfg(test)]
mod tests {
    use analyzer::time::Timestamp;

    use super::{super::LinkType, *};

    /// Packets at these times in microseconds.
    struct Times(Vec<i64>);

    impl PacketSource for Times {
        fn next(&mut self) -> Result<Next<'_>, CaptureError> {
            if self.0.is_empty() {
                return Ok(Next::End);
            }
            Ok(Next::Packet(Packet {
                time: Timestamp::from_micros(self.0.remove(0)),
                link: LinkType::RawIp,
                data: b"data",
                wire_len: 4,
                interface: 0,
            }))
        }

        fn stats(&mut self) -> CaptureStats {
            CaptureStats::default()
        }
    }

    fn paced(speed: f64) -> Paced<Times> {
        Paced::new(Times(Vec::new()), speed)
    }

    #[test]
    fn a_packet_is_due_as_long_after_the_first_as_it_was() {
        let now = Instant::now();
        for (speed, wait) in [(1.0, 2_000), (4.0, 500), (0.5, 4_000), (f64::NAN, 2_000)] {
            let mut paced = paced(speed);
            assert_eq!(paced.due(1_000_000, now), now);
            let due = paced.due(3_000_000, now + Duration::from_millis(100));
            assert_eq!(due - now, Duration::from_millis(wait), "{speed}");
            assert!(paced.due(0, now) <= now, "a time that goes back");
        }
    }

    #[test]
    fn a_long_pause_is_cut_and_time_goes_on_from_there() {
        let now = Instant::now();
        let mut paced = paced(1.0);
        paced.due(0, now);
        assert_eq!(paced.due(86_400_000_000, now), now + LONGEST_WAIT);
        let next = paced.due(86_401_000_000, now + LONGEST_WAIT);
        assert_eq!(next, now + LONGEST_WAIT + Duration::from_secs(1));
        assert_eq!(paced.due(i64::MAX, next), next + LONGEST_WAIT);
    }

    #[test]
    fn packets_come_whole_and_in_order() {
        let mut paced = Paced::new(Times(vec![0, 200_000, 100_000]), 1.0);
        let (mut times, mut idle) = (Vec::new(), 0);
        loop {
            match paced.next().unwrap() {
                Next::Packet(packet) => {
                    assert_eq!(packet.data, b"data");
                    times.push(packet.time.as_micros());
                }
                Next::Idle => idle += 1,
                Next::End => break,
            }
        }
        assert_eq!(times, [0, 200_000, 100_000]);
        assert!(idle > 0, "it was idle until the second was due");
    }
}
