//! Where a daemon's API is.

use std::{fmt, str::FromStr};

use hyper::{
    Uri,
    http::uri::{Authority, InvalidUri},
};

/// Its address, such as `http://127.0.0.1:9464`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// What the paths of its endpoints begin with, behind a proxy that has it in a folder; no slash behind.
    prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Why a text is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("{0}: write http://ADDRESS:PORT, or https:// where llmtap has a --tls-cert")]
    NotOne(#[from] InvalidUri),
    #[error("it names no host: write http://ADDRESS:PORT")]
    NoHost,
    #[error("llmtap is asked by http:// or https://")]
    Scheme,
    #[error("this llmtap was built without TLS: build it with the feature `tls`")]
    NoTls,
    #[error(
        "it has a user or a password in it, which llmtap does not take: name a token's file with --api-token-file"
    )]
    User,
}

impl Address {
    /// The host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, or the one that the scheme has.
    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// The target of a request for an endpoint.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The same place by the other scheme.
    #[cfg(feature = "tls")]
    pub(super) fn by(&self, scheme: Scheme) -> Self {
        Self {
            scheme,
            ..self.clone()
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        // Without a scheme, `127.0.0.1:9464/llmtap` would be none, and `localhost:9464` one of the scheme `localhost`.
        let whole = match text.split_once("://") {
            Some(_) => text.parse::<Uri>()?,
            None => format!("http://{text}").parse::<Uri>()?,
        };
        let scheme = match whole.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") if cfg!(feature = "tls") => Scheme::Https,
            Some("https") => return Err(AddressError::NoTls),
            _ => return Err(AddressError::Scheme),
        };
        let authority = whole.authority().cloned().ok_or(AddressError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::User);
        }
        if authority.host().is_empty() {
            return Err(AddressError::NoHost);
        }
        Ok(Self {
            scheme,
            authority,
            prefix: whole.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_leave_out_what_is_usual() {
        for (text, shown, host, port, target) in [
            (
                "localhost:9464",
                "http://localhost:9464",
                "localhost",
                9464,
                "/x",
            ),
            ("http://[::1]:9464/", "http://[::1]:9464", "::1", 9464, "/x"),
            (
                "http://tap.example",
                "http://tap.example",
                "tap.example",
                80,
                "/x",
            ),
            (
                "tap.example/llmtap/?q",
                "http://tap.example/llmtap",
                "tap.example",
                80,
                "/llmtap/x",
            ),
        ] {
            let address = address(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.target("/x"), target);
        }
        #[cfg(feature = "tls")]
        assert_eq!(address("https://tap.example").port(), 443);
    }

    #[test]
    fn what_is_none_is_refused_and_no_password_shown() {
        for (text, why) in [
            ("ftp://tap.example", "http:// or https://"),
            ("http://", "write http://ADDRESS:PORT"),
            ("", "write http://ADDRESS:PORT"),
            ("http://a b", "write http://ADDRESS:PORT"),
            ("http://me:s3cret@tap.example", "--api-token-file"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
