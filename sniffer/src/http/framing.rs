//! How long a message's body is (RFC 9112 §6.3), and which codings are on it. Every odd case, with what
//! others make of it and what is done here, stands in the table of `tests/decisions.rs`.

use analyzer::exchange::{Headers, Version};

use super::coding::Coding;

/// The longest length that is believed. Go takes no longer one, and nobody sends so much.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// So many bytes; never 0.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// It ends with the connection.
    UntilClose,
    /// A response whose length fields cannot be read: until the connection's end, or until a segment
    /// begins like the next response.
    Guess,
}

/// What is known of the request that a response answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Method {
    /// The request was not seen.
    #[default]
    Unknown,
    /// HEAD: the answer has no body.
    Head,
    /// CONNECT: a 2xx answer opens a tunnel.
    Connect,
    /// Any other.
    Other,
}

impl Method {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// What the length fields of a head say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Absent,
    Known(u64),
    /// Chunked is the last transfer coding.
    Chunked,
    /// Chunked is a transfer coding, and another is the last one.
    Misplaced,
    /// Another transfer coding is the last one.
    Unframed,
    /// Not a number, negative, past [`MAX_LENGTH`], or several that differ.
    Invalid,
}

/// The framing of a request's body.
///
/// Where the length cannot be read a server must answer 400 and close (RFC 9112 §6.3): such a request
/// is taken to have no body, and what follows it is searched for the next request.
pub(super) fn of_request(version: Version, headers: &Headers) -> Result<Framing, Framing> {
    if version == Version::Http09 {
        return Ok(Framing::None);
    }
    match length(headers) {
        Length::Chunked => Ok(Framing::Chunked),
        Length::Known(length) if length > 0 => Ok(Framing::Length(length)),
        Length::Absent | Length::Known(_) => Ok(Framing::None),
        Length::Misplaced => Err(Framing::Chunked),
        Length::Unframed | Length::Invalid => Err(Framing::None),
    }
}

/// The framing of a final response's body.
pub(super) fn of_response(
    method: Method,
    status: u16,
    headers: &Headers,
) -> Result<Framing, Framing> {
    let bodiless = method == Method::Head
        || matches!(status, 100..=199 | 204 | 304)
        || (method == Method::Connect && matches!(status, 200..=299));
    if bodiless {
        return Ok(Framing::None);
    }
    match length(headers) {
        Length::Chunked => Ok(Framing::Chunked),
        Length::Known(0) => Ok(Framing::None),
        Length::Known(length) => Ok(Framing::Length(length)),
        Length::Absent | Length::Unframed | Length::Misplaced => Ok(Framing::UntilClose),
        Length::Invalid => Err(Framing::Guess),
    }
}

/// The codings on a message's body, the one to be taken off first at the front.
pub(super) fn codings(headers: &Headers) -> Vec<Coding> {
    let mut codings: Vec<Coding> = list(headers, "content-encoding")
        .filter_map(Coding::named)
        .collect();
    codings.extend(
        list(headers, "transfer-encoding")
            .filter(|name| !name.eq_ignore_ascii_case("chunked"))
            .filter_map(Coding::named),
    );
    codings.reverse();
    codings
}

fn length(headers: &Headers) -> Length {
    // RFC 9112 §6.1: Transfer-Encoding overrides Content-Length. The obsolete "identity" says nothing.
    let is_chunked = |name: &str| name.eq_ignore_ascii_case("chunked");
    let mut transfer = None;
    for name in list(headers, "transfer-encoding") {
        if name.eq_ignore_ascii_case("identity") {
            continue;
        }
        transfer = Some(match transfer {
            _ if is_chunked(name) => Length::Chunked,
            Some(Length::Chunked | Length::Misplaced) => Length::Misplaced,
            _ => Length::Unframed,
        });
    }
    if let Some(length) = transfer {
        return length;
    }
    let mut length = Length::Absent;
    for value in headers.get_all("content-length") {
        for value in value.split(',') {
            let value = value.trim();
            // `u64::from_str` takes a leading plus sign; the grammar does not.
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse::<u64>().ok();
            let Some(value) = number.filter(|&value| digits && value <= MAX_LENGTH) else {
                return Length::Invalid;
            };
            match length {
                Length::Known(earlier) if earlier != value => return Length::Invalid,
                _ => length = Length::Known(value),
            }
        }
    }
    length
}

/// The members of a list field, parameters cut off.
fn list<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .flat_map(|value| value.split(','))
        .map(|member| member.split(';').next().unwrap_or_default().trim())
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Headers {
        text.split('|')
            .filter_map(|field| field.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn requests() {
        for (fields, framing) in [
            ("", Ok(Framing::None)),
            ("Content-Length: 0", Ok(Framing::None)),
            ("Content-Length: 5", Ok(Framing::Length(5))),
            ("Content-Length: 005", Ok(Framing::Length(5))),
            (
                "Content-Length: 5, 5|content-length: 5",
                Ok(Framing::Length(5)),
            ),
            ("Content-Length: 5|Content-Length: 6", Err(Framing::None)),
            ("Content-Length: -1", Err(Framing::None)),
            ("Content-Length: +1", Err(Framing::None)),
            ("Content-Length: 18446744073709551616", Err(Framing::None)),
            ("Content-Length: ", Err(Framing::None)),
            (
                "Content-Length: 5|Transfer-Encoding: chunked",
                Ok(Framing::Chunked),
            ),
            ("Transfer-Encoding: gzip, Chunked", Ok(Framing::Chunked)),
            (
                "Transfer-Encoding: identity|Content-Length: 5",
                Ok(Framing::Length(5)),
            ),
            ("Transfer-Encoding: gzip", Err(Framing::None)),
            ("Transfer-Encoding: chunked, gzip", Err(Framing::Chunked)),
            (
                "Content-Length: 9223372036854775807",
                Ok(Framing::Length(i64::MAX as u64)),
            ),
            ("Content-Length: 9223372036854775808", Err(Framing::None)),
        ] {
            let fields = headers(fields);
            assert_eq!(of_request(Version::Http11, &fields), framing, "{fields:?}");
        }
    }

    #[test]
    fn responses() {
        let length = "Content-Length: 5";
        for (method, status, fields, framing) in [
            (Method::Other, 200, length, Ok(Framing::Length(5))),
            (Method::Head, 200, length, Ok(Framing::None)),
            (Method::Connect, 200, length, Ok(Framing::None)),
            (Method::Connect, 403, length, Ok(Framing::Length(5))),
            (Method::Other, 204, length, Ok(Framing::None)),
            (Method::Other, 304, length, Ok(Framing::None)),
            (Method::Other, 101, "", Ok(Framing::None)),
            (Method::Unknown, 200, "", Ok(Framing::UntilClose)),
            (
                Method::Other,
                200,
                "Transfer-Encoding: gzip",
                Ok(Framing::UntilClose),
            ),
            (
                Method::Other,
                200,
                "Content-Length: 1, 2",
                Err(Framing::Guess),
            ),
        ] {
            let fields = headers(fields);
            assert_eq!(
                of_response(method, status, &fields),
                framing,
                "{status} {fields:?}"
            );
        }
    }

    #[test]
    fn codings_come_off_in_reverse() {
        let fields = headers("Content-Encoding: gzip, br|Transfer-Encoding: deflate, chunked");
        assert_eq!(
            codings(&fields),
            [Coding::Deflate, Coding::Brotli, Coding::Gzip]
        );
        assert_eq!(codings(&headers("Content-Encoding: identity")), []);
    }
}
