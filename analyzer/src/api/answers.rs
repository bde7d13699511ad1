//! `GET /api/summary`, `/api/timeseries` and `/api/heatmap`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value as Json_};

use super::{
    ApiState,
    calls::{JSON, NO_STORE, as_file},
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
    json(&state, &summarise(&state, &parts).await?)
}

/// Figures by group, as CSV.
pub(super) async fn summary_csv(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_summary(&summarise(&state, &parts).await?);
    file(&state, Lines::Csv, "summary", &rows)
}

/// Figures by group, as NDJSON.
pub(super) async fn summary_ndjson(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_summary(&summarise(&state, &parts).await?);
    file(&state, Lines::Ndjson, "summary", &rows)
}

/// Figures by group over time.
pub(super) async fn timeseries(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    json(&state, &over_time(&state, &parts).await?)
}

/// Figures by group over time, as CSV.
pub(super) async fn timeseries_csv(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_series(&over_time(&state, &parts).await?);
    file(&state, Lines::Csv, "timeseries", &rows)
}

/// Figures by group over time, as NDJSON.
pub(super) async fn timeseries_ndjson(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let rows = flat_series(&over_time(&state, &parts).await?);
    file(&state, Lines::Ndjson, "timeseries", &rows)
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
    json(&state, &answer.await??)
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

fn json(state: &ApiState, answer: &Json_) -> Result<Response, Refusal> {
    let body = state.queries.body(answer.to_string().into())?;
    Ok(([NO_STORE, JSON], body).into_response())
}

fn file(
    state: &ApiState,
    lines: Lines,
    stem: &str,
    rows: &[Map<String, Json_>],
) -> Result<Response, Refusal> {
    let body = state.queries.body(lines.objects(rows))?;
    Ok((as_file(lines, stem), body).into_response())
}
