//! Wrong tokens are slowed, address by address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Wrong tokens that an address may send at once: a person that mistypes, a program with an old one.
const BURST: u32 = 10;

/// How long until it may send another.
const EACH: Duration = Duration::from_secs(1);

/// Addresses that are remembered; past it, further ones share one place.
const ADDRESSES: usize = 1_024;

/// Who sent wrong tokens of late.
#[derive(Debug, Default)]
pub(in crate::api) struct Throttle(Mutex<HashMap<IpAddr, Debt>>);

/// When all that was sent is forgotten: each wrong token moves it on by [`EACH`].
#[derive(Clone, Copy, Debug)]
struct Debt(Instant);

impl Throttle {
    /// Whether a token from this address is looked at.
    pub(super) fn may_try(&self, peer: IpAddr, now: Instant) -> bool {
        let debts = self.lock();
        let place = place(&debts, peer);
        let debt = debts.get(&place).map_or(Duration::ZERO, |Debt(until)| {
            until.saturating_duration_since(now)
        });
        debt <= EACH * (BURST - 1)
    }

    /// A wrong token came.
    pub(super) fn failed(&self, peer: IpAddr, now: Instant) {
        let mut debts = self.lock();
        if debts.len() >= ADDRESSES {
            debts.retain(|_, Debt(until)| *until > now);
        }
        let place = place(&debts, peer);
        let Debt(until) = debts.entry(place).or_insert(Debt(now));
        *until = (*until).max(now) + EACH;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Debt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address's place: of IPv6 it is the network's, since a host has all addresses of it.
fn place(debts: &HashMap<IpAddr, Debt>, peer: IpAddr) -> IpAddr {
    let peer = match peer {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
        other => other,
    };
    if debts.len() < ADDRESSES || debts.contains_key(&peer) {
        peer
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn after_some_wrong_tokens_one_a_second_is_looked_at() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..BURST {
            assert!(throttle.may_try(peer(1), start));
            throttle.failed(peer(1), start);
        }
        assert!(!throttle.may_try(peer(1), start));
        assert!(throttle.may_try(peer(2), start), "another address");
        let later = start + EACH;
        assert!(throttle.may_try(peer(1), later));
        throttle.failed(peer(1), later);
        assert!(!throttle.may_try(peer(1), later));
        let forgotten = start + EACH * (BURST + 2);
        for _ in 0..BURST {
            assert!(throttle.may_try(peer(1), forgotten));
            throttle.failed(peer(1), forgotten);
        }
    }

    #[test]
    fn addresses_are_bounded_and_those_without_a_place_share_one() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..10_000 {
            throttle.failed(peer(number), start);
        }
        assert!(throttle.lock().len() <= ADDRESSES + 1);
        assert!(!throttle.may_try(peer(20_000), start));
        // Once some are forgotten, there is room again.
        let later = start + EACH * 20_000;
        throttle.failed(peer(20_000), later);
        assert_eq!(throttle.lock().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_has_one_place() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for host in 1..=u16::try_from(BURST).unwrap() {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host);
            throttle.failed(address.into(), start);
        }
        let there = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9);
        let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1);
        assert!(!throttle.may_try(there.into(), start));
        assert!(throttle.may_try(elsewhere.into(), start));
    }
}
