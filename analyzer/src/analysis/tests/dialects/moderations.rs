use super::*;

pub(super) const ASK: &str = r#"{"model":"omni","input":"hello"}"#;

pub(super) const BODY: &str = r#"{"id":"modr-1","model":"omni-1","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9}}]}"#;

#[test]
fn texts_are_counted() {
    for input in [
        r#""hello world""#,
        r#"["hello"," world"]"#,
        r#"[{"type":"text","text":"hello world"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]"#,
    ] {
        let ask = format!(r#"{{"model":"omni","input":{input}}}"#);
        let call = call_however_cut("/v1/moderations", [JSON, &ask], 200, [JSON, BODY]);
        assert_eq!(
            (call.dialect, call.operation),
            (Some("openai_moderations"), Some("moderation"))
        );
        assert_eq!(
            (
                call.request_model.as_deref(),
                call.response_model.as_deref()
            ),
            (Some("omni"), Some("omni-1"))
        );
        assert_eq!((call.input_tokens, call.output_tokens), (Some(2), None));
    }
}

#[test]
fn the_answer_tells_on_an_unknown_path() {
    let call = call_however_cut("/check", [JSON, ASK], 200, [JSON, BODY]);
    assert_eq!(call.dialect, Some("openai_moderations"));
    let body = r#"{"error":{"message":"no","type":"invalid_request_error","code":null}}"#;
    let call = call_however_cut("/v1/moderations", [JSON, ASK], 400, [JSON, body]);
    assert_eq!(
        (call.outcome, call.error_type.as_deref()),
        (Outcome::ClientError, Some("invalid_request_error"))
    );
}
