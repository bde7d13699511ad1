//! Tokens: what is kept of them, and how one that comes is compared.

use std::fmt;

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The fewest characters of a token: fewer can be guessed.
const LENGTH_MIN: usize = 16;

/// The most: a request's head must hold it.
const LENGTH_MAX: usize = 4_096;

/// Tokens that are good at a time; a new one and the old one, while all that ask are told the new one.
const COUNT_MAX: usize = 16;

/// Tokens that are good. Their hashes alone are kept.
#[derive(Clone, Default)]
pub struct Tokens(Box<[[u8; 32]]>);

/// Why a file's text is not one of tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No line has one.
    #[error("it holds no token")]
    None,
    /// More than are compared.
    #[error("it holds more than {COUNT_MAX} tokens")]
    Many,
    /// Too short or too long.
    #[error("a token has {0} characters; it must have {LENGTH_MIN} to {LENGTH_MAX}")]
    Length(usize),
    /// Not what a header can carry.
    #[error("a token holds a character that is not a letter, a digit or one of -._~+/=")]
    Character,
}

impl Tokens {
    /// Reads a file's text: a token a line.
    ///
    /// # Errors
    /// Where there is none, or one that is not good.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let lines = text.lines().map(str::trim);
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return Err(TokenError::None);
        }
        if lines.len() > COUNT_MAX {
            return Err(TokenError::Many);
        }
        for line in &lines {
            // RFC 6750 §2.1.
            let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            if !line.bytes().all(good) {
                return Err(TokenError::Character);
            }
            if !(LENGTH_MIN..=LENGTH_MAX).contains(&line.len()) {
                return Err(TokenError::Length(line.len()));
            }
        }
        let hashes = lines.iter().map(|line| hash(line.as_bytes()));
        Ok(Self(hashes.collect()))
    }

    /// Whether this is one of them. Hashes are compared, all of them and each to its end, so that the time that it
    /// takes tells nothing of how much of a token was right.
    pub(super) fn know(&self, token: &[u8]) -> bool {
        let this = hash(token);
        let all = self.0.iter();
        all.fold(Choice::from(0), |known, hash| known | hash.ct_eq(&this))
            .into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of a request, which stands in its header alone: addresses are logged and kept in histories, and what a
/// browser sends by itself, it sends for any page.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        let tokens = Tokens::parse("\nfirst-token-0123456\r\n  second-token-0123456  \n").unwrap();
        assert!(tokens.know(b"first-token-0123456") && tokens.know(b"second-token-0123456"));
        assert!(!tokens.know(b"first-token-012345") && !tokens.know(b""));
        assert!(!Tokens::default().know(b""));
        assert_eq!(format!("{tokens:?}"), "2 tokens");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let error = |text: &str| Tokens::parse(text).unwrap_err();
        assert_eq!(error(" \n\n"), TokenError::None);
        assert_eq!(error("short"), TokenError::Length(5));
        assert_eq!(error(&"a".repeat(5_000)), TokenError::Length(5_000));
        assert_eq!(error("has a space within it"), TokenError::Character);
        assert_eq!(error(&"0123456789abcdef\n".repeat(17)), TokenError::Many);
    }
}
