//! `POST /api/report`: the old plugin's JSON in, the stored row's figures out.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{sync::Semaphore, time::timeout};

use super::{ApiState, Peer, error::Refusal};
use crate::{record::Record, report::Report};

/// Bytes of a report. The old plugin sent whole bodies; the largest of them, long contexts with
/// images in them, stay below it. A larger one gets 413 and is not kept.
pub(super) const REPORT_CAP: usize = 32 * 1024 * 1024;

/// Bytes that are read off and dropped past the cap, so that the sender, which is still sending, gets
/// to read the 413. A sender that sends more finds the connection closed.
const DRAIN_CAP: usize = 8 * REPORT_CAP;

/// How long a report may take to arrive.
const ARRIVAL: Duration = Duration::from_mins(1);

/// Bytes of reports that may be in memory at a time; further ones wait before they are read.
const IN_MEMORY: usize = 8 * REPORT_CAP;

/// The unit in which [`IN_MEMORY`] is shared out.
const SHARE: usize = 1024;

/// What makes a row of a report.
pub type Analyse = Arc<dyn Fn(Report) -> Record + Send + Sync>;

/// The bounds that reports share.
pub(super) struct ReportLimits {
    memory: Arc<Semaphore>,
    analyses: Arc<Semaphore>,
}

impl ReportLimits {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory: Arc::new(Semaphore::new(IN_MEMORY / SHARE)),
            analyses: Arc::new(Semaphore::new(cores)),
        }
    }
}

/// The answer of the old tracker.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    status: &'static str,
    total_tokens: u64,
    tps: f64,
}

pub(super) async fn handler(
    State(state): State<Arc<ApiState>>,
    request: Request,
) -> Result<Json<Accepted>, Refusal> {
    let reporter = request.extensions().get::<Peer>().map(|peer| peer.0);
    let expected = expected_size(&request)?;
    let shares = u32::try_from(expected.div_ceil(SHARE).max(1)).unwrap_or(u32::MAX);
    let memory = timeout(
        ARRIVAL,
        Arc::clone(&state.reports.memory).acquire_many_owned(shares),
    );
    let Ok(Ok(_memory)) = memory.await else {
        return Err(Refusal::unavailable("too many reports at a time"));
    };
    let body = timeout(ARRIVAL, read(request.into_body()));
    let body = body.await.unwrap_or_else(|_| {
        let error = "the report took too long to arrive";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error))
    })?;
    let report = parse(&body, reporter)?;
    drop(body);
    let record = analyse(&state, report).await?;
    store(&state, record).await.map(Json)
}

/// How large the body is said to be; a size that is not said counts as the largest.
fn expected_size(request: &Request) -> Result<usize, Refusal> {
    let Some(size) = request.body().size_hint().exact() else {
        return Ok(REPORT_CAP);
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > REPORT_CAP && waits_for_continue(request.headers()) {
        return Err(too_large());
    }
    Ok(size.min(REPORT_CAP))
}

fn waits_for_continue(headers: &HeaderMap) -> bool {
    let expect = headers
        .get(header::EXPECT)
        .map(header::HeaderValue::as_bytes);
    expect.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Reads a body up to the cap; of a larger one, drops what was read and reads on for a while.
async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the body broke off: {error}"),
            )
        })?;
        if let Some(data) = frame.data_ref() {
            seen = seen.saturating_add(data.len());
            if seen <= REPORT_CAP {
                bytes.extend_from_slice(data);
            } else {
                bytes = Vec::new();
            }
            if seen > DRAIN_CAP {
                break;
            }
        }
    }
    if seen > REPORT_CAP {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> Refusal {
    let error = format!("the report is larger than {REPORT_CAP} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

async fn analyse(state: &ApiState, report: Report) -> Result<Record, Refusal> {
    let analyse = Arc::clone(&state.analyse);
    let broken = || {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the report cannot be analysed",
        )
    };
    let permit = Arc::clone(&state.reports.analyses).acquire_owned().await;
    let _one_of_few = permit.map_err(|_| broken())?;
    let record = tokio::task::spawn_blocking(move || analyse(report)).await;
    record.map_err(|_| broken())
}

/// Stores the row, and counts it once it is committed.
async fn store(state: &ApiState, record: Record) -> Result<Accepted, Refusal> {
    let call = record.call.clone();
    let told = state.stored.as_ref().map(|stored| (stored, record.clone()));
    let receipt = state
        .writer
        .submit_acked(record)
        .map_err(|shed| Refusal::unavailable(shed.to_string()))?;
    let receipt = match receipt.await {
        Ok(Ok(receipt)) => receipt,
        Ok(Err(not_stored)) => return Err(Refusal::unavailable(not_stored.to_string())),
        Err(_) => return Err(Refusal::unavailable("the store is closed")),
    };
    if receipt.id.is_some() {
        state.metrics.observe_call(&call);
        state.board.observe(&call);
        if let Some(feed) = &state.feed {
            feed.ended(&call);
        }
        if let Some((stored, record)) = told {
            stored(&record);
        }
    }
    Ok(Accepted {
        status: "ok",
        total_tokens: call.total_tokens.unwrap_or(0),
        tps: call.tokens_per_second.unwrap_or(0.0),
    })
}

/// The fields, each left as it was written. Unknown ones are passed over without being built.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    request_body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    elapsed_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    path: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

/// Reads a report, naming the field that is at fault.
pub(super) fn parse(body: &[u8], reporter: Option<IpAddr>) -> Result<Report, Refusal> {
    let refuse = |error: &dyn std::fmt::Display| {
        let error = format!("the body is not a JSON object: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, error)
    };
    // An array would be read as the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(refuse(&"it does not begin with {"));
    }
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| refuse(&error))?;
    Ok(Report {
        request_body: required("request_body", fields.request_body)?,
        response_body: required("response_body", fields.response_body)?,
        elapsed_time: seconds("elapsed_time", fields.elapsed_time)?,
        path: optional("path", fields.path)?,
        timestamp: optional("timestamp", fields.timestamp)?,
        model: optional("model", fields.model)?,
        reporter,
    })
}

fn required(field: &'static str, value: Option<&RawValue>) -> Result<String, Refusal> {
    let value = value.ok_or_else(|| Refusal::field(field, format!("{field} is missing")))?;
    text(field, value)
}

fn optional(field: &'static str, value: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    match value {
        Some(value) if value.get() != "null" => text(field, value).map(Some),
        _ => Ok(None),
    }
}

/// A JSON string. Halves of surrogate pairs, which JSON can write and UTF-8 cannot, become U+FFFD.
fn text(field: &'static str, value: &RawValue) -> Result<String, Refusal> {
    let json = value.get();
    if !json.starts_with('"') {
        return Err(Refusal::field(field, format!("{field} must be a string")));
    }
    if let Ok(text) = serde_json::from_str(json) {
        return Ok(text);
    }
    let bytes: Result<Bytes, _> = serde_json::from_str(json);
    let bytes = bytes.map_err(|error| Refusal::field(field, format!("{field}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes.0).into_owned())
}

fn seconds(field: &'static str, value: Option<&RawValue>) -> Result<f64, Refusal> {
    let value = value.ok_or_else(|| Refusal::field(field, format!("{field} is missing")))?;
    let number = value.get();
    if !number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(Refusal::field(field, format!("{field} must be a number")));
    }
    match number.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err(Refusal::field(
            field,
            format!("{field} must be a finite number, 0 or more"),
        )),
    }
}

/// The bytes of a JSON string, whatever they are.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"request_body":"{}","response_body":"","elapsed_time":1.5,
        "path":"/v1","timestamp":"2026-01-01","model":"m","more":{"a":[1]}}"#;

    fn refused(body: &str) -> Refusal {
        parse(body.as_bytes(), None).unwrap_err()
    }

    #[test]
    fn a_whole_report_is_read() {
        let report = parse(WHOLE.as_bytes(), None).unwrap();
        assert_eq!(
            report,
            Report {
                request_body: "{}".into(),
                response_body: String::new(),
                elapsed_time: 1.5,
                path: Some("/v1".into()),
                timestamp: Some("2026-01-01".into()),
                model: Some("m".into()),
                reporter: None,
            }
        );
    }

    #[test]
    fn optional_fields_may_be_null_or_missing() {
        for body in [
            r#"{"request_body":"a","response_body":"b","elapsed_time":0}"#,
            r#"{"request_body":"a","response_body":"b","elapsed_time":0,"path":null,"timestamp":null,"model":null}"#,
        ] {
            let report = parse(body.as_bytes(), None).unwrap();
            assert_eq!(
                (report.path, report.timestamp, report.model),
                (None, None, None)
            );
            assert!(report.elapsed_time.abs() < f64::EPSILON);
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (field, value) in [
            ("request_body", "1"),
            ("request_body", "null"),
            ("response_body", "{\"a\":\"b\"}"),
            ("elapsed_time", "\"1.5\""),
            ("elapsed_time", "true"),
            ("elapsed_time", "-0.1"),
            ("elapsed_time", "1e999"),
            ("elapsed_time", "null"),
            ("elapsed_time", "[1]"),
            ("path", "7"),
            ("timestamp", "{}"),
            ("model", "false"),
        ] {
            let mut report: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
            report[field] = serde_json::Value::from("PLACE");
            let body = report.to_string().replace("\"PLACE\"", value);
            let refusal = refused(&body).document();
            assert_eq!(refusal["field"], field, "{body}");
            assert!(refusal["error"].as_str().unwrap().contains(field));
        }
        for field in ["request_body", "response_body", "elapsed_time"] {
            let mut report: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
            report.as_object_mut().unwrap().remove(field);
            let refusal = refused(&report.to_string()).document();
            assert_eq!(refusal["error"], format!("{field} is missing"));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in [
            "",
            "x",
            "[]",
            "1",
            "{",
            "\"a\"",
            "{\"request_body\":\"\\q\"}",
        ] {
            let refusal = refused(body).document();
            assert!(
                refusal["error"]
                    .as_str()
                    .unwrap()
                    .contains("not a JSON object"),
                "{body}"
            );
        }
        assert!(parse(b"{\"request_body\":\"\xff\"}", None).is_err());
    }

    #[test]
    fn any_string_is_a_body() {
        let body = r#"{"request_body":"\ud800 a\u0000\n","response_body":"模 \ud83d\ude00","elapsed_time":1}"#;
        let report = parse(body.as_bytes(), None).unwrap();
        assert!(
            report.request_body.ends_with(" a\0\n") && report.request_body.contains('\u{fffd}')
        );
        assert_eq!(report.response_body, "模 😀");
    }
}
