//! What the matching of legs is told.

use super::*;
use crate::legs::{EndedLeg, Leg};

/// The leg after all events but the last, and at the end.
fn leg(script: &Script) -> (Option<Leg>, Option<EndedLeg>) {
    let mut analyzer = Analyzer::new(Arc::default());
    for event in &script.events {
        assert!(analyzer.event(event).is_none());
    }
    let asked = analyzer.leg(ID);
    let end = Event {
        id: ID,
        kind: EventKind::End(script.end),
    };
    let finished = analyzer.event(&end).unwrap();
    let key = finished.call.map(|call| call.call().call_key);
    if let (Some(leg), Some(key)) = (asked, key) {
        assert_eq!(leg.key, key, "known before the call has ended");
    }
    (asked, finished.leg.map(|leg| *leg))
}

const QUESTION: &str = r#"{"model":"m","messages":[]}"#;

#[test]
fn a_call_is_a_leg_from_the_end_of_its_request_on() {
    let script = Script::new()
        .post(CHAT, QUESTION)
        .plain(503, r#"{"error":"full"}"#);
    let (asked, ended) = leg(&script);
    let (asked, ended) = (asked.unwrap(), ended.unwrap());
    assert_eq!((asked.start, asked), (t(0), ended.leg));
    let close = ended.close.unwrap();
    assert_eq!((close.time, close.status), (t(2_000), Some(503)));
    assert_eq!(close.answer, br#"{"error":"full"}"#);

    let begun = Script::new()
        .request_head("POST", CHAT, &[])
        .request_piece(QUESTION);
    assert_eq!(leg(&begun).0, None);
}

#[test]
fn a_request_that_was_not_read_whole_is_none() {
    let hole = Script::new()
        .request_head("POST", CHAT, &[])
        .request_piece(QUESTION)
        .gap(Place::RequestBody, 7)
        .request_end();
    assert_eq!(leg(&hole.plain(200, "{}")), (None, None));
    let empty = Script::new().request_head("POST", CHAT, &[]).request_end();
    assert_eq!(leg(&empty.plain(200, "{}")), (None, None));

    let mut capped = Script::new().post(CHAT, QUESTION).plain(200, "{}");
    capped.end.request.unread = 1;
    assert_eq!(leg(&capped).1.unwrap().close, None);
}

#[test]
fn what_is_no_call_is_none() {
    let page = Script::new()
        .request_head("GET", CHAT, &[])
        .request_piece("a")
        .request_end();
    assert_eq!(leg(&page.plain(200, "{}")), (None, None));
    // By its path it may have been one; its shape says that it is not.
    let form = Script::new().post("/submit", "a=b").plain(200, "<html>");
    let (asked, ended) = leg(&form);
    assert_eq!(asked.unwrap(), ended.as_ref().unwrap().leg);
    assert_eq!(ended.unwrap().close, None);
}
