//! Calls from events, each figure computed by hand.

use std::{borrow::Cow, net::SocketAddr};

mod bounds;
mod counting;
mod dialects;
mod legs;
mod outcomes;
mod progress;
mod servers;
mod splits;
mod tokens;

use super::*;
use crate::{
    call::{Call, Confidence, Outcome, TokenSource},
    exchange::{
        Begin, End, Ending, Headers, Place, RequestHead, ResponseHead, Source, Transfer, Version,
    },
    time::Timestamp,
    tokens::{Counter, Tokenizers, Vocabulary},
};

/// Times in the tests are microseconds after this.
const EPOCH: i64 = 1_754_000_000_000_000;

const ID: ExchangeId = ExchangeId {
    connection: 3,
    number: 1,
};

const CHAT: &str = "/v1/chat/completions";

fn t(micros: i64) -> Timestamp {
    Timestamp::from_micros(EPOCH + micros)
}

/// One exchange, event by event.
#[derive(Clone)]
struct Script {
    events: Vec<Event<'static>>,
    end: End,
}

impl Script {
    fn new() -> Self {
        let socket = |text: &str| text.parse::<SocketAddr>().ok();
        let begin = Begin {
            source: Source::File,
            peer: socket("10.0.0.2:40000"),
            server: socket("10.0.0.1:8000"),
        };
        let end = End {
            ending: Ending::Complete,
            response_end: None,
            time: t(0),
            client_left: None,
            server_last: None,
            request: Transfer::default(),
            response: Transfer::default(),
        };
        Self {
            events: Vec::new(),
            end,
        }
        .add(EventKind::Begin(begin))
    }

    fn add(mut self, kind: EventKind<'static>) -> Self {
        self.events.push(Event { id: ID, kind });
        self
    }

    fn request_head(self, method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        self.add(EventKind::RequestHead(RequestHead {
            method: method.to_owned(),
            target: target.to_owned(),
            version: Version::Http11,
            headers: fields(headers),
            first: t(0),
            last: t(10),
        }))
    }

    fn request_piece(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.add(EventKind::RequestBody {
            bytes: Cow::Owned(bytes.into()),
            time: t(20),
        })
    }

    fn request_end(self) -> Self {
        self.add(EventKind::RequestEnd { time: t(20) })
    }

    /// A whole request to `target`.
    fn post(self, target: &str, body: &str) -> Self {
        self.request_head("POST", target, &[])
            .request_piece(body)
            .request_end()
    }

    fn head(self, status: u16, content_type: &str, at: i64) -> Self {
        self.head_with(status, content_type, &[], at)
    }

    fn head_with(self, status: u16, content_type: &str, more: &[(&str, &str)], at: i64) -> Self {
        let headers = [&[("Content-Type", content_type)], more].concat();
        self.add(EventKind::ResponseHead(ResponseHead {
            status,
            version: Version::Http11,
            headers: fields(&headers),
            first: t(at),
            last: t(at),
        }))
    }

    fn stream(self, at: i64) -> Self {
        self.head(200, "text/event-stream; charset=utf-8", at)
    }

    fn plain(self, status: u16, body: &str) -> Self {
        self.head(status, "application/json", 1_000)
            .piece(body, 2_000)
            .complete(2_000)
    }

    fn piece(self, bytes: impl Into<Vec<u8>>, at: i64) -> Self {
        self.add(EventKind::ResponseBody {
            bytes: Cow::Owned(bytes.into()),
            time: t(at),
        })
    }

    /// One event of a stream with this data.
    fn data(self, data: &str, at: i64) -> Self {
        self.piece(format!("data: {data}\n\n"), at)
    }

    /// One chunk with a delta of the first choice.
    fn delta(self, delta: &str, at: i64) -> Self {
        self.data(&chunk(0, delta, "null"), at)
    }

    fn gap(mut self, place: Place, length: u64) -> Self {
        match place {
            Place::RequestHead => self.end.request.missing_head += length,
            Place::RequestBody => self.end.request.missing_body += length,
            Place::ResponseHead => self.end.response.missing_head += length,
            Place::ResponseBody => self.end.response.missing_body += length,
        }
        self.add(EventKind::Gap { place, length })
    }

    fn complete(mut self, at: i64) -> Self {
        self.end.response_end = Some(t(at));
        self.end(Ending::Complete, at)
    }

    fn end(mut self, ending: Ending, at: i64) -> Self {
        self.end.ending = ending;
        self.end.time = t(at);
        self
    }

    fn finish_with(&self, settings: Settings) -> (Finished, AnalyzerCounters) {
        let mut analyzer = Analyzer::new(Arc::new(settings));
        for event in &self.events {
            assert!(analyzer.event(event).is_none());
            assert_eq!(analyzer.in_flight(), 1);
        }
        let end = Event {
            id: ID,
            kind: EventKind::End(self.end),
        };
        let finished = analyzer.event(&end).unwrap();
        assert_eq!(analyzer.in_flight(), 0);
        assert_eq!(analyzer.held, 0);
        (finished, analyzer.counters())
    }

    fn finish(&self) -> Finished {
        self.finish_with(Settings::default()).0
    }

    fn call(&self) -> Call {
        let call = self.finish().call.expect("a call");
        call.count(&Counter::always()).call
    }

    /// The call, counted by the old tracker's rule whatever its model.
    fn plain_call(&self) -> Call {
        let old = Tokenizers::always(Vocabulary::Cl100kBase);
        let call = self.finish().call.expect("a call");
        call.count(&Counter::always_by(old)).call
    }

    fn is_call(&self) -> bool {
        self.finish().call.is_some()
    }
}

fn fields(headers: &[(&str, &str)]) -> Headers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    headers.iter().map(owned).collect()
}

fn chunk(index: u32, delta: &str, reason: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{reason}}}]}}"#
    )
}

/// "user" is one token, "hello world" two; with 4 for the message and 2 for the prompt: 9.
const ASK: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello world"}]}"#;

fn answer(content: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"x","object":"chat.completion","model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
    )
}

fn stream() -> Script {
    Script::new()
        .post(CHAT, ASK)
        .stream(1_000)
        .delta(r#"{"role":"assistant","content":""}"#, 50_000)
        .delta(r#"{"content":"hello"}"#, 52_000)
        .delta(r#"{"content":" world"}"#, 62_000)
        .delta(r#"{"content":" hello"}"#, 1_562_000)
        .data(&chunk(0, "{}", "\"stop\""), 1_563_000)
        .piece("data: [DONE]\n\n", 1_564_000)
        .complete(1_565_000)
}

#[test]
fn a_stream_has_every_mark_and_duration() {
    let call = stream().call();
    assert_eq!(call.dialect, Some("openai_chat"));
    assert_eq!(call.operation, Some("chat"));
    assert_eq!(call.provider, Some("openai"));
    assert_eq!(call.stream, Some(true));
    assert_eq!(call.method.as_deref(), Some("POST"));
    assert_eq!(call.path.as_deref(), Some(CHAT));
    assert_eq!((call.status, call.outcome), (Some(200), Outcome::Ok));
    assert_eq!(call.request_model.as_deref(), Some("m"));
    assert_eq!(call.response_model.as_deref(), Some("m-1"));
    let marks = call.marks;
    assert_eq!(marks.request_start, Some(t(0)));
    assert_eq!(marks.request_end, Some(t(20)));
    assert_eq!(marks.response_head, Some(t(1_000)));
    assert_eq!(marks.first_event, Some(t(50_000)));
    assert_eq!(marks.first_token, Some(t(52_000)));
    assert_eq!(marks.last_token, Some(t(1_562_000)));
    assert_eq!(marks.response_end, Some(t(1_565_000)));
    assert_eq!(marks.ended, Some(t(1_565_000)));
    assert_eq!(call.elapsed, Some(1_565_000));
    assert_eq!(call.upload, Some(20));
    assert_eq!(call.ttft, Some(52_000));
    assert_eq!(
        (call.input_tokens, call.input_source),
        (Some(9), TokenSource::Counted)
    );
    // "hello world hello", counted once.
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(3), TokenSource::Counted)
    );
    assert_eq!(call.total_tokens, Some(12));
    assert_eq!(call.tpot, Some(1_510_000.0 / 2.0));
    assert_eq!(call.tokens_per_second, Some(12.0 / 1.565));
    assert_eq!(
        (call.gap_p50, call.gap_p95, call.gap_max),
        (Some(10_000), Some(1_500_000), Some(1_500_000))
    );
    assert_eq!(call.stalls, Some(1));
    assert_eq!(call.wasted, 0);
    assert_eq!(call.finish_reasons, ["stop"]);
    assert_eq!(call.peer.as_deref(), Some("10.0.0.2"));
    assert_eq!(call.server.as_deref(), Some("10.0.0.1:8000"));
    assert_eq!(call.tokenizer.as_deref(), Some("cl100k_base"));
    assert!(!call.output_partial && !call.truncated);
    assert_eq!(call.confidence, Confidence::Complete);
}

#[test]
fn a_plain_answer_has_reported_figures_and_no_stream_marks() {
    let usage = r#"{"prompt_tokens":20,"completion_tokens":10,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":16,"audio_tokens":3},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":2}}"#;
    let call = Script::new()
        .post(CHAT, ASK)
        .plain(200, &answer("hello world", usage))
        .call();
    assert_eq!(call.stream, Some(false));
    assert_eq!(
        (call.input_tokens, call.input_source),
        (Some(20), TokenSource::Reported)
    );
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(10), TokenSource::Reported)
    );
    assert_eq!(
        (call.counted_input_tokens, call.counted_output_tokens),
        (Some(9), Some(2))
    );
    assert_eq!(
        (call.cached_tokens, call.reasoning_tokens, call.audio_tokens),
        (Some(16), Some(7), Some(5))
    );
    assert_eq!(call.total_tokens, Some(30));
    assert_eq!(
        (
            call.marks.first_event,
            call.marks.first_token,
            call.ttft,
            call.tpot
        ),
        (None, None, None, None)
    );
    assert_eq!((call.stalls, call.gap_max), (None, None));
    assert_eq!(call.outcome, Outcome::Ok);
}
