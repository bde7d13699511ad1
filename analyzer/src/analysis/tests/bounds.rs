//! Whose call it is, its key, what is kept, and the events themselves.

use super::*;

#[test]
fn negative_durations_are_none_and_counted() {
    let script = stream().end(Ending::Complete, -5);
    let (finished, counters) = script.finish_with(Settings::default());
    let call = finished.call.unwrap().count(&Counter::always()).call;
    assert_eq!((call.elapsed, call.tokens_per_second), (None, None));
    assert_eq!(counters.negative_durations, 1);
    assert_eq!((counters.exchanges, counters.calls), (1, 1));
}

#[test]
fn whose_call_it_is() {
    let headers = [
        ("X-Forwarded-For", "203.0.113.7, 10.0.0.9"),
        ("Authorization", "Bearer sk-secret"),
        ("X-User", "from-header"),
        ("X-Model", "from-header"),
    ];
    let settings = || Settings {
        user_header: Some("x-user".parse().unwrap()),
        hash_key: Some(HashKey::new(b"k")),
        ..Settings::default()
    };
    let call = |target: &str, body: &str| {
        let script = Script::new()
            .request_head("POST", target, &headers)
            .request_piece(body)
            .request_end();
        let finished = script
            .plain(200, &answer("a", "null"))
            .finish_with(settings())
            .0;
        finished.call.unwrap().count(&Counter::always()).call
    };
    let named = call(CHAT, r#"{"model":"m","user":"u","messages":[]}"#);
    assert_eq!(named.client.as_deref(), Some("203.0.113.7"));
    assert_eq!(
        (named.user.as_deref(), named.request_model.as_deref()),
        (Some("u"), Some("m"))
    );
    assert_eq!(
        named.key.as_deref(),
        Some(HashKey::new(b"k").hash("sk-secret").as_str())
    );
    let unnamed = call(CHAT, "{}");
    assert_eq!(
        (unnamed.user.as_deref(), unnamed.request_model.as_deref()),
        (Some("from-header"), Some("from-header"))
    );
    let azure = call("/openai/deployments/dep/chat/completions", "{}");
    assert_eq!(azure.request_model.as_deref(), Some("dep"));
    let plain = stream().call();
    assert_eq!((plain.key, plain.user, plain.client), (None, None, None));
}

#[test]
fn call_keys_tell_calls_apart_and_nothing_else() {
    let key = stream().call().call_key;
    assert_eq!(key, stream().call().call_key);
    let mut live = stream();
    live.events
        .iter_mut()
        .for_each(|event| event.id.connection = 77);
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    live.events
        .iter()
        .for_each(|event| assert!(analyzer.event(event).is_none()));
    let id = ExchangeId {
        connection: 77,
        number: 1,
    };
    let end = Event {
        id,
        kind: EventKind::End(live.end),
    };
    let again = analyzer.event(&end).unwrap().call.unwrap();
    assert_eq!(
        again.call().call_key,
        key,
        "the connection's number is of one run"
    );
    let lost = Script::new()
        .stream(0)
        .delta("{}", 1)
        .complete(2)
        .call()
        .call_key;
    assert_ne!(lost, key);
    // Written down once: rows in databases have it.
    assert_eq!(key.to_string(), KEY);
}

const KEY: &str = "72fa7bc5a8b61524fbd9879788df8773";

#[test]
fn bodies_are_kept_only_when_asked_for() {
    let keep = Settings {
        bodies: KeepBodies::Full,
        ..Settings::default()
    };
    let record = stream()
        .finish_with(keep.clone())
        .0
        .call
        .unwrap()
        .count(&Counter::always());
    let bodies = record.bodies.unwrap();
    assert_eq!(bodies.request.head, ASK.as_bytes());
    assert!(bodies.response.head.ends_with(b"data: [DONE]\n\n"));
    let none = stream().finish().call.unwrap().count(&Counter::always());
    assert_eq!(none.bodies, None);
    // A stored cut changes no figure.
    let long = "hello ".repeat(100_000);
    let body = answer(&long, "null");
    let script = Script::new().post(CHAT, ASK).plain(200, &body);
    let kept = script
        .finish_with(keep)
        .0
        .call
        .unwrap()
        .count(&Counter::always());
    let plain = script.finish().call.unwrap().count(&Counter::always());
    assert_eq!(kept.call, plain.call);
    assert!(kept.bodies.unwrap().response.omitted > 0);
}

#[test]
fn text_past_the_budget_is_shed_and_said() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    let piece = "x".repeat(1 << 20);
    let open = |number: u32, analyzer: &mut Analyzer| {
        let mut script = Script::new()
            .post(CHAT, ASK)
            .head(200, "application/json", 1);
        script = script.piece(r#"{"choices":[{"index":0,"message":{"content":""#, 2);
        for _ in 0..40 {
            script = script.piece(piece.as_str(), 3);
        }
        let id = ExchangeId {
            connection: 1,
            number,
        };
        for event in script.events {
            analyzer.event(&Event { id, ..event });
        }
    };
    (0..5).for_each(|number| open(number, &mut analyzer));
    assert!(analyzer.held <= MAX_HELD + (1 << 20));
    assert_eq!(analyzer.counters().texts_shed, 2);
    let end = Script::new().complete(9).end;
    let id = ExchangeId {
        connection: 1,
        number: 4,
    };
    let finished = analyzer
        .event(&Event {
            id,
            kind: EventKind::End(end),
        })
        .unwrap();
    assert!(finished.call.unwrap().call().truncated);
    let id = ExchangeId {
        connection: 1,
        number: 0,
    };
    let finished = analyzer
        .event(&Event {
            id,
            kind: EventKind::End(end),
        })
        .unwrap();
    assert!(!finished.call.unwrap().call().truncated);
}

#[test]
fn what_an_unfinished_event_holds_is_held() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    let text = "x".repeat(1 << 20);
    let script = Script::new()
        .post("/generate", dialects::SGLANG_ASK)
        .stream(5)
        .piece(
            format!("data: {{\"meta_info\":{{\"prompt_tokens\":1}},\"text\":\"{text}"),
            6,
        );
    for event in &script.events {
        assert!(analyzer.event(event).is_none());
    }
    assert!(analyzer.held >= 1 << 20);
}

#[test]
fn events_of_unknown_exchanges_are_counted() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    let script = stream();
    for event in script.events.iter().skip(1) {
        assert!(analyzer.event(event).is_none());
    }
    assert!(
        analyzer
            .event(&Event {
                id: ID,
                kind: EventKind::End(script.end)
            })
            .is_none()
    );
    assert_eq!(
        analyzer.counters().orphan_events,
        script.events.len() as u64
    );
    assert_eq!(analyzer.in_flight(), 0);
}

#[test]
fn events_go_through_json_and_come_back() {
    let mut script = stream()
        .gap(Place::ResponseBody, 3)
        .piece(&b"\xff\xe4\xbd"[..], 7);
    script.end.client_left = Some(t(3));
    for event in &script.events {
        let text = serde_json::to_string(event).unwrap();
        let back: Event<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(&back, event);
    }
    let texts: Vec<String> = script
        .events
        .iter()
        .map(|e| serde_json::to_string(e).unwrap())
        .collect();
    let events = texts
        .iter()
        .map(|text| serde_json::from_str::<Event<'_>>(text).unwrap());
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    events.for_each(|event| assert!(analyzer.event(&event).is_none()));
    let end = serde_json::to_string(&Event {
        id: ID,
        kind: EventKind::End(script.end),
    })
    .unwrap();
    let finished = analyzer
        .event(&serde_json::from_str(&end).unwrap())
        .unwrap();
    let direct = script.finish();
    assert_eq!(finished.exchange, direct.exchange);
    let count = |finished: Finished| finished.call.unwrap().count(&Counter::always());
    assert_eq!(count(finished), count(direct));
}
