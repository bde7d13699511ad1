//! Which of the legs with one body is the inner one of another, and whether to wait for it.

use super::{
    ABORT_GRACE, Claimed, Known, State, TOLERANCE,
    leg::{Answers, Close, Leg, Tie},
};
use crate::{exchange::Ending, time::Timestamp};

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
    /// Until this packet time at the latest.
    Until(Timestamp),
}

/// How long the ended leg at this place waits.
pub(super) fn patience<T>(alike: &[Known<T>], outer: usize) -> Patience {
    let Some((known, close)) = ended(alike, outer) else {
        return Patience::Done;
    };
    let left = close.left();
    let awaited = alike
        .iter()
        .any(|inner| matches!(inner.state, State::Open) && may_hold(known, close, inner));
    let best = || fitting(alike, outer).map(|(rank, ..)| rank).min();
    match (awaited, left) {
        (true, true) if best() != Some(Rank::SameAnswer) => {
            Patience::Until(close.time.plus_micros(ABORT_GRACE))
        }
        (false, false) => Patience::Done,
        (false, true) if best().is_some() => Patience::Done,
        _ => Patience::Until(close.time.plus_micros(TOLERANCE)),
    }
}

/// The place of the leg that the ended one at this place is the outer one of, if there is one.
pub(super) fn best<T>(alike: &[Known<T>], outer: usize) -> Option<usize> {
    let (rank, .., inner) = fitting(alike, outer).min()?;
    let sound = rank != Rank::Doubtful || is_only_claimant(alike, outer, inner);
    sound.then_some(inner)
}

/// The legs that may be the inner one: how well they fit, how loosely they lie inside, and their places.
/// Their minimum is the best.
fn fitting<T>(
    alike: &[Known<T>],
    outer: usize,
) -> impl Iterator<Item = (Rank, i64, std::cmp::Reverse<Timestamp>, usize)> {
    let of = ended(alike, outer);
    let places = alike.iter().enumerate();
    places.filter_map(move |(place, inner)| {
        let (known, close) = of?;
        if inner.claimed == Claimed::Yes || leads_to(alike, place, outer) {
            return None;
        }
        let rank = rank(known, close, inner)?;
        let slack = slack(&known.leg, close, inner);
        Some((rank, slack, std::cmp::Reverse(inner.leg.start), place))
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
        Answers::Silent => (close.is_like(end) || shown).then_some(Rank::Doubtful),
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
