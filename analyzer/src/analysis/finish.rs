//! The end of an exchange: its row, and the call's.

use sha2::{Digest, Sha256};

use super::{
    AnalyzerCounters,
    open::{AnswerBody, Candidate, Chosen, Open},
    outcome::{Fault, Status, is_complete, outcome},
    stored::Keeper,
};
use crate::{
    call::{Bodies, Call, CallKey, Confidence, ExchangeRow, TokenSource},
    dialect::{
        Answered, DIALECTS, Dialect, Expected, Final, Form,
        answer::{AnswerFacts, Choice, sum},
        request::RequestFacts,
    },
    exchange::{End, Version},
    record::Record,
    time::Timestamp,
    tokens::{Tokenizer, Tokenizers},
};

/// What became of an exchange.
#[derive(Debug)]
pub struct Finished {
    /// The exchange, LLM call or not.
    pub exchange: ExchangeRow,
    /// The call, if it is one.
    pub call: Option<Box<Uncounted>>,
}

/// A call whose tokens are not counted yet.
#[derive(Debug)]
pub struct Uncounted {
    pub(crate) call: Call,
    pub(crate) dialect: &'static Dialect,
    pub(crate) request: RequestFacts,
    pub(crate) answer: AnswerFacts,
    pub(crate) bodies: Option<Bodies>,
    pub(crate) form: Form,
    /// Texts to count as they stand, where they are no JSON.
    pub(crate) plain: Plain,
}

/// A report's bodies that are no JSON: they are counted as they stand.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
}

impl Uncounted {
    /// The call as known without counting.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Counts the tokens and closes the row. Takes some milliseconds for long texts.
    pub fn count(mut self, tokenizers: &Tokenizers) -> Record {
        let models = [&self.call.request_model, &self.call.response_model];
        let tokenizer = tokenizers.choose(models.into_iter().flatten().map(String::as_str));
        let refused = self.call.status.is_some_and(|status| status >= 300)
            && self
                .answer
                .choices
                .values()
                .all(|c| c.texts().next().is_none());
        if !refused {
            let input = self.count_input(tokenizer);
            let output = self.count_output(tokenizer);
            self.call.tokenizer = input.or(output).map(|_| tokenizer.name());
            self.call.counted_input_tokens = input;
            self.call.counted_output_tokens = output;
        }
        self.settle();
        Record {
            call: self.call,
            bodies: self.bodies,
        }
    }

    /// Closes the row without counting: for when counting is too far behind.
    pub fn uncounted(mut self) -> Record {
        self.settle();
        Record {
            call: self.call,
            bodies: self.bodies,
        }
    }

    fn count_input(&self, tokenizer: Tokenizer) -> Option<u64> {
        if let Some(text) = &self.plain.request {
            return Some(tokenizer.count(text));
        }
        let prompt = &self.request.prompt;
        let overhead = self.dialect.overhead;
        prompt.present.then(|| {
            let text: u64 = prompt.parts().map(|part| tokenizer.count(part)).sum();
            let messages = prompt.messages.unwrap_or(0);
            text.saturating_add(prompt.token_ids)
                .saturating_add(messages.saturating_mul(overhead.message))
                .saturating_add(overhead.prompt)
        })
    }

    fn count_output(&self, tokenizer: Tokenizer) -> Option<u64> {
        if let Some(text) = &self.plain.response {
            return Some(tokenizer.count(text));
        }
        let choices = &self.answer.choices;
        (!choices.is_empty()).then(|| {
            let texts = choices.values().flat_map(Choice::texts);
            texts.map(|text| tokenizer.count(text)).sum()
        })
    }

    /// The effective figures, and what follows from them.
    fn settle(&mut self) {
        let call = &mut self.call;
        (call.input_tokens, call.input_source) =
            effective(call.reported_input_tokens, call.counted_input_tokens);
        (call.output_tokens, call.output_source) =
            effective(call.reported_output_tokens, call.counted_output_tokens);
        call.total_tokens = sum(call.input_tokens, call.output_tokens);
        call.output_partial &= call.output_tokens.is_some();
        call.tokens_per_second = call
            .total_tokens
            .zip(call.elapsed.filter(|elapsed| *elapsed > 0))
            .map(|(tokens, elapsed)| tokens as f64 / (elapsed as f64 / 1e6));
        self.call.tpot = self.tpot();
    }

    /// Time per output token after the first, in microseconds.
    fn tpot(&self) -> Option<f64> {
        let call = &self.call;
        let one_choice = self.answer.choices.len() <= 1 && self.request.choices.unwrap_or(1) <= 1;
        if self.form != Form::Events
            || !one_choice
            || call.missing_response_bytes > 0
            || call.truncated
        {
            return None;
        }
        let span = call.marks.last_token?.micros_since(call.marks.first_token?);
        let mut tokens = call.output_tokens?;
        let unseen_thoughts = call.output_source == TokenSource::Reported
            && self.answer.choices.values().all(|c| c.reasoning.is_empty());
        if unseen_thoughts {
            tokens = tokens.saturating_sub(call.reasoning_tokens.unwrap_or(0));
        }
        (tokens >= 2 && span > 0).then(|| span as f64 / (tokens - 1) as f64)
    }
}

fn effective(reported: Option<u64>, counted: Option<u64>) -> (Option<u64>, TokenSource) {
    match (reported, counted) {
        (Some(figure), _) => (Some(figure), TokenSource::Reported),
        (None, Some(figure)) => (Some(figure), TokenSource::Counted),
        (None, None) => (None, TokenSource::None),
    }
}

impl Open {
    /// The exchange is over.
    pub(super) fn finish(mut self, end: &End, counters: &mut AnalyzerCounters) -> Finished {
        counters.exchanges = counters.exchanges.saturating_add(1);
        self.marks.response_end = end.response_end;
        self.marks.ended = Some(end.time);
        let mut exchange = self.exchange_row(end);
        let call = self.chosen().map(|position| {
            counters.calls = counters.calls.saturating_add(1);
            let call = self.into_call(position, end, counters);
            exchange.dialect = call.call.dialect;
            Box::new(call)
        });
        Finished { exchange, call }
    }

    /// The candidate that the exchange follows, if it is a call.
    pub(super) fn chosen(&self) -> Option<usize> {
        match self.choice {
            Chosen::ByPath => Some(0),
            Chosen::ByShape => self.candidates.iter().position(Candidate::claims),
            Chosen::Unasked | Chosen::NoCall => None,
        }
    }

    /// The call, as read by the candidate at this position.
    pub(super) fn into_call(
        mut self,
        position: usize,
        end: &End,
        counters: &mut AnalyzerCounters,
    ) -> Uncounted {
        let chosen = if position < self.candidates.len() {
            self.candidates.swap_remove(position)
        } else {
            Candidate::bare(DIALECTS[0])
        };
        self.marks.response_end = end.response_end;
        self.marks.ended = Some(end.time);
        let request = chosen.request.map(|r| r.finish()).unwrap_or_default();
        let answer = chosen.answer.map(|reader| reader.finish(&request));
        self.call(chosen.dialect, request, answer, end, counters)
    }

    fn exchange_row(&self, end: &End) -> ExchangeRow {
        let sender = self.sender.as_ref();
        ExchangeRow {
            peer: self
                .begin
                .peer
                .map(|peer| peer.ip().to_canonical().to_string()),
            client_port: self.begin.peer.map(|peer| peer.port()),
            server: self.begin.server.map(|server| server.to_string()),
            method: sender.map(|sender| sender.method.clone()),
            target: self.target.clone(),
            version: self.version.map(Version::as_str),
            status: self.status,
            request_body_len: end.request.body_bytes,
            response_body_len: end.response.body_bytes,
            request_decoded_len: end.request.decoded_bytes,
            response_decoded_len: end.response.decoded_bytes,
            request_start: self.marks.request_start,
            request_end: self.marks.request_end,
            response_head: self.marks.response_head,
            response_end: self.marks.response_end,
            ended: self.marks.ended,
            missing_request_head: end.request.missing_head,
            missing_request_body: end.request.missing_body,
            missing_response_head: end.response.missing_head,
            missing_response_body: end.response.missing_body,
            protocol: match self.version {
                Some(Version::Http09) => "http/0.9",
                Some(Version::Http10) => "http/1.0",
                Some(Version::Http11) => "http/1.1",
                None => "http",
            },
            ending: end.ending.as_str(),
            dialect: None,
        }
    }

    fn status(&self, end: &End) -> Status {
        let traces = self.answer == AnswerBody::Seen
            || end.response.missing_head > 0
            || end.response.missing_body > 0
            || end.response.body_bytes > 0;
        match self.status {
            Some(status) => Status::Seen(status),
            None if traces => Status::Lost,
            None => Status::NeverSent,
        }
    }

    fn call(
        self,
        dialect: &'static Dialect,
        request: RequestFacts,
        answer: Option<Answered>,
        end: &End,
        counters: &mut AnalyzerCounters,
    ) -> Uncounted {
        let key = self.key(end);
        let status = self.status(end);
        let answer = answer.unwrap_or_else(|| unanswered(self.event_stream));
        let error = answer.facts.error.clone().or(answer
            .detail
            .filter(|_| self.status.is_some_and(|s| s >= 400)));
        let fault = if error.is_some() {
            Fault::Error
        } else {
            Fault::None
        };
        let complete = is_complete(end.ending, answer.ended);
        let outcome = outcome(status, end.ending, answer.ended, fault);

        let missing_request = end
            .request
            .missing_head
            .saturating_add(end.request.missing_body);
        let missing_response = end
            .response
            .missing_head
            .saturating_add(end.response.missing_body);
        let cut = request.prompt.cut() || answer.facts.cut();
        let truncated = cut || end.request.unread > 0 || end.response.unread > 0;
        let whole = missing_request == 0 && missing_response == 0 && !truncated;

        counters.calls_cut = counters.calls_cut.saturating_add(u64::from(cut));
        for damage in [request.damage, answer.damage] {
            counters.json_replaced = counters.json_replaced.saturating_add(damage.replaced);
            counters.json_too_deep = counters.json_too_deep.saturating_add(damage.too_deep);
        }
        if self.sender.is_some() && !request.whole {
            counters.requests_unread = counters.requests_unread.saturating_add(1);
        }

        let streamed = answer.form == Form::Events;
        let mut marks = self.marks;
        let mut since = |later: Option<Timestamp>, earlier: Option<Timestamp>| {
            let micros = later?.micros_since(earlier?);
            if micros < 0 {
                counters.negative_durations = counters.negative_durations.saturating_add(1);
            }
            (micros >= 0).then_some(micros)
        };
        if streamed {
            marks.first_event = answer.clocks.first_event;
            marks.first_token = answer.clocks.first_token;
            marks.last_token = answer.clocks.last_token;
        }
        let elapsed = since(marks.ended, marks.request_start);
        let upload = since(marks.request_end, marks.request_start);
        let ttft = since(marks.first_token, marks.request_start);
        let gaps = answer.clocks.gaps;
        let (gap_max, stalls) = (gaps.largest(), gaps.stalls());
        let [gap_p50, gap_p95] = gaps.percentiles([50, 95]);

        let usage = answer.facts.usage;
        let sender = self.sender.unwrap_or_default();
        let stored = |keeper: Option<Keeper>| keeper.map(Keeper::finish);
        let bodies = stored(self.request_body)
            .zip(stored(self.response_body))
            .map(|(request, response)| Bodies { request, response });
        let error = error.unwrap_or_default();
        let call = Call {
            call_key: key,
            source: self.begin.source,
            dialect: Some(dialect.name),
            operation: Some(dialect.operation),
            provider: Some(dialect.provider),
            stream: streamed_or_asked(&answer.form, &request),
            method: some(sender.method),
            path: some(sender.path),
            status: self.status,
            outcome,
            error_type: error.kind,
            error_code: error.code,
            request_model: request.model.clone().and_then(some).or(sender.model),
            response_model: answer.facts.model.clone(),
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            input_source: TokenSource::None,
            output_source: TokenSource::None,
            output_partial: !complete,
            reported_input_tokens: usage.input,
            reported_output_tokens: usage.output,
            counted_input_tokens: None,
            counted_output_tokens: None,
            tokenizer: None,
            cached_tokens: usage.cached,
            cache_write_tokens: usage.cache_write,
            reasoning_tokens: usage.reasoning,
            audio_tokens: usage.audio(),
            marks,
            elapsed,
            upload,
            ttft,
            tpot: None,
            tokens_per_second: None,
            gap_p50,
            gap_p95,
            gap_max,
            stalls: streamed.then_some(stalls),
            wasted: wasted(end),
            finish_reasons: answer.facts.finish_reasons(),
            peer: self
                .begin
                .peer
                .map(|peer| peer.ip().to_canonical().to_string()),
            client: sender.client.map(|client| client.to_string()),
            user: request.user.clone().and_then(some).or(sender.user),
            key: sender.key,
            server: self.begin.server.map(|server| server.to_string()),
            missing_request_bytes: missing_request,
            missing_response_bytes: missing_response,
            truncated,
            confidence: if whole {
                Confidence::Complete
            } else {
                Confidence::Partial
            },
            reported_timestamp: None,
        };
        Uncounted {
            call,
            dialect,
            request,
            answer: answer.facts,
            bodies,
            form: answer.form,
            plain: Plain::default(),
        }
    }

    /// See [`call_key`]. Where the request was lost, the answer's first byte stands in for its
    /// start, and where both are, the end; a letter tells the three apart.
    fn key(&self, end: &End) -> CallKey {
        let (mark, time) = match (self.marks.request_start, self.first_answer) {
            (Some(start), _) => (b'q', start),
            (None, Some(answer)) => (b'a', answer),
            (None, None) => (b'e', end.time),
        };
        let peer = self.begin.peer.map(|peer| peer.to_string());
        let server = self.begin.server.map(|server| server.to_string());
        call_key(
            [peer.as_deref(), server.as_deref()],
            mark,
            time,
            u64::from(self.id.number),
        )
    }
}

/// The first 16 bytes of SHA-256 over the two addresses with their ports (each ended by a zero
/// byte), what the time is of, that time in microseconds and the exchange's number on its
/// connection (both eight bytes, big-endian).
pub(crate) fn call_key(
    addresses: [Option<&str>; 2],
    mark: u8,
    time: Timestamp,
    number: u64,
) -> CallKey {
    let mut hash = Sha256::new();
    for address in addresses {
        hash.update(address.unwrap_or_default());
        hash.update([0]);
    }
    hash.update([mark]);
    hash.update(time.as_micros().to_be_bytes());
    hash.update(number.to_be_bytes());
    let mut key = [0; 16];
    key.iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    CallKey(key)
}

/// An answer of which no body was seen.
fn unanswered(promised: Expected) -> Answered {
    Answered {
        facts: AnswerFacts::default(),
        detail: None,
        form: match promised {
            Expected::Events => Form::Events,
            Expected::Anything => Form::Unseen,
        },
        ended: Final::Unseen,
        clocks: crate::dialect::StreamClocks::default(),
        damage: crate::json::Damage::default(),
    }
}

/// Whether the answer was a stream; without one, whether a stream was asked for, which the body's
/// silence denies only if it was read to its end.
fn streamed_or_asked(form: &Form, request: &RequestFacts) -> Option<bool> {
    match form {
        Form::Events => Some(true),
        Form::Json | Form::Other => Some(false),
        Form::Unseen => request.stream.or(request.whole.then_some(false)),
    }
}

/// How long the server went on sending after the client had left.
fn wasted(end: &End) -> i64 {
    end.server_last
        .zip(end.client_left)
        .map_or(0, |(last, left)| last.micros_since(left).max(0))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
