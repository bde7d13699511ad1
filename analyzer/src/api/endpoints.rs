//! What the API has, in one table: the OpenAPI document and the answer to wrong paths come from it.

use super::{access::Shows, calls::WHOLE};
use crate::query::{
    Parameter,
    parameter::Takes,
    select::{ORDERING, PAGING},
    series, summary,
};

/// One of the API's.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What it shows, and so who may ask it.
    pub(super) shows: Shows,
    /// What it is for, in a line.
    pub(super) summary: &'static str,
    /// Whether it takes the filters.
    pub(super) filters: Filters,
    /// The parameters that it takes beside them.
    pub(super) parameters: &'static [&'static [Parameter]],
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    Taken,
    /// Those that calls under way can be asked by.
    Live,
    No,
}

/// What comes back.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// JSON of the schema of this name.
    Json(&'static str),
    /// Text of this media type.
    Text(&'static str),
    /// Server-sent events.
    Events,
    /// The same JSON with 200 and with 503.
    Readiness,
    /// The old tracker's answer to a report.
    Accepted,
    /// Aggregates, or one record, which there may not be.
    Metrics,
}

const CSV: Answer = Answer::Text("text/csv");
const NDJSON: Answer = Answer::Text("application/x-ndjson");

/// The record of the old tracker.
const OFFSET: &[Parameter] = &[Parameter::once(
    "offset",
    "N",
    Takes::Integer,
    "The record with so many before it, as the old tracker showed it (the first where it is negative); without \
     it, the aggregates",
)];

use Filters::{Live, No, Taken};
use Shows::{Figures, Metrics, Nothing, Reports};

/// All endpoints.
#[rustfmt::skip]
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint { method: "GET", path: "/", shows: Nothing, summary: "The dashboard", filters: No, parameters: &[], answer: Answer::Text("text/html") },
    Endpoint { method: "GET", path: "/api/calls", shows: Figures, summary: "Calls, page by page", filters: Taken, parameters: &[ORDERING, PAGING], answer: Answer::Json("CallPage") },
    Endpoint { method: "GET", path: "/api/calls.csv", shows: Figures, summary: "All calls as CSV", filters: Taken, parameters: &[ORDERING, WHOLE], answer: CSV },
    Endpoint { method: "GET", path: "/api/calls.ndjson", shows: Figures, summary: "All calls as NDJSON", filters: Taken, parameters: &[ORDERING, WHOLE], answer: NDJSON },
    Endpoint { method: "GET", path: "/api/calls/{id}", shows: Figures, summary: "One call with its texts, its timeline and its losses", filters: No, parameters: &[], answer: Answer::Json("CallDetails") },
    Endpoint { method: "GET", path: "/api/heatmap", shows: Figures, summary: "How values are spread over time", filters: Taken, parameters: &[series::HEAT_PARAMETERS], answer: Answer::Json("HeatMap") },
    Endpoint { method: "GET", path: "/api/inflight", shows: Figures, summary: "Calls under way, the oldest first", filters: Live, parameters: &[], answer: Answer::Json("InFlight") },
    Endpoint { method: "GET", path: "/api/live", shows: Figures, summary: "Calls as they begin, get their first token and end: server-sent events", filters: Live, parameters: &[], answer: Answer::Events },
    Endpoint { method: "GET", path: "/api/metrics", shows: Metrics, summary: "The aggregates, for Prometheus", filters: No, parameters: &[OFFSET], answer: Answer::Metrics },
    Endpoint { method: "GET", path: "/api/openapi.json", shows: Figures, summary: "This document", filters: No, parameters: &[], answer: Answer::Json("Object") },
    Endpoint { method: "GET", path: "/api/status", shows: Figures, summary: "What the status page shows", filters: No, parameters: &[], answer: Answer::Json("Object") },
    Endpoint { method: "GET", path: "/api/summary", shows: Figures, summary: "Counts, sums and percentiles by group", filters: Taken, parameters: &[summary::PARAMETERS], answer: Answer::Json("Summary") },
    Endpoint { method: "GET", path: "/api/summary.csv", shows: Figures, summary: "The same as CSV, a line a group", filters: Taken, parameters: &[summary::PARAMETERS], answer: CSV },
    Endpoint { method: "GET", path: "/api/summary.ndjson", shows: Figures, summary: "The same as NDJSON, a line a group", filters: Taken, parameters: &[summary::PARAMETERS], answer: NDJSON },
    Endpoint { method: "GET", path: "/api/timeseries", shows: Figures, summary: "Counts, sums and percentiles by group over time", filters: Taken, parameters: &[series::PARAMETERS], answer: Answer::Json("TimeSeries") },
    Endpoint { method: "GET", path: "/api/timeseries.csv", shows: Figures, summary: "The same as CSV, a line a point", filters: Taken, parameters: &[series::PARAMETERS], answer: CSV },
    Endpoint { method: "GET", path: "/api/timeseries.ndjson", shows: Figures, summary: "The same as NDJSON, a line a point", filters: Taken, parameters: &[series::PARAMETERS], answer: NDJSON },
    Endpoint { method: "GET", path: "/live", shows: Nothing, summary: "Whether the process answers", filters: No, parameters: &[], answer: Answer::Json("Object") },
    Endpoint { method: "GET", path: "/metrics", shows: Metrics, summary: "The aggregates, for Prometheus", filters: No, parameters: &[OFFSET], answer: Answer::Metrics },
    Endpoint { method: "GET", path: "/ready", shows: Nothing, summary: "Whether it captures and stores", filters: No, parameters: &[], answer: Answer::Readiness },
    Endpoint { method: "GET", path: "/ui/{file}", shows: Nothing, summary: "A file of the dashboard's", filters: No, parameters: &[], answer: Answer::Text("text/javascript") },
    Endpoint { method: "POST", path: "/api/report", shows: Reports, summary: "Takes a report of the old plugin", filters: No, parameters: &[], answer: Answer::Accepted },
];

/// All of them by name.
pub(super) fn names() -> Vec<String> {
    let names = ENDPOINTS.iter();
    names
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
        .collect()
}
