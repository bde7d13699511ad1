//! One event, ready for its readers.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Map, Value as Json, json};

use crate::{
    analysis::{News, Stage, UnderWay},
    call::{Call, Label},
    columns,
    query::glance::Glance,
    redact::Redactor,
    time::Timestamp,
};

/// One event.
pub(crate) struct Event {
    /// Its number; they have no gaps.
    pub(super) number: u64,
    /// What it is in the stream, its id and all.
    pub(crate) text: String,
    seen: Seen,
}

/// What filters look at.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    model: Option<String>,
    operation: Option<&'static str>,
    dialect: Option<&'static str>,
    outcome: Option<&'static str>,
    status: Option<u16>,
    client: Option<String>,
    user: Option<String>,
    key: Option<String>,
    stream: Option<bool>,
    server: Option<String>,
    source: &'static str,
    elapsed: Option<i64>,
    ttft: Option<i64>,
    labels: Vec<Label>,
    is_outer: bool,
}

/// Makes events.
#[derive(Default)]
pub(super) struct Maker {
    rules: Rules,
}

impl Maker {
    pub(super) fn news(&mut self, news: News) -> impl Iterator<Item = Event> + use<> {
        let mut call = news.call;
        self.rules.apply(&mut call);
        let seen = Seen::of_under_way(&call);
        let fields = under_way(&call);
        news.stages.iter().map(move |stage| {
            let name = match stage {
                Stage::Begun => "begin",
                Stage::FirstToken => "first_token",
            };
            Event::new(name, &fields, seen.clone())
        })
    }

    pub(super) fn ended(&self, call: &Call) -> Event {
        let fields = columns::row_json(call, None);
        Event::new("end", &fields, Seen::of_ended(call))
    }
}

/// The rules by which secrets are taken out, counting apart.
#[derive(Default)]
pub(crate) struct Rules(Option<(Arc<Redactor>, Redactor)>);

impl Rules {
    pub(crate) fn apply(&mut self, call: &mut UnderWay) {
        let known = matches!(&self.0, Some((of, _)) if Arc::ptr_eq(of, &call.redactor));
        if !known {
            let apart = call.redactor.counting_apart();
            self.0 = Some((Arc::clone(&call.redactor), apart));
        }
        if let Some((_, redactor)) = &self.0 {
            call.redact(redactor);
        }
    }
}

impl Event {
    fn new(name: &'static str, fields: &Map<String, Json>, seen: Seen) -> Self {
        let fields = Json::from(fields.clone());
        Self {
            number: 0,
            // JSON of one line: none of its characters ends it.
            text: format!("event: {name}\ndata: {fields}\n\n"),
            seen,
        }
    }

    pub(super) fn number(&mut self, run: u64, number: u64) {
        self.number = number;
        self.text.insert_str(0, &format!("id: {run:x}-{number}\n"));
    }

    pub(crate) const fn seen(&self) -> &Seen {
        &self.seen
    }
}

/// What is known of a call under way, under the names of its row.
fn under_way(call: &UnderWay) -> Map<String, Json> {
    let time = |time: Option<Timestamp>| time.map(Timestamp::as_seconds);
    let labels: Map<String, Json> = call
        .labels
        .iter()
        .map(|label| (label.name.clone(), label.value.clone().into()))
        .collect();
    let fields = json!({
        "call_key": call.call_key.to_string(),
        "source": call.source.as_str(),
        "dialect": call.dialect,
        "operation": call.operation,
        "stream": call.stream,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "request_model": call.request_model,
        "response_model": call.response_model,
        "output_tokens": call.output_tokens,
        "events": call.events,
        "request_start": time(call.marks.request_start),
        "request_end": time(call.marks.request_end),
        "response_head": time(call.marks.response_head),
        "first_event": time(call.marks.first_event),
        "first_token": time(call.marks.first_token),
        "last_token": time(call.marks.last_token),
        "ttft": ttft(call).map(|micros| micros as f64 / 1e6),
        "peer": call.peer,
        "client": call.client,
        "user": call.user,
        "key": call.key,
        "server": call.server,
        "labels": if labels.is_empty() { Json::Null } else { labels.into() },
    });
    match fields {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The same with its age at a moment, in seconds.
pub(crate) fn under_way_at(call: &UnderWay, now: Timestamp) -> Map<String, Json> {
    let start = call.marks.request_start.or(call.marks.response_head);
    let age = start.map(|start| now.micros_since(start).max(0) as f64 / 1e6);
    let mut fields = under_way(call);
    fields.insert("age".to_owned(), json!(age));
    fields
}

fn ttft(call: &UnderWay) -> Option<i64> {
    let micros = call
        .marks
        .first_token?
        .micros_since(call.marks.request_start?);
    (micros >= 0).then_some(micros)
}

impl Seen {
    pub(crate) fn of_under_way(call: &UnderWay) -> Self {
        Self {
            model: call.request_model.clone().or(call.response_model.clone()),
            operation: call.operation,
            dialect: call.dialect,
            outcome: None,
            status: call.status,
            client: call.client.clone().or(call.peer.clone()),
            user: call.user.clone(),
            key: call.key.clone(),
            stream: call.stream,
            server: call.server.clone(),
            source: call.source.as_str(),
            elapsed: None,
            ttft: ttft(call),
            labels: call.labels.clone(),
            is_outer: false,
        }
    }

    fn of_ended(call: &Call) -> Self {
        Self {
            model: call.request_model.clone().or(call.response_model.clone()),
            operation: call.operation,
            dialect: call.dialect,
            outcome: Some(call.outcome.as_str()),
            status: call.status,
            client: call.client.clone().or(call.peer.clone()),
            user: call.user.clone(),
            key: call.key.clone(),
            stream: call.stream,
            server: call.server.clone(),
            source: call.source.as_str(),
            elapsed: call.elapsed,
            ttft: call.ttft,
            labels: call.whose.labels.clone(),
            is_outer: call.outer_of.is_some(),
        }
    }
}

impl Glance for Seen {
    fn dimension(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = match name {
            "model" => self.model.as_deref(),
            "operation" => self.operation,
            "dialect" => self.dialect,
            "outcome" => self.outcome,
            "status" => return self.status.map(|status| status.to_string().into()),
            "client" => self.client.as_deref(),
            "user" => self.user.as_deref(),
            "key" => self.key.as_deref(),
            "stream" => self
                .stream
                .map(|stream| if stream { "true" } else { "false" }),
            "server" => self.server.as_deref(),
            "source" => Some(self.source),
            _ => None,
        };
        text.map(Cow::Borrowed)
    }

    fn measure(&self, name: &str) -> Option<u64> {
        let micros = match name {
            "elapsed" => self.elapsed,
            "ttft" => self.ttft,
            _ => None,
        };
        micros.and_then(|micros| u64::try_from(micros).ok())
    }

    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        let label = labels.find(|label| label.name == name)?;
        Some(&label.value)
    }

    fn is_outer(&self) -> bool {
        self.is_outer
    }
}
