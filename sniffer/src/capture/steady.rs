//! Times that stand alone are not believed.
//!
//! One damaged time stamp, years ahead, would end every connection that was silent, and put a mark years
//! from the others of its call. But captures do have long pauses. What tells the two apart is the packet
//! after: a pause is behind it too. So a packet whose time leaps waits for the next one; and it takes the
//! time of the packet before where that next one does not stand with it.

use analyzer::time::Timestamp;

use super::{CaptureError, CaptureStats, LinkType, Next, Packet, PacketSource};

/// From one packet to the next time may go so far, ahead or back, without a question: one minute. It is
/// the shortest time-out of all, so no false time below it ends a connection.
const LEAP_MICROS: i64 = 60_000_000;

/// A source whose packets' times leap only where two packets in a row say so.
pub struct Steady<'s> {
    source: &'s mut dyn PacketSource,
    /// The time of the packet handed on last.
    now: Option<Timestamp>,
    /// Its time leaps: it waits for the packet after it.
    doubtful: Option<Owned>,
    /// The packet after it.
    following: Option<Owned>,
    /// What was handed on last, of those that waited.
    out: Owned,
    false_times: u64,
}

struct Owned {
    time: Timestamp,
    link: LinkType,
    data: Vec<u8>,
    wire_len: u32,
    interface: u32,
}

impl Owned {
    fn of(packet: &Packet<'_>) -> Self {
        Self {
            time: packet.time,
            link: packet.link,
            data: packet.data.to_vec(),
            wire_len: packet.wire_len,
            interface: packet.interface,
        }
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            time: self.time,
            link: self.link,
            data: &self.data,
            wire_len: self.wire_len,
            interface: self.interface,
        }
    }
}

impl<'s> Steady<'s> {
    /// Watches the times of a source that ends, such as a file. A live one's are the kernel's.
    pub fn new(source: &'s mut dyn PacketSource) -> Self {
        Self {
            source,
            now: None,
            doubtful: None,
            following: None,
            out: Owned {
                time: Timestamp::default(),
                link: LinkType::RawIp,
                data: Vec::new(),
                wire_len: 0,
                interface: 0,
            },
            false_times: 0,
        }
    }

    /// Hands on what waited.
    fn hand_on(&mut self, packet: Owned) -> Next<'_> {
        self.now = Some(packet.time);
        self.out = packet;
        Next::Packet(self.out.packet())
    }

    fn next_of_those_that_wait(&mut self) -> Result<Next<'_>, CaptureError> {
        if let Some(packet) = self.following.take() {
            if !leaps(self.now, packet.time) {
                return Ok(self.hand_on(packet));
            }
            self.doubtful = Some(packet);
        }
        let Some(mut waits) = self.doubtful.take() else {
            return Ok(Next::Idle);
        };
        match self.source.next()? {
            Next::Packet(after) => {
                self.following = Some(Owned::of(&after));
                let after = after.time;
                waits.time = self.judge(waits.time, after);
                Ok(self.hand_on(waits))
            }
            Next::Idle => {
                self.doubtful = Some(waits);
                Ok(Next::Idle)
            }
            // Nothing contradicts the last packet.
            Next::End => Ok(self.hand_on(waits)),
        }
    }

    /// The time of a packet that leapt, now that the time of the one after it is known.
    fn judge(&mut self, time: Timestamp, after: Timestamp) -> Timestamp {
        let goes_on = match self.now {
            Some(now) if time < now => after < time,
            Some(_) => after > time,
            None => false,
        };
        if is_near(time, after) || goes_on {
            return time;
        }
        match self.now {
            // A pause, however long, before the very first packets is none.
            None if time < after => time,
            None => {
                self.false_times += 1;
                after
            }
            Some(now) => {
                self.false_times += 1;
                now
            }
        }
    }
}

impl PacketSource for Steady<'_> {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        if self.following.is_some() || self.doubtful.is_some() {
            return self.next_of_those_that_wait();
        }
        // Handed on as it came: every packet passes here.
        let next = self.source.next();
        if let Ok(Next::Packet(packet)) = &next {
            if leaps(self.now, packet.time) {
                self.doubtful = Some(Owned::of(packet));
                // The caller asks again.
                return Ok(Next::Idle);
            }
            self.now = Some(packet.time);
        }
        next
    }

    fn stats(&mut self) -> CaptureStats {
        let mut stats = self.source.stats();
        if self.false_times > 0 {
            let packets = if self.false_times == 1 {
                "1 packet has a time".to_owned()
            } else {
                format!("{} packets have times", self.false_times)
            };
            stats.warn(format!(
                "{packets} more than a minute from those before and after: taken to be of the time of the packet before"
            ));
        }
        stats
    }

    fn utc_correction(&self) -> i64 {
        self.source.utc_correction()
    }
}

/// Whether a packet of this time leaps. The very first one does too: it may be the false one.
fn leaps(now: Option<Timestamp>, time: Timestamp) -> bool {
    now.is_none_or(|now| !is_near(now, time))
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    one.as_micros().abs_diff(other.as_micros()) <= LEAP_MICROS.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Packets of these times; each says its place in its only byte.
    struct Times {
        micros: Vec<i64>,
        next: usize,
        byte: [u8; 1],
    }

    impl PacketSource for Times {
        fn next(&mut self) -> Result<Next<'_>, CaptureError> {
            let Some(time) = self.micros.get(self.next) else {
                return Ok(Next::End);
            };
            self.byte = [self.next as u8];
            self.next += 1;
            Ok(Next::Packet(Packet {
                time: Timestamp::from_micros(*time),
                link: LinkType::RawIp,
                data: &self.byte,
                wire_len: 1,
                interface: 0,
            }))
        }

        fn stats(&mut self) -> CaptureStats {
            CaptureStats::default()
        }
    }

    /// The times that packets of these times are given, and how many of them were false.
    fn steadied(times: &[i64]) -> (Vec<i64>, u64) {
        let mut source = Times {
            micros: times.to_vec(),
            next: 0,
            byte: [0],
        };
        let mut steady = Steady::new(&mut source);
        let mut given = Vec::new();
        // The first packet, and every leap, takes one call more.
        for _ in 0..=3 * times.len() {
            if let Next::Packet(packet) = steady.next().unwrap() {
                assert_eq!(packet.data, [given.len() as u8], "in their order");
                given.push(packet.time.as_micros());
            }
        }
        assert_eq!(steady.next().unwrap(), Next::End);
        let warned = steady.stats().warnings.len();
        assert_eq!(warned, usize::from(steady.false_times > 0));
        (given, steady.false_times)
    }

    fn unchanged(times: &[i64]) {
        assert_eq!(steadied(times), (times.to_vec(), 0));
    }

    #[test]
    fn ordinary_times_stay() {
        unchanged(&[]);
        unchanged(&[5]);
        unchanged(&[5, 9, 7, 7, 30 * MINUTE / 60, 11]);
    }

    #[test]
    fn a_pause_is_behind_the_next_packet_too() {
        unchanged(&[0, 1, 600 * MINUTE, 600 * MINUTE + 1]);
        // Even where every packet comes after a pause.
        unchanged(&[0, 2 * MINUTE, 4 * MINUTE, 600 * MINUTE]);
        unchanged(&[0, 1, 600 * MINUTE]);
    }

    #[test]
    fn a_time_years_ahead_is_false() {
        let years = 3_000_000 * MINUTE;
        assert_eq!(steadied(&[0, 5, years, 6, 7]), (vec![0, 5, 5, 6, 7], 1));
        assert_eq!(steadied(&[years, 6, 7]), (vec![6, 6, 7], 1));
        // Before a true pause, and within one.
        let pause = 60 * MINUTE;
        assert_eq!(
            steadied(&[0, years, pause, pause + 1]),
            (vec![0, 0, pause, pause + 1], 1)
        );
        assert_eq!(
            steadied(&[0, pause, years, pause + 1]),
            (vec![0, pause, pause, pause + 1], 1)
        );
    }

    #[test]
    fn a_time_years_ago_is_false_and_a_clock_set_back_is_not() {
        let now = 1_000 * MINUTE;
        assert_eq!(
            steadied(&[now, now + 1, 0, now + 2]),
            (vec![now, now + 1, now + 1, now + 2], 1)
        );
        unchanged(&[now, now + 1, 0, 1, 2]);
    }

    #[test]
    fn no_time_is_too_odd() {
        steadied(&[i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN, i64::MIN]);
    }
}
