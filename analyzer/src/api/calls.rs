//! `GET /api/calls`, its twins in CSV and NDJSON, and `GET /api/calls/{id}`.

use std::{path::Path as FilePath, sync::Arc};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    ApiState,
    access::may_see_bodies,
    error::Refusal,
    parameters::Question,
    pieces::{self, Sender},
    queries::Queries,
};
use crate::{
    query::{
        details::{Details, Name, Texts},
        output::Lines,
        parameter::{Parameter, Takes, number},
        select::{ORDERING, PAGING, Selection},
    },
    store::StoreError,
};

/// Rows that are read, and turned to text, at a time: some megabytes.
const ROWS_AT_ONCE: usize = 1_000;

/// What answers hold must not be kept by whoever stands between.
pub(super) const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

pub(super) const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

/// The parameters of the twins, beside filters and order: they have no pages.
#[rustfmt::skip]
pub(super) const WHOLE: &[Parameter] = &[
    Parameter::once("limit", "N", Takes::Number(1, i64::MAX as u64), "Calls at most (default: all)"),
];

/// One page of calls.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let question = Question::read(&parts, &[ORDERING, PAGING])?;
    let selection = Selection::parse(&question.pairs, question.filter)?;
    let page = state.queries.ask(move |snapshot| {
        let rows = selection.rows(snapshot)?;
        // Turned to text where it may take its time.
        serde_json::to_vec(&rows).map_err(|_| StoreError::Unreadable)
    });
    let body = state.queries.body(page.await?)?;
    Ok(([NO_STORE, JSON], body).into_response())
}

/// All calls, as CSV.
pub(super) async fn csv(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    whole(&state, &parts, Lines::Csv).await
}

/// All calls, as NDJSON.
pub(super) async fn ndjson(
    State(state): State<Arc<ApiState>>,
    parts: Parts,
) -> Result<Response, Refusal> {
    whole(&state, &parts, Lines::Ndjson).await
}

/// One call, by its number or its key.
pub(super) async fn one(
    State(state): State<Arc<ApiState>>,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Refusal> {
    Question::nothing_but_the_path(&parts)?;
    let id = id.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let Some(name) = Name::parse(&id.0) else {
        let error = "id must be a call's number or the 32 hexadecimal digits of its call_key";
        return Err(Refusal::field("id", error));
    };
    let texts = if may_see_bodies(&parts) {
        Texts::Shown
    } else {
        Texts::Hidden
    };
    let details = state
        .queries
        .ask(move |snapshot| {
            let details = Details::read(snapshot, name, texts)?;
            let json = details.as_ref().map(serde_json::to_vec);
            json.transpose().map_err(|_| StoreError::Unreadable)
        })
        .await?;
    let Some(details) = details else {
        let error = format!("there is no call {}", id.0);
        return Err(Refusal::new(StatusCode::NOT_FOUND, error));
    };
    let body = state.queries.body(details)?;
    Ok(([NO_STORE, JSON], body).into_response())
}

/// Content type and name of an answer that is a file.
pub(super) fn as_file(lines: Lines, stem: &str) -> [(header::HeaderName, String); 3] {
    let (kind, extension) = match lines {
        Lines::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Lines::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let name = FilePath::new(stem).with_extension(extension);
    let name = format!("attachment; filename=\"{}\"", name.display());
    [
        (NO_STORE.0, NO_STORE.1.to_owned()),
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ]
}

async fn whole(state: &ApiState, parts: &Parts, lines: Lines) -> Result<Response, Refusal> {
    let question = Question::read(parts, &[ORDERING, WHOLE])?;
    let rows = number(
        &question.pairs,
        "limit",
        (1, i64::MAX as u64),
        i64::MAX as u64,
    )?;
    let ordered = question.pairs.iter().filter(|(name, _)| name != "limit");
    let ordered: Vec<_> = ordered.cloned().collect();
    let selection = Selection::parse(&ordered, question.filter)?;
    let Ok(place) = Arc::clone(&state.queries.long_answers).try_acquire_owned() else {
        return Err(Refusal::unavailable("too many long answers at a time"));
    };
    // The first rows come before the head, so that what cannot be answered is said with a status.
    let mut export = Export {
        queries: Arc::clone(&state.queries),
        lines,
        left: rows,
        next: Some(selection),
    };
    let mut first = Vec::new();
    lines.begin_calls(&mut first);
    first.extend(export.more().await?.unwrap_or_default());
    let (sender, body) = pieces::body();
    tokio::spawn(async move {
        let _place = place;
        export.send(first, sender).await;
    });
    Ok((as_file(lines, "calls"), body).into_response())
}

/// An answer of any size: read in pages, each with a snapshot of its own, so that none lasts as long as its
/// reader takes.
struct Export {
    queries: Arc<Queries>,
    lines: Lines,
    left: u64,
    next: Option<Selection>,
}

impl Export {
    /// The next rows as text; `None` after the last.
    async fn more(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(selection) = self.next.take().filter(|_| self.left > 0) else {
            return Ok(None);
        };
        let rows = usize::try_from(self.left).map_or(ROWS_AT_ONCE, |left| left.min(ROWS_AT_ONCE));
        let selection = selection.with_limit(rows);
        let lines = self.lines;
        let page = self.queries.ask(move |snapshot| {
            let (rows, next) = selection.advance(snapshot)?;
            let mut text = Vec::new();
            for row in &rows {
                lines.call(&mut text, row);
            }
            Ok((text, rows.len(), next))
        });
        let (text, rows, next) = page.await?;
        self.left = self.left.saturating_sub(rows as u64);
        self.next = next;
        Ok(Some(text))
    }

    async fn send(mut self, first: Vec<u8>, sender: Sender) {
        let mut text = first;
        loop {
            if sender.send(text).await.is_err() {
                return;
            }
            text = match self.more().await {
                Ok(Some(more)) => more,
                Ok(None) => return,
                Err(_) => return sender.fail().await,
            };
        }
    }
}
