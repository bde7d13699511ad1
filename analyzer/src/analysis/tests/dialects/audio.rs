use super::*;

pub(super) const PATH: &str = "/v1/audio/transcriptions";
const FORM: &str = "multipart/form-data; boundary=b";
pub(super) const ASK: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-x\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\u{0}\u{1}\r\n--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b\r\nContent-Disposition: form-data; name=\"response_format\"\r\n\r\njson\r\n--b\r\nContent-Disposition: form-data; name=\"temperature\"\r\n\r\n0.5\r\n--b--\r\n";

pub(super) const EVENTS: [&str; 3] = [
    "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hello\",\"logprobs\":[]}\n\n",
    "data: {\"type\":\"transcript.text.delta\",\"delta\":\" world\"}\n\n",
    "data: {\"type\":\"transcript.text.done\",\"text\":\"hello world\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":45,\"total_tokens\":59}}\n\n",
];

#[test]
fn a_transcript_in_one_piece() {
    let body = r#"{"text":"hello world","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":45,"total_tokens":59}}"#;
    let call = call_however_cut(PATH, [FORM, ASK], 200, [JSON, body]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("openai_transcription"), Some("transcription"))
    );
    assert_eq!(
        (
            call.request_model.as_deref(),
            call.response_format.as_deref(),
            call.temperature
        ),
        (Some("whisper-x"), Some("json"), Some(0.5))
    );
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.audio_tokens),
        (Some(14), Some(45), Some(10))
    );
    assert_eq!((call.content_chars, call.stream), (Some(11), Some(false)));
}

#[test]
fn a_stream_says_its_text_once() {
    let call = call_however_cut(PATH, [FORM, ASK], 200, [SSE, &EVENTS.concat()]);
    assert_eq!(
        (call.stream, call.content_chars, call.counted_output_tokens),
        (Some(true), Some(11), Some(2))
    );
    assert_eq!(call.output_tokens, Some(45));
    let call = events(PATH, ASK, &EVENTS);
    assert_eq!(
        (marks(&call), call.outcome),
        ([Some(0), Some(0), Some(1)], Outcome::Ok)
    );
}

#[test]
fn text_and_subtitles_are_text() {
    for (kind, body) in [
        ("text/plain; charset=utf-8", "hello wörld\n"),
        ("application/x-subrip", "1\n00:00 --> 00:01\nhello\n"),
        ("text/vtt", "{WEBVTT}\n"),
    ] {
        let call = call_however_cut(PATH, [FORM, ASK], 200, [kind, body]);
        assert_eq!(
            call.content_chars,
            Some(body.chars().count() as u64),
            "{kind}"
        );
        assert_eq!(
            (call.outcome, call.output_source),
            (Outcome::Ok, TokenSource::Counted)
        );
    }
}

#[test]
fn vllms_chunks() {
    let stream = [
        "data: {\"id\":\"trsc-1\",\"object\":\"transcription.chunk\",\"created\":1,\"model\":\"w\",\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n",
        "data: {\"id\":\"trsc-1\",\"object\":\"transcription.chunk\",\"created\":1,\"model\":\"w\",\"choices\":[{\"delta\":{\"content\":\" world\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    let call = events(PATH, ASK, &stream);
    assert_eq!(
        (call.content_chars, call.response_model.as_deref()),
        (Some(11), Some("w"))
    );
}

#[test]
fn speech_is_sound() {
    let ask = r#"{"model":"tts-x","input":"hello world","voice":"alloy"}"#;
    let call = call_however_cut(
        "/v1/audio/speech",
        [JSON, ask],
        200,
        ["audio/mpeg", "ID3\u{4}\u{0}sound"],
    );
    assert_eq!(
        (call.dialect, call.operation),
        (Some("openai_speech"), Some("speech"))
    );
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.outcome),
        (Some(2), None, Outcome::Ok)
    );
    let ask = ask.replace("\"voice\"", "\"stream_format\":\"sse\",\"voice\"");
    let stream = [
        "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n",
        "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":3,\"output_tokens\":9,\"total_tokens\":12}}\n\n",
    ];
    let call = events("/v1/audio/speech", &ask, &stream);
    assert_eq!(
        (call.stream, call.input_tokens, call.output_tokens),
        (Some(true), Some(3), Some(9))
    );
    assert_eq!(marks(&call), [Some(0), Some(0), Some(0)]);
}

#[test]
fn errors() {
    let body = r#"{"error":{"message":"no","type":"invalid_request_error","code":"unsupported"}}"#;
    let call = call_however_cut(PATH, [FORM, ASK], 400, [JSON, body]);
    assert_eq!(
        (call.outcome, call.error_code.as_deref(), call.stream),
        (Outcome::ClientError, Some("unsupported"), Some(true))
    );
    let broken = Script::new()
        .post(PATH, ASK)
        .stream(500)
        .piece(EVENTS[0], 600)
        .end(Ending::ServerReset, 700)
        .call();
    assert_eq!(
        (broken.outcome, broken.output_partial),
        (Outcome::ServerAbort, true)
    );
}
