//! `GET /api/openapi.json`: the OpenAPI document, made of the tables that the API itself is made of.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value as Json_, json};

use super::{
    endpoints::{Answer, ENDPOINTS, Endpoint, Filters},
    error::PROBLEM,
};
use crate::{
    columns::{CALL_COLUMNS, ID, Kind},
    query::{
        Key, Parameter,
        figures::{PERCENTILES, SKETCHES, SUMS},
        filter::{FILTERS, of_live},
        parameter::Takes,
    },
};

/// The document.
pub(super) async fn document() -> Response {
    let seconds = (header::CACHE_CONTROL, "max-age=300");
    ([seconds], Json(build())).into_response()
}

/// Makes the document.
pub(crate) fn build() -> Json_ {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        methods[endpoint.method.to_ascii_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "llmtap",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": "What was seen of LLM traffic. Times are seconds since the Unix epoch, durations \
                seconds. Filters of different names must all hold; of several values of one name, any will do. \
                Parameters that are not known are refused.",
        },
        "paths": paths,
        "components": {"schemas": schemas()},
    })
}

fn operation(endpoint: &Endpoint) -> Json_ {
    let mut parameters = Vec::new();
    if endpoint.path.contains("{id}") {
        parameters.push(json!({
            "name": "id", "in": "path", "required": true,
            "description": "The call's number, or its call_key",
            "schema": {"type": "string", "pattern": "^([0-9]{1,18}|[0-9a-f]{32})$"},
        }));
    }
    if endpoint.path.contains("{file}") {
        parameters.push(json!({
            "name": "file", "in": "path", "required": true,
            "description": "Its name, as the dashboard's page and its scripts say",
            "schema": {"type": "string", "pattern": "^[a-z]{1,16}\\.js$"},
        }));
    }
    match endpoint.filters {
        Filters::Taken => parameters.extend(FILTERS.iter().map(parameter)),
        Filters::Live => parameters.extend(of_live().map(parameter)),
        Filters::No => {}
    }
    let others = endpoint.parameters.iter().copied().flatten();
    parameters.extend(others.map(parameter));
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": responses(endpoint),
    });
    if endpoint.method == "POST" {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": reference("Report")}},
        });
    }
    operation
}

/// A name for programs: `get_api_calls_csv`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint
        .path
        .replace(['/', '.'], "_")
        .replace(['{', '}'], "");
    let method = endpoint.method.to_ascii_lowercase();
    format!("{method}{path}").trim_end_matches('_').to_owned()
}

fn parameter(parameter: &Parameter) -> Json_ {
    if let Some(name) = parameter.name.strip_suffix('.') {
        return json!({
            "name": format!("{name}.NAME"), "in": "query", "required": false,
            "description": format!("{} In place of NAME stands the name.", parameter.doc),
            "schema": {"type": "array", "items": {"type": "string", "maxLength": 1024}},
            "style": "form", "explode": true,
        });
    }
    let mut schema = match parameter.takes {
        Takes::Text if parameter.name == "status" => {
            json!({"type": "string", "pattern": "^!?([1-9][0-9][0-9]|[1-9]xx|~none)$"})
        }
        Takes::Text if parameter.name == "group_by" => {
            let names: Vec<_> = Key::names().filter(|name| !name.ends_with('.')).collect();
            json!({"type": "string", "anyOf": [
                {"enum": names},
                {"pattern": "^(label\\.)?[a-z_]+(,(label\\.)?[a-z_]+){0,3}$"},
            ]})
        }
        Takes::Text => json!({"type": "string", "minLength": 1, "maxLength": 1024}),
        Takes::Time => json!({"type": "string", "anyOf": [
            {"format": "date-time"},
            {"pattern": "^(now|[0-9]{4}-[0-9]{2}-[0-9]{2}|-?[0-9]{1,11}(\\.[0-9]{1,6})?)$"},
            {"pattern": "^[-+]([0-9]{1,6}(us|ms|s|m|h|d|w))+$"},
        ]}),
        Takes::Span => json!({
            "type": "string", "pattern": "^([0-9]{1,9}(\\.[0-9]{1,6})?|([0-9]{1,6}(us|ms|s|m|h|d|w))+)$",
        }),
        Takes::OneOf(words) => json!({"type": "string", "enum": words}),
        Takes::Integer => json!({"type": "integer"}),
        Takes::Number(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
    };
    if parameter.repeats {
        schema = json!({"type": "array", "items": schema});
    }
    json!({
        "name": parameter.name, "in": "query", "required": false,
        "description": parameter.doc, "schema": schema, "style": "form", "explode": true,
    })
}

fn responses(endpoint: &Endpoint) -> Json_ {
    let problem = json!({
        "description": "What is wrong, and what to do",
        "content": {PROBLEM: {"schema": reference("Problem")}},
    });
    let good = |kind: &str, schema: Json_| json!({"description": endpoint.summary, "content": {kind: {"schema": schema}}});
    let text = json!({"type": "string"});
    let mut responses = match endpoint.answer {
        Answer::Json(name) => json!({"200": good("application/json", reference(name))}),
        Answer::Text(kind) => json!({"200": good(kind, text)}),
        Answer::Accepted => json!({"200": good("application/json", reference("Accepted"))}),
        Answer::Readiness => {
            let both = good("application/json", reference("Readiness"));
            json!({"200": both, "503": both})
        }
        Answer::Events => json!({"200": good("text/event-stream", text)}),
        Answer::Metrics => {
            let plain = good("text/plain", text.clone());
            let mut both = plain.clone();
            both["content"]["application/openmetrics-text"] = json!({"schema": text});
            json!({"200": both, "404": plain})
        }
    };
    // Before a request is read to its end, there is no more to say.
    responses["414"] = json!({"description": "The URL is too long"});
    responses["431"] = json!({"description": "The head is too long"});
    responses["default"] = problem;
    responses
}

fn reference(name: &str) -> Json_ {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn schemas() -> Json_ {
    let number_or_null = json!({"type": ["number", "null"]});
    let text_or_null = json!({"type": ["string", "null"]});
    let stored = object(&[
        ("head", json!({"type": "string"})),
        ("omitted", json!({"type": "integer"})),
        ("tail", json!({"type": "string"})),
    ]);
    let bodies = object(&[("request", stored.clone()), ("response", stored)]);
    let names = json!({"type": "array", "items": {"type": "string"}});
    let grouped = json!({"allOf": [reference("Figures"), {
        "type": "object", "additionalProperties": {"description": "the names of group_by"},
    }]});
    json!({
        "Object": {"type": "object"},
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"}, "title": {"type": "string"},
                "status": {"type": "integer"}, "detail": {"type": "string"},
                "error": {"type": "string", "description": "the same as detail"},
                "field": {"type": "string", "description": "the parameter or field that is at fault"},
            },
        },
        "Call": call(),
        "CallPage": object(&[
            ("calls", json!({"type": "array", "items": reference("Call")})),
            ("next", text_or_null),
        ]),
        "CallDetails": object(&[
            ("call", reference("Call")),
            ("timeline", json!({"type": ["array", "null"]})),
            ("losses", json!({"type": "object"})),
            ("bodies", json!({"anyOf": [bodies, {"type": "null"}]})),
        ]),
        "InFlight": object(&[
            ("time", json!({"type": "number", "description": "when they were written down"})),
            ("complete", json!({"type": "boolean", "description": "whether all workers told in time of theirs"})),
            ("left_out", json!({"type": "integer", "description": "exchanges that there was no room for"})),
            ("calls", json!({"type": "array", "items": {"type": "object"}})),
        ]),
        "Figures": figures(),
        "Summary": object(&[
            ("from", number_or_null.clone()),
            ("to", number_or_null),
            ("group_by", names.clone()),
            ("groups", json!({"type": "array", "items": grouped})),
            ("folded", json!({"type": "integer", "description": "groups that ~other stands for"})),
            ("total", reference("Figures")),
        ]),
        "TimeSeries": object(&[
            ("from", json!({"type": "number"})),
            ("step", json!({"type": "number"})),
            ("points", json!({"type": "integer"})),
            ("group_by", names),
            ("series", json!({"type": "array", "items": {
                "type": "object", "required": ["points"],
                "properties": {"points": {"type": "array", "items": {
                    "anyOf": [reference("Figures"), {"type": "null"}],
                }}},
            }})),
            ("folded", json!({"type": "integer"})),
        ]),
        "HeatMap": object(&[
            ("of", json!({"type": "string"})),
            ("from", json!({"type": "number"})),
            ("step", json!({"type": "number"})),
            ("points", json!({"type": "integer"})),
            ("bounds", json!({"type": "array", "items": {"type": "number"}})),
            ("counts", json!({"type": "array", "items": {
                "type": "array", "items": {"type": "integer"},
            }})),
        ]),
        "Readiness": {
            "type": "object", "required": ["ready"],
            "properties": {"ready": {"type": "boolean"}, "reasons": {
                "type": "array", "items": {"type": "string"},
            }},
        },
        "Report": report(),
        "Accepted": object(&[
            ("status", json!({"type": "string"})),
            ("total_tokens", json!({"type": "integer"})),
            ("tps", json!({"type": "number"})),
        ]),
    })
}

/// An object that has all these.
fn object(properties: &[(&str, Json_)]) -> Json_ {
    let names: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Json_> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "required": names, "properties": properties})
}

/// A call's row, by its columns.
fn call() -> Json_ {
    let id = json!({"type": "integer", "description": "the store's number"});
    let columns = CALL_COLUMNS.iter().map(|column| {
        let schema = match column.kind {
            Kind::Bool => json!({"type": ["boolean", "null"]}),
            Kind::Integer => json!({"type": ["integer", "null"]}),
            Kind::Real | Kind::Time | Kind::Duration | Kind::FineDuration | Kind::Money => {
                json!({"type": ["number", "null"]})
            }
            Kind::Text => json!({"type": ["string", "null"]}),
            Kind::List => json!({"type": ["array", "null"], "items": {"type": "string"}}),
            Kind::Json => json!({"type": ["array", "object", "null"]}),
            Kind::Key => json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
            Kind::OtherKey => json!({"type": ["string", "null"], "pattern": "^[0-9a-f]{32}$"}),
        };
        let mut schema = schema;
        schema["description"] = column.doc.into();
        (column.name, schema)
    });
    let properties: Vec<_> = std::iter::once((ID, id)).chain(columns).collect();
    object(&properties)
}

fn figures() -> Json_ {
    let count = json!({"type": "integer", "minimum": 0});
    let mut properties = vec![("calls", count.clone()), ("errors", count.clone())];
    properties.extend(SUMS.iter().map(|name| (*name, count.clone())));
    let cost = "in units of the currency; null where nothing has a cost, and where there are several currencies";
    properties.push((
        "cost",
        json!({"type": ["number", "null"], "description": cost}),
    ));
    properties.push((
        "currency",
        json!({"type": ["string", "null"], "description": "or ~mixed"}),
    ));
    let mut percentiles = vec![("count", count)];
    let percentile = json!({"type": ["number", "null"], "description": "seconds, within 1 %"});
    percentiles.extend(
        PERCENTILES
            .iter()
            .map(|(name, _)| (*name, percentile.clone())),
    );
    let percentiles = object(&percentiles);
    properties.extend(
        SKETCHES
            .iter()
            .map(|(name, _)| (*name, percentiles.clone())),
    );
    object(&properties)
}

fn report() -> Json_ {
    let text_or_null = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "required": ["request_body", "response_body", "elapsed_time"],
        "properties": {
            "request_body": {"type": "string"},
            "response_body": {"type": "string"},
            "elapsed_time": {"type": "number", "minimum": 0, "description": "seconds"},
            "path": text_or_null, "timestamp": text_or_null, "model": text_or_null,
        },
    })
}
