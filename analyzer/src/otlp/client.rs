//! One message to the receiver, and what it answered.

use std::{io::Write as _, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::{Compression as Level, write::GzEncoder};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{
    proto::{ExportResponse, RetryInfo, RpcStatus},
    retry::retry_after,
    settings::{Compression, Endpoint, Protocol, Settings},
};
use crate::store::system_clock;

/// Bytes of an answer that are read: a partial success has a sentence.
const ANSWER_CAP: usize = 64 * 1024;

/// Characters of a receiver's words in a log line.
const WORDS: usize = 300;

/// How long a connection that nobody uses is kept.
const KEEP_IDLE: Duration = Duration::from_secs(90);

/// The level of gzip: the fastest, since what it saves after that is little.
const GZIP_LEVEL: u32 = 1;

/// gRPC's prefix of a message: whether it is compressed, and its length in four bytes.
const GRPC_PREFIX: usize = 5;

/// The type that `google.rpc.RetryInfo` has in a status.
const RETRY_INFO: &str = "/google.rpc.RetryInfo";

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The system has no certificates of authorities.
    #[error(
        "the system's certificates cannot be read ({0}): install ca-certificates, or name a file of them \
         with --otlp-ca"
    )]
    NoAuthorities(std::io::Error),
    /// The given ones cannot be used.
    #[error(
        "the file of --otlp-ca (or OTEL_EXPORTER_OTLP_CERTIFICATE) holds no certificate that can be used ({0}): it \
         must be PEM"
    )]
    BadAuthorities(String),
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken, but for so many of its parts.
    Taken {
        /// Spans or points that the receiver refused.
        rejected: u64,
        /// Its words; a warning where nothing was refused.
        words: String,
    },
    /// It may be tried again.
    Later {
        /// The wait that the receiver asked for.
        after: Option<Duration>,
        why: String,
    },
    /// It will never be taken.
    Refused(String),
}

/// Sends messages. Connections are kept and reused.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    protocol: Protocol,
    compression: Compression,
    headers: HeaderMap,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(settings.timeout));
        let builder = HttpsConnectorBuilder::new();
        let any_https = [&settings.traces, &settings.metrics];
        let any_https = any_https.into_iter().flatten().any(Endpoint::is_https);
        let builder = match &settings.authorities {
            // Without TLS no certificates are needed, and none may be there.
            None if !any_https => builder.with_tls_config(config(RootCertStore::empty())),
            None => builder
                .with_native_roots()
                .map_err(ClientError::NoAuthorities)?,
            Some(pem) => builder.with_tls_config(config(authorities(pem)?)),
        };
        let builder = builder.https_or_http();
        let connector = match settings.protocol {
            Protocol::HttpProtobuf => builder.enable_http1().wrap_connector(http),
            Protocol::Grpc => builder.enable_http2().wrap_connector(http),
        };
        let mut client = HttpClient::builder(TokioExecutor::new());
        client
            .pool_idle_timeout(KEEP_IDLE)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .http2_only(settings.protocol == Protocol::Grpc);
        let mut headers = HeaderMap::new();
        for own in &settings.headers {
            headers.append(own.name.clone(), own.value.clone());
        }
        Ok(Self {
            http: client.build(connector),
            protocol: settings.protocol,
            compression: settings.compression,
            headers,
            timeout: settings.timeout,
        })
    }

    /// The body of a message as it travels; made once, however often it is sent.
    pub(super) fn body(&self, message: &impl Message) -> Bytes {
        let mut plain = Vec::with_capacity(message.encoded_len());
        // A Vec has room for all.
        let _ = message.encode(&mut plain);
        let (payload, compressed) = match self.compression {
            Compression::Gzip => (gzip(&plain), 1),
            Compression::None => (plain, 0),
        };
        if self.protocol == Protocol::HttpProtobuf {
            return payload.into();
        }
        let mut framed = BytesMut::with_capacity(GRPC_PREFIX + payload.len());
        framed.extend_from_slice(&[compressed]);
        // Messages are cut to some MiB.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&payload);
        framed.freeze()
    }

    /// Sends a body, and waits for the answer no longer than `at_most`.
    pub(super) async fn send(&self, endpoint: &Endpoint, body: Bytes, at_most: Duration) -> Answer {
        let within = self.timeout.min(at_most);
        match tokio::time::timeout(within, self.exchange(endpoint.uri(), body)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Later {
                after: None,
                why: format!("no answer within {} s", within.as_secs_f64()),
            },
        }
    }

    async fn exchange(&self, uri: &Uri, body: Bytes) -> Answer {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "llmtap/",
                env!("CARGO_PKG_VERSION")
            )));
        let gzip = self.compression == Compression::Gzip;
        match self.protocol {
            Protocol::HttpProtobuf => {
                let protobuf = HeaderValue::from_static("application/x-protobuf");
                headers.insert(header::CONTENT_TYPE, protobuf);
                if gzip {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
            }
            Protocol::Grpc => {
                let grpc = HeaderValue::from_static("application/grpc");
                headers.insert(header::CONTENT_TYPE, grpc);
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                if gzip {
                    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
                }
            }
        }
        let response = match self.http.request(request).await {
            Ok(response) => response,
            Err(error) => return later(None, reasons(&error)),
        };
        match self.protocol {
            Protocol::HttpProtobuf => over_http(response).await,
            Protocol::Grpc => over_grpc(response).await,
        }
    }
}

fn config(roots: RootCertStore) -> ClientConfig {
    // The one provider that is built in; naming it needs no global state.
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS);
    match versions {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        // Cannot be: ring has suites for both versions.
        Err(_) => ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    let bad = |error: &dyn std::fmt::Display| ClientError::BadAuthorities(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    if roots.is_empty() {
        return Err(bad(&"there is no certificate in it"));
    }
    Ok(roots)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let room = Vec::with_capacity(plain.len() / 4);
    let mut encoder = GzEncoder::new(room, Level::new(GZIP_LEVEL));
    // Neither can fail on a Vec.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// OTLP over HTTP: 429, 502, 503 and 504 may be tried again, all other errors may not.
async fn over_http(response: Response<Incoming>) -> Answer {
    let status = response.status();
    let after = response.headers().get(header::RETRY_AFTER);
    let after = after
        .and_then(|value| value.to_str().ok())
        .and_then(|text| retry_after(text, system_clock().as_micros() / 1_000_000));
    let body = match read(response.into_body()).await {
        Ok((body, _)) => body,
        Err(error) if status.is_success() => return later(None, error),
        Err(_) => Bytes::new(),
    };
    if status.is_success() {
        return taken(&body);
    }
    let said = RpcStatus::decode(&*body).map(|status| words(&status.message));
    let why = match said {
        Ok(said) if !said.is_empty() => format!("{status}: {said}"),
        _ => status.to_string(),
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => later(after, why),
        _ => Answer::Refused(why),
    }
}

/// OTLP over gRPC: the status stands behind the message, or in the head where there is none.
async fn over_grpc(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let (body, trailers) = match read(body).await {
        Ok(read) => read,
        Err(error) => return later(None, error),
    };
    let fields = trailers.as_ref().filter(|t| t.contains_key("grpc-status"));
    let fields = fields.unwrap_or(&head.headers);
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let Some(code) = text("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
        // Something on the way that knows no gRPC; its HTTP status tells (gRPC's "HTTP to gRPC status code mapping").
        let why = format!("no gRPC status, HTTP status {}", head.status);
        return match head.status.as_u16() {
            429 | 502 | 503 | 504 => later(None, why),
            _ => Answer::Refused(why),
        };
    };
    if code == 0 {
        let message = body.get(GRPC_PREFIX..).unwrap_or_default();
        return taken(message);
    }
    let asked = text("grpc-status-details-bin").and_then(retry_info);
    let said = text("grpc-message").unwrap_or_default();
    let why = format!("gRPC status {code}: {}", words(said));
    match code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
        1 | 4 | 10 | 11 | 14 | 15 => later(asked, why),
        // RESOURCE_EXHAUSTED: only where the receiver says that it will pass.
        8 if asked.is_some() => later(asked, why),
        _ => Answer::Refused(why),
    }
}

/// The wait in a status' details, which are Base64 without padding as a rule.
fn retry_info(details: &str) -> Option<Duration> {
    use base64::{
        Engine as _,
        alphabet::STANDARD,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, lenient).decode(details);
    let status = RpcStatus::decode(&*bytes.ok()?).ok()?;
    let mut details = status.details.iter();
    let info = details.find(|detail| detail.type_url.ends_with(RETRY_INFO))?;
    let delay = RetryInfo::decode(&*info.value)
        .ok()?
        .retry_delay
        .unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos))
}

/// The body's first bytes, and the trailers. What is past the cap is read off, since the trailers come behind it; the
/// time-out bounds that.
async fn read(mut body: Incoming) -> Result<(Bytes, Option<HeaderMap>), String> {
    let mut bytes = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| reasons(&error))?;
        match frame.into_data() {
            Ok(data) => {
                let room = ANSWER_CAP - bytes.len();
                bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes.freeze(), trailers))
}

/// What is not the message that it should be says nothing of parts that were refused.
fn taken(message: &[u8]) -> Answer {
    let partial = ExportResponse::decode(message)
        .unwrap_or_default()
        .partial_success
        .unwrap_or_default();
    Answer::Taken {
        rejected: u64::try_from(partial.rejected).unwrap_or(0),
        words: words(&partial.error_message),
    }
}

fn later(after: Option<Duration>, why: String) -> Answer {
    Answer::Later { after, why }
}

/// A receiver's words, cut, and without what could forge a log line.
fn words(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WORDS).collect::<String>().trim().to_owned()
}

/// An error with all that is behind it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

    use super::*;
    use crate::otlp::proto::{Delay, Detail, PartialSuccess};

    #[test]
    fn a_wait_is_found_among_the_details() {
        let info = RetryInfo {
            retry_delay: Some(Delay {
                seconds: 2,
                nanos: 500_000_000,
            }),
        };
        let detail = |name: &str, value: Vec<u8>| Detail {
            type_url: format!("type.googleapis.com{name}"),
            value,
        };
        let status = RpcStatus {
            message: "wait".to_owned(),
            details: vec![
                detail("/google.rpc.Help", vec![1]),
                detail(RETRY_INFO, info.encode_to_vec()),
            ],
        };
        let text = BASE64_STANDARD_NO_PAD.encode(status.encode_to_vec());
        assert_eq!(retry_info(&text), Some(Duration::from_millis(2_500)));
        let none = BASE64_STANDARD_NO_PAD.encode(RpcStatus::default().encode_to_vec());
        assert_eq!(retry_info(&none), None);
        for bad in ["", "!", "////"] {
            assert_eq!(retry_info(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_that_were_refused_are_told() {
        let response = ExportResponse {
            partial_success: Some(PartialSuccess {
                rejected: 3,
                error_message: "too old\nINFO forged".to_owned(),
            }),
        };
        assert_eq!(
            taken(&response.encode_to_vec()),
            Answer::Taken {
                rejected: 3,
                words: "too old INFO forged".to_owned()
            }
        );
        for message in [&b""[..], b"{}", b"\xff\xff\xff"] {
            let none = Answer::Taken {
                rejected: 0,
                words: String::new(),
            };
            assert_eq!(taken(message), none);
        }
    }

    #[test]
    fn only_certificates_are_taken_as_such() {
        for bad in [
            &b""[..],
            b"no PEM",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(authorities(bad).is_err());
        }
    }
}
