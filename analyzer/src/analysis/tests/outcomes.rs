//! What is a call, how it ended, and what was lost.

use super::*;

#[test]
fn outcomes_by_status_and_error() {
    for (status, body, outcome, kind, code) in [
        (
            429,
            r#"{"error":{"message":"slow","type":"rate_limit","code":"rate_limit_exceeded"}}"#,
            Outcome::RateLimited,
            Some("rate_limit"),
            Some("rate_limit_exceeded"),
        ),
        (
            400,
            r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
            Outcome::ClientError,
            Some("BadRequestError"),
            Some("400"),
        ),
        (
            422,
            r#"{"detail":[{"type":"missing","loc":["body"],"msg":"x"}]}"#,
            Outcome::ClientError,
            Some("missing"),
            None,
        ),
        (
            404,
            r#"{"detail":"Not Found"}"#,
            Outcome::ClientError,
            None,
            None,
        ),
        (500, r#"{"error":"boom"}"#, Outcome::ServerError, None, None),
        (
            502,
            "<html>Bad Gateway</html>",
            Outcome::ServerError,
            None,
            None,
        ),
        (307, "", Outcome::Other, None, None),
        (
            200,
            r#"{"error":{"message":"x","type":"t","code":null}}"#,
            Outcome::ErrorIn200,
            Some("t"),
            None,
        ),
        (200, r#"{"error":"x"}"#, Outcome::ErrorIn200, None, None),
        (
            200,
            r#"{"error":null,"choices":[]}"#,
            Outcome::Ok,
            None,
            None,
        ),
        (200, r#"{"detail":"fine"}"#, Outcome::Ok, None, None),
    ] {
        let script = Script::new()
            .post(CHAT, ASK)
            .head(status, "application/json", 5);
        let call = if body.is_empty() {
            script
        } else {
            script.piece(body, 6)
        }
        .complete(7)
        .call();
        assert_eq!(call.outcome, outcome, "{body}");
        assert_eq!(
            (call.error_type.as_deref(), call.error_code.as_deref()),
            (kind, code),
            "{body}"
        );
        if status >= 300 {
            // Refused: nothing was counted.
            assert_eq!(
                (call.input_tokens, call.output_tokens, call.total_tokens),
                (None, None, None)
            );
            assert_eq!(
                (call.input_source, call.tokenizer.as_deref()),
                (TokenSource::None, None)
            );
            assert_eq!(call.tokens_per_second, None);
        } else {
            assert_eq!(call.counted_input_tokens, Some(9));
        }
    }
}

#[test]
fn errors_within_a_stream() {
    for event in [
        "data: {\"error\":{\"type\":\"t\",\"code\":500}}\n\n",
        "event: error\ndata: {\"type\":\"t\",\"message\":\"x\",\"code\":500}\n\n",
        "data: {\"object\":\"error\",\"type\":\"t\",\"code\":500}\n\n",
        "error: {\"code\":500,\"message\":\"x\",\"type\":\"t\"}\n\n",
        "data: {\"x_groq\":{\"error\":{\"type\":\"t\",\"code\":500}}}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"type\":\"t\",\"code\":500}}]}\n\n",
    ] {
        let call = Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .delta(r#"{"content":"hello"}"#, 10)
            .piece(event, 20)
            .piece("data: [DONE]\n\n", 30)
            .complete(40)
            .call();
        assert_eq!(call.outcome, Outcome::ErrorIn200, "{event}");
        assert_eq!(
            (call.error_type.as_deref(), call.error_code.as_deref()),
            (Some("t"), Some("500"))
        );
        assert_eq!(call.output_tokens, Some(1));
    }
}

#[test]
fn a_server_error_with_output_is_counted() {
    let body = answer("hello world", "null");
    let call = Script::new().post(CHAT, ASK).plain(500, &body).call();
    assert_eq!(
        (call.outcome, call.output_tokens),
        (Outcome::ServerError, Some(2))
    );
}

#[test]
fn a_client_that_leaves_mid_stream() {
    let mut script = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 10)
        .delta(r#"{"content":" world"}"#, 20)
        .piece(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hel",
            25,
        )
        .end(Ending::ClientFin, 100);
    script.end.client_left = Some(t(30));
    script.end.server_last = Some(t(90));
    let call = script.call();
    assert_eq!(call.outcome, Outcome::ClientAbort);
    assert!(call.output_partial);
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(3), TokenSource::Counted)
    );
    assert_eq!(call.wasted, 60);
    assert_eq!(
        (call.marks.response_end, call.marks.ended),
        (None, Some(t(100)))
    );
    // The half event has no time.
    assert_eq!(call.marks.last_token, Some(t(20)));
    script.end.server_last = Some(t(29));
    assert_eq!(script.call().wasted, 0);
    script.end.server_last = None;
    assert_eq!(script.call().wasted, 0);
}

#[test]
fn a_client_that_gets_its_whole_answer_wastes_nothing() {
    let mut framed = stream();
    framed.end.client_left = Some(t(30));
    framed.end.server_last = Some(t(1_565_000));
    assert_eq!(
        (framed.call().outcome, framed.call().wasted),
        (Outcome::Ok, 0)
    );
    // The final event came, and the client's RST before the last chunk.
    let done = framed.clone().end(Ending::ClientReset, 1_564_500);
    assert_eq!((done.call().outcome, done.call().wasted), (Outcome::Ok, 0));
    // Its status was lost; that the client left is still known.
    let mut lost = Script::new()
        .post(CHAT, ASK)
        .gap(Place::ResponseHead, 80)
        .delta(r#"{"content":"a"}"#, 10)
        .end(Ending::ClientFin, 500);
    lost.end.client_left = Some(t(30));
    lost.end.server_last = Some(t(90));
    assert_eq!(
        (lost.call().outcome, lost.call().wasted),
        (Outcome::Incomplete, 60)
    );
}

#[test]
fn a_client_that_leaves_in_the_queue() {
    for ending in [Ending::ClientFin, Ending::ClientReset] {
        let call = Script::new().post(CHAT, ASK).end(ending, 500).call();
        assert_eq!((call.outcome, call.status), (Outcome::ClientAbort, None));
        assert_eq!((call.input_tokens, call.output_tokens), (Some(9), None));
        assert_eq!(call.output_source, TokenSource::None);
        assert_eq!(call.stream, Some(true));
        assert!(!call.output_partial);
        assert_eq!(call.elapsed, Some(500));
    }
    let lost_head = Script::new()
        .post(CHAT, ASK)
        .gap(Place::ResponseHead, 80)
        .end(Ending::ClientFin, 500);
    assert_eq!(lost_head.call().outcome, Outcome::Incomplete);
}

#[test]
fn a_finished_answer_is_no_abort() {
    let reason = chunk(0, r#"{"content":"hello"}"#, "\"stop\"");
    let finished = Script::new().post(CHAT, ASK).stream(1).data(&reason, 10);
    let done = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 10)
        .piece("data: [DONE]", 20);
    let plain = Script::new()
        .post(CHAT, ASK)
        .head(200, "application/json", 1)
        .piece(answer("hello", "null"), 10);
    for script in [finished, done, plain] {
        for ending in [
            Ending::ClientFin,
            Ending::ClientReset,
            Ending::ServerFin,
            Ending::ServerReset,
            Ending::TimedOut,
            Ending::CaptureEnd,
        ] {
            let call = script.clone().end(ending, 500).call();
            assert_eq!(call.outcome, Outcome::Ok, "{ending:?}");
            assert!(!call.output_partial);
            assert_eq!((call.marks.response_end, call.elapsed), (None, Some(500)));
        }
    }
    let open = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 10);
    for (ending, outcome) in [
        (Ending::ClientFin, Outcome::ClientAbort),
        (Ending::ServerFin, Outcome::ServerAbort),
        (Ending::ServerReset, Outcome::ServerAbort),
        (Ending::TimedOut, Outcome::Incomplete),
        (Ending::CaptureEnd, Outcome::Incomplete),
        (Ending::Complete, Outcome::Ok),
    ] {
        let call = open.clone().end(ending, 500).call();
        assert_eq!(call.outcome, outcome);
        assert_eq!(call.output_partial, ending != Ending::Complete);
    }
    // An empty finish reason is none, in whatever chunk it stands.
    for reason in ["\"\"", "\"null\"", "null"] {
        let call = open
            .clone()
            .data(&chunk(0, r#"{"content":" world"}"#, reason), 20)
            .end(Ending::ClientFin, 30)
            .call();
        assert_eq!(
            (call.outcome, call.finish_reasons.len()),
            (Outcome::ClientAbort, 0),
            "{reason}"
        );
    }
    // Half a finish reason is none.
    let cut = open.piece(
        "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"st",
        20,
    );
    let call = cut.end(Ending::ClientFin, 30).call();
    assert_eq!(
        (call.outcome, call.finish_reasons.len()),
        (Outcome::ClientAbort, 0)
    );
}

#[test]
fn the_answer_is_read_for_what_it_is() {
    // A stream was asked for and JSON came, whatever the type says.
    let body = answer("hello", "null");
    for kind in ["application/json", "text/event-stream", ""] {
        let call = Script::new()
            .post(CHAT, ASK)
            .head(200, kind, 1)
            .piece(body.as_str(), 2)
            .complete(3)
            .call();
        assert_eq!(
            (call.stream, call.output_tokens),
            (Some(false), Some(1)),
            "{kind}"
        );
    }
    // A stream came unasked, without its type, after comments and white space.
    let event = chunk(0, r#"{"content":"hello"}"#, "\"stop\"");
    for start in [
        "",
        ": ping\n\n",
        "\r\n\r\n",
        "\u{feff}",
        "event: message\n",
        "id: 1\n",
        "retry: 1\n",
    ] {
        let text = format!("{start}data: {event}\n\n");
        for size in [1, 3, text.len()] {
            let mut script =
                Script::new()
                    .post(CHAT, r#"{"messages":[]}"#)
                    .head(200, "application/json", 1);
            for piece in text.as_bytes().chunks(size) {
                script = script.piece(piece, 2);
            }
            let call = script.complete(3).call();
            assert_eq!(
                (call.stream, call.output_tokens),
                (Some(true), Some(1)),
                "{start:?}"
            );
        }
    }
    let page = Script::new()
        .post(CHAT, ASK)
        .head(502, "text/html", 1)
        .piece("data is not here", 2)
        .complete(3)
        .call();
    assert_eq!(
        (page.stream, page.outcome),
        (Some(true), Outcome::ServerError),
        "a refusal is no answer: the stream that was asked for counts"
    );
}

#[test]
fn what_is_a_call() {
    let html = |script: Script| script.head(200, "text/html", 1).piece("<p>", 2).complete(3);
    let json = |script: Script, body: &str| script.plain(200, body);
    let chat = answer("hello", "null");
    for (is_call, script) in [
        (true, html(Script::new().post(CHAT, ASK))),
        (
            true,
            html(Script::new().post("/prefix/v1/chat/completions/?q=1", "not json")),
        ),
        (
            true,
            Script::new()
                .request_head("POST", CHAT, &[])
                .plain(400, "{}"),
        ),
        (false, html(Script::new().request_head("GET", CHAT, &[]))),
        (
            false,
            html(Script::new().request_head("OPTIONS", CHAT, &[])),
        ),
        (
            false,
            html(Script::new().request_head("HEAD", "/v1/completions", &[])),
        ),
        (false, json(Script::new().post("/tokenize", ASK), &chat)),
        (
            false,
            json(Script::new().post("/v1/messages/count_tokens", ASK), &chat),
        ),
        // The path says nothing.
        (true, html(Script::new().post("/llm", ASK))),
        (true, json(Script::new().post("/llm", "{}"), &chat)),
        (
            true,
            json(
                Script::new().post("/llm", r#"{"prompt":"a","model":"m"}"#),
                "{}",
            ),
        ),
        (
            false,
            json(Script::new().post("/llm", r#"{"prompt":"a"}"#), "{}"),
        ),
        (
            false,
            json(
                Script::new().post("/llm", r#"{"messages":[{"to":"a"}]}"#),
                "{}",
            ),
        ),
        (false, html(Script::new().post("/llm", r#"{"a":1}"#))),
        (
            false,
            json(Script::new().request_head("GET", "/llm", &[]), &chat),
        ),
        // The request was lost.
        (true, Script::new().plain(200, &chat)),
        (
            true,
            Script::new()
                .stream(1)
                .delta(r#"{"content":"a"}"#, 2)
                .complete(3),
        ),
        (
            true,
            Script::new().plain(200, r#"{"object":"text_completion","choices":[]}"#),
        ),
        (
            false,
            Script::new().plain(200, r#"{"object":"list","data":[]}"#),
        ),
        (false, html(Script::new())),
        (false, Script::new().end(Ending::CaptureEnd, 5)),
    ] {
        assert_eq!(script.is_call(), is_call, "{:?}", script.events.get(1));
        let finished = script.finish();
        assert_eq!(finished.exchange.dialect.is_some(), is_call);
    }
}

#[test]
fn a_lost_request_leaves_its_fields_empty() {
    let call = Script::new()
        .gap(Place::RequestHead, 300)
        .plain(200, &answer("hello world", "null"))
        .call();
    assert_eq!((call.outcome, call.status), (Outcome::Ok, Some(200)));
    assert_eq!(
        (call.method, call.path, call.request_model),
        (None, None, None)
    );
    assert_eq!((call.input_tokens, call.output_tokens), (None, Some(2)));
    assert_eq!((call.elapsed, call.upload, call.ttft), (None, None, None));
    assert_eq!(call.missing_request_bytes, 300);
    assert_eq!(call.confidence, Confidence::Partial);
    let stream = Script::new()
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 10)
        .complete(20)
        .call();
    assert_eq!(
        (stream.ttft, stream.marks.first_token, stream.stream),
        (None, Some(t(10)), Some(true))
    );
}

#[test]
fn a_lost_status_is_incomplete_and_the_answer_is_still_read() {
    let call = Script::new()
        .post(CHAT, ASK)
        .gap(Place::ResponseHead, 150)
        .delta(r#"{"content":"hello"}"#, 10)
        .piece("data: [DONE]\n\n", 20)
        .complete(30)
        .call();
    assert_eq!((call.status, call.outcome), (None, Outcome::Incomplete));
    assert_eq!(call.output_tokens, Some(1));
    assert_eq!(call.missing_response_bytes, 150);
}

#[test]
fn lost_body_bytes_change_the_confidence_alone() {
    let call = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 10)
        .piece(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" wor",
            20,
        )
        .gap(Place::ResponseBody, 40)
        .piece("}]}\n\n", 30)
        .delta(r#"{"content":" hello"}"#, 5_000_000)
        .data(&chunk(0, "{}", "\"stop\""), 5_000_001)
        .complete(5_000_002)
        .call();
    assert_eq!(
        (call.outcome, call.confidence),
        (Outcome::Ok, Confidence::Partial)
    );
    assert_eq!((call.missing_response_bytes, call.truncated), (40, false));
    // "hello wor hello": what was seen.
    assert_eq!(call.output_tokens, Some(3));
    assert_eq!(call.marks.last_token, Some(t(5_000_000)));
    // The silence across the hole is none of the stream's.
    assert_eq!((call.gap_max, call.stalls), (None, Some(0)));
    assert!(!call.output_partial);
    let request = Script::new()
        .request_head("POST", CHAT, &[])
        .request_piece(r#"{"model":"m","messages":[{"role":"user","content":"hello"#)
        .gap(Place::RequestBody, 9)
        .request_piece(r#""}],"model":"wrong"}"#)
        .request_end()
        .plain(200, &answer("a", "null"))
        .call();
    assert_eq!(
        (request.request_model.as_deref(), request.confidence),
        (Some("m"), Confidence::Partial)
    );
    assert_eq!(request.counted_input_tokens, Some(8));
}

#[test]
fn bytes_seen_but_not_read_truncate() {
    let mut script = stream();
    script.end.response.unread = 5;
    let call = script.call();
    assert!(call.truncated);
    assert_eq!(
        (call.confidence, call.missing_response_bytes, call.outcome),
        (Confidence::Partial, 0, Outcome::Ok)
    );
}
