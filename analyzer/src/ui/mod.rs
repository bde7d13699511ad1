//! The status page, embedded in the binary.

use std::sync::OnceLock;

use axum::{
    http::{HeaderName, header},
    response::IntoResponse,
};
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("status.html");

/// The page. Its policy lets it run its own script and style, by their hashes, and ask its own server; nothing
/// else. (Its icon is an empty `data:`, so that browsers ask for none.)
pub(crate) async fn page() -> impl IntoResponse {
    static POLICY: OnceLock<String> = OnceLock::new();
    let policy = POLICY.get_or_init(policy).as_str();
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE)
}

fn policy() -> String {
    let hash = |element| base64(&Sha256::digest(content(PAGE, element)));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
}

/// What stands in the first element of this name, as the browser hashes it.
fn content<'a>(page: &'a str, element: &str) -> &'a str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let rest = page.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&close).map_or("", |(content, _)| content)
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |group, i| {
            group << 8 | u32::from(chunk.get(i).copied().unwrap_or(0))
        });
        for i in 0..4 {
            let index = (group >> (18 - 6 * i) & 63) as usize;
            let digit = ALPHABET.get(index).copied().map_or('=', char::from);
            text.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_its_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_builds_no_html_from_data() {
        for word in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " src=",
            " style=",
            " onclick=",
        ] {
            assert!(!PAGE.contains(word), "{word}");
        }
        for element in ["script", "style"] {
            assert!(content(PAGE, element).len() > 100, "{element}");
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
        }
    }
}
