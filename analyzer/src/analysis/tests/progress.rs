use super::*;

const ASK: &str =
    r#"{"model":"m","stream":true,"user":"eve","messages":[{"role":"user","content":"hi"}]}"#;

fn chat() -> Script {
    Script::new()
        .post(CHAT, ASK)
        .stream(900)
        .delta(r#"{"role":"assistant"}"#, 1_000)
        .delta(r#"{"content":"a"}"#, 2_000)
        .delta(r#"{"content":"b"}"#, 3_000)
        .complete(4_000)
}

/// What is told after each event.
fn told(script: &Script) -> Vec<News> {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    let mut told = Vec::new();
    for event in &script.events {
        analyzer.event(event);
        told.extend(analyzer.news(ID));
        assert!(analyzer.news(ID).is_none(), "each stage is told once");
    }
    told
}

#[test]
fn a_stream_is_told_as_it_begins_and_at_its_first_token() {
    let script = chat();
    let told = told(&script);
    let [begun, first] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(begun.stages, [Stage::Begun]);
    assert_eq!(first.stages, [Stage::FirstToken]);
    let row = script.call();
    for News { call, .. } in &told {
        assert_eq!(call.call_key, row.call_key);
        assert_eq!(call.dialect, row.dialect);
        assert_eq!(call.operation, row.operation);
        assert_eq!(call.request_model, row.request_model);
        assert_eq!(call.user, row.user);
        assert_eq!(call.stream, Some(true));
        assert_eq!((&call.peer, &call.server), (&row.peer, &row.server));
        assert_eq!(call.marks.request_end, row.marks.request_end);
    }
    assert_eq!((begun.call.status, begun.call.events), (None, 0));
    assert_eq!((first.call.status, first.call.events), (Some(200), 2));
    assert_eq!(first.call.marks.first_event, row.marks.first_event);
    assert_eq!(first.call.marks.first_token, row.marks.first_token);
}

#[test]
fn what_was_not_heard_from_its_beginning_is_told_in_order() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    for event in &chat().events {
        analyzer.event(event);
    }
    let news = analyzer.news(ID).unwrap();
    assert_eq!(news.stages, [Stage::Begun, Stage::FirstToken]);
}

#[test]
fn a_plain_answer_has_no_first_token_and_what_is_no_call_is_not_told() {
    let plain = Script::new()
        .post(CHAT, r#"{"model":"m","messages":[]}"#)
        .plain(200, r#"{"choices":[{"message":{"content":"hi"}}]}"#);
    let told_of = told(&plain);
    assert_eq!(told_of.len(), 1);
    assert_eq!(told_of[0].call.stream, Some(false));
    let other = Script::new()
        .post("/health", "{}")
        .plain(200, r#"{"ok":true}"#);
    assert!(told(&other).is_empty() && !other.is_call());
}

#[test]
fn a_call_that_its_shape_tells_is_told_with_its_model() {
    let script = Script::new().post("/somewhere", ASK).stream(900);
    let told = told(&script);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].call.request_model.as_deref(), Some("m"));
}

#[test]
fn asking_changes_nothing() {
    let scripts = [
        chat(),
        Script::new().post("/somewhere", ASK).stream(900),
        Script::new()
            .request_head("POST", "/x", &[])
            .request_piece(ASK),
        chat()
            .gap(Place::ResponseBody, 5)
            .delta(r#"{"content":"c"}"#, 5_000),
    ];
    for script in scripts {
        let unasked = script.finish();
        let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
        for event in &script.events {
            analyzer.event(event);
            analyzer.news(ID);
            analyzer.under_way(10);
        }
        let end = Event {
            id: ID,
            kind: EventKind::End(script.end),
        };
        let asked = analyzer.event(&end).unwrap();
        let row = |finished: Finished| {
            let call = finished.call.map(|call| call.count(&Counter::always()));
            (format!("{:?}", finished.exchange), call)
        };
        assert_eq!(row(asked), row(unasked));
    }
}

#[test]
fn calls_under_way_are_bounded_and_the_rest_is_counted() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    for connection in 0..10 {
        for event in &Script::new().post(CHAT, ASK).events {
            let mut event = event.clone();
            event.id.connection = connection;
            analyzer.event(&event);
        }
    }
    let (calls, more) = analyzer.under_way(4);
    assert_eq!((calls.len(), more), (4, 6));
    let (calls, more) = analyzer.under_way(100);
    assert_eq!((calls.len(), more), (10, 0));
    assert!(
        calls
            .iter()
            .all(|(_, call)| call.marks.first_token.is_none())
    );
}

#[test]
fn secrets_are_taken_out_before_it_is_shown_and_counted_at_the_end_alone() {
    let path = "/v1/chat/completions/sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH";
    let script = Script::new().post(path, ASK);
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    for event in &script.events {
        analyzer.event(event);
    }
    let mut call = analyzer.news(ID).unwrap().call;
    assert!(call.path.as_ref().unwrap().contains("sk-proj-"));
    let apart = call.redactor.counting_apart();
    call.redact(&apart);
    assert!(
        !call.path.as_ref().unwrap().contains("sk-proj-"),
        "{call:?}"
    );
    assert_eq!(
        call.redactor.counts().iter().map(|(_, n)| n).sum::<u64>(),
        0
    );
}
