use super::*;

pub(super) const ASK: &str =
    r#"{"model":"image-x","prompt":"hello world","n":2,"size":"1024x1024"}"#;

pub(super) const STREAM: [&str; 2] = [
    "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\",\"partial_image_index\":0}\n\n",
    "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"BBBB\",\"usage\":{\"input_tokens\":5,\"output_tokens\":7,\"total_tokens\":12}}\n\n",
];

#[test]
fn pictures_are_passed_over() {
    let body = r#"{"created":1,"data":[{"b64_json":"iVBORw0KGgo"},{"url":"https://x/y.png","revised_prompt":"hello"}],"usage":{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":60,"total_tokens":110}}"#;
    let call = call_however_cut("/v1/images/generations", [JSON, ASK], 200, [JSON, body]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("openai_images"), Some("image_generation"))
    );
    assert_eq!(
        (
            call.input_tokens,
            call.output_tokens,
            call.counted_input_tokens
        ),
        (Some(50), Some(60), Some(2))
    );
    assert_eq!(call.stream, Some(false));
}

#[test]
fn a_form_with_a_picture() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nimage-x\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhello world\r\n--b\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\u{1}\u{2}\r\n--b--\r\n";
    let call = call_however_cut(
        "/v1/images/edits",
        ["multipart/form-data; boundary=b", form],
        200,
        [JSON, r#"{"created":1,"data":[{"b64_json":"A"}]}"#],
    );
    assert_eq!(
        (call.request_model.as_deref(), call.input_tokens),
        (Some("image-x"), Some(2))
    );
    assert_eq!(call.output_tokens, None);
}

#[test]
fn a_stream_of_partial_pictures() {
    let call = events("/v1/images/generations", ASK, &STREAM);
    assert_eq!((call.stream, call.output_tokens), (Some(true), Some(7)));
    assert_eq!(marks(&call), [Some(0), Some(0), Some(1)]);
    let broken = Script::new()
        .post("/v1/images/generations", ASK)
        .stream(500)
        .piece(STREAM[0], 600)
        .end(Ending::ClientReset, 700)
        .call();
    assert_eq!(broken.outcome, Outcome::ClientAbort);
}

#[test]
fn errors_and_unknown_paths() {
    let body = r#"{"error":{"message":"no","type":"image_generation_user_error","code":"moderation_blocked"}}"#;
    let call = call_however_cut("/v1/images/generations", [JSON, ASK], 400, [JSON, body]);
    assert_eq!(call.error_code.as_deref(), Some("moderation_blocked"));
    for body in [
        r#"{"data":[{"b64_json":"A"}]}"#,
        r#"{"created":1,"data":[{"url":"https://x/y.png"}]}"#,
    ] {
        let call = call_however_cut("/draw", [JSON, ASK], 200, [JSON, body]);
        assert_eq!(call.dialect, Some("openai_images"));
    }
}
