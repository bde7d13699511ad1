//! Pages of other origins: none may ask, but those that were named (CORS).
//!
//! A browser sends `Origin` with all that could change something and with all whose answer a page wants to read.

use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

/// Where a page is from: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// It is no origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no origin: give scheme and host, and a port where it is another than the scheme's, such as https://board.example.org"
)]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = || OriginError(text.to_owned());
        let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| error())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(error());
        };
        let is_whole = text == format!("{scheme}://{authority}");
        if !is_whole || !matches!(scheme, "http" | "https") || text.contains(['@', '*']) {
            return Err(error());
        }
        let value = HeaderValue::from_str(&text).map_err(|_| error())?;
        Ok(Self(value))
    }
}

impl Origin {
    pub(super) fn is(&self, origin: &HeaderValue) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(origin.as_bytes())
    }
}

/// Whether an origin is that of llmtap's own page, as it was asked.
pub(super) fn is_of(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Whether a page asks what it may send.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What pages that were named may send.
pub(super) fn preflight() -> (StatusCode, [(header::HeaderName, &'static str); 3]) {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, last-event-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allowed)
}

/// Lets a page of a named origin read an answer; others are left to the browser, which does not let them.
pub(super) fn allow(named: &[Origin], this: Option<&Origin>, headers: &mut HeaderMap) {
    if named.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(Origin(origin)) = this {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let shown = HeaderValue::from_static("content-disposition, retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole_and_exact() {
        let origin: Origin = "https://Board.example.org".parse().unwrap();
        let is = |text: &'static str| origin.is(&HeaderValue::from_static(text));
        assert!(is("https://board.example.org"));
        assert!(!is("http://board.example.org") && !is("https://board.example.org:8443"));
        for wrong in [
            "",
            "*",
            "null",
            "board",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://*.a",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ones_own_origin_is_that_of_the_host() {
        let is = |origin: &'static str| is_of(&HeaderValue::from_static(origin), "localhost:9464");
        assert!(is("http://localhost:9464") && is("https://localhost:9464"));
        assert!(!is("http://localhost") && !is("null") && !is("http://evil.example"));
    }
}
