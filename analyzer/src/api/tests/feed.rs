use std::{io::BufRead, io::BufReader, time::Duration};

use super::*;
use crate::call::Call;

/// Reads the live feed.
struct Listener(BufReader<TcpStream>);

/// One event: its id, its name and its data.
type Heard = (String, String, Json);

impl Listener {
    /// Listens with these filters and headers.
    fn new(server: &Server, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let head = format!("GET /api/live{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut listener = Self(BufReader::new(stream));
        assert_eq!(listener.line(), "HTTP/1.1 200 OK");
        // The comment comes when it is heard.
        while listener.line() != "retry: 2000" {}
        listener
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the feed ended");
        line.trim_end().to_owned()
    }

    /// The next event; sizes of chunks are passed over.
    fn next(&mut self) -> Heard {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => return (id, name, serde_json::from_str(value).unwrap()),
                _ => {}
            }
        }
    }
}

fn call(number: u8, model: &str) -> Call {
    let mut call = fixtures::call(number);
    call.request_model = Some(model.to_owned());
    call
}

#[test]
fn calls_are_told_as_they_end_with_the_keys_of_rows() {
    let server = Server::start();
    server.feed.ended(&call(1, "unheard"));
    let mut all = Listener::new(&server, "", "");
    let mut some = Listener::new(&server, "?model=b*&status=2xx&min_ttft=1ms", "");
    for (number, model) in [(2, "a"), (3, "b1"), (4, "b2")] {
        server.feed.ended(&call(number, model));
    }
    for (number, model) in [(2, "a"), (3, "b1"), (4, "b2")] {
        let (id, name, data) = all.next();
        assert_eq!((id, name.as_str()), (format!("abc-{}", number - 2), "end"));
        let mut row = crate::columns::row_json(&call(number, model), None);
        assert_eq!(data, Json::from(std::mem::take(&mut row)));
    }
    assert_eq!(some.next().2["request_model"], "b1");
    assert_eq!(some.next().2["request_model"], "b2");
}

#[test]
fn a_report_is_told_too() {
    let server = Server::start();
    let mut listener = Listener::new(&server, "", "");
    assert_eq!(server.post("/api/report", &report(1)).status, 200);
    assert_eq!(listener.next().1, "end");
}

#[test]
fn who_comes_back_hears_what_it_missed_and_how_much_is_gone() {
    let server = Server::start();
    let mut first = Listener::new(&server, "", "");
    for number in 0..5 {
        server.feed.ended(&call(number, "m"));
    }
    assert_eq!(first.next().0, "abc-0");
    assert_eq!(first.next().0, "abc-1");
    drop(first);
    let mut back = Listener::new(&server, "", "Last-Event-ID: abc-1\r\n");
    assert_eq!(
        [back.next().0, back.next().0, back.next().0],
        ["abc-2", "abc-3", "abc-4"]
    );
    for stranger in ["def-1", "abc-99", "x", ""] {
        let headers = format!("Last-Event-ID: {stranger}\r\n");
        let (id, name, data) = Listener::new(&server, "", &headers).next();
        assert_eq!((id.as_str(), name.as_str()), ("", "lagged"), "{stranger}");
        assert_eq!(data, json!({"missed": null}));
    }
}

#[test]
fn who_is_too_slow_is_told_how_much_it_missed() {
    let server = Server::start();
    let mut reader = server.feed.read(None).unwrap();
    let mut witness = server.feed.read(None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for number in 0..3_000_u32 {
        server.feed.ended(&call(0, &number.to_string()));
        // In step with one who is fast, so that the queue sheds nothing.
        let (missed, events) = runtime.block_on(witness.next(10));
        assert_eq!((missed, events.len()), (None, 1));
    }
    let (missed, events) = runtime.block_on(reader.next(10));
    assert_eq!(missed, Some(crate::feed::Missed::Some(3_000 - 2_048)));
    assert!(
        events[0].text.starts_with("id: abc-952\n"),
        "{}",
        events[0].text
    );
    let text = server.get("/metrics").body;
    assert!(
        text.contains("llmtap_feed_shed_events_total{reason=\"reader\"} 952\n"),
        "{text}"
    );
    assert!(
        text.contains("llmtap_feed_shed_events_total{reason=\"queue\"} 0\n"),
        "{text}"
    );
    assert!(text.contains("llmtap_feed_readers 2\n"), "{text}");
}

#[test]
fn readers_are_bounded() {
    let server = Server::start();
    let mut readers: Vec<_> = (0..32).map(|_| Listener::new(&server, "", "")).collect();
    let answer = server.get("/api/live");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    // A place is free once its reader is gone.
    readers.pop();
    while server.metrics.api().feed_readers.get() > 31 {
        server.feed.ended(&call(1, "m"));
        std::thread::yield_now();
    }
    Listener::new(&server, "", "");
}

#[test]
fn the_end_does_not_wait_for_readers() {
    let mut server = Server::start();
    let mut listener = Listener::new(&server, "", "");
    server.stop();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut listener.0, &mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[test]
fn what_is_not_stored_yet_cannot_be_asked_by_what_was() {
    let server = Server::start();
    for path in ["/api/live", "/api/inflight"] {
        for parameter in ["from=-1h", "to=now", "q=x", "limit=1", "modle=x"] {
            let answer = server.get(&format!("{path}?{parameter}"));
            assert_eq!(answer.status, 400, "{path}?{parameter}");
        }
    }
}

#[test]
fn nothing_is_under_way_where_nothing_is_captured() {
    let server = Server::start();
    let answer = server.get("/api/inflight").json();
    assert_eq!(answer["calls"], json!([]));
    assert_eq!(
        (&answer["complete"], &answer["left_out"]),
        (&json!(true), &json!(0))
    );
}

#[test]
fn a_worker_that_does_not_answer_is_not_waited_for() {
    let server = Server::start();
    server.feed.in_flight().workers(2);
    let answer = server.get("/api/inflight").json();
    assert_eq!(answer["complete"], false);
}
