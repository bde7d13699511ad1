//! The client's address, as proxies hand it on.

use std::net::{IpAddr, SocketAddr};

use super::trusted::TrustedPeers;
use crate::exchange::Headers;

/// Addresses of one header that are looked at, from the end: no request passes more proxies, and a
/// head of 64 KB could name thousands.
const MAX_HOPS: usize = 64;

/// The client as the trusted proxies name it, by `X-Forwarded-For`; else by `X-Real-Ip`; else by the
/// `for=` of `Forwarded` (RFC 7239). The caller has seen that the peer is trusted itself.
pub(super) fn client(headers: &Headers, trusted: &TrustedPeers) -> Option<IpAddr> {
    let x_forwarded_for = headers.get_all("x-forwarded-for").flat_map(|value| {
        let hops = value.split(',').map(str::trim);
        hops.filter(|hop| !hop.is_empty()).map(address)
    });
    let forwarded = headers.get_all("forwarded").flat_map(elements).map(|e| {
        let mut pairs = parameters(e);
        let node =
            pairs.find_map(|(name, value)| name.eq_ignore_ascii_case("for").then_some(value));
        node.as_deref().and_then(address)
    });
    believed(x_forwarded_for.collect(), trusted)
        .or_else(|| headers.get_all("x-real-ip").find_map(address))
        .or_else(|| believed(forwarded.collect(), trusted))
}

/// Each proxy adds at the end whom it saw, so the chain is read from there, as long as it names trusted
/// proxies: the first one that is none is the client, and what stands before it is what it says
/// of itself. Where a hop is `unknown`, hidden (`_name`) or no address, nothing before it can be
/// believed either, and the client is the last one that was: the farthest that the proxies vouch for.
fn believed(hops: Vec<Option<IpAddr>>, trusted: &TrustedPeers) -> Option<IpAddr> {
    let mut farthest = None;
    for hop in hops.into_iter().rev().take(MAX_HOPS) {
        let Some(address) = hop else { break };
        farthest = Some(address);
        if !trusted.contains(address) {
            break;
        }
    }
    farthest
}

/// An address, with or without a port, brackets or a zone.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _port)) => inner,
        None => text,
    };
    let unzoned = bare.split_once('%').map_or(bare, |(address, _)| address);
    unzoned
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        // A port that is hidden, as RFC 7239 §6.2 allows: `192.0.2.4:_proxy`.
        .or_else(|_| text.split(':').next().unwrap_or_default().parse())
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The elements of a `Forwarded` value: commas within quotes separate nothing (RFC 7239 §4).
fn elements(value: &str) -> impl Iterator<Item = &str> {
    unquoted_split(value, ',').filter(|element| !element.trim().is_empty())
}

/// The parameters of an element, the quotes of their values resolved.
fn parameters(element: &str) -> impl Iterator<Item = (&str, String)> {
    unquoted_split(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), unquote(value.trim())))
    })
}

fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut state = (false, false);
    text.split(move |c: char| {
        let (quoted, escaped) = state;
        state = match c {
            _ if escaped => (quoted, false),
            '\\' if quoted => (quoted, true),
            '"' => (!quoted, false),
            _ => (quoted, false),
        };
        c == separator && !quoted
    })
}

/// A token as it is, or a quoted-string's text (RFC 9110 §5.6.4).
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], trusted: &TrustedPeers) -> Option<String> {
        let headers: Headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        client(&headers, trusted).map(|address| address.to_string())
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
            // Nothing before an unknown hop can be believed.
            (
                &[("X-Forwarded-For", "203.0.113.9, unknown, 10.0.0.2")],
                Some("10.0.0.2"),
            ),
            (
                &[("X-Forwarded-For", "[2001:db8::1]:80")],
                Some("2001:db8::1"),
            ),
            (&[("x-forwarded-for", "[2001:db8::1]")], Some("2001:db8::1")),
            (&[("x-forwarded-for", "fe80::1%eth0")], Some("fe80::1")),
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
                &[("X-Forwarded-For", " , "), ("X-Real-Ip", "203.0.113.8")],
                Some("203.0.113.8"),
            ),
            (
                &[("X-Forwarded-For", "unknown"), ("X-Real-Ip", "203.0.113.8")],
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
            (
                &[("Forwarded", "for=192.0.2.43, for=\"10.0.0.3:_hidden\"")],
                Some("192.0.2.43"),
            ),
            (
                &[("Forwarded", "for=192.0.2.43;host=\"a,for=1.2.3.4;x\\\"\"")],
                Some("192.0.2.43"),
            ),
            (
                &[("Forwarded", "for=192.0.2.43, for=unknown, for=10.0.0.3")],
                Some("10.0.0.3"),
            ),
            // An element that names no client hides whom that proxy saw.
            (
                &[("Forwarded", "for=192.0.2.43, proto=https, for=10.0.0.3")],
                Some("10.0.0.3"),
            ),
            (&[("Forwarded", "for=_secret")], None),
            (&[("Forwarded", "for=\"")], None),
            (&[], None),
        ] {
            let client = of(headers, &TrustedPeers::PrivateAndLoopback);
            assert_eq!(client.as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn where_everybody_is_trusted_the_first_one_is_the_client() {
        let headers = [("X-Forwarded-For", "198.51.100.1, 203.0.113.7, 10.0.0.2")];
        let any = of(&headers, &TrustedPeers::Any);
        assert_eq!(any.as_deref(), Some("198.51.100.1"));
        let one = TrustedPeers::Networks(vec!["203.0.113.7".parse().unwrap()]);
        assert_eq!(of(&headers, &one).as_deref(), Some("10.0.0.2"));
    }

    #[test]
    fn a_chain_without_end_is_read_for_so_many_hops() {
        let chain = format!("203.0.113.7{}", ", 10.0.0.1".repeat(20_000));
        let client = of(
            &[("X-Forwarded-For", &chain)],
            &TrustedPeers::PrivateAndLoopback,
        );
        assert_eq!(client.as_deref(), Some("10.0.0.1"));
    }
}
