//! The clocks of every kind of stream, by captures whose truth was computed by hand.
//!
//! A request's one segment comes at 1 ms, the answer's head at 2 ms, and its N-th piece, counted from 1, a
//! segment of its own, at N × 10 ms. So a mark is the number of a piece, and a duration follows from two of them.

use anyhow::{Result, ensure};
use llmtap_tests::{
    pcap::{Capture, Conversation},
    recording,
    row::Row,
};

/// The time from which the tests count, in microseconds.
const T0: u64 = 1_754_000_000_000_000;

const SSE: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// What a stream's clocks must be: numbers of pieces, tokens, and microseconds.
#[derive(Debug, PartialEq, Eq)]
struct Clocks {
    /// `first_event`, `first_token`, `last_token`.
    marks: [Option<i64>; 3],
    output: Option<i64>,
    tpot: Option<i64>,
    stalls: Option<i64>,
}

/// One stream's row.
fn row(path: &str, ask: &str, kind: &str, pieces: &[&str]) -> Result<Row> {
    let mut talk = Conversation::new(([10, 1, 0, 9], 40_001).into(), ([10, 0, 0, 1], 8000).into());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: llm:8000\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ask}",
        ask.len()
    );
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    talk.handshake(T0)
        .client(T0 + 1_000, request)
        .server(T0 + 2_000, head);
    let mut at = T0;
    for piece in pieces {
        at += 10_000;
        talk.server(at, format!("{:x}\r\n{piece}\r\n", piece.len()))
            .client_ack(at + 1);
    }
    talk.server(at + 10_000, "0\r\n\r\n").close(at + 20_000);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kind.pcap");
    Capture::of(&talk).write(&file)?;
    let mut rows = recording::replay(&file, &[])?.rows()?;
    ensure!(rows.len() == 1, "not one row: {rows:?}");
    Ok(rows.remove(0))
}

/// Checks a stream, and that its ttft is its first token's time after the request's first byte.
fn check(
    name: &str,
    path: &str,
    ask: &str,
    kind: &str,
    pieces: &[&str],
    expected: &Clocks,
) -> Result<()> {
    let row = row(path, ask, kind, pieces)?;
    let mark = |name| row.micros(name).map(|micros| micros - T0 as i64);
    let piece = |name| mark(name).map(|micros| micros / 10_000);
    let seen = Clocks {
        marks: ["first_event", "first_token", "last_token"].map(piece),
        output: row.int("output_tokens"),
        tpot: row.micros("tpot"),
        stalls: row.int("stalls"),
    };
    assert_eq!(&seen, expected, "{name}");
    let ttft = expected.marks[1].map(|piece| piece * 10_000 - 1_000);
    assert_eq!(row.micros("ttft"), ttft, "{name}: ttft");
    let end = (pieces.len() as i64 + 1) * 10_000;
    assert_eq!(
        (mark("response_end"), mark("ended")),
        (Some(end), Some(end)),
        "{name}"
    );
    assert_eq!(row.text("outcome"), Some("ok"), "{name}");
    Ok(())
}

const CHAT: &str = "/v1/chat/completions";
const ASK: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// An event with a delta of the choice of this index.
fn delta(index: u32, delta: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

fn finish(index: u32, reason: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n"
    )
}

fn usage(output: u32, details: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{output},\"total_tokens\":{}{details}}}}}\n\n",
        9 + output
    )
}

fn chat(name: &str, pieces: &[String], expected: &Clocks) -> Result<()> {
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    check(name, CHAT, ASK, SSE, &pieces, expected)
}

const DONE: &str = "data: [DONE]\n\n";
const ROLE: &str = r#"{"role":"assistant","content":""}"#;

#[test]
fn a_role_is_no_token_and_thoughts_are() -> Result<()> {
    // The role at 1, thoughts at 2 and 3, the answer at 4 and 5; the usage's chunk at 7 has no choice.
    let pieces = [
        delta(0, ROLE),
        delta(0, r#"{"reasoning_content":" so"}"#),
        delta(0, r#"{"reasoning_content":" then"}"#),
        delta(0, r#"{"content":" one"}"#),
        delta(0, r#"{"content":" two"}"#),
        finish(0, "stop"),
        usage(5, ",\"completion_tokens_details\":{\"reasoning_tokens\":2}"),
        DONE.to_owned(),
    ];
    // (5 − 2) × 10 ms over 5 − 1 tokens: the thoughts did cross the wire.
    let expected = Clocks {
        marks: [Some(1), Some(2), Some(5)],
        output: Some(5),
        tpot: Some(7_500),
        stalls: Some(0),
    };
    chat("reasoning before content", &pieces, &expected)
}

#[test]
fn thoughts_that_never_crossed_the_wire_are_subtracted() -> Result<()> {
    let pieces = [
        delta(0, ROLE),
        delta(0, r#"{"content":" one"}"#),
        delta(0, r#"{"content":" two"}"#),
        delta(0, r#"{"content":" three"}"#),
        finish(0, "stop"),
        usage(
            103,
            ",\"completion_tokens_details\":{\"reasoning_tokens\":100}",
        ),
        DONE.to_owned(),
    ];
    // (4 − 2) × 10 ms over 103 − 100 − 1 tokens.
    let expected = Clocks {
        marks: [Some(1), Some(2), Some(4)],
        output: Some(103),
        tpot: Some(10_000),
        stalls: Some(0),
    };
    chat("hidden reasoning", &pieces, &expected)
}

#[test]
fn an_answer_of_tool_calls_alone() -> Result<()> {
    let pieces = [
        delta(0, r#"{"role":"assistant","content":null}"#),
        delta(
            0,
            r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#,
        ),
        delta(
            0,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#,
        ),
        delta(
            0,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#,
        ),
        finish(0, "tool_calls"),
        usage(9, ""),
        DONE.to_owned(),
    ];
    // The name is the first token: (4 − 2) × 10 ms over 9 − 1.
    let expected = Clocks {
        marks: [Some(1), Some(2), Some(4)],
        output: Some(9),
        tpot: Some(2_500),
        stalls: Some(0),
    };
    chat("tool calls", &pieces, &expected)
}

#[test]
fn comments_and_blank_lines_are_no_events() -> Result<()> {
    let pieces = [
        ": keep-alive\n\n".to_owned(),
        ": keep-alive\n\n".to_owned(),
        delta(0, ROLE),
        ": keep-alive\n\n".to_owned(),
        delta(0, r#"{"content":" one"}"#),
        "\n\n".to_owned(),
        delta(0, r#"{"content":" two"}"#),
        finish(0, "stop"),
        usage(2, ""),
        DONE.to_owned(),
    ];
    let expected = Clocks {
        marks: [Some(3), Some(5), Some(7)],
        output: Some(2),
        tpot: Some(20_000),
        stalls: Some(0),
    };
    chat("comments", &pieces, &expected)
}

#[test]
fn one_token_has_no_time_for_each_and_neither_have_several_choices() -> Result<()> {
    let one = [
        delta(0, r#"{"content":" one"}"#),
        finish(0, "length"),
        usage(1, ""),
        DONE.to_owned(),
    ];
    let expected = Clocks {
        marks: [Some(1), Some(1), Some(1)],
        output: Some(1),
        tpot: None,
        stalls: Some(0),
    };
    chat("one token", &one, &expected)?;
    let none = [
        delta(0, ROLE),
        finish(0, "stop"),
        usage(0, ""),
        DONE.to_owned(),
    ];
    let expected = Clocks {
        marks: [Some(1), None, None],
        output: Some(0),
        tpot: None,
        stalls: Some(0),
    };
    chat("no token", &none, &expected)?;
    let two = [
        delta(0, r#"{"content":" one"}"#),
        delta(1, r#"{"content":" two"}"#),
        delta(1, r#"{"content":" three"}"#),
        delta(0, r#"{"content":" four"}"#),
        finish(1, "stop") + &finish(0, "stop"),
        usage(4, ""),
        DONE.to_owned(),
    ];
    let pieces: Vec<_> = two.iter().map(String::as_str).collect();
    let expected = Clocks {
        marks: [Some(1), Some(1), Some(4)],
        output: Some(4),
        tpot: None,
        stalls: Some(0),
    };
    check(
        "two choices",
        CHAT,
        &ASK.replace("\"stream\"", "\"n\":2,\"stream\""),
        SSE,
        &pieces,
        &expected,
    )
}

#[test]
fn anthropic_responses_ollama_and_gemini() -> Result<()> {
    let ask =
        r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let pieces = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\" so\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"x\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\" one\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    // A signature is no output: (6 − 4) × 10 ms over 3 − 1.
    let expected = Clocks {
        marks: [Some(3), Some(4), Some(6)],
        output: Some(3),
        tpot: Some(10_000),
        stalls: Some(0),
    };
    check("anthropic", "/v1/messages", ask, SSE, &pieces, &expected)?;

    let pieces = [
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"output\":[],\"usage\":null}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\" one\"}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\" two\"}\n\n",
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"output_index\":0,\"content_index\":0,\"text\":\" one two\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"id\":\"i\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\" one two\"}]}],\"usage\":{\"input_tokens\":9,\"output_tokens\":2,\"total_tokens\":11}}}\n\n",
    ];
    // What the last events repeat is no output.
    let expected = Clocks {
        marks: [Some(2), Some(3), Some(4)],
        output: Some(2),
        tpot: Some(10_000),
        stalls: Some(0),
    };
    check(
        "responses",
        "/v1/responses",
        r#"{"model":"m","stream":true,"input":"hi"}"#,
        SSE,
        &pieces,
        &expected,
    )?;

    let pieces = [
        "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n",
        "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\" one\"},\"done\":false}\n",
        "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\" two\"},\"done\":false}\n",
        "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":2}\n",
    ];
    let expected = Clocks {
        marks: [Some(1), Some(2), Some(3)],
        output: Some(2),
        tpot: Some(10_000),
        stalls: Some(0),
    };
    check(
        "ollama",
        "/api/chat",
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        LINES,
        &pieces,
        &expected,
    )?;

    let pieces = [
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" so\",\"thought\":true}],\"role\":\"model\"}}],\"usageMetadata\":{\"promptTokenCount\":9}}",
        ",\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" one\"}],\"role\":\"model\"}}]}",
        ",\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" two\"}],\"role\":\"model\"},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":1}}",
        "]",
    ];
    let expected = Clocks {
        marks: [Some(1), Some(1), Some(3)],
        output: Some(3),
        tpot: Some(10_000),
        stalls: Some(0),
    };
    let ask = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    check(
        "gemini",
        "/v1beta/models/g:streamGenerateContent",
        ask,
        JSON,
        &pieces,
        &expected,
    )
}
