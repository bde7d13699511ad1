//! `GET /api/live`: calls as they begin, get their first token and end, as server-sent events.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    ApiState,
    calls::NO_STORE,
    error::Refusal,
    parameters::Question,
    pieces::{self, Sender},
};
use crate::{
    feed::{Missed, Reader},
    query::Filter,
};

/// Events that are put into one piece.
const AT_ONCE: usize = 64;

/// After so long a silence a comment is sent, so that neither end, nor what stands between them, takes the other for
/// gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams what happens.
pub(super) async fn live(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let filter = Question::of_live(&parts)?;
    let last = parts.headers.get("last-event-id");
    let last = last.map(|id| id.to_str().unwrap_or_default());
    let reader = match &state.feed {
        Some(feed) => feed.read(last),
        None => {
            return Err(Refusal::unavailable(
                "calls are not followed as they happen",
            ));
        }
    };
    let Some(reader) = reader else {
        return Err(Refusal::unavailable("too many readers of the live feed"));
    };
    let (sender, body) = pieces::body();
    let mut ending = state.ending.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            () = send(reader, &filter, &sender) => {}
            // The end of llmtap is that of the feed: it must not wait for its readers.
            _ = ending.wait_for(|ending| *ending) => {}
        }
    });
    let kind = (header::CONTENT_TYPE, "text/event-stream");
    // nginx would keep events back.
    let unbuffered = (header::HeaderName::from_static("x-accel-buffering"), "no");
    Ok(([NO_STORE, kind, unbuffered], body).into_response())
}

/// Sends until nobody reads any more.
async fn send(mut reader: Reader, filter: &Filter, sender: &Sender) {
    // At once, so that the reader knows that it is heard.
    let mut text = String::from(": the calls that happen from now on\nretry: 2000\n\n");
    loop {
        if !text.is_empty() && sender.send(text.into_bytes()).await.is_err() {
            return;
        }
        text = String::new();
        let Ok((missed, events)) = timeout(HEARTBEAT, reader.next(AT_ONCE)).await else {
            text.push_str(": nothing happened\n\n");
            continue;
        };
        if let Some(missed) = missed {
            let missed = match missed {
                Missed::Some(count) => json!(count),
                Missed::Unknown => json!(null),
            };
            let data = json!({ "missed": missed });
            let _ = write!(text, "event: lagged\ndata: {data}\n\n");
        }
        for event in events {
            if filter.lets_through(event.seen()) {
                text.push_str(&event.text);
            }
        }
    }
}
