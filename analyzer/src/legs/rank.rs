//! Which of the legs with one body is the inner one of another, and whether to wait for it.

use std::cmp::Reverse;

use super::{
    ABORT_GRACE, Claimed, Known, State, TOLERANCE,
    leg::{Answers, Close, Leg, Tie},
};
use crate::{
    exchange::{Ending, ExchangeId},
    time::Timestamp,
};

/// How well an inner leg fits its outer one; the first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Both carried one answer.
    SameAnswer,
    /// No answer tells, but the addresses do, and both ended in one way.
    SameEnd,
    /// The relay rewrote the answer.
    Rewritten,
    /// It fits if no other leg can claim it.
    Doubtful,
}

/// How long a row waits for its inner leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all, or no longer.
    Done,
    /// Until the leg in flight that is watched has ended, or then another; at the latest until `due`,
    /// packet time.
    Until {
        due: Timestamp,
        watched: Option<ExchangeId>,
    },
}

/// How long the ended leg at this place waits.
pub(super) fn patience<T>(alike: &[Known<T>], outer: usize) -> Patience {
    let Some((known, close)) = ended(alike, outer) else {
        return Patience::Done;
    };
    let left = close.left();
    // The youngest: it is most likely to end last, so that the others' ends need no look.
    let awaited = alike.iter().rev().find(|inner| {
        matches!(inner.state, State::Open)
            && inner.claimed == Claimed::No
            && known.leg.tie(&inner.leg) != Tie::Backward
            && may_hold(known, close, inner)
    });
    let watched = awaited.map(|inner| inner.leg.id);
    let best = || fitting(alike, outer).map(|(rank, ..)| rank).min();
    let grace = match (watched, left) {
        (Some(_), true) if best() != Some(Rank::SameAnswer) => ABORT_GRACE,
        (None, false) => return Patience::Done,
        (None, true) if best().is_some() => return Patience::Done,
        _ => TOLERANCE,
    };
    Patience::Until {
        due: close.time.plus_micros(grace),
        watched,
    }
}

/// Whether the answers show that the second leg is the inner one of the first.
pub(super) fn is_same_answer<T>(outer: &Known<T>, inner: &Known<T>) -> bool {
    outer
        .close()
        .is_some_and(|close| rank(outer, close, inner) == Some(Rank::SameAnswer))
}

/// How long an ended leg waits that has found its inner one.
pub(super) fn soon<T>(known: &Known<T>) -> Timestamp {
    known
        .close()
        .map_or(known.leg.start, |close| close.time.plus_micros(TOLERANCE))
}

/// The place of the leg that the ended one at this place is the outer one of, if there is one.
pub(super) fn best<T>(alike: &[Known<T>], outer: usize) -> Option<usize> {
    let mut fitting: Vec<_> = fitting(alike, outer).collect();
    fitting.sort_unstable();
    let of_no_ring = |inner: &&Fit| !leads_to(alike, inner.3, outer);
    let (rank, .., inner) = *fitting.iter().find(of_no_ring)?;
    let sound = rank != Rank::Doubtful || is_only_claimant(alike, outer, inner);
    sound.then_some(inner)
}

/// A leg that may be the inner one: how well it fits, how loosely it lies inside, when it began (the last
/// first), and its place. The least is the best.
type Fit = (Rank, i64, Reverse<Timestamp>, usize);

/// The legs that may be the inner one.
fn fitting<T>(alike: &[Known<T>], outer: usize) -> impl Iterator<Item = Fit> {
    let of = ended(alike, outer);
    let places = alike.iter().enumerate();
    places.filter_map(move |(place, inner)| {
        let (known, close) = of?;
        if inner.claimed == Claimed::Yes {
            return None;
        }
        let rank = rank(known, close, inner)?;
        let slack = slack(&known.leg, close, inner);
        Some((rank, slack, Reverse(inner.leg.start), place))
    })
}

fn rank<T>(outer: &Known<T>, close: &Close, inner: &Known<T>) -> Option<Rank> {
    if !may_hold(outer, close, inner) {
        return None;
    }
    let tie = outer.leg.tie(&inner.leg);
    let shown = matches!(tie, Tie::Translated | Tie::Proxied);
    // An end that was not seen is none: when a silent connection is given up says nothing.
    let Some(end) = inner.close().filter(|end| end.ending != Ending::TimedOut) else {
        return shown.then_some(Rank::Doubtful);
    };
    match close.answers(end) {
        Answers::Same => Some(Rank::SameAnswer),
        Answers::Silent if close.is_like(end) && shown => Some(Rank::SameEnd),
        Answers::Silent => {
            let alike = close.is_like(end) && tie != Tie::Backward;
            (alike || shown).then_some(Rank::Doubtful)
        }
        Answers::Rewritten => (tie == Tie::Proxied).then_some(Rank::Rewritten),
        Answers::Opposed => (tie == Tie::Proxied).then_some(Rank::Doubtful),
    }
}

/// Whether addresses and times allow that `outer`, which ended, holds `inner`.
fn may_hold<T>(outer: &Known<T>, close: &Close, inner: &Known<T>) -> bool {
    let late = |time: Timestamp| time.micros_since(close.time);
    outer.leg.is_outside(&inner.leg, TOLERANCE)
        && outer.leg.tie(&inner.leg) != Tie::None
        && late(inner.leg.start) <= TOLERANCE
        && inner.close().is_none_or(|end| {
            let grace = if close.left() { ABORT_GRACE } else { TOLERANCE };
            end.ending == Ending::TimedOut || late(end.time) <= grace
        })
}

/// Whether no leg but `outer` whose row is not out can claim `inner`.
fn is_only_claimant<T>(alike: &[Known<T>], outer: usize, inner: usize) -> bool {
    let Some(claimed) = alike.get(inner) else {
        return false;
    };
    let others = alike.iter().enumerate();
    !others
        .filter(|(place, other)| *place != outer && *place != inner && other.is_unsettled())
        .any(|(_, other)| match other.close() {
            Some(close) => may_hold(other, close, claimed),
            None => {
                other.leg.is_outside(&claimed.leg, TOLERANCE)
                    && other.leg.tie(&claimed.leg) != Tie::None
            }
        })
}

/// Whether the chain of inner legs that begins at one place comes by another: a claim would close a
/// ring, and no row of the call would count.
fn leads_to<T>(alike: &[Known<T>], from: usize, to: usize) -> bool {
    let Some(target) = alike.get(to) else {
        return false;
    };
    // A ring can only close on a leg that is claimed already.
    if target.claimed == Claimed::No {
        return false;
    }
    let mut next = alike.get(from);
    // A chain has no ring, so it is no longer than there are legs.
    for _ in 0..alike.len() {
        let Some(known) = next else {
            // Forgotten: what came behind it is not known.
            return true;
        };
        if known.leg.id == target.leg.id {
            return true;
        }
        let Some(inner) = known.inner else {
            return false;
        };
        next = alike.iter().find(|known| known.leg.id == inner);
    }
    true
}

/// How loosely the inner leg lies in the outer one: microseconds before and after it.
fn slack<T>(outer: &Leg, close: &Close, inner: &Known<T>) -> i64 {
    let before = inner.leg.start.micros_since(outer.start).saturating_abs();
    let after = inner
        .close()
        .map_or(0, |end| close.time.micros_since(end.time).saturating_abs());
    before.saturating_add(after)
}

fn ended<T>(alike: &[Known<T>], place: usize) -> Option<(&Known<T>, &Close)> {
    let known = alike.get(place)?;
    Some((known, known.close()?))
}
