//! `GET /api/summary`, `/api/timeseries` and `/api/heatmap`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde_json::Value as Json_;

use super::{
    ApiState,
    calls::{NO_STORE, as_file},
    error::Refusal,
    parameters::Question,
};
use crate::{
    query::{
        output::{Lines, flat_series, flat_summary},
        series::{self, HeatMap, Series},
        summary::{self, Summary},
    },
    store::system_clock,
};

/// Figures by group.
pub(super) async fn summary(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    Ok(json(&summarise(&state, &parts).await?))
}

/// Figures by group, as CSV.
pub(super) async fn summary_csv(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_summary(&summarise(&state, &parts).await?);
    let lines = Lines::Csv;
    Ok((as_file(lines, "summary"), lines.objects(&rows)).into_response())
}

/// Figures by group, as NDJSON.
pub(super) async fn summary_ndjson(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_summary(&summarise(&state, &parts).await?);
    let lines = Lines::Ndjson;
    Ok((as_file(lines, "summary"), lines.objects(&rows)).into_response())
}

/// Figures by group over time.
pub(super) async fn timeseries(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    Ok(json(&over_time(&state, &parts).await?))
}

/// Figures by group over time, as CSV.
pub(super) async fn timeseries_csv(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_series(&over_time(&state, &parts).await?);
    let lines = Lines::Csv;
    Ok((as_file(lines, "timeseries"), lines.objects(&rows)).into_response())
}

/// Figures by group over time, as NDJSON.
pub(super) async fn timeseries_ndjson(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_series(&over_time(&state, &parts).await?);
    let lines = Lines::Ndjson;
    Ok((as_file(lines, "timeseries"), lines.objects(&rows)).into_response())
}

/// How values are spread over time.
pub(super) async fn heatmap(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let question = Question::read(&parts, &[series::HEAT_PARAMETERS])?;
    let map = HeatMap::parse(&question.pairs, question.filter)?;
    let answer = state
        .queries
        .ask(move |snapshot| map.answer(snapshot, system_clock()));
    Ok(json(&answer.await??))
}

async fn summarise(state: &ApiState, parts: &Parts) -> Result<Json_, Refusal> {
    let question = Question::read(parts, &[summary::PARAMETERS])?;
    let summary = Summary::parse(&question.pairs, question.filter)?;
    let answer = state.queries.ask(move |snapshot| summary.answer(snapshot));
    answer.await
}

async fn over_time(state: &ApiState, parts: &Parts) -> Result<Json_, Refusal> {
    let question = Question::read(parts, &[series::PARAMETERS])?;
    let series = Series::parse(&question.pairs, question.filter)?;
    let answer = state
        .queries
        .ask(move |snapshot| series.answer(snapshot, system_clock()));
    Ok(answer.await??)
}

fn json(answer: &Json_) -> Response {
    ([NO_STORE], Json(answer)).into_response()
}
