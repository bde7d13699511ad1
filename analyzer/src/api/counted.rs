//! Every request to the API is counted and timed.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::ApiState;
use crate::metrics::Gauge;

/// Stands for all paths that are no endpoint's: whoever asks could make up any number of them.
const OTHER: &str = "other";

/// Wraps every endpoint.
pub(super) async fn counted(
    State(state): State<Arc<ApiState>>,
    request: Request,
    next: Next,
) -> Response {
    let metrics = state.metrics.api();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let under_way = UnderWay::new(&metrics.in_flight);
    let response = next.run(request).await;
    drop(under_way);
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    let seconds = started.elapsed().as_secs_f64();
    metrics.answered(route, response.status().as_u16(), seconds);
    response
}

/// Holds the gauge up, also where the asker leaves before the answer.
struct UnderWay<'g>(&'g Gauge);

impl<'g> UnderWay<'g> {
    fn new(gauge: &'g Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
