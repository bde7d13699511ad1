//! What must hold of the events of exchanges, whatever the bytes were.

use std::collections::{BTreeMap, BTreeSet};

use analyzer::{
    exchange::{End, Ending, Event, EventKind, ExchangeId, Place, Transfer, Version},
    time::Timestamp,
};
use sniffer::{
    http::{EventSink, HttpCounters, Protocol},
    tcp::ConnectionInfo,
};

use crate::fuzz::Features;

/// Takes events, holds them to their grammar, and writes them down with the pieces of bodies joined.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    open: BTreeMap<ExchangeId, Open>,
    /// The next number of each connection.
    next: BTreeMap<u64, u32>,
    protocols: BTreeSet<(u64, &'static str)>,
    begun: u64,
    pub(super) log: Vec<Line>,
    pub(super) features: Features,
}

#[derive(Debug, Default)]
struct Open {
    request: Request,
    /// The answer may be a bare body.
    simple: bool,
    response_head: bool,
    bodies: [u64; 2],
    gaps: [u64; 4],
    last: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Request {
    #[default]
    Unseen,
    Begun,
    Over,
}

/// An event as it is compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Pieces of a body that came one after the other, and the time of the last.
    Body(ExchangeId, Body, Vec<u8>, Timestamp),
    /// Anything else.
    Other(ExchangeId, String),
    Protocol(u64, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Request,
    Response,
}

impl Grammar {
    /// No exchange may be open.
    pub(super) fn finish(&self, counters: &HttpCounters) {
        assert!(self.open.is_empty(), "not ended: {:?}", self.open);
        assert_eq!(counters.exchanges, self.begun, "{counters:?}");
    }

    fn body(&mut self, id: ExchangeId, which: Body, bytes: &[u8], time: Timestamp) {
        assert!(!bytes.is_empty(), "an empty piece");
        match self.log.last_mut() {
            Some(Line::Body(last, kind, joined, at)) if *last == id && *kind == which => {
                joined.extend_from_slice(bytes);
                *at = time;
            }
            _ => self.log.push(Line::Body(id, which, bytes.to_vec(), time)),
        }
    }
}

/// Panics where two logs differ, with the place where they do.
pub(super) fn assert_same(one: &[Line], other: &[Line], why: &str) {
    let (pairs, lengths) = (one.iter().zip(other), (one.len(), other.len()));
    for (number, (one, other)) in pairs.enumerate() {
        if let (Line::Body(a, b, bytes, at), Line::Body(c, d, others, then)) = (one, other) {
            let equal = bytes.iter().zip(others).take_while(|(a, b)| a == b).count();
            assert!(
                (a, b, at) == (c, d, then) && bytes == others,
                "{why}: line {number}: {a:?} {b:?} {at:?}, {c:?} {d:?} {then:?}: bodies of {} and {} bytes, equal up to {equal}",
                bytes.len(),
                others.len()
            );
        }
        assert!(one == other, "{why}: line {number}: {one:?}, {other:?}");
    }
    assert_eq!(lengths.0, lengths.1, "{why}: more lines");
}

impl EventSink for Grammar {
    fn event(&mut self, event: Event<'_>) {
        let id = event.id;
        if let EventKind::Begin(_) = &event.kind {
            let next = self.next.entry(id.connection).or_default();
            assert_eq!(id.number, *next, "exchanges are numbered as they begin");
            *next += 1;
            self.begun += 1;
            self.open.insert(id, Open::default());
            self.log.push(Line::Other(id, "begin".to_owned()));
            return;
        }
        assert!(self.open.contains_key(&id), "not open: {event:?}");
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        let name = match &event.kind {
            EventKind::Begin(_) => "begin",
            EventKind::RequestHead(head) => {
                assert_eq!(open.request, Request::Unseen, "two request heads");
                assert!(head.first <= head.last);
                open.request = Request::Begun;
                open.simple = head.version == Version::Http09;
                "request head"
            }
            EventKind::RequestBody { bytes, time } => {
                assert_eq!(
                    open.request,
                    Request::Begun,
                    "a body outside of its request"
                );
                open.bodies[0] += bytes.len() as u64;
                self.features.followed(open.last, "request body");
                open.last = "request body";
                return self.body(id, Body::Request, bytes, *time);
            }
            EventKind::RequestEnd { .. } => {
                assert_eq!(open.request, Request::Begun, "an end of no request");
                open.request = Request::Over;
                "request end"
            }
            EventKind::ResponseHead(head) => {
                assert!(!open.response_head, "two response heads");
                assert!(open.bodies[1] == 0, "a late response head");
                assert!((100..1_000).contains(&head.status));
                assert!(head.first <= head.last);
                open.response_head = true;
                "response head"
            }
            EventKind::ResponseBody { bytes, time } => {
                assert!(open.response_head || open.simple, "a body without its head");
                open.bodies[1] += bytes.len() as u64;
                self.features.followed(open.last, "response body");
                open.last = "response body";
                return self.body(id, Body::Response, bytes, *time);
            }
            EventKind::Gap { place, length } => {
                assert!(*length > 0, "an empty gap");
                open.gaps[index(*place)] += length;
                "gap"
            }
            EventKind::End(end) => {
                ended(open, end);
                end.ending.as_str()
            }
        };
        self.features.followed(open.last, name);
        open.last = name;
        if let EventKind::End(_) = &event.kind {
            self.open.remove(&id);
        }
        self.log.push(Line::Other(id, format!("{:?}", event.kind)));
    }

    fn protocol(&mut self, info: &ConnectionInfo, protocol: Protocol) {
        let name = protocol.as_str();
        assert!(self.protocols.insert((info.id, name)), "told twice: {name}");
        self.features.seen(name);
        self.log.push(Line::Protocol(info.id, name));
    }
}

const fn index(place: Place) -> usize {
    match place {
        Place::RequestHead => 0,
        Place::RequestBody => 1,
        Place::ResponseHead => 2,
        Place::ResponseBody => 3,
    }
}

fn ended(open: &Open, end: &End) {
    let complete = matches!(end.ending, Ending::Complete | Ending::Upgraded);
    assert!(complete || end.response_end.is_none(), "{end:?}");
    assert!(
        end.ending != Ending::Complete || end.response_end.is_some(),
        "{end:?}"
    );
    let sides: [(&Transfer, _, _, _); 2] = [
        (&end.request, open.bodies[0], open.gaps[0], open.gaps[1]),
        (&end.response, open.bodies[1], open.gaps[2], open.gaps[3]),
    ];
    for (transfer, body, head_gaps, body_gaps) in sides {
        assert_eq!(transfer.decoded_bytes, body, "{end:?}");
        assert_eq!(transfer.missing_head, head_gaps, "{end:?}");
        // Bytes that cannot be decoded are gaps, too, but they were seen.
        assert!(transfer.missing_body <= body_gaps, "{end:?}, {open:?}");
        assert!(
            body_gaps <= transfer.missing_body + transfer.unread,
            "{end:?}, {open:?}"
        );
    }
}
