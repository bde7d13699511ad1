//! What the operator chose for the analysis.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{MAX_HELD, STORED_HEAD, STORED_TAIL};
use crate::dialect::STALL_THRESHOLD;

/// The settings of the analysis.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether bodies are kept for storage.
    pub bodies: KeepBodies,
    /// Bytes of a body's beginning that are stored. Default [`STORED_HEAD`].
    pub stored_head: usize,
    /// Bytes of a longer body's end that are stored. Default [`STORED_TAIL`].
    pub stored_tail: usize,
    /// Bytes that the exchanges in flight of one analyzer may hold. Default [`MAX_HELD`].
    pub max_held: usize,
    /// A gap between content events above this many microseconds is a stall.
    pub stall_threshold: i64,
    /// The header that names the model where neither body nor path does.
    pub model_header: Option<String>,
    /// The header that names the user where the body does not.
    pub user_header: Option<String>,
    /// Whose word on the client's address is taken.
    pub trusted: TrustedPeers,
    /// The key under which API keys are hashed; without one they leave no trace.
    pub hash_key: Option<HashKey>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bodies: KeepBodies::No,
            stored_head: STORED_HEAD,
            stored_tail: STORED_TAIL,
            max_held: MAX_HELD,
            stall_threshold: STALL_THRESHOLD,
            model_header: Some("X-Model".to_owned()),
            user_header: None,
            trusted: TrustedPeers::PrivateAndLoopback,
            hash_key: None,
        }
    }
}

/// Whether bodies are kept for storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepBodies {
    /// The head and the tail of each.
    Yes,
    /// None of them.
    No,
}

/// Peers whose `X-Forwarded-For` and like headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedPeers {
    /// Loopback, private, link-local and shared (RFC 6598) addresses: where proxies stand.
    PrivateAndLoopback,
    /// These networks.
    Networks(Vec<Network>),
}

impl TrustedPeers {
    /// Whether this peer is believed.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
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

/// The secret under which API keys are hashed, so that the hashes say who is who and not what the key is.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// From secret bytes: 32 random ones are best.
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes keys of any length (RFC 2104 §2); should it ever refuse, the hash of no key
        // would be shared by all: an empty key is then as good as any.
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap_or_else(|_| {
            <Hmac<Sha256> as KeyInit>::new(&hmac::digest::Key::<Hmac<Sha256>>::default())
        });
        Self(mac)
    }

    /// The first 16 bytes of HMAC-SHA256 over the credential, in hexadecimal.
    pub fn hash(&self, credential: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(credential.as_bytes());
        let hash = mac.finalize().into_bytes();
        hex(hash.iter().take(16))
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    use std::fmt::Write as _;
    bytes.fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    }

    #[test]
    fn networks_compare_their_prefix() {
        for (network, prefix, peer, expected) in [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.1", false),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 200, "10.0.0.2", false),
            ("0.0.0.0", 0, "8.8.8.8", true),
            ("0.0.0.0", 0, "::1", false),
            ("::", 0, "2001:db8::1", true),
            ("2001:db8::", 32, "2001:db8:1::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
        ] {
            let trusted = TrustedPeers::Networks(vec![Network {
                address: network.parse().unwrap(),
                prefix,
            }]);
            assert_eq!(
                trusted.contains(peer.parse().unwrap()),
                expected,
                "{network}/{prefix} {peer}"
            );
        }
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let key = HashKey::new(b"Jefe");
        assert_eq!(
            key.hash("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c7"
        );
        assert_eq!(format!("{key:?}"), "HashKey(secret)");
    }
}
