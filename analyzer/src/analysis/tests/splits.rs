//! However bodies are cut, the record is the same.

use proptest::prelude::*;

use super::*;

/// The call of these bodies, which is the same wherever the two are cut: each is cut in two at every
/// byte, and in pieces of one byte and of seven. All bytes of the answer come at 100 µs.
pub(super) fn call_however_cut(
    target: &str,
    request: [&str; 2],
    status: u16,
    response: [&str; 2],
) -> Call {
    let [request_type, request] = request;
    let [response_type, response] = response;
    let (request, response) = (request.as_bytes(), response.as_bytes());
    let read = |request: &mut dyn Iterator<Item = &[u8]>,
                response: &mut dyn Iterator<Item = &[u8]>| {
        let head = [("Content-Type", request_type)];
        let mut script = Script::new().request_head("POST", target, &head);
        for piece in request.filter(|piece| !piece.is_empty()) {
            script = script.request_piece(piece);
        }
        script = script.request_end().head(status, response_type, 50);
        for piece in response.filter(|piece| !piece.is_empty()) {
            script = script.piece(piece, 100);
        }
        let call = script.complete(200).finish().call;
        call.map(|call| call.count(&Counter::always()).call)
    };
    let whole = read(&mut [request].into_iter(), &mut [response].into_iter());
    let longest = request.len().max(response.len());
    for at in 0..=longest {
        let (a, b) = request.split_at(at.min(request.len()));
        let (c, d) = response.split_at(at.min(response.len()));
        let cut = read(&mut [a, b].into_iter(), &mut [c, d].into_iter());
        assert_eq!(cut, whole, "cut at {at}");
    }
    for size in [1, 7] {
        let cut = read(&mut request.chunks(size), &mut response.chunks(size));
        assert_eq!(cut, whole, "in pieces of {size}");
    }
    whole.expect("a call")
}

/// The exchange of these bodies in these pieces, all at one time.
fn in_pieces<'a>(
    target: &str,
    request: impl Iterator<Item = &'a [u8]>,
    response: impl Iterator<Item = &'a [u8]>,
    ending: Ending,
) -> (crate::call::ExchangeRow, Option<crate::record::Record>) {
    let mut script = Script::new().request_head("POST", target, &[]);
    for piece in request.filter(|piece| !piece.is_empty()) {
        script = script.request_piece(piece);
    }
    script = script.request_end().head(200, "", 100);
    for piece in response.filter(|piece| !piece.is_empty()) {
        script = script.piece(piece, 100);
    }
    let keep = Settings {
        bodies: KeepBodies::Full,
        ..Settings::default()
    };
    let finished = script.end(ending, 200).finish_with(keep).0;
    let record = finished.call.map(|call| call.count(&Counter::always()));
    (finished.exchange, record)
}

const VARIED_ASK: &str = "{\"model\":\"gpt-4\",\"user\":\"zoë\",\"n\":2,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"你好 \\u4f60\\u597d \\ud83d\\ude00\"}]}]}";

const VARIED_STREAM: &str = "\u{feff}: hi\r\n\r\ndata: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"你好，\"},\"index\":1}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"},\"index\":1},{\"index\":0,\"function\":{\"name\":\"g\"}}]}}]}\n\nevent: x\ndata: {\"choices\":[{\"index\":1,\ndata: \"delta\":{\"reasoning\":\"\\ud83d\\ude00世界\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\r\rdata: [DONE]";

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let whole = in_pieces(
        CHAT,
        [VARIED_ASK.as_bytes()].into_iter(),
        [VARIED_STREAM.as_bytes()].into_iter(),
        Ending::Complete,
    );
    let record = whole.1.clone().unwrap();
    assert_eq!(record.call.finish_reasons, ["tool_calls", "stop"]);
    assert_eq!(
        (record.call.outcome, record.call.user.as_deref()),
        (Outcome::Ok, Some("zoë"))
    );
    assert_eq!(
        (record.call.input_tokens, record.call.output_tokens),
        (Some(12), Some(34))
    );
    for at in 0..=VARIED_STREAM.len() {
        let (a, b) = VARIED_STREAM.as_bytes().split_at(at);
        let (c, d) = VARIED_ASK.as_bytes().split_at(at.min(VARIED_ASK.len()));
        let cut = in_pieces(
            CHAT,
            [c, d].into_iter(),
            [a, b].into_iter(),
            Ending::Complete,
        );
        assert_eq!(cut, whole, "cut at {at}");
    }
    let single = in_pieces(
        CHAT,
        VARIED_ASK.as_bytes().chunks(1),
        VARIED_STREAM.as_bytes().chunks(1),
        Ending::Complete,
    );
    assert_eq!(single, whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_bodies_read_the_same_however_they_are_cut(
        path in proptest::sample::select(vec![CHAT, "/v1/completions", "/any"]),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        stop in any::<prop::sample::Index>(),
        sizes in (1usize..40, 1usize..40),
        plain: bool,
    ) {
        let mut response = if plain { answer("你好 hello", r#"{"prompt_tokens":3}"#) } else { VARIED_STREAM.to_owned() }.into_bytes();
        let mut request = VARIED_ASK.as_bytes().to_vec();
        for (at, byte) in damage {
            let at_response = at.index(response.len());
            response[at_response] = byte;
            let at_request = at.index(request.len());
            request[at_request] = byte;
        }
        response.truncate(stop.index(response.len() + 1));
        let whole = in_pieces(path, [request.as_slice()].into_iter(), [response.as_slice()].into_iter(), Ending::ClientFin);
        let cut = in_pieces(path, request.chunks(sizes.0), response.chunks(sizes.1), Ending::ClientFin);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn damaged_exchanges_of_every_dialect_read_the_same_however_they_are_cut(
        example in proptest::sample::select(dialects::examples()),
        unknown_path: bool,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        stop in any::<prop::sample::Index>(),
        sizes in (1usize..40, 1usize..40),
    ) {
        let path = if unknown_path { "/any" } else { example.path };
        let (mut request, mut response) = (example.request.into_bytes(), example.response.into_bytes());
        for (at, byte) in damage {
            let at_response = at.index(response.len());
            response[at_response] = byte;
            let at_request = at.index(request.len());
            request[at_request] = byte;
        }
        response.truncate(stop.index(response.len() + 1));
        let whole = in_pieces(path, [request.as_slice()].into_iter(), [response.as_slice()].into_iter(), Ending::ClientFin);
        let cut = in_pieces(path, request.chunks(sizes.0), response.chunks(sizes.1), Ending::ClientFin);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn any_bytes_in_any_order_with_holes_never_panic(
        steps in proptest::collection::vec(
            (0u8..7, proptest::collection::vec(prop_oneof![3 => proptest::sample::select(b"{}[]\":,data \n\\u[DONE]".to_vec()), 1 => any::<u8>()], 1..40), -50i64..50),
            0..40),
        target in proptest::sample::select(vec![
            CHAT, "/v1/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/messages", "/any", "", "x://", "\u{fffd}",
        ]),
    ) {
        let mut script = Script::new();
        for (step, bytes, at) in steps {
            script = match step {
                0 => script.request_head("POST", target, &[("X-Forwarded-For", "a,[,]:1")]),
                1 => script.request_piece(bytes),
                2 => script.head(200, "text/event-stream", at),
                3 | 4 => script.piece(bytes, at),
                5 => script.gap(Place::ResponseBody, 1),
                _ => script.gap(Place::RequestBody, 1),
            };
        }
        if let Some(call) = script.finish().call {
            call.count(&Counter::always());
        }
    }
}
