//! Whose call it is, by the heads of request and answer.

use std::net::{IpAddr, SocketAddr};

use super::{
    forwarded,
    header_rules::HeaderName,
    settings::{HashKey, Settings},
};
use crate::{
    call::{Label, Whose},
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

/// Bytes of a `User-Agent` that are kept; browsers' longest have about 250.
const MAX_USER_AGENT: usize = 512;

/// Bytes of a request's id that are kept; UUIDs have 36, and gateways chain a few.
const MAX_REQUEST_ID: usize = 256;

/// Bytes of a label's value that are kept.
const MAX_LABEL_VALUE: usize = 256;

/// Headers in which a request names itself; the first that is there holds.
const REQUEST_IDS: [&str; 4] = [
    "x-request-id",
    "x-client-request-id",
    "x-correlation-id",
    "request-id",
];

/// Headers in which an answer names its request: OpenAI's, vLLM's and most proxies'; Anthropic's;
/// Azure's; Amazon's; Cloudflare's.
const SERVER_REQUEST_IDS: [&str; 5] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "cf-ray",
];

/// Headers that hold an API key as it is: Azure's, Anthropic's, Google's, Azure's API Management.
const API_KEYS: [&str; 4] = [
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
];

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
    /// What goes into the row as it is.
    pub(super) whose: Whose,
}

impl Sender {
    pub(super) fn of(head: &RequestHead, peer: Option<SocketAddr>, settings: &Settings) -> Self {
        let headers = &head.headers;
        let path = path_of(&head.target);
        let named = |name: &Option<HeaderName>, cap| value(headers, name.as_ref()?.as_str(), cap);
        let trusted = peer.is_some_and(|peer| settings.trusted.contains(peer.ip()));
        let trace = headers.get("traceparent").and_then(trace_parent);
        let labels = settings.labels.iter().filter_map(|label| {
            Some(Label {
                name: label.name().to_owned(),
                value: value(headers, label.header().as_str(), MAX_LABEL_VALUE)?,
            })
        });
        Self {
            method: cut(&head.method, MAX_METHOD),
            path: cut(path, MAX_PATH),
            client: trusted
                .then(|| forwarded::client(headers, &settings.trusted))
                .flatten(),
            user: named(&settings.user_header, MAX_USER),
            key: settings
                .hash_key
                .as_ref()
                .and_then(|key| hashed(key, headers, &head.target)),
            model: model_of_path(path)
                .map(|model| cut(model, MAX_MODEL))
                .or_else(|| named(&settings.model_header, MAX_MODEL)),
            whose: Whose {
                user_agent: value(headers, "user-agent", MAX_USER_AGENT),
                trace_id: trace.map(|(trace, _)| trace.to_owned()),
                span_id: trace.map(|(_, span)| span.to_owned()),
                request_id: request_id(headers, &REQUEST_IDS),
                server_request_id: None,
                labels: labels.collect(),
            },
        }
    }
}

/// The name that an answer's head gives to its request.
pub(super) fn server_request_id(headers: &Headers) -> Option<String> {
    request_id(headers, &SERVER_REQUEST_IDS)
}

fn request_id(headers: &Headers, names: &[&str]) -> Option<String> {
    let mut ids = names
        .iter()
        .map(|name| value(headers, name, MAX_REQUEST_ID));
    ids.find_map(|id| id)
}

/// A header's value, bounded; none where it is empty.
fn value(headers: &Headers, name: &str, cap: usize) -> Option<String> {
    let value = headers.get(name)?.trim();
    (!value.is_empty()).then(|| cut(value, cap))
}

/// Trace and parent of a `traceparent` header (W3C Trace Context, §3.2): none where it breaks the rules, as
/// the standard asks. Versions to come may have more behind a hyphen.
fn trace_parent(text: &str) -> Option<(&str, &str)> {
    let mut fields = text.trim().split('-');
    let [version, trace, span, flags] = [(); 4].map(|()| fields.next().unwrap_or_default());
    let hex = |field: &str, digits: usize| {
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        field.len() == digits && field.bytes().all(lower)
    };
    let named = |field: &str| field.bytes().any(|b| b != b'0');
    let ends = version != "00" || fields.next().is_none();
    let valid = hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && named(trace)
        && hex(span, 16)
        && named(span)
        && hex(flags, 2)
        && ends;
    valid.then_some((trace, span))
}

/// The keyed hash of the credential: the bearer token; else an API key, by a header or by the query's
/// `key` (Gemini); else Basic's user and password, or another scheme's text. So one credential has one hash,
/// wherever an API wants it.
fn hashed(key: &HashKey, headers: &Headers, target: &str) -> Option<String> {
    let authorization = headers.get("authorization").unwrap_or_default().trim();
    // A scheme alone says nothing; a text that is no scheme is what some clients send for a token.
    let (scheme, token) = match authorization.split_once(' ') {
        Some((scheme, token)) => (scheme, token.trim()),
        None if ["bearer", "basic"]
            .iter()
            .any(|s| authorization.eq_ignore_ascii_case(s)) =>
        {
            ("", "")
        }
        None => ("", authorization),
    };
    let token = Some(token).filter(|token| !token.is_empty());
    if let Some(token) = token.filter(|_| scheme.eq_ignore_ascii_case("bearer")) {
        return Some(key.hash(token));
    }
    let api_keys = API_KEYS.iter().filter_map(|name| headers.get(name));
    let api_key = api_keys.map(str::trim).find(|key| !key.is_empty());
    if let Some(api_key) = api_key {
        return Some(key.hash(api_key));
    }
    if let Some(api_key) = query_key(target) {
        return Some(key.hash(&api_key));
    }
    token.map(|token| key.hash(token))
}

/// The value of the query's `key`, percent-encoding resolved.
fn query_key(target: &str) -> Option<String> {
    let query = target.split('#').next()?.split_once('?')?.1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find_map(|(name, value)| (name == "key").then_some(value))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        let escaped = digit(0).zip(digit(1)).filter(|_| byte == b'%');
        let (byte, taken) = match escaped {
            Some((high, low)) => ((high << 4 | low) as u8, 2),
            None => (byte, 0),
        };
        bytes.push(byte);
        rest = tail.get(taken..).unwrap_or_default();
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (!text.is_empty()).then_some(text)
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

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let fields = fields.iter();
        fields
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn sender(peer: &str, target: &str, fields: &[(&str, &str)]) -> Sender {
        let settings = Settings {
            hash_key: Some(HashKey::new(b"secret")),
            user_header: Some("X-User".parse().unwrap()),
            labels: vec![
                "team=x-team".parse().unwrap(),
                "cost=X-Cost-Centre".parse().unwrap(),
            ],
            ..Settings::default()
        };
        let head = RequestHead {
            method: "POST".to_owned(),
            target: target.to_owned(),
            version: Version::Http11,
            headers: headers(fields),
            first: Timestamp::default(),
            last: Timestamp::default(),
        };
        Sender::of(&head, Some(peer.parse().unwrap()), &settings)
    }

    #[test]
    fn a_trusted_peer_names_the_client_and_a_stranger_does_not() {
        let forwarded = [("X-Forwarded-For", "203.0.113.7")];
        let client = sender("10.0.0.9:1", "/", &forwarded).client;
        assert_eq!(client, Some("203.0.113.7".parse().unwrap()));
        assert_eq!(sender("8.8.8.8:1", "/", &forwarded).client, None);
    }

    #[test]
    fn keys_are_hashed_and_alike_for_one_credential() {
        let at = |target: &str, fields: &[(&str, &str)]| sender("10.0.0.9:1", target, fields).key;
        let hash = |fields: &[(&str, &str)]| at("/", fields);
        let bearer = hash(&[("Authorization", "Bearer sk-1")]);
        assert_eq!(bearer.as_ref().map(String::len), Some(32));
        assert_eq!(bearer, hash(&[("authorization", "bearer  sk-1 ")]));
        for name in [
            "api-key",
            "X-Api-Key",
            "x-goog-api-key",
            "Ocp-Apim-Subscription-Key",
        ] {
            assert_eq!(bearer, hash(&[(name, " sk-1")]), "{name}");
        }
        assert_eq!(bearer, at("/v1beta/models/g:generateContent?key=sk-1", &[]));
        assert_eq!(bearer, at("/?alt=sse&key=sk%2D1&a=b#key=c", &[]));
        assert_ne!(bearer, hash(&[("api-key", "sk-2")]));
        // The token comes before the key that a proxy may have added.
        let both = [("api-key", "sk-2"), ("Authorization", "Bearer sk-1")];
        assert_eq!(bearer, hash(&both));

        let basic = hash(&[("Authorization", "Basic dTpw")]);
        assert!(basic.is_some() && basic != bearer);
        assert_eq!(basic, hash(&[("Authorization", "basic dTpw")]));
        let with_key = [("Authorization", "Basic dTpw"), ("api-key", "sk-1")];
        assert_eq!(bearer, hash(&with_key));
        assert_eq!(bearer, hash(&[("Authorization", "sk-1")]));
        for nothing in ["Bearer ", "Bearer", "Basic  ", ""] {
            assert_eq!(hash(&[("Authorization", nothing)]), None, "{nothing:?}");
        }
        assert_eq!(at("/?key=&apikey=x&monkey=y", &[]), None);
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

    #[test]
    fn labels_and_names_of_the_request_come_from_the_listed_headers_alone() {
        let whose = sender(
            "10.0.0.9:1",
            "/",
            &[
                ("X-Team", " blue "),
                ("x-cost-centre", " "),
                ("X-Other", "kept nowhere"),
                ("User-Agent", &"a".repeat(1_000)),
                ("X-Request-Id", "r-1"),
                ("X-Correlation-Id", "c-1"),
            ],
        )
        .whose;
        let labels: Vec<_> = whose
            .labels
            .iter()
            .map(|label| (label.name.as_str(), label.value.as_str()))
            .collect();
        assert_eq!(labels, [("team", "blue")]);
        assert_eq!(
            whose.user_agent.map(|text| text.len()),
            Some(MAX_USER_AGENT)
        );
        assert_eq!(whose.request_id.as_deref(), Some("r-1"));
        assert_eq!(whose.trace_id, None);

        let answer = headers(&[("Request-Id", "req_1"), ("CF-Ray", "9")]);
        assert_eq!(server_request_id(&answer).as_deref(), Some("req_1"));
        assert_eq!(server_request_id(&headers(&[])), None);
    }

    #[test]
    fn a_trace_is_named_by_the_rules_of_its_standard() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let span = "00f067aa0ba902b7";
        let good = format!("00-{trace}-{span}-01");
        assert_eq!(trace_parent(&good), Some((trace, span)));
        assert_eq!(
            trace_parent(&format!("cc-{trace}-{span}-01-more")),
            Some((trace, span))
        );
        for bad in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("0-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}-1"),
            format!("00-{}-{span}-01", "x".repeat(32)),
        ] {
            assert_eq!(trace_parent(&bad), None, "{bad}");
        }
    }
}
