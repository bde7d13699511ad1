use super::*;

const SECRET: &str = "sk-proj-Zq7Lm2Xw9Kd4Rt6Yb1Vn8Hs3Jf5Gp0Qc";

fn body_by(redactor: &Redactor, body: &str) -> String {
    let marked = redactor.body(body.as_bytes(), Part::Head);
    let left = marked.apply(body.as_bytes(), 0..body.len());
    String::from_utf8(left).unwrap()
}

fn body(text: &str) -> String {
    body_by(&Redactor::default(), text)
}

fn with(expressions: &[&str], paths: &[&str]) -> Redactor {
    Redactor::new(
        expressions.iter().map(|one| one.parse().unwrap()).collect(),
        paths.iter().map(|one| one.parse().unwrap()).collect(),
    )
}

/// Every character as an escape.
fn escaped(text: &str) -> String {
    let escape = |text: String, c: char| text + &format!("\\u{:04x}", u32::from(c));
    text.chars().fold(String::new(), escape)
}

/// The secret in pieces of this size, each in an event.
fn streamed(size: usize, event: impl Fn(&str) -> String) -> String {
    let text = format!("Use {SECRET}, he said");
    let pieces = text.as_bytes().chunks(size);
    pieces
        .map(|piece| event(std::str::from_utf8(piece).unwrap()))
        .collect()
}

#[test]
fn escapes_hide_nothing() {
    for hidden in [
        SECRET.to_owned(),
        escaped(SECRET),
        SECRET.replace("proj", "\\u0070roj"),
        format!("\\n{SECRET}\\n"),
        format!("\\u003d{SECRET}"),
    ] {
        let left = body(&format!("{{\"content\":\"{hidden}\"}}"));
        assert!(
            left.contains("[redacted:openai_key]") && left.len() < 60,
            "{left}"
        );
        serde_json::from_str::<serde_json::Value>(&left).unwrap();
        // JSON in a string of JSON, and once more.
        let inner = serde_json::to_string(&format!("{{\"a\":\"{hidden}\"}}")).unwrap();
        let nested = body(&format!("{{\"arguments\":{inner}}}"));
        assert!(
            nested.contains("[redacted:") && !nested.contains("Zq7Lm"),
            "{nested}"
        );
        let twice = serde_json::to_string(&format!("{{\"b\":{inner}}}")).unwrap();
        let nested = body(&format!("{{\"arguments\":{twice}}}"));
        assert!(
            nested.contains("[redacted:") && !nested.contains("u0051"),
            "{nested}"
        );
    }
    let url =
        body("{\"u\":\"https:\\/\\/hooks.slack.com\\/services\\/T00000000\\/B00000000\\/XXXX\"}");
    assert!(
        url.contains("[redacted:slack_token]") && !url.contains("XXXX"),
        "{url}"
    );
    let pem = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n-----END PRIVATE KEY-----\\n";
    assert_eq!(
        body(&format!("{{\"k\":\"{pem}\"}}")),
        "{\"k\":\"[redacted:private_key]\\n\"}"
    );
}

#[test]
fn a_secret_in_many_events_is_taken_out_of_each() {
    for size in [1, 2, 3, 5, 9, 100] {
        for (name, stream) in [
            (
                "chat",
                streamed(size, |piece| {
                    format!(
                        "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n"
                    )
                }),
            ),
            (
                "escaped",
                streamed(size, |piece| {
                    format!(
                        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}},\"index\":0}}]}}\r\n\r\n",
                        escaped(piece)
                    )
                }),
            ),
            (
                "messages",
                streamed(size, |piece| {
                    format!(
                        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"{piece}\"}}}}\n\n"
                    )
                }),
            ),
            (
                "responses",
                streamed(size, |piece| {
                    format!(
                        "data: {{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"{piece}\",\"sequence_number\":{}}}\n\n",
                        piece.len()
                    )
                }),
            ),
            (
                "ollama",
                streamed(size, |piece| {
                    format!(
                        "{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":\"{piece}\"}},\"done\":false}}\n"
                    )
                }),
            ),
            (
                "gemini",
                format!(
                    "[{}]",
                    streamed(size, |piece| {
                        format!(
                            "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{piece}\"}}]}}}}]}}\n,\r\n"
                        )
                    })
                ),
            ),
        ] {
            let left = body(&stream);
            assert_eq!(
                left.matches("[redacted:openai_key]").count(),
                1,
                "{name} {size}\n{left}"
            );
            for piece in SECRET.as_bytes()[8..].chunks(size) {
                let quoted = format!("\"{}\"", std::str::from_utf8(piece).unwrap());
                assert!(size < 3 || !left.contains(&quoted), "{name} {size}\n{left}");
            }
            let spelt: String = left
                .split('"')
                .filter(|part| SECRET.contains(part) && part.len() <= size)
                .collect();
            assert!(!spelt.contains("Zq7Lm"), "{name} {size}: {spelt}");
        }
    }
}

#[test]
fn choices_and_tool_calls_that_interleave_are_put_together_apart() {
    let event = |index: usize, piece: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n"
        )
    };
    let (a, b) = SECRET.split_at(20);
    let stream = [
        event(0, a),
        event(1, "Hello "),
        event(0, b),
        event(1, "world"),
    ]
    .concat();
    let expected = [
        event(0, "[redacted:openai_key]"),
        event(1, "Hello "),
        event(0, ""),
        event(1, "world"),
    ];
    assert_eq!(body(&stream), expected.concat());
    // A key and its value need not come in one event.
    let args = |piece: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"{piece}\"}}}}]}}}}]}}\n\n"
        )
    };
    let stream = [
        args("{\\\"pass"),
        args("word\\\": \\\"hun"),
        args("ter\\\"}"),
    ]
    .concat();
    let left = body(&stream);
    assert!(!left.contains("hun") && !left.contains("ter\\"), "{left}");
}

#[test]
fn a_stream_that_breaks_off_in_a_secret_keeps_no_beginning() {
    for length in 8..SECRET.len() {
        let pieces = SECRET.as_bytes()[..length].chunks(3);
        let stream: Vec<_> = pieces
            .map(|piece| {
                let piece = std::str::from_utf8(piece).unwrap();
                format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n")
            })
            .collect();
        let left = body(&stream.concat());
        assert_eq!(left.matches("[redacted:").count(), 1, "{left}");
        assert!(!left.contains("sk-"), "{left}");
    }
}

#[test]
fn tokens_that_spell_a_secret_go_with_it() {
    let plain = "{\"choices\":[{\"message\":{\"content\":\"hello\"},\"logprobs\":{\"content\":[{\"token\":\"hello\",\"bytes\":[104]}]}}]}";
    assert_eq!(body(plain), plain);
    let spelt = plain.replace(
        "\"content\":\"hello\"",
        &format!("\"content\":\"{SECRET}\""),
    );
    assert_eq!(
        body(&spelt),
        "{\"choices\":[{\"message\":{\"content\":\"[redacted:openai_key]\"},\"logprobs\":\"[redacted:tokens]\"}]}"
    );
}

#[test]
fn rules_of_the_operators_own_apply_everywhere() {
    let redactor = with(
        &["(?i)project [a-z]+", "\\d{3}-\\d{2}-\\d{4}"],
        &["$.messages[*].name", "$..metadata"],
    );
    let ask = "{\"messages\":[{\"name\":\"Ann\",\"content\":\"Project Apollo, 123-45-6789\"}],\"x\":{\"metadata\":{\"a\":[1]}}}";
    assert_eq!(
        body_by(&redactor, ask),
        "{\"messages\":[{\"name\":\"[redacted:json_path]\",\"content\":\"[redacted:custom], [redacted:custom]\"}],\"x\":{\"metadata\":\"[redacted:json_path]\"}}"
    );
    let stream = "data: {\"delta\":{\"content\":\"Proj\"}}\n\ndata: {\"delta\":{\"content\":\"ect Apo\"}}\n\ndata: {\"delta\":{\"content\":\"llo 13\"}}\n\n";
    assert_eq!(
        body_by(&redactor, stream),
        "data: {\"delta\":{\"content\":\"[redacted:custom]\"}}\n\ndata: {\"delta\":{\"content\":\"\"}}\n\ndata: {\"delta\":{\"content\":\" 13\"}}\n\n"
    );
    let mut text = "PROJECT X".to_owned();
    assert_eq!(redactor.text(&mut text), 1);
    assert_eq!(text, "[redacted:custom]");
    let counts: Vec<_> = redactor.counts().iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(counts, [("custom", 4), ("json_path", 2)]);

    // Bytes of a character are not torn apart.
    let bytes = with(&["(?-u)\\xE6"], &[]);
    let mut text = "a模b".to_owned();
    bytes.text(&mut text);
    assert_eq!(text, "a[redacted:custom]b");
}

#[test]
fn rules_that_are_none_are_refused() {
    for (text, part) in [
        ("a(", "unclosed group"),
        ("a*", "empty text"),
        ("", "empty text"),
        ("(?:a{1000}){1000}", "size limit"),
    ] {
        let error = text.parse::<Expression>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn what_holds_no_secret_stays_to_the_byte() {
    let bodies = [
        "",
        "{}",
        "data: [DONE]\n\n",
        "plain text\\",
        "{\"a\":\"\\u00e9\\n\\ud83d\\ude00\"}",
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\" world\"}}]}\n\ndata: [DONE]\n\n",
    ];
    for text in bodies {
        assert_eq!(body(text), text);
    }
    let bytes = b"\xff\xfe{\"\x80\\u\"";
    let marked = Redactor::default().body(bytes, Part::Tail);
    assert_eq!(marked.apply(bytes, 0..bytes.len()), bytes);
}

#[test]
fn a_target_keeps_its_form() {
    let redactor = Redactor::default();
    for (target, left) in [
        ("/v1/chat/completions?a=b", "/v1/chat/completions?a=b"),
        (
            "/v1beta/models/g:generateContent?key=abcdefgh&alt=sse",
            "/v1beta/models/g:generateContent?key=[redacted:credential]&alt=sse",
        ),
        (
            "http://me:secret@llm:8000/v1",
            "http://[redacted:url_credentials]@llm:8000/v1",
        ),
        ("/v1/sk-proj-Zq7Lm2Xw9Kd4/x", "/v1/[redacted:openai_key]/x"),
    ] {
        assert_eq!(redactor.target(target), left);
    }
}

proptest::proptest! {
    /// Whatever the bytes are, and however they are cut, nothing of a whole secret is left.
    #[test]
    fn damaged_bodies_are_gone_through(
        parts in proptest::collection::vec(proptest::prop_oneof![
            proptest::prelude::Just(format!(" {SECRET}").into_bytes()),
            proptest::prelude::Just(b"data: {\"a\":\"".to_vec()),
            proptest::prelude::Just(b"\"}\n\n".to_vec()),
            proptest::prelude::Just(b"{\"b\":[\"".to_vec()),
            proptest::prelude::Just(b" \\u0041\\n\\\"".to_vec()),
            proptest::prelude::Just(b"\"password\":\"".to_vec()),
            proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8),
        ], 0..14),
        from in 0usize..80,
        length in 0usize..200,
    ) {
        let body = parts.concat();
        let redactor = with(&["u00"], &["$..b", "$.a[0]"]);
        for part in [Part::Head, Part::Tail] {
            let marked = redactor.body(&body, part);
            let start = from.min(body.len());
            let end = (start + length).min(body.len());
            marked.apply(&body, start..end);
            let left = marked.apply(&body, 0..body.len());
            let core = &SECRET.as_bytes()[8..];
            let leaks = left.windows(core.len()).any(|window| window == core);
            proptest::prop_assert!(!leaks, "{}", String::from_utf8_lossy(&left));
        }
    }
}
