//! What the operator chose for the analysis.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    MAX_HELD,
    header_rules::{HeaderName, Label},
    stored::{STORED_HEAD, STORED_TAIL},
    trusted::TrustedPeers,
};
use crate::{cost::PriceTable, dialect::STALL_THRESHOLD, redact::Redactor};

/// The settings of the analysis.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What of the bodies is kept for storage.
    pub bodies: KeepBodies,
    /// Bytes of a body's beginning that are stored. Default [`STORED_HEAD`].
    pub stored_head: usize,
    /// Bytes of a longer body's end that are stored. Default [`STORED_TAIL`].
    pub stored_tail: usize,
    /// Bytes that the exchanges in flight of one analyzer may hold. Default [`MAX_HELD`].
    pub max_held: usize,
    /// Takes secrets out of all that leaves the analysis.
    pub redactor: Arc<Redactor>,
    /// What models cost, where the operator says.
    pub prices: Option<Arc<PriceTable>>,
    /// A gap between content events above this many microseconds is a stall.
    pub stall_threshold: i64,
    /// The header that names the model where neither body nor path does.
    pub model_header: Option<HeaderName>,
    /// The header that names the user where the body does not.
    pub user_header: Option<HeaderName>,
    /// Headers whose values are kept, each under a name.
    pub labels: Vec<Label>,
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
            redactor: Arc::default(),
            prices: None,
            stall_threshold: STALL_THRESHOLD,
            model_header: Some(HeaderName::MODEL),
            user_header: None,
            labels: Vec::new(),
            trusted: TrustedPeers::PrivateAndLoopback,
            hash_key: None,
        }
    }
}

/// What of the bodies is kept for storage. Secrets are taken out in any case, and so are images and
/// vectors, of which length and hash (or the number of numbers) stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepBodies {
    /// The head and the tail of each.
    Full,
    /// The same, without any other base64 or binary data.
    Text,
    /// None of them.
    No,
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
