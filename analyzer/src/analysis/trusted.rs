//! Peers whose word on the client's address is taken.

use std::{net::IpAddr, str::FromStr};

/// Peers whose `X-Forwarded-For` and like headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedPeers {
    /// Loopback, private, link-local and shared (RFC 6598) addresses: where proxies stand.
    PrivateAndLoopback,
    /// These networks; none of them: nobody.
    Networks(Vec<Network>),
    /// Everybody: the first address of a header is the client, whoever wrote it.
    Any,
}

impl TrustedPeers {
    /// Whether this peer is believed.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
            Self::Any => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(peer)),
            Self::PrivateAndLoopback => match peer {
                IpAddr::V4(v4) => {
                    let [a, b, ..] = v4.octets();
                    let shared = a == 100 && b & 0xC0 == 64;
                    v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared
                }
                IpAddr::V6(v6) => {
                    v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
                }
            },
        }
    }
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// One of them.
    pub address: IpAddr,
    /// How many leading bits they share: at most 32 or 128; more is the address alone.
    pub prefix: u8,
}

impl Network {
    fn contains(self, other: IpAddr) -> bool {
        let (a, b, width) = match (self.address.to_canonical(), other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let free = u32::saturating_sub(width, self.prefix.into());
        let same: u128 = a ^ b;
        same.checked_shr(free).unwrap_or(0) == 0
    }
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// What stands before the slash is no address.
    #[error("{0:?} is no IP address: write 10.0.0.0/8, 2001:db8::/32 or one address")]
    Address(String),
    /// What stands behind it is no length of a prefix.
    #[error("{prefix:?} is no prefix length: write a number from 0 to {most}")]
    Prefix {
        /// As written.
        prefix: String,
        /// The width of such an address in bits.
        most: u8,
    },
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `ADDRESS/PREFIX`, or an address alone.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .trim()
            .parse()
            .map_err(|_| NetworkError::Address(address.to_owned()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => {
                let length = prefix.trim().parse().ok().filter(|length| *length <= most);
                length.ok_or_else(|| NetworkError::Prefix {
                    prefix: prefix.to_owned(),
                    most,
                })?
            }
        };
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_stand_on_private_addresses() {
        let trusted = TrustedPeers::PrivateAndLoopback;
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(trusted.contains(peer.parse().unwrap()), expected, "{peer}");
        }
        assert!(TrustedPeers::Any.contains("8.8.8.8".parse().unwrap()));
        assert!(!TrustedPeers::Networks(Vec::new()).contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn networks_compare_their_prefix() {
        for (network, peer, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1", "2001:db8::1", true),
        ] {
            let trusted = TrustedPeers::Networks(vec![network.parse().unwrap()]);
            let peer = peer.parse().unwrap();
            assert_eq!(trusted.contains(peer), expected, "{network} {peer}");
        }
        let narrow = Network {
            address: "10.0.0.1".parse().unwrap(),
            prefix: 200,
        };
        assert!(!narrow.contains("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_remedy() {
        for (text, part) in [
            ("", "no IP address"),
            ("proxy", "no IP address"),
            ("10.0.0/8", "no IP address"),
            ("10.0.0.0/33", "0 to 32"),
            ("10.0.0.0/", "0 to 32"),
            ("10.0.0.0/255.0.0.0", "0 to 32"),
            ("::/129", "0 to 128"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
