//! A file of the binary's, and how it is served.

use std::{fmt::Write as _, io::Write as _, sync::OnceLock};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::with_headers;

/// Hexadecimal digits of an `ETag`: 64 bits tell the versions of one file apart.
const TAG_BYTES: usize = 8;

/// Text of the binary's with its media type.
pub(super) struct Asset {
    kind: &'static str,
    pub(super) text: &'static str,
    /// Made when it is first asked for: the `ETag`, and the text compressed.
    made: OnceLock<(String, Vec<u8>)>,
}

impl Asset {
    pub(super) const fn html(text: &'static str) -> Self {
        Self::new("text/html; charset=utf-8", text)
    }

    pub(super) const fn css(text: &'static str) -> Self {
        Self::new("text/css; charset=utf-8", text)
    }

    pub(super) const fn script(text: &'static str) -> Self {
        Self::new("text/javascript; charset=utf-8", text)
    }

    const fn new(kind: &'static str, text: &'static str) -> Self {
        Self {
            kind,
            text,
            made: OnceLock::new(),
        }
    }

    /// The whole of it, compressed where the asker takes that, or nothing where the asker has it.
    pub(super) fn answer(&'static self, asked: &HeaderMap) -> Response {
        let (tag, compressed) = self.made.get_or_init(|| (tag(self.text), gzip(self.text)));
        let tag_header = (header::ETAG, tag.clone());
        if has(asked, tag) {
            return with_headers((StatusCode::NOT_MODIFIED, [tag_header]));
        }
        let kind = (header::CONTENT_TYPE, self.kind.to_owned());
        if takes_gzip(asked) && !compressed.is_empty() {
            let coding = (header::CONTENT_ENCODING, "gzip".to_owned());
            let body = compressed.as_slice();
            return with_headers(([tag_header, kind, coding], body).into_response());
        }
        with_headers(([tag_header, kind], self.text).into_response())
    }
}

fn tag(text: &str) -> String {
    let digest = Sha256::digest(text);
    let mut digits = String::new();
    for byte in digest.iter().take(TAG_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    // Weak: it stands for both codings (RFC 9110 §8.8.1).
    format!("W/\"{digits}\"")
}

/// Empty where it cannot be made, which does not happen in memory.
fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes());
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Whether one of the tags that were sent is this one (RFC 9110 §13.1.2).
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let sent = asked.get_all(header::IF_NONE_MATCH).iter();
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    sent.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|sent| sent.trim() == "*" || opaque(sent) == opaque(tag))
}

/// Whether gzip is among what is taken, and not refused (RFC 9110 §12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let sent = asked.get_all(header::ACCEPT_ENCODING).iter();
    sent.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asking(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn it_is_compressed_for_those_who_take_that() {
        static ASSET: Asset = Asset::css("a {}");
        for (accepted, compressed) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity", false),
        ] {
            let answer = ASSET.answer(&asking(header::ACCEPT_ENCODING, accepted));
            let coding = answer.headers().get(header::CONTENT_ENCODING);
            assert_eq!(coding.is_some(), compressed, "{accepted}");
        }
    }

    #[test]
    fn it_is_not_sent_to_those_who_have_it() {
        static ASSET: Asset = Asset::css("a {}");
        let tag = tag("a {}");
        let headers = HeaderMap::from_iter([(
            header::IF_NONE_MATCH,
            HeaderValue::from_str(&format!("\"x\", {tag}")).unwrap(),
        )]);
        assert_eq!(ASSET.answer(&headers).status(), StatusCode::NOT_MODIFIED);
        let other = asking(header::IF_NONE_MATCH, "W/\"0000000000000000\"");
        assert_eq!(ASSET.answer(&other).status(), StatusCode::OK);
        assert_eq!(ASSET.answer(&HeaderMap::new()).status(), StatusCode::OK);
    }
}
