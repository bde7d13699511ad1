//! `GET /metrics`: the aggregates, in the format and coding that the scraper takes. No SQL stands on its path.

use std::{io::Write as _, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use tokio::{sync::Semaphore, time::timeout};

use super::{ApiState, error::Refusal, held::Held};
use crate::metrics::{Format, takes_gzip};

/// Scrapes that are written at a time; further ones wait. Each may be some megabytes of text.
const AT_A_TIME: usize = 4;

/// How long they wait.
const WAIT: Duration = Duration::from_secs(5);

/// Bytes of texts that may wait for slow scrapers in all; past it a scrape is refused.
const HELD: usize = 256 << 20;

/// Texts below this are sent as they are: a packet or two, which coding would not make fewer.
const WORTH_CODING: usize = 1024;

/// The bound that scrapes share.
pub(super) struct ScrapeLimits {
    writing: Arc<Semaphore>,
    held: Held,
}

impl ScrapeLimits {
    pub(super) fn new() -> Self {
        Self {
            writing: Arc::new(Semaphore::new(AT_A_TIME)),
            held: Held::new(HELD),
        }
    }
}

/// Answers a scrape.
pub(super) async fn scrape(state: &ApiState, headers: &HeaderMap) -> Result<Response, Refusal> {
    let format = Format::for_accept(&joined(headers, &header::ACCEPT));
    let gzip = takes_gzip(&joined(headers, &header::ACCEPT_ENCODING));
    let too_many = || Refusal::unavailable("too many scrapes at a time");
    let place = timeout(WAIT, Arc::clone(&state.scrapes.writing).acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        return Err(too_many());
    };
    let metrics = state.metrics.clone();
    // Off the threads that serve: the text may be long, and the totals are kept before they are shown.
    let written = tokio::task::spawn_blocking(move || {
        let _place = place;
        let text = metrics.render(format);
        match coded(text.as_bytes()).filter(|_| gzip && text.len() >= WORTH_CODING) {
            Some(coded) => (Some("gzip"), Bytes::from(coded)),
            None => (None, Bytes::from(text)),
        }
    });
    let (coding, body) = written.await.map_err(|_| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written",
        )
    })?;
    let body = state.scrapes.held.body(body).ok_or_else(too_many)?;
    let mut response = body.into_response();
    let more = response.headers_mut();
    let content_type = header::HeaderValue::from_static(format.content_type());
    more.insert(header::CONTENT_TYPE, content_type);
    let vary = header::HeaderValue::from_static("accept, accept-encoding");
    more.insert(header::VARY, vary);
    if let Some(coding) = coding {
        let coding = header::HeaderValue::from_static(coding);
        more.insert(header::CONTENT_ENCODING, coding);
    }
    Ok(response)
}

/// The fastest level: it makes a scrape's text about twenty times smaller, and slower ones hardly more.
fn coded(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// A header's values as one list, as RFC 9110 §5.3 has it.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
