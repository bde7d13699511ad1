//! `GET /api/inflight`: calls under way.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json_, json};

use super::{ApiState, calls::NO_STORE, error::Refusal, parameters::Question};
use crate::{
    feed::{Rules, Seen, under_way_at},
    store::system_clock,
};

/// Calls under way, the oldest first.
pub(super) async fn inflight(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let filter = Question::of_live(&parts)?;
    let shown = match &state.feed {
        Some(feed) => feed.in_flight().ask().await,
        None => return Err(Refusal::unavailable("calls under way are not followed")),
    };
    let now = system_clock();
    let (left_out, complete) = (shown.left_out, shown.complete);
    // Thousands of them take their time.
    let calls = tokio::task::spawn_blocking(move || {
        let mut rules = Rules::default();
        let mut calls: Vec<_> = shown.calls;
        calls.sort_by_key(|call| (call.marks.request_start, call.call_key.0));
        calls
            .into_iter()
            .filter_map(|mut call| {
                rules.apply(&mut call);
                filter
                    .lets_through(&Seen::of_under_way(&call))
                    .then(|| Json_::from(under_way_at(&call, now)))
            })
            .collect::<Vec<_>>()
    });
    let calls = calls
        .await
        .map_err(|_| Refusal::unavailable("the calls under way cannot be written"))?;
    let body = json!({
        "time": now.as_seconds(),
        "complete": complete,
        "left_out": left_out,
        "calls": calls,
    });
    Ok(([NO_STORE], Json(body)).into_response())
}
