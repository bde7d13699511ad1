//! Whose call it is, by the request's head.

use std::net::{IpAddr, SocketAddr};

use super::settings::{Settings, TrustedPeers};
use crate::{
    dialect::{
        model_of_path, path_of,
        request::{MAX_MODEL, MAX_USER},
    },
    exchange::{Headers, RequestHead},
};

/// Bytes of a request target that are kept, for the exchange's row: what common servers accept at most.
pub(super) const MAX_TARGET: usize = 8_192;

/// Bytes of a path that are kept.
const MAX_PATH: usize = 2_048;

/// Bytes of a method that are kept.
const MAX_METHOD: usize = 32;

/// What a call needs of its request's head: never the head itself, which holds credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) client: Option<IpAddr>,
    pub(super) user: Option<String>,
    pub(super) key: Option<String>,
    /// The model, by the path or else by a header.
    pub(super) model: Option<String>,
}

impl Sender {
    pub(super) fn of(head: &RequestHead, peer: Option<SocketAddr>, settings: &Settings) -> Self {
        let headers = &head.headers;
        let path = path_of(&head.target);
        let named = |name: &Option<String>, cap| {
            let value = headers.get(name.as_deref()?)?.trim();
            (!value.is_empty()).then(|| cut(value, cap))
        };
        let trusted = peer.is_some_and(|peer| settings.trusted.contains(peer.ip()));
        Self {
            method: cut(&head.method, MAX_METHOD),
            path: cut(path, MAX_PATH),
            client: trusted
                .then(|| client(headers, &settings.trusted))
                .flatten(),
            user: named(&settings.user_header, MAX_USER),
            key: settings
                .hash_key
                .as_ref()
                .zip(credential(headers))
                .map(|(key, credential)| key.hash(credential)),
            model: model_of_path(path)
                .map(|model| cut(model, MAX_MODEL))
                .or_else(|| named(&settings.model_header, MAX_MODEL)),
        }
    }
}

/// The client as the trusted proxies name it, by `X-Forwarded-For`; else by `X-Real-Ip`; else by the
/// `for=` of `Forwarded` (RFC 7239).
fn client(headers: &Headers, trusted: &TrustedPeers) -> Option<IpAddr> {
    let forwarded_for = headers
        .get_all("x-forwarded-for")
        .flat_map(|value| value.split(','))
        .filter_map(address);
    let forwarded = headers
        .get_all("forwarded")
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .filter_map(|(_, value)| address(value.trim().trim_matches('"')));
    believed(forwarded_for, trusted)
        .or_else(|| headers.get_all("x-real-ip").find_map(address))
        .or_else(|| believed(forwarded, trusted))
}

/// Each proxy adds at the end whom it saw. So the last address is the peer's word, the one before it
/// that of the last, and so on: the client is the last one that is no trusted proxy itself, for what
/// stands before it is what it says of itself. Where all are trusted, the first proxy's word holds.
fn believed(addresses: impl Iterator<Item = IpAddr>, trusted: &TrustedPeers) -> Option<IpAddr> {
    let (first, last_stranger) = addresses.fold((None, None), |(first, stranger), address| {
        let is_stranger = !trusted.contains(address);
        (
            first.or(Some(address)),
            if is_stranger { Some(address) } else { stranger },
        )
    });
    last_stranger.or(first)
}

/// An address, with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| bare.unwrap_or_default().parse())
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The bearer token, or else the API key.
fn credential(headers: &Headers) -> Option<&str> {
    let bearer = headers.get("authorization").and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer
        .or_else(|| headers.get("api-key").map(str::trim))
        .or_else(|| headers.get("x-api-key").map(str::trim))
        .filter(|credential| !credential.is_empty())
}

pub(super) fn cut(text: &str, cap: usize) -> String {
    text.get(..text.floor_char_boundary(cap))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::settings::HashKey, exchange::Version, time::Timestamp};

    fn head(target: &str, headers: &[(&str, &str)]) -> RequestHead {
        RequestHead {
            method: "POST".to_owned(),
            target: target.to_owned(),
            version: Version::Http11,
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            first: Timestamp::default(),
            last: Timestamp::default(),
        }
    }

    fn sender(peer: &str, target: &str, headers: &[(&str, &str)]) -> Sender {
        let settings = Settings {
            hash_key: Some(HashKey::new(b"secret")),
            user_header: Some("X-User".to_owned()),
            ..Settings::default()
        };
        Sender::of(
            &head(target, headers),
            Some(peer.parse().unwrap()),
            &settings,
        )
    }

    #[test]
    fn the_client_is_whom_the_first_trusted_proxy_saw() {
        for (headers, expected) in [
            (
                &[("X-Forwarded-For", "203.0.113.7, 10.0.0.2")][..],
                Some("203.0.113.7"),
            ),
            (
                &[("X-Forwarded-For", "unknown, 203.0.113.7:4711")],
                Some("203.0.113.7"),
            ),
            (
                &[("X-Forwarded-For", "[2001:db8::1]:80")],
                Some("2001:db8::1"),
            ),
            (&[("x-forwarded-for", "[2001:db8::1]")], Some("2001:db8::1")),
            (
                &[
                    ("X-Forwarded-For", "junk"),
                    ("X-Forwarded-For", "::ffff:1.2.3.4"),
                ],
                Some("1.2.3.4"),
            ),
            // What a client writes itself stands before whom the proxy saw.
            (
                &[("X-Forwarded-For", "198.51.100.1, 203.0.113.7")],
                Some("203.0.113.7"),
            ),
            (
                &[
                    ("X-Forwarded-For", "198.51.100.1, 203.0.113.7"),
                    ("X-Forwarded-For", "192.168.1.4"),
                ],
                Some("203.0.113.7"),
            ),
            // A client of the own network, through two proxies.
            (
                &[("X-Forwarded-For", "192.168.7.7, 10.0.0.2")],
                Some("192.168.7.7"),
            ),
            (&[("X-Real-Ip", "203.0.113.8")], Some("203.0.113.8")),
            (
                &[("X-Forwarded-For", ""), ("X-Real-Ip", "203.0.113.8")],
                Some("203.0.113.8"),
            ),
            (
                &[(
                    "Forwarded",
                    "for=_gazonk, For=\"[2001:db8:cafe::17]:4711\";proto=https",
                )],
                Some("2001:db8:cafe::17"),
            ),
            (
                &[("Forwarded", "proto=http;for=192.0.2.60;by=203.0.113.43")],
                Some("192.0.2.60"),
            ),
            (&[], None),
        ] {
            let client = sender("10.0.0.9:1", "/", headers).client;
            assert_eq!(client, expected.map(|a| a.parse().unwrap()), "{headers:?}");
        }
        let stranger = sender("8.8.8.8:1", "/", &[("X-Forwarded-For", "203.0.113.7")]);
        assert_eq!(stranger.client, None);
    }

    #[test]
    fn keys_are_hashed_and_alike_for_one_credential() {
        let hash = |headers: &[(&str, &str)]| sender("10.0.0.9:1", "/", headers).key;
        let bearer = hash(&[("Authorization", "Bearer sk-1")]);
        assert_eq!(bearer.as_ref().map(String::len), Some(32));
        assert_eq!(bearer, hash(&[("authorization", "bearer  sk-1 ")]));
        assert_eq!(bearer, hash(&[("api-key", "sk-1")]));
        assert_eq!(bearer, hash(&[("X-Api-Key", "sk-1")]));
        assert_ne!(bearer, hash(&[("api-key", "sk-2")]));
        assert_eq!(hash(&[("Authorization", "Basic dTpw")]), None);
        assert_eq!(hash(&[("Authorization", "Bearer ")]), None);
    }

    #[test]
    fn path_and_headers_name_model_and_user() {
        let path = "/openai/deployments/d1/chat/completions?api-version=1";
        let azure = sender("10.0.0.9:1", path, &[("X-Model", "h")]);
        assert_eq!(azure.path, "/openai/deployments/d1/chat/completions");
        assert_eq!(azure.model.as_deref(), Some("d1"));
        let plain = sender(
            "10.0.0.9:1",
            "/v1/completions",
            &[("x-model", " h "), ("X-User", "u")],
        );
        assert_eq!(plain.model.as_deref(), Some("h"));
        assert_eq!(plain.user.as_deref(), Some("u"));
    }
}
