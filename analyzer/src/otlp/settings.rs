//! Where spans and metrics go, and how: settings that hold together.

use std::{fmt, time::Duration};

use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in the body of an HTTP/1.1 POST.
    HttpProtobuf,
    /// gRPC over HTTP/2.
    Grpc,
}

/// Whether messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By gzip.
    Gzip,
    /// Not at all.
    None,
}

/// Whether what was said goes along with the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The stored texts of requests and responses, secrets taken out.
    Sent,
    /// Nothing of them.
    Left,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Calls, as spans.
    Traces,
    /// The metrics.
    Metrics,
}

/// The settings of the export.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How messages travel.
    pub protocol: Protocol,
    /// Whether they are compressed.
    pub compression: Compression,
    /// Where spans go; `None`: nowhere.
    pub traces: Option<Endpoint>,
    /// Where metrics go; `None`: nowhere.
    pub metrics: Option<Endpoint>,
    /// Headers of each request.
    pub headers: Vec<Header>,
    /// Certificates of authorities in PEM that are trusted in place of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Whether what was said goes along.
    pub content: Content,
    /// How long one request may take, its answer included.
    pub timeout: Duration,
    /// How often metrics are sent.
    pub metric_interval: Duration,
    /// What is said of the process itself: names and values such as `service.name`.
    pub resource: Vec<(String, String)>,
}

/// Where one signal goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// A header whose value is a secret as a rule: it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value; marked as sensitive.
    pub value: HeaderValue,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It is no address.
    #[error(
        "{0:?} is no address of an OTLP receiver: write http://HOST:4318 (HTTP) or http://HOST:4317 (gRPC), or https://"
    )]
    Endpoint(String),
    /// It is no header.
    #[error(
        "a header is NAME=VALUE, its name of letters, digits and hyphens, its value of printable ASCII"
    )]
    Header,
    /// It is a header that the export sets itself.
    #[error("the header {0} is set by the export itself: leave it out")]
    OwnHeader(HeaderName),
    /// It is no protocol.
    #[error("{0:?} is no protocol that llmtap speaks: take http/protobuf or grpc")]
    Protocol(String),
    /// It is no compression.
    #[error("{0:?} is no compression that llmtap has: take gzip or none")]
    Compression(String),
}

/// What the export sets itself.
const OWN_HEADERS: [HeaderName; 7] = [
    hyper::header::CONTENT_TYPE,
    hyper::header::CONTENT_LENGTH,
    hyper::header::CONTENT_ENCODING,
    hyper::header::TRANSFER_ENCODING,
    hyper::header::CONNECTION,
    hyper::header::HOST,
    hyper::header::TE,
];

impl Signal {
    /// The end of the path over HTTP.
    const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The method over gRPC.
    const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// The word in logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metrics",
        }
    }
}

impl Endpoint {
    /// One signal's place at an address for all signals: over HTTP its own path is put behind the address' path.
    ///
    /// # Errors
    /// Where that is no http or https address.
    pub fn of_all(base: &str, signal: Signal, protocol: Protocol) -> Result<Self, SettingError> {
        let uri = parse(base)?;
        let path = match protocol {
            Protocol::Grpc => signal.grpc_path().to_owned(),
            Protocol::HttpProtobuf => {
                format!("{}{}", uri.path().trim_end_matches('/'), signal.http_path())
            }
        };
        Self::with_path(uri, &path, base)
    }

    /// The address of one signal, taken as it stands; over gRPC the path is that of the method.
    ///
    /// # Errors
    /// Where that is no http or https address.
    pub fn of_one(address: &str, signal: Signal, protocol: Protocol) -> Result<Self, SettingError> {
        let uri = parse(address)?;
        match protocol {
            Protocol::Grpc => Self::with_path(uri, signal.grpc_path(), address),
            Protocol::HttpProtobuf => Ok(Self(uri)),
        }
    }

    fn with_path(uri: Uri, path: &str, given: &str) -> Result<Self, SettingError> {
        let wrong = || SettingError::Endpoint(shown(given));
        let mut parts = uri.into_parts();
        let path: PathAndQuery = path.parse().map_err(|_| wrong())?;
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map(Self).map_err(|_| wrong())
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Display for Endpoint {
    /// Without a query string, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{host}{}", self.0.path())
    }
}

/// An http or https address with a host, and without a user and password in it.
fn parse(address: &str) -> Result<Uri, SettingError> {
    let wrong = || SettingError::Endpoint(shown(address));
    let uri: Uri = address.trim().parse().map_err(|_| wrong())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    // A user and a password before the host, or a port that is none, are left over here.
    let whole = uri.authority().is_some_and(|authority| {
        let rest = authority.as_str().strip_prefix(authority.host());
        let port = rest.is_some_and(|rest| rest.is_empty() || authority.port_u16().is_some());
        !authority.host().is_empty() && port
    });
    if known && whole {
        Ok(uri)
    } else {
        Err(wrong())
    }
}

/// An address as an error may show it: what stands before an `@` is a password, and after a `?` a key.
fn shown(address: &str) -> String {
    let address = address.split('?').next().unwrap_or_default();
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    }
}

impl std::str::FromStr for Header {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (name, value) = text.split_once('=').ok_or(SettingError::Header)?;
        Self::new(name.trim(), value.trim())
    }
}

impl Header {
    /// A header of this name and value.
    ///
    /// # Errors
    /// Where that is none, or one that the export sets itself.
    pub fn new(name: &str, value: &str) -> Result<Self, SettingError> {
        let name: HeaderName = name.parse().map_err(|_| SettingError::Header)?;
        let mut value: HeaderValue = value.parse().map_err(|_| SettingError::Header)?;
        if OWN_HEADERS.contains(&name) || name.as_str().starts_with("grpc-") {
            return Err(SettingError::OwnHeader(name));
        }
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// The headers of a list in the form of `OTEL_EXPORTER_OTLP_HEADERS`: `a=b,c=d`, values with percent-encoding (W3C
    /// Baggage).
    ///
    /// # Errors
    /// Where one of them is no header.
    pub fn list(text: &str) -> Result<Vec<Self>, SettingError> {
        let items = pairs(text).ok_or(SettingError::Header)?;
        let headers = items.iter().map(|(name, value)| Self::new(name, value));
        headers.collect()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=(secret)", self.name)
    }
}

impl std::str::FromStr for Protocol {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text.trim() {
            "http/protobuf" => Ok(Self::HttpProtobuf),
            "grpc" => Ok(Self::Grpc),
            other => Err(SettingError::Protocol(other.to_owned())),
        }
    }
}

impl std::str::FromStr for Compression {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text.trim() {
            "gzip" => Ok(Self::Gzip),
            "none" => Ok(Self::None),
            other => Err(SettingError::Compression(other.to_owned())),
        }
    }
}

/// The pairs of `a=b,c=d`, values with percent-encoding; `None` where one has no `=`.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let pair = |item: &str| {
        let (name, value) = item.split_once('=')?;
        Some((name.trim().to_owned(), percent_decoded(value.trim())))
    };
    items.map(pair).collect()
}

/// What is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = digit(after.first()).zip(digit(after.get(1)));
        if let Some((high, low)) = escape.filter(|_| *first == b'%') {
            bytes.push((high << 4 | low) as u8);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_has_its_place() {
        use Protocol::{Grpc, HttpProtobuf};
        for (base, protocol, traces) in [
            ("http://c:4318", HttpProtobuf, "http://c:4318/v1/traces"),
            ("http://c:4318/", HttpProtobuf, "http://c:4318/v1/traces"),
            ("https://c/otlp/", HttpProtobuf, "https://c/otlp/v1/traces"),
            (
                "http://[::1]:4317",
                Grpc,
                "http://[::1]:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            ),
        ] {
            let endpoint = Endpoint::of_all(base, Signal::Traces, protocol).unwrap();
            assert_eq!(endpoint.to_string(), traces);
        }
        let own = Endpoint::of_one("http://c/in?k=secret", Signal::Metrics, HttpProtobuf).unwrap();
        assert_eq!(own.uri().to_string(), "http://c/in?k=secret");
        assert_eq!(own.to_string(), "http://c/in");
    }

    #[test]
    fn what_is_no_address_is_told_without_secrets() {
        for bad in [
            "collector:4317",
            "",
            "ftp://c",
            "/v1",
            "http://",
            "http://u:pw@c:1",
            "http://c:x?k=pw",
        ] {
            let error = Endpoint::of_all(bad, Signal::Traces, Protocol::Grpc).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("http://HOST:4318"), "{bad}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn headers_are_read_and_not_shown() {
        let header: Header = "Authorization = Bearer a=b".parse().unwrap();
        assert_eq!(header.value.to_str().unwrap(), "Bearer a=b");
        assert!(header.value.is_sensitive());
        assert_eq!(format!("{header:?}"), "authorization=(secret)");
        let list = Header::list("x-a=b%20c%2Cd, x-e=%zz%4,").unwrap();
        let values = list.iter().map(|header| header.value.to_str().unwrap());
        assert_eq!(values.collect::<Vec<_>>(), ["b c,d", "%zz%4"]);
        for bad in ["nothing", "a b=c", "a=\u{7}", "=x"] {
            assert_eq!(bad.parse::<Header>(), Err(SettingError::Header), "{bad}");
        }
        for own in ["Content-Type=a", "grpc-timeout=1S", "host=x"] {
            assert!(
                matches!(own.parse::<Header>(), Err(SettingError::OwnHeader(_))),
                "{own}"
            );
        }
    }
}
