//! Headers that the operator names: which one holds the model or the user, and which are kept as labels.

use std::{borrow::Cow, str::FromStr};

/// Bytes of a header's name that is asked for: no real one is longer.
const MAX_NAME: usize = 128;

/// Bytes of a label's name.
const MAX_LABEL: usize = 64;

/// Headers that hold credentials: they are hashed or dropped, and never kept, whoever asks for it.
const CREDENTIALS: [&str; 16] = [
    "authorization",
    "proxy-authorization",
    "x-authorization",
    "x-forwarded-authorization",
    "cookie",
    "set-cookie",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-amz-security-token",
    "x-vault-token",
    "x-forwarded-access-token",
];

/// The name of a header that may be kept (RFC 9110 §5.1); never one that holds credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(Cow<'static, str>);

impl HeaderName {
    /// `X-Model`, by which routes of the old set-up chose the model.
    pub const MODEL: Self = Self(Cow::Borrowed("X-Model"));

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a header or a label is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is no name of a header.
    #[error(
        "{0:?} is no header name: it has letters, digits and hyphens, and at most {MAX_NAME} of them"
    )]
    Name(String),
    /// It holds credentials.
    #[error(
        "the header {0} holds credentials, which are never kept; calls have a keyed hash of them"
    )]
    Credential(String),
    /// It is no name of a label.
    #[error(
        "{0:?} is no label name: it begins with a letter, goes on with letters, digits and \
         underscores, and has at most {MAX_LABEL} of them"
    )]
    Label(String),
    /// There is no header to it.
    #[error("{0:?} names no header: write NAME=HEADER, such as team=x-team")]
    NoHeader(String),
}

impl FromStr for HeaderName {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let name = text.trim();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(token) {
            return Err(HeaderError::Name(text.to_owned()));
        }
        if CREDENTIALS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        {
            return Err(HeaderError::Credential(name.to_owned()));
        }
        Ok(Self(Cow::Owned(name.to_owned())))
    }
}

/// A header whose value is kept, and the name under which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    name: String,
    header: HeaderName,
}

impl Label {
    /// The name of the label: fit for a column, a JSON key and a Prometheus label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header that holds its value.
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }
}

impl FromStr for Label {
    type Err = HeaderError;

    /// Reads `NAME=HEADER`.
    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, header) = text
            .split_once('=')
            .ok_or_else(|| HeaderError::NoHeader(text.to_owned()))?;
        let name = name.trim();
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let goes_on = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !starts || !goes_on || name.len() > MAX_LABEL {
            return Err(HeaderError::Label(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            header: header.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_and_headers_are_checked() {
        let label: Label = "team = X-Team".parse().unwrap();
        assert_eq!((label.name(), label.header().as_str()), ("team", "X-Team"));
        for (text, part) in [
            ("team", "names no header"),
            ("=x-team", "no label name"),
            ("1st=x-team", "no label name"),
            ("_a=x-team", "no label name"),
            ("a-b=x-team", "no label name"),
            ("team=", "no header name"),
            ("team=x team", "no header name"),
            ("team=x:team", "no header name"),
            ("key=Authorization", "never kept"),
            ("key=x-API-key", "never kept"),
            ("c=cookie", "never kept"),
        ] {
            let error = text.parse::<Label>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let long = format!("{}=x", "a".repeat(65));
        assert!(long.parse::<Label>().is_err());
        assert!("x".repeat(129).parse::<HeaderName>().is_err());
        assert_eq!(
            HeaderName::MODEL.as_str().parse::<HeaderName>(),
            Ok(HeaderName::MODEL)
        );
    }
}
