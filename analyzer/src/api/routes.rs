//! The endpoints.

use std::sync::{Arc, PoisonError};

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value as Json_, json};

use super::{
    ApiState, access::guarded, answers, calls, counted::counted, endpoints, error::Refusal,
    inflight, live, openapi, record, report, scrape::scrape,
};
use crate::{metrics::Format, store::Health, ui};

/// All endpoints; [`endpoints`](super::endpoints) tells of them.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    Router::new()
        .route("/", get(ui::page))
        .route("/ui/{file}", get(page_file))
        .route("/api/calls", get(calls::list))
        .route("/api/calls.csv", get(calls::csv))
        .route("/api/calls.ndjson", get(calls::ndjson))
        .route("/api/calls/{id}", get(calls::one))
        .route("/api/summary", get(answers::summary))
        .route("/api/summary.csv", get(answers::summary_csv))
        .route("/api/summary.ndjson", get(answers::summary_ndjson))
        .route("/api/timeseries", get(answers::timeseries))
        .route("/api/timeseries.csv", get(answers::timeseries_csv))
        .route("/api/timeseries.ndjson", get(answers::timeseries_ndjson))
        .route("/api/heatmap", get(answers::heatmap))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/inflight", get(inflight::inflight))
        .route("/api/live", get(live::live))
        .route("/api/metrics", get(metrics))
        .route("/metrics", get(metrics))
        .route("/api/report", post(report::handler))
        .route("/api/status", get(status))
        .route("/live", get(alive))
        .route("/ready", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(&state), guarded))
        .layer(from_fn_with_state(Arc::clone(&state), counted))
        .with_state(state)
}

/// The aggregates; with `offset`, the old tracker's page of one record.
async fn metrics(
    State(state): State<Arc<ApiState>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(pairs) =
        query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    // As in the old tracker, the last one counts.
    let offset = pairs.iter().rev().find(|(name, _)| name == "offset");
    if let Some((_, offset)) = offset {
        return record_page(&state, parse_offset(offset)?).await;
    }
    scrape(&state, &headers).await
}

/// A negative offset is the first record; one that is larger than any number is past the last.
fn parse_offset(text: &str) -> Result<u64, Refusal> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::field("offset", "offset must be a whole number"));
    }
    if text.starts_with('-') {
        return Ok(0);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// The one answer that is read from the store.
async fn record_page(state: &ApiState, offset: u64) -> Result<Response, Refusal> {
    let reader = Arc::clone(&state.reader);
    let found = tokio::task::spawn_blocking(move || {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.follow()?;
        reader.record_at_offset(offset)
    });
    let found = found
        .await
        .map_err(|_| Refusal::unavailable("the store cannot be read"))?
        .map_err(|error| Refusal::unavailable(error.to_string()))?;
    let content_type = [(header::CONTENT_TYPE, Format::Prometheus.content_type())];
    Ok(match found {
        Some(stat) => (content_type, record::page(&stat)).into_response(),
        None => (StatusCode::NOT_FOUND, content_type, record::NO_RECORD).into_response(),
    })
}

/// The process answers.
async fn alive() -> Json<Json_> {
    Json(json!({"status": "live"}))
}

/// Whether it captures and stores.
async fn ready(State(state): State<Arc<ApiState>>) -> (StatusCode, Json<Json_>) {
    let reasons = state.obstacles();
    if reasons.is_empty() {
        (StatusCode::OK, Json(json!({"ready": true})))
    } else {
        let body = json!({"ready": false, "reasons": reasons});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    }
}

/// What the status page shows, from memory.
async fn status(State(state): State<Arc<ApiState>>) -> impl IntoResponse {
    let (capture, store) = (state.metrics.capture(), state.metrics.store());
    let counts = |counts: Vec<(&'static str, u64)>| -> serde_json::Map<String, Json_> {
        counts
            .into_iter()
            .map(|(name, n)| (name.to_owned(), n.into()))
            .collect()
    };
    let losses: Vec<_> = state
        .metrics
        .losses()
        .into_iter()
        .map(|(family, reason, count)| json!({"family": family, "reason": reason, "count": count}))
        .collect();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": state.started.elapsed().as_secs(),
        "obstacles": state.obstacles(),
        "capture": state.capture.get(),
        "packets": capture.packets.get(),
        "bytes": capture.bytes.get(),
        "blind": capture.blind.get() != 0,
        "connections": counts(capture.connections.counts()),
        "exchanges": counts(state.metrics.exchanges()),
        "in_flight": state.metrics.in_flight().get(),
        "store": {
            "storing": state.writer.health() == Health::Storing,
            "rows": counts(store.rows.counts()),
            "queue_rows": store.queue_rows.get(),
            "size_bytes": store.size.get(),
        },
        "losses": losses,
        "calls": state.board.snapshot(),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body))
}

/// A file of the dashboard's.
async fn page_file(
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    match ui::file(name, &headers) {
        Some(file) => Ok(file),
        None => Err(not_found(uri).await),
    }
}

async fn not_found(uri: Uri) -> Refusal {
    let error = format!("there is no {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, error).with_endpoints(endpoints::names())
}

async fn not_allowed(method: Method, uri: Uri) -> Refusal {
    let error = format!("{} does not take {method}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error).with_endpoints(endpoints::names())
}
