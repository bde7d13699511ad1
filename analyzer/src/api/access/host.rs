//! The names that llmtap is asked by.

use std::{net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, Uri, Version, header, uri::Authority};

use super::Denied;

/// A name that llmtap may be asked by, without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// It is no host's name.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no host: give a name or an address without scheme, port and path, such as tap.example.org"
)]
pub struct HostNameError(String);

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let error = || HostNameError(text.to_owned());
        let text = text.trim();
        // An address of IPv6 stands in brackets where it is asked for.
        let name = match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => text.trim_end_matches('.').to_ascii_lowercase(),
        };
        let authority: Authority = name.parse().map_err(|_| error())?;
        if authority.host() != name {
            return Err(error());
        }
        Ok(Self(name.into()))
    }
}

impl HostName {
    /// Whether an authority, with its port or without, is this name's.
    pub(super) fn is(&self, authority: &str) -> bool {
        name(authority).is_some_and(|name| name.eq_ignore_ascii_case(&self.0))
    }
}

/// Whether an authority is the loopback's.
pub(super) fn is_loopback(authority: &str) -> bool {
    let Some(name) = name(authority) else {
        return false;
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The host of an authority; a name's last dot is left out.
fn name(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    Some(host.strip_suffix('.').unwrap_or(host).to_owned())
}

/// Who is asked: the target's authority where it has one, else that of `Host` (RFC 9112 §3.2). HTTP/1.0 needs to
/// name nobody, and no browser speaks it.
pub(super) fn of<'r>(
    uri: &'r Uri,
    headers: &'r HeaderMap,
    version: Version,
) -> Result<Option<&'r str>, Denied> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| Denied::Host)?),
        (None, _) if version < Version::HTTP_11 => None,
        (None, _) | (Some(_), Some(_)) => return Err(Denied::NoHost),
    };
    Ok(uri.authority().map(Authority::as_str).or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_these_names() {
        for name in [
            "localhost",
            "LOCALHOST:9464",
            "localhost.",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:9464",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(name), "{name}");
        }
        for name in [
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example",
            "128.0.0.1",
            "0.0.0.0",
            "[::2]",
            "user@localhost",
            "localhost:80:80",
        ] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_was_allowed_is_known_with_any_port() {
        let name: HostName = "Tap.Example.org".parse().unwrap();
        assert!(name.is("tap.example.org:9464") && name.is("TAP.example.org."));
        assert!(!name.is("example.org") && !name.is("x.tap.example.org"));
        let address: HostName = "2001:db8::1".parse().unwrap();
        assert!(address.is("[2001:db8::1]:80"));
        for wrong in ["", "http://a", "a:80", "a/b", "u@a", "*"] {
            assert!(
                wrong.parse::<HostName>().is_err() || wrong == "*",
                "{wrong}"
            );
        }
    }
}
