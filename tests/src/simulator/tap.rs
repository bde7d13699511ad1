//! A tap that damages what it captures, by a seed.

use std::collections::BTreeMap;

use super::frame::Frame;
use crate::traffic::{From, Random};

/// Packets of a connection that a frame may be captured behind; llmtap waits for 64.
const PATIENCE_PACKETS: usize = 40;
/// Frames further apart than this, in microseconds, do not change places.
const PATIENCE_MICROS: u64 = 100_000;
/// The longest payload of a merged frame.
const MERGED: usize = 60_000;
/// Frames further apart than this, in microseconds, are not merged.
const MERGE_MICROS: u64 = 5_000;

/// Whether a kind of damage takes something away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Every octet is captured, in time.
    Whole,
    /// Some are not.
    Lossy,
}

/// Which frames may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Any.
    All,
    /// Those of one end.
    Of(From),
    /// Those without data and flags.
    Acks,
    /// Those with data.
    Data,
}

/// What a tap does. Rates are in a million frames.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// How many are lost, each by itself.
    pub lost: u64,
    /// How many begin a row of losses, and how long that is at most.
    pub burst: (u64, u64),
    /// Which may be lost.
    pub which: Which,
    /// How many come twice on one interface.
    pub doubled: u64,
    /// How many come again on another interface.
    pub mirrored: u64,
    /// How many are captured late, and by how many microseconds at most.
    pub late: (u64, u64),
    /// Microseconds by which all of one end's are late.
    pub skew: (Option<From>, u64),
    /// How many stand too far behind in the file, with their own times, and by how many places at most.
    pub displaced: (u64, u64),
    /// How many are merged with the one before.
    pub merged: u64,
    /// How many are split.
    pub split: u64,
    /// How much of a packet is captured.
    pub snaplen: Option<usize>,
    /// Whether it begins in the middle.
    pub joins: bool,
    /// Whether it ends in the middle.
    pub stops: bool,
}

/// What becomes of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    lost: bool,
    late: u64,
    displaced: usize,
    copies: Vec<(u64, u32)>,
    merged: bool,
    split: Option<usize>,
    cut: Option<usize>,
}

impl Fate {
    /// Captured as it was.
    pub const NONE: Self = Self {
        lost: false,
        late: 0,
        displaced: 0,
        copies: Vec::new(),
        merged: false,
        split: None,
        cut: None,
    };
}

/// A kind of damage, for the table.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Whether it takes something away.
    pub nature: Nature,
    /// What it does.
    pub tap: Tap,
}

const CLEAN: Tap = Tap {
    lost: 0,
    burst: (0, 0),
    which: Which::All,
    doubled: 0,
    mirrored: 0,
    late: (0, 0),
    skew: (None, 0),
    displaced: (0, 0),
    merged: 0,
    split: 0,
    snaplen: None,
    joins: false,
    stops: false,
};

/// Much of what takes nothing away.
const DISORDER: Tap = Tap {
    doubled: 30_000,
    mirrored: 30_000,
    late: (200_000, 5_000),
    displaced: (50_000, 8),
    merged: 200_000,
    split: 50_000,
    ..CLEAN
};

const fn whole(name: &'static str, tap: Tap) -> Kind {
    Kind {
        name,
        nature: Nature::Whole,
        tap,
    }
}

const fn lossy(name: &'static str, tap: Tap) -> Kind {
    Kind {
        name,
        nature: Nature::Lossy,
        tap,
    }
}

/// Every kind of damage that is looked at.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    whole("none", CLEAN),
    whole("late by up to 2 ms", Tap { late: (300_000, 2_000), ..CLEAN }),
    whole("late by up to 150 ms", Tap { late: (50_000, 150_000), ..CLEAN }),
    whole("answers 20 ms early", Tap { skew: (Some(From::Client), 20_000), ..CLEAN }),
    whole("requests 20 ms early", Tap { skew: (Some(From::Server), 20_000), ..CLEAN }),
    whole("displaced, times going backwards", Tap { displaced: (200_000, 12), ..CLEAN }),
    whole("doubled", Tap { doubled: 200_000, ..CLEAN }),
    whole("on two interfaces", Tap { mirrored: 1_000_000, ..CLEAN }),
    whole("merged", Tap { merged: 800_000, ..CLEAN }),
    whole("split", Tap { split: 500_000, ..CLEAN }),
    whole("disorder of all kinds", DISORDER),
    lossy("0.1 % lost", Tap { lost: 1_000, ..CLEAN }),
    lossy("1 % lost", Tap { lost: 10_000, ..CLEAN }),
    lossy("5 % lost", Tap { lost: 50_000, ..CLEAN }),
    lossy("20 % lost", Tap { lost: 200_000, ..CLEAN }),
    lossy("rows of up to 8 lost", Tap { burst: (10_000, 8), ..CLEAN }),
    lossy("rows of up to 50 lost", Tap { burst: (4_000, 50), ..CLEAN }),
    lossy("2 % of the data lost", Tap { lost: 20_000, which: Which::Data, ..CLEAN }),
    lossy("2 % of the client's lost", Tap { lost: 20_000, which: Which::Of(From::Client), ..CLEAN }),
    lossy("2 % of the server's lost", Tap { lost: 20_000, which: Which::Of(From::Server), ..CLEAN }),
    lossy("all of the client's lost", Tap { lost: 1_000_000, which: Which::Of(From::Client), ..CLEAN }),
    lossy("all of the server's lost", Tap { lost: 1_000_000, which: Which::Of(From::Server), ..CLEAN }),
    lossy("half of the ACKs lost", Tap { lost: 500_000, which: Which::Acks, ..CLEAN }),
    lossy("all ACKs lost", Tap { lost: 1_000_000, which: Which::Acks, ..CLEAN }),
    lossy("cut at 96 octets", Tap { snaplen: Some(96), ..CLEAN }),
    lossy("cut at 512 octets", Tap { snaplen: Some(512), ..CLEAN }),
    lossy("joined late", Tap { joins: true, ..CLEAN }),
    lossy("stopped early", Tap { stops: true, ..CLEAN }),
    lossy("1 % lost in disorder", Tap { lost: 10_000, ..DISORDER }),
    lossy("5 % lost in disorder", Tap { lost: 50_000, ..DISORDER }),
    lossy("joined late in disorder", Tap { joins: true, ..DISORDER }),
    lossy("all of it", Tap { lost: 10_000, burst: (1_000, 20), joins: true, stops: true, ..DISORDER }),
];

impl Tap {
    /// What becomes of each frame.
    pub fn fates(&self, frames: &[Frame], seed: u64) -> Vec<Fate> {
        let mut random = Random::new(seed);
        let mut row = 0;
        let count = frames.len() as u64;
        let first = if self.joins { random.below(count) } else { 0 };
        let last = if self.stops {
            count - random.below(count - first + 1)
        } else {
            count
        };
        let mut fates: Vec<Fate> = (0..count)
            .zip(frames)
            .map(|(index, frame)| {
                let mut fate = self.fate(frame, &mut random, &mut row);
                fate.lost |= index < first || index >= last;
                fate
            })
            .collect();
        limit(frames, &mut fates);
        fates
    }

    fn fate(&self, frame: &Frame, random: &mut Random, row: &mut u64) -> Fate {
        let mut fate = Fate::NONE;
        let may_go = match self.which {
            Which::All => true,
            Which::Of(from) => frame.from == from,
            Which::Acks => frame.is_bare_ack(),
            Which::Data => !frame.payload.is_empty(),
        };
        if random.happens(self.burst.0) {
            *row = 1 + random.below(self.burst.1);
        }
        fate.lost = may_go && (random.happens(self.lost) || *row > 0);
        *row = row.saturating_sub(1);
        if random.happens(self.doubled) {
            fate.copies.push((random.below(3_000), 0));
        }
        if random.happens(self.mirrored) {
            fate.copies.push((random.below(1_000), 1));
        }
        if random.happens(self.late.0) {
            fate.late = random.below(self.late.1);
        }
        if self.skew.0 == Some(frame.from) {
            fate.late += self.skew.1;
        }
        if random.happens(self.displaced.0) {
            fate.displaced = 1 + random.below(self.displaced.1) as usize;
        }
        fate.merged = random.happens(self.merged);
        if random.happens(self.split) && frame.payload.len() > 1 {
            fate.split = Some(1 + random.below(frame.payload.len() as u64 - 1) as usize);
        }
        fate.cut = self.snaplen;
        fate
    }
}

/// Keeps lateness within what llmtap waits for: what is later is lost, by the rule for holes.
fn limit(frames: &[Frame], fates: &mut [Fate]) {
    for index in 0..frames.len() {
        let Some((frame, fate)) = frames.get(index).zip(fates.get(index)) else {
            continue;
        };
        let until = frame.micros + fate.late;
        let behind = frames.iter().zip(&*fates).skip(index + 1);
        let overtaken: usize = behind
            .take_while(|(other, _)| other.micros <= until)
            .filter(|(other, _)| other.connection == frame.connection)
            .map(|(_, fate)| 1 + fate.copies.len())
            .sum();
        if overtaken > PATIENCE_PACKETS
            && let Some(fate) = fates.get_mut(index)
        {
            fate.late = 0;
        }
    }
}

/// What is captured of frames with these fates, in the order of the capture.
pub fn capture(frames: &[Frame], fates: &[Fate]) -> Vec<Frame> {
    let mut kept: Vec<(Frame, Fate)> = Vec::with_capacity(frames.len());
    // The last frame of each connection, which may be merged with.
    let mut lasts: BTreeMap<usize, usize> = BTreeMap::new();
    for (frame, fate) in frames.iter().zip(fates) {
        if fate.lost {
            continue;
        }
        let last = lasts
            .get(&frame.connection)
            .and_then(|at| kept.get_mut(*at));
        if fate.merged
            && let Some((last, _)) = last
            && may_merge(last, frame)
        {
            last.payload.extend_from_slice(&frame.payload);
            last.micros = frame.micros;
            last.ack = frame.ack;
            last.acknowledged = frame.acknowledged;
            last.signals.fin = frame.signals.fin;
            continue;
        }
        lasts.insert(frame.connection, kept.len());
        kept.push((frame.clone(), fate.clone()));
    }
    let mut captured: Vec<(Frame, usize)> = Vec::with_capacity(kept.len());
    for (frame, fate) in kept {
        let at = fate
            .split
            .filter(|at| *at < frame.payload.len() && !frame.junk);
        let mut parts = vec![frame];
        if let (Some(at), Some(first)) = (at, parts.first_mut()) {
            let mut second = first.clone();
            second.payload = first.payload.split_off(at);
            second.at += at as u64;
            second.seq = second.seq.wrapping_add(at as u32);
            second.id = second.id.wrapping_add(0x4000);
            first.signals.fin = false;
            parts.push(second);
        }
        for mut part in parts {
            part.cut = fate.cut;
            for (delay, interface) in &fate.copies {
                let mut copy = part.clone();
                copy.micros += fate.late + delay;
                copy.interface = *interface;
                captured.push((copy, 0));
            }
            part.micros += fate.late;
            captured.push((part, fate.displaced));
        }
    }
    captured.sort_by_key(|(frame, _)| frame.micros);
    displace(captured)
}

/// Moves frames back, each so many places, but not far in time.
fn displace(frames: Vec<(Frame, usize)>) -> Vec<Frame> {
    let places: Vec<usize> = (0..frames.len())
        .map(|place| {
            let mut near = frames.iter().skip(place);
            let Some((frame, displaced)) = near.next() else {
                return 2 * place;
            };
            let until = frame.micros + PATIENCE_MICROS;
            let near = near.take(*displaced);
            let moved = near.take_while(|(other, _)| other.micros <= until).count();
            2 * (place + moved) + usize::from(moved > 0)
        })
        .collect();
    let mut order: Vec<(usize, Frame)> = places
        .into_iter()
        .zip(frames)
        .map(|(place, (frame, _))| (place, frame))
        .collect();
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, frame)| frame).collect()
}

fn may_merge(last: &Frame, frame: &Frame) -> bool {
    let is_data = |frame: &Frame| {
        !frame.payload.is_empty() && !frame.junk && !frame.signals.syn && !frame.signals.rst
    };
    is_data(last)
        && is_data(frame)
        && last.from == frame.from
        && !last.signals.fin
        && last.at + last.payload.len() as u64 == frame.at
        && last.payload.len() + frame.payload.len() <= MERGED
        && frame.micros - last.micros <= MERGE_MICROS
}
