//! The end of an exchange: its row, and the call's.

use sha2::{Digest, Sha256};

use super::{
    AnalyzerCounters,
    count::{Plain, Uncounted},
    open::{AnswerBody, Chosen, Open},
    outcome::{Fault, Status, is_complete, outcome},
    stored::{Keeper, KeptBodies},
};
use crate::{
    call::{Call, CallKey, Confidence, ExchangeRow, Marks, TokenSource, Whose},
    cost::Cost,
    dialect::{
        AnswerChoice, Answered, DIALECTS, Dialect, Expected, Final, Form, RequestChoice,
        answer::AnswerFacts, request::RequestFacts,
    },
    exchange::{End, Transfer, Version},
    legs::{Close, EndedLeg, Leg},
    time::Timestamp,
};

/// What became of an exchange.
#[derive(Debug)]
pub struct Finished {
    /// The exchange, LLM call or not.
    pub exchange: ExchangeRow,
    /// The call, if it is one.
    pub call: Option<Box<Uncounted>>,
    /// What the matching of legs must know, where [`Analyzer::leg`](super::Analyzer::leg) told of it
    /// before.
    pub leg: Option<Box<EndedLeg>>,
}

impl Finished {
    /// Moves all its marks by so many microseconds: the clock was set before the exchange began, and
    /// the packets' times know nothing of it.
    pub fn shift(&mut self, micros: i64) {
        let row = &mut self.exchange;
        for mark in [
            &mut row.request_start,
            &mut row.request_end,
            &mut row.response_head,
            &mut row.response_end,
            &mut row.ended,
        ] {
            *mark = mark.map(|time| time.plus_micros(micros));
        }
        if let Some(call) = &mut self.call {
            call.call.marks.shift(micros);
            if let Some(timeline) = &mut call.call.timeline {
                timeline.shift(micros);
            }
        }
    }
}

impl Open {
    /// The exchange is over.
    pub(super) fn finish(mut self, end: &End, counters: &mut AnalyzerCounters) -> Finished {
        counters.exchanges = counters.exchanges.saturating_add(1);
        self.marks.response_end = end.response_end;
        self.marks.ended = Some(end.time);
        let mut exchange = self.exchange_row(end);
        let leg = self.leg();
        let answer = std::mem::take(&mut self.leg).into_answer();
        let status = self.status;
        let call = self.is_call().then(|| {
            counters.calls = counters.calls.saturating_add(1);
            let call = self.into_call(end, counters);
            exchange.dialect = call.call.dialect;
            Box::new(call)
        });
        let leg = leg.map(|leg| {
            let whole = call.is_some() && end.request.unread == 0;
            let close = whole.then_some(Close {
                time: end.time,
                ending: end.ending,
                status,
                answer,
            });
            Box::new(EndedLeg { leg, close })
        });
        Finished {
            exchange,
            call,
            leg,
        }
    }

    /// See [`Analyzer::leg`](super::Analyzer::leg).
    pub(super) fn leg(&self) -> Option<Leg> {
        let start = self.marks.request_start?;
        Some(Leg {
            id: self.id,
            key: self.key(start),
            body: self.leg.whole()?,
            peer: self.begin.peer?,
            server: self.begin.server?,
            start,
        })
    }

    /// Whether the exchange is a call.
    pub(super) fn is_call(&self) -> bool {
        let claimed = || {
            self.request
                .as_ref()
                .and_then(RequestChoice::claimed)
                .is_some()
                || self
                    .answer
                    .as_ref()
                    .and_then(AnswerChoice::claimed)
                    .is_some()
        };
        match self.choice {
            Chosen::ByPath => true,
            Chosen::ByShape => claimed(),
            Chosen::Unasked | Chosen::NoCall => false,
        }
    }

    /// The call, as the two sides are read.
    pub(super) fn into_call(mut self, end: &End, counters: &mut AnalyzerCounters) -> Uncounted {
        self.marks.response_end = end.response_end;
        self.marks.ended = Some(end.time);
        let mut answer = self.answer.take();
        let request = self.request.take();
        if let Some(answer) = &mut answer {
            answer.settle(request.as_ref().and_then(RequestChoice::likely));
        }
        let answered_as = answer.as_ref().and_then(AnswerChoice::claimed);
        let (asked_as, facts) = match request {
            Some(request) => request.finish(answered_as),
            None => (None, RequestFacts::default()),
        };
        let answer = answer.and_then(|answer| answer.finish(&facts));
        let dialect = asked_as.or(answered_as).unwrap_or(DIALECTS[0]);
        let response_dialect = answered_as
            .map(|answered| answered.name)
            .filter(|name| *name != dialect.name);
        let answer = answer.map(|(_, answer)| answer);
        let sides = Sides {
            dialect,
            response_dialect,
            request: facts,
            answer: answer.unwrap_or_else(|| unanswered(self.expected)),
        };
        self.call(sides, end, counters)
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
            target: self
                .target
                .as_deref()
                .map(|target| self.redactor.target(target)),
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
        let traces = self.answer_body == AnswerBody::Seen
            || end.response.missing_head > 0
            || end.response.missing_body > 0
            || end.response.body_bytes > 0;
        match self.status {
            Some(status) => Status::Seen(status),
            None if traces => Status::Lost,
            None => Status::NeverSent,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a column of the row a line")]
    fn call(self, sides: Sides, end: &End, counters: &mut AnalyzerCounters) -> Uncounted {
        let key = self.key(end.time);
        let status = self.status(end);
        let Sides {
            dialect,
            response_dialect,
            request,
            mut answer,
        } = sides;
        let refused = self.status.is_some_and(|status| status >= 400);
        let detail = answer.detail.filter(|_| refused);
        let error = answer.facts.error.clone().or(detail);
        let fault = error.as_ref().map_or(Fault::None, |_| Fault::Error);
        let complete = is_complete(end.ending, answer.ended);

        let cut = request.prompt.cut() || answer.facts.cut();
        let truncated = cut || end.request.unread > 0 || end.response.unread > 0;
        let [missing_request, missing_response] = [end.request, end.response].map(missing);
        // Of a request that was never seen, nobody knows how many bytes are missing.
        let seen = self.sender.is_some();
        let whole = seen && missing_request == 0 && missing_response == 0 && !truncated;
        let unread_request = self.sender.is_some() && !request.whole;

        let streamed = answer.form.is_stream();
        let mut marks = self.marks;
        if streamed {
            marks.first_event = answer.clocks.first_event;
            marks.first_token = answer.clocks.first_token;
            marks.last_token = answer.clocks.last_token;
        }
        let [elapsed, upload, ttft] = spans(&marks, counters);
        let mut timeline = std::mem::take(&mut answer.clocks.timeline);
        timeline.set_start(marks.request_start);
        let gaps = std::mem::take(&mut answer.clocks.gaps);
        let (gap_max, stalls) = (gaps.largest(), gaps.stalls());
        let [gap_p50, gap_p95] = gaps.percentiles([50, 95]);

        counters.calls_cut = counters.calls_cut.saturating_add(u64::from(cut));
        counters.requests_unread = counters
            .requests_unread
            .saturating_add(u64::from(unread_request));
        for damage in [request.damage, answer.damage] {
            counters.json_replaced = counters.json_replaced.saturating_add(damage.replaced);
            counters.json_too_deep = counters.json_too_deep.saturating_add(damage.too_deep);
        }

        let facts = &mut answer.facts;
        let usage = facts.usage.or(facts.timings.usage());
        facts.usage = usage;
        let output = Output::of(facts);
        let times = facts.server_times;
        let sender = self.sender.unwrap_or_default();
        let stored = |keeper: Option<Keeper>| keeper.map(Keeper::finish);
        let bodies = stored(self.request_body)
            .zip(stored(self.response_body))
            .map(|(request, response)| KeptBodies { request, response });
        if let Some(KeptBodies { request, response }) = &bodies {
            let cut = u64::from(request.is_cut()) + u64::from(response.is_cut());
            counters.bodies_cut = counters.bodies_cut.saturating_add(cut);
        }
        let is_text = dialect.answer_is_text || refused || error.is_some();
        let bodies = bodies.map(|bodies| {
            if is_text {
                bodies
            } else {
                bodies.without_answer()
            }
        });
        let error = error.unwrap_or_default();
        let call = Call {
            call_key: key,
            source: self.begin.source,
            dialect: Some(dialect.name),
            operation: Some(dialect.operation),
            provider: Some(dialect.provider),
            stream: streamed_or_asked(answer.form, self.status, &request),
            method: some(sender.method),
            path: some(sender.path),
            status: self.status,
            outcome: outcome(status, end.ending, answer.ended, fault),
            error_type: error.kind,
            error_code: error.code,
            request_model: request.model.clone().and_then(some).or(sender.model),
            response_model: facts.model.clone(),
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            input_source: TokenSource::None,
            output_source: TokenSource::None,
            output_partial: !complete,
            reported_input_tokens: facts.reported_input.or(usage.input),
            reported_output_tokens: facts.reported_output.or(usage.output),
            counted_input_tokens: None,
            counted_output_tokens: None,
            audited: false,
            output_rule: None,
            tokenizer: None,
            tokenizer_fit: None,
            prompt_rule: None,
            counted_pictures: None,
            uncounted_parts: None,
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
            wasted: if complete { 0 } else { wasted(end) },
            finish_reasons: facts.finish_reasons(),
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
            outer_of: None,
            response_dialect,
            response_id: facts.id.take().and_then(some),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            n: request.choices,
            message_count: request.prompt.messages,
            tool_count: request.tools,
            tool_choice: request.tool_choice.clone().and_then(some),
            response_format: request.response_format.clone().and_then(some),
            file_bytes: (request.files.count > 0).then_some(request.files.bytes),
            file_type: request.files.kind.clone().and_then(some),
            tool_calls: output.tool_calls,
            content_chars: output.content,
            reasoning_chars: output.reasoning,
            tool_chars: output.tools,
            server_queue: times.queue,
            server_prefill: times.prefill,
            server_decode: times.decode,
            server_load: times.load,
            server_total: times.total,
            retry_after: self.retry_after,
            timeline: (streamed && !timeline.is_empty()).then_some(timeline),
            whose: Whose {
                server_request_id: self.server_request_id,
                ..sender.whose
            },
            redactions: 0,
            cost: Cost::default(),
        };
        Uncounted {
            call,
            dialect,
            request,
            answer: answer.facts,
            bodies,
            form: answer.form,
            plain: Plain::default(),
            redactor: self.redactor,
            prices: self.prices,
        }
    }

    /// See [`call_key`]. Where the request was lost, the answer's first byte stands in for its
    /// start, and where both are, the end; a letter tells the three apart.
    pub(super) fn key(&self, end: Timestamp) -> CallKey {
        let (mark, time) = match (self.marks.request_start, self.first_answer) {
            (Some(start), _) => (b'q', start),
            (None, Some(answer)) => (b'a', answer),
            (None, None) => (b'e', end),
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

/// What both sides of a call were read as, and what was read.
struct Sides {
    dialect: &'static Dialect,
    response_dialect: Option<&'static str>,
    request: RequestFacts,
    answer: Answered,
}

/// An answer's output by kind, in characters; `None` where there is no choice.
#[derive(Default)]
struct Output {
    content: Option<u64>,
    reasoning: Option<u64>,
    tools: Option<u64>,
    tool_calls: Vec<String>,
}

impl Output {
    fn of(facts: &AnswerFacts) -> Self {
        let mut output = Self::default();
        for choice in facts.choices.values() {
            let content = [&choice.content, &choice.refusal, &choice.transcript];
            let tools = choice.tools.values();
            let arguments = tools.clone().map(|tool| &tool.arguments);
            add_chars(&mut output.content, content.into_iter());
            add_chars(&mut output.reasoning, [&choice.reasoning].into_iter());
            add_chars(&mut output.tools, arguments);
            let names = tools
                .map(|tool| tool.name.clone())
                .filter(|n| !n.is_empty());
            let room = MAX_NAMED_TOOLS.saturating_sub(output.tool_calls.len());
            output.tool_calls.extend(names.take(room));
        }
        output
    }
}

/// Tool calls that a row names, the first ones: a model that calls more in one answer is in a loop.
const MAX_NAMED_TOOLS: usize = 64;

fn add_chars<'a>(sum: &mut Option<u64>, texts: impl Iterator<Item = &'a String>) {
    let chars: u64 = texts.map(|text| text.chars().count() as u64).sum();
    *sum = Some(sum.unwrap_or(0).saturating_add(chars));
}

/// An answer of which no body was seen.
fn unanswered(promised: Expected) -> Answered {
    Answered {
        facts: AnswerFacts::default(),
        detail: None,
        form: promised.unseen(),
        ended: Final::Unseen,
        clocks: crate::dialect::StreamClocks::default(),
        damage: crate::json::Damage::default(),
    }
}

/// Whether the answer was a stream; where there is none, or a refusal, whether a stream was asked
/// for, which the body's silence denies only if it was read to its end.
fn streamed_or_asked(form: Form, status: Option<u16>, request: &RequestFacts) -> Option<bool> {
    let answered = status.is_some_and(|status| (200..300).contains(&status));
    match form {
        Form::Events | Form::Lines | Form::Array => Some(true),
        Form::Json | Form::Other if answered => Some(false),
        Form::Json | Form::Other | Form::Unseen => {
            request.stream.or(request.whole.then_some(false))
        }
    }
}

/// Bytes of a message that were not seen.
fn missing(transfer: Transfer) -> u64 {
    transfer.missing_head.saturating_add(transfer.missing_body)
}

/// elapsed, upload and ttft; a negative one is none, and counted.
fn spans(marks: &Marks, counters: &mut AnalyzerCounters) -> [Option<i64>; 3] {
    [marks.ended, marks.request_end, marks.first_token].map(|later| {
        let micros = later?.micros_since(marks.request_start?);
        if micros < 0 {
            counters.negative_durations = counters.negative_durations.saturating_add(1);
        }
        (micros >= 0).then_some(micros)
    })
}

/// How long the server went on sending after the client had left. Asked only where no complete answer
/// followed: a half-closed client that gets its whole answer still reads it, and wastes nothing.
fn wasted(end: &End) -> i64 {
    end.server_last
        .zip(end.client_left)
        .map_or(0, |(last, left)| last.micros_since(left).max(0))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
