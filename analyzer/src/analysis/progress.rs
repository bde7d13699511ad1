//! Calls under way: what can be told of them before they have ended.

use std::sync::Arc;

use super::open::Open;
use crate::{
    call::{CallKey, Label, Marks},
    dialect::{AnswerChoice, RequestChoice},
    exchange::Source,
    redact::Redactor,
};

/// What is told of a call before it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its request was read, or its answer began.
    Begun,
    /// Its first token came.
    FirstToken,
}

/// What is new of a call.
#[derive(Clone, Debug)]
pub struct News {
    /// The stages that it has come to, in order.
    pub stages: &'static [Stage],
    /// What is known of it.
    pub call: UnderWay,
}

/// A call under way, as far as it is known. Its fields are those of [`Call`](crate::call::Call); the texts are still
/// as the wire had them.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// As its row will have it.
    pub call_key: CallKey,
    /// Where it is seen.
    pub source: Source,
    /// The wire API.
    pub dialect: Option<&'static str>,
    /// The OpenTelemetry operation name.
    pub operation: Option<&'static str>,
    /// Whether the answer is streamed; before there is one, whether that was asked for.
    pub stream: Option<bool>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path without its query string.
    pub path: Option<String>,
    /// The status code.
    pub status: Option<u16>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answers.
    pub response_model: Option<String>,
    /// The server's figure so far, where it sends one before the end.
    pub output_tokens: Option<u64>,
    /// The events of the stream so far.
    pub events: u64,
    /// The points in time that were passed.
    pub marks: Marks,
    /// The TCP client's address.
    pub peer: Option<String>,
    /// The client's address, by the headers of a trusted peer.
    pub client: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The keyed hash of the API key.
    pub key: Option<String>,
    /// The TCP server's address and port.
    pub server: Option<String>,
    /// Headers that are kept.
    pub labels: Vec<Label>,
    pub(crate) redactor: Arc<Redactor>,
}

impl UnderWay {
    /// Moves all its marks by so many microseconds, as [`Finished::shift`](super::Finished::shift) will.
    pub fn shift(&mut self, micros: i64) {
        self.marks.shift(micros);
    }

    /// Takes the secrets out of its texts.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        let fields = [
            &mut self.method,
            &mut self.path,
            &mut self.request_model,
            &mut self.response_model,
            &mut self.user,
        ];
        let labels = self.labels.iter_mut().map(|label| &mut label.value);
        for text in fields.into_iter().flatten().chain(labels) {
            redactor.text(text);
        }
    }
}

impl Open {
    /// See [`Analyzer::news`](super::Analyzer::news).
    pub(super) fn news(&mut self) -> Option<News> {
        let now = self.stage()?;
        if self.told >= Some(now) || !self.is_call() {
            return None;
        }
        let stages: &[Stage] = match (self.told, now) {
            (None, Stage::FirstToken) => &[Stage::Begun, Stage::FirstToken],
            (_, Stage::FirstToken) => &[Stage::FirstToken],
            (_, Stage::Begun) => &[Stage::Begun],
        };
        let call = self.under_way()?;
        self.told = Some(now);
        Some(News { stages, call })
    }

    fn stage(&mut self) -> Option<Stage> {
        let first_token = self
            .answer
            .as_mut()
            .and_then(AnswerChoice::so_far)
            .and_then(|(_, clocks)| clocks?.first_token);
        if first_token.is_some() {
            return Some(Stage::FirstToken);
        }
        (self.marks.request_end.is_some() || self.first_answer.is_some()).then_some(Stage::Begun)
    }

    /// The call as far as it is known; nothing where it is none, or that is not known yet.
    pub(super) fn under_way(&mut self) -> Option<UnderWay> {
        if !self.is_call() {
            return None;
        }
        let start = self.marks.request_start.or(self.first_answer)?;
        let mut marks = self.marks;
        let (mut response_model, mut output_tokens, mut events) = (None, None, 0);
        let mut streamed = None;
        let answered_as = self.answer.as_ref().and_then(AnswerChoice::claimed);
        if let Some((facts, clocks)) = self.answer.as_mut().and_then(AnswerChoice::so_far) {
            response_model.clone_from(&facts.model);
            output_tokens = facts.usage.output;
            if let Some(clocks) = clocks {
                marks.first_event = clocks.first_event;
                marks.first_token = clocks.first_token;
                marks.last_token = clocks.last_token;
                events = clocks.timeline.events();
                streamed = Some(true);
            }
        }
        let asked_as = self.request.as_ref().and_then(RequestChoice::claimed);
        let is_read = self.marks.request_end.is_some();
        let asked = self.request.as_mut().and_then(|r| r.so_far(is_read));
        let asked_model = asked.and_then(|facts| facts.model.clone());
        let asked_stream = asked.and_then(|facts| facts.stream.or(is_read.then_some(false)));
        let asked_user = asked.and_then(|facts| facts.user.clone());
        let sender = self.sender.as_ref();
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let dialect = asked_as.or(answered_as);
        Some(UnderWay {
            call_key: self.key(start),
            source: self.begin.source,
            dialect: dialect.map(|dialect| dialect.name),
            operation: dialect.map(|dialect| dialect.operation),
            stream: streamed.or(asked_stream),
            method: text(sender.map(|sender| sender.method.clone())),
            path: text(sender.map(|sender| sender.path.clone())),
            status: self.status,
            request_model: text(asked_model).or_else(|| sender?.model.clone()),
            response_model,
            output_tokens,
            events,
            marks,
            peer: self
                .begin
                .peer
                .map(|peer| peer.ip().to_canonical().to_string()),
            client: sender.and_then(|sender| Some(sender.client?.to_string())),
            user: text(asked_user).or_else(|| sender?.user.clone()),
            key: sender.and_then(|sender| sender.key.clone()),
            server: self.begin.server.map(|server| server.to_string()),
            labels: sender.map_or_else(Vec::new, |sender| sender.whose.labels.clone()),
            redactor: Arc::clone(&self.redactor),
        })
    }
}
