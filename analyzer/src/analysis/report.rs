//! Records of the old Traefik plugin as calls: the same events, the same readers, the same row.
//!
//! A report makes a row whatever its bodies are. JSON is read as the dialect that its path or shape
//! says, else as chat with the dialect left open, so that a `usage` or `messages` in it still counts
//! (the old tracker counted by `messages` alone, and nothing without). A body that is no JSON is
//! counted as it stands. All bytes share one time, so marks inside the exchange are not known.

use std::borrow::Cow;

use super::{AnalyzerCounters, finish::call_key, open::Open, settings::Settings, whose::cut};
use crate::{
    dialect::{Form, request::MAX_MODEL},
    exchange::{
        Begin, End, Ending, EventKind, ExchangeId, Headers, RequestHead, ResponseHead, Source,
        Transfer, Version,
    },
    record::Record,
    report::Report,
    time::Timestamp,
    tokens::Counter,
};

/// Bytes of a report's `timestamp` that are kept: several times what any notation of a time takes.
const MAX_TIMESTAMP: usize = 256;

/// Makes a report a row. `now` is when it came, and when its call ended unless the report says so
/// itself in RFC 3339; `unique` tells reports of the same microsecond apart.
pub fn analyze_report(
    report: Report,
    now: Timestamp,
    settings: &Settings,
    counter: &Counter,
    unique: u64,
) -> Record {
    let ended = report.timestamp.as_deref().and_then(rfc3339);
    let ended = ended.unwrap_or(now);
    let start = ended.plus_micros(micros(report.elapsed_time).saturating_neg());
    let open = read(&report, start, ended, settings);
    let known = open.is_call();
    let mut call = open.into_call(
        &end(&report, ended),
        // Nothing is lost or negative in a report, so its counters would stay at zero.
        &mut AnalyzerCounters::default(),
    );

    let row = &mut call.call;
    row.call_key = call_key([None, None], b'r', now, unique);
    row.method = None;
    row.peer = report.reporter.map(|peer| peer.to_canonical().to_string());
    let route = report.model.map(|model| cut(&model, MAX_MODEL));
    row.request_model = row.request_model.take().or(route);
    row.marks.response_head = None;
    row.marks.first_event = None;
    row.marks.first_token = None;
    row.marks.last_token = None;
    (row.ttft, row.gap_p50, row.gap_p95, row.gap_max) = (None, None, None, None);
    row.stalls = None;
    row.timeline = None;
    if !known {
        row.dialect = None;
        row.operation = None;
        row.provider = None;
        row.response_dialect = None;
    }
    let timestamp = report.timestamp;
    row.reported_timestamp = timestamp.map(|text| cut(&text, MAX_TIMESTAMP));
    let is_read =
        call.request.prompt.present || call.request.whole && is_json(&report.request_body);
    if !is_read && !report.request_body.is_empty() {
        call.plain.request = Some(report.request_body);
    }
    if call.form == Form::Other {
        call.plain.response = Some(report.response_body);
    }
    call.count(counter)
}

/// Whether a body that the forgiving reader took for a value is one: it takes the number off the
/// beginning of a text that begins with one.
fn is_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
        || serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

/// Feeds the report's events.
fn read(report: &Report, start: Timestamp, ended: Timestamp, settings: &Settings) -> Open {
    let begin = Begin {
        source: Source::Report,
        peer: None,
        server: None,
    };
    let id = ExchangeId {
        connection: 0,
        number: 0,
    };
    let mut open = Open::new(id, begin, settings);
    let head = RequestHead {
        method: "POST".to_owned(),
        target: report.path.clone().unwrap_or_default(),
        version: Version::Http11,
        headers: Headers::new(),
        first: start,
        last: start,
    };
    open.event(&EventKind::RequestHead(head), settings);
    open.read_anyway(settings);
    if !report.request_body.is_empty() {
        let bytes = Cow::Borrowed(report.request_body.as_bytes());
        open.event(&EventKind::RequestBody { bytes, time: start }, settings);
    }
    let head = ResponseHead {
        status: 200,
        version: Version::Http11,
        headers: Headers::new(),
        first: ended,
        last: ended,
    };
    open.event(&EventKind::ResponseHead(head), settings);
    if !report.response_body.is_empty() {
        let bytes = Cow::Borrowed(report.response_body.as_bytes());
        open.event(&EventKind::ResponseBody { bytes, time: ended }, settings);
    }
    open
}

fn end(report: &Report, ended: Timestamp) -> End {
    let transfer = |body: &str| Transfer {
        body_bytes: body.len() as u64,
        decoded_bytes: body.len() as u64,
        ..Transfer::default()
    };
    End {
        ending: Ending::Complete,
        response_end: Some(ended),
        time: ended,
        client_left: None,
        server_last: None,
        request: transfer(&report.request_body),
        response: transfer(&report.response_body),
    }
}

/// Seconds as microseconds, rounded; what is no span of time is none.
fn micros(seconds: f64) -> i64 {
    let micros = (seconds * 1e6).round();
    if micros.is_finite() && micros > 0.0 {
        // A cast holds at the ends of the range.
        micros as i64
    } else {
        0
    }
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Outcome, TokenSource};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn analyze(report: Report) -> Call {
        let settings = Settings::default();
        analyze_report(report, NOW, &settings, &Counter::always(), 7).call
    }

    fn report(request: &str, response: &str) -> Report {
        Report {
            request_body: request.to_owned(),
            response_body: response.to_owned(),
            elapsed_time: 0.5,
            ..Report::default()
        }
    }

    const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello world"}]}"#;

    #[test]
    fn a_plain_answer_is_a_call_with_reported_figures() {
        let answer = r#"{"object":"chat.completion","model":"m2","choices":[{"index":0,"message":{"content":"hello world"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":4}}"#;
        let call = analyze(Report {
            path: Some("/v1/chat/completions?x=1".to_owned()),
            model: Some("route".to_owned()),
            reporter: Some("10.0.0.7".parse().unwrap()),
            ..report(CHAT, answer)
        });
        assert_eq!(call.source, Source::Report);
        assert_eq!(call.dialect, Some("openai_chat"));
        assert_eq!(call.path.as_deref(), Some("/v1/chat/completions"));
        assert_eq!((call.status, call.outcome), (Some(200), Outcome::Ok));
        assert_eq!(call.request_model.as_deref(), Some("m"));
        assert_eq!(call.response_model.as_deref(), Some("m2"));
        assert_eq!(
            (call.input_tokens, call.output_tokens, call.total_tokens),
            (Some(11), Some(4), Some(15))
        );
        // 4 for the message, 1 for "user", 2 for "hello world", 2 for the prompt.
        assert_eq!(
            (call.counted_input_tokens, call.counted_output_tokens),
            (Some(9), Some(2))
        );
        assert_eq!(call.elapsed, Some(500_000));
        assert_eq!(call.tokens_per_second, Some(30.0));
        assert_eq!(call.marks.ended, Some(NOW));
        assert_eq!(call.marks.request_start, Some(NOW.plus_micros(-500_000)));
        assert_eq!(call.peer.as_deref(), Some("10.0.0.7"));
        assert_eq!(call.upload, None);
    }

    #[test]
    fn a_stream_counts_and_has_no_clocks() {
        let stream = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" world\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let call = analyze(report(CHAT, stream));
        assert_eq!(call.stream, Some(true));
        assert_eq!(call.dialect, Some("openai_chat"));
        assert_eq!(call.path, None);
        assert_eq!(
            (call.output_tokens, call.output_source),
            (Some(2), TokenSource::Counted)
        );
        assert_eq!(
            (
                call.marks.first_event,
                call.marks.first_token,
                call.marks.last_token
            ),
            (None, None, None)
        );
        assert_eq!(
            (call.ttft, call.tpot, call.stalls, call.gap_max),
            (None, None, None, None)
        );
    }

    #[test]
    fn the_model_of_the_route_stands_in() {
        let call = analyze(Report {
            model: Some("route".to_owned()),
            ..report(r#"{"messages":[]}"#, "{}")
        });
        assert_eq!(call.request_model.as_deref(), Some("route"));
    }

    #[test]
    fn what_a_reporter_says_is_bounded() {
        let long = "x".repeat(1_000_000);
        let call = analyze(Report {
            model: Some(long.clone()),
            path: Some(long.clone()),
            timestamp: Some(long),
            ..report("{}", "{}")
        });
        assert_eq!(call.request_model.map(|text| text.len()), Some(MAX_MODEL));
        assert_eq!(
            call.reported_timestamp.map(|text| text.len()),
            Some(MAX_TIMESTAMP)
        );
        assert!(call.path.is_some_and(|text| text.len() < 10_000));
    }

    #[test]
    fn bodies_of_no_dialect_still_make_a_row() {
        let text = analyze(report("hello world", "hello"));
        assert_eq!((text.dialect, text.operation), (None, None));
        assert_eq!((text.input_tokens, text.output_tokens), (Some(2), Some(1)));
        assert_eq!(text.input_source, TokenSource::Counted);

        // Texts that begin like a number or a word, and values that are JSON.
        for (body, tokens) in [
            ("12 hello world", Some(3)),
            ("true hello", Some(2)),
            ("12", None),
            ("null", None),
            ("\"hello\"", None),
            (" [1]", None),
        ] {
            let call = analyze(report(body, ""));
            assert_eq!(call.counted_input_tokens, tokens, "{body}");
        }
        let long = analyze(report(&"a".repeat(1_000), ""));
        assert_eq!(long.counted_input_tokens, Some(125));

        let json = analyze(report(
            r#"{"input":"hello world"}"#,
            r#"{"data":[[0.1,0.2]],"usage":{"prompt_tokens":2}}"#,
        ));
        assert_eq!(json.dialect, None);
        assert_eq!((json.input_tokens, json.output_tokens), (Some(2), None));
        assert_eq!(json.input_source, TokenSource::Reported);

        let tokens = analyze(Report {
            path: Some("/tokenize".to_owned()),
            ..report(r#"{"input":"hello world"}"#, "")
        });
        assert_eq!((tokens.dialect, tokens.total_tokens), (None, None));

        let empty = analyze(report("", ""));
        assert_eq!(
            (
                empty.dialect,
                empty.total_tokens,
                empty.tokenizer.as_deref()
            ),
            (None, None, None)
        );
    }

    #[test]
    fn its_own_time_holds_where_it_can_be_read_and_stays_as_written() {
        for (text, ended) in [
            ("2023-11-14T22:13:19.5Z", NOW.plus_micros(-500_000)),
            ("2023-11-14T23:13:20+01:00", NOW),
            ("yesterday", NOW),
            ("2023-11-14 22:13:20", NOW),
        ] {
            let call = analyze(Report {
                timestamp: Some(text.to_owned()),
                ..report("{}", "{}")
            });
            assert_eq!(call.marks.ended, Some(ended), "{text}");
            assert_eq!(call.reported_timestamp.as_deref(), Some(text));
        }
    }

    #[test]
    fn reports_of_one_moment_have_keys_of_their_own() {
        let key = |unique| {
            let report = report("{}", "{}");
            analyze_report(
                report,
                NOW,
                &Settings::default(),
                &Counter::always(),
                unique,
            )
            .call
            .call_key
        };
        assert_ne!(key(1), key(2));
        assert_eq!(key(1), key(1));
    }

    #[test]
    fn odd_spans_of_time_are_none() {
        assert_eq!(micros(1.5), 1_500_000);
        assert_eq!(micros(-1.0), 0);
        assert_eq!(micros(f64::NAN), 0);
        assert_eq!(micros(f64::INFINITY), 0);
        assert_eq!(micros(1e300), i64::MAX);
    }
}
