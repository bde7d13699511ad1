//! One exchange in flight.

use std::sync::Arc;

use super::{
    settings::Settings,
    stored::Keeper,
    whose::{MAX_TARGET, Sender, cut, server_request_id},
};
use crate::{
    call::Marks,
    dialect::{self, AnswerReader, DIALECTS, Dialect, Expected, PathSays, RequestReader},
    exchange::{Begin, EventKind, ExchangeId, Headers, Place, RequestHead, ResponseHead, Version},
    redact::Redactor,
};

/// What is known of one exchange so far.
pub(super) struct Open {
    pub(super) id: ExchangeId,
    pub(super) begin: Begin,
    pub(super) sender: Option<Sender>,
    pub(super) target: Option<String>,
    pub(super) version: Option<Version>,
    pub(super) status: Option<u16>,
    pub(super) server_request_id: Option<String>,
    pub(super) event_stream: Expected,
    pub(super) marks: Marks,
    pub(super) candidates: Vec<Candidate>,
    pub(super) choice: Chosen,
    pub(super) answer: AnswerBody,
    pub(super) request_body: Option<Keeper>,
    pub(super) response_body: Option<Keeper>,
    /// The time of the answer's first byte, which names a call whose request was lost.
    pub(super) first_answer: Option<crate::time::Timestamp>,
    /// Bytes of text and bodies held.
    pub(super) held: usize,
    keeping: bool,
    stall_threshold: i64,
    pub(super) redactor: Arc<Redactor>,
}

/// A dialect that the exchange may follow, with its readers.
pub(super) struct Candidate {
    pub(super) dialect: &'static Dialect,
    pub(super) request: Option<Box<dyn RequestReader>>,
    pub(super) answer: Option<Box<dyn AnswerReader>>,
}

/// How the dialect is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// No request head was seen yet.
    Unasked,
    /// The path says it.
    ByPath,
    /// The bodies' shape will say it, or that there is none.
    ByShape,
    /// It is no call.
    NoCall,
}

/// Whether any of the answer's body was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerBody {
    Unseen,
    Seen,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("id", &self.id)
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl Open {
    pub(super) fn new(id: ExchangeId, begin: Begin, settings: &Settings) -> Self {
        Self {
            id,
            begin,
            sender: None,
            target: None,
            version: None,
            status: None,
            server_request_id: None,
            event_stream: Expected::Anything,
            marks: Marks::default(),
            candidates: Vec::new(),
            choice: Chosen::Unasked,
            answer: AnswerBody::Unseen,
            request_body: Keeper::new(settings),
            response_body: Keeper::new(settings),
            first_answer: None,
            held: 0,
            keeping: true,
            stall_threshold: settings.stall_threshold,
            redactor: Arc::clone(&settings.redactor),
        }
    }

    /// Reads the bodies though the path says that they are no call: a report makes a row in any case.
    pub(super) fn read_anyway(&mut self, settings: &Settings) {
        if self.choice == Chosen::NoCall {
            let chat = DIALECTS.into_iter().take(1);
            self.candidates = chat.map(Candidate::with_request).collect();
            self.request_body = Keeper::new(settings);
            self.response_body = Keeper::new(settings);
        }
    }

    pub(super) fn event(&mut self, event: &EventKind<'_>, settings: &Settings) {
        match event {
            EventKind::RequestHead(head) => self.request_head(head, settings),
            EventKind::RequestBody { bytes, .. } => {
                for candidate in &mut self.candidates {
                    if let Some(reader) = &mut candidate.request {
                        reader.push(bytes);
                    }
                }
                if let Some(keeper) = &mut self.request_body {
                    keeper.push(bytes);
                }
                self.weigh();
            }
            EventKind::RequestEnd { time } => self.marks.request_end = Some(*time),
            EventKind::ResponseHead(head) => self.response_head(head),
            EventKind::ResponseBody { bytes, time } => {
                self.first_answer.get_or_insert(*time);
                self.answer = AnswerBody::Seen;
                self.want_answer();
                for candidate in &mut self.candidates {
                    if let Some(reader) = &mut candidate.answer {
                        reader.push(bytes, *time);
                    }
                }
                if let Some(keeper) = &mut self.response_body {
                    keeper.push(bytes);
                }
                self.weigh();
            }
            EventKind::Gap { place, length } => self.gap(*place, *length),
            EventKind::Begin(_) | EventKind::End(_) => {}
        }
    }

    /// Keeps no more text or bodies; true the first time.
    pub(super) fn stop_keeping(&mut self) -> bool {
        for candidate in &mut self.candidates {
            if let Some(reader) = &mut candidate.request {
                reader.stop_keeping();
            }
            if let Some(reader) = &mut candidate.answer {
                reader.stop_keeping();
            }
        }
        let keepers = [&mut self.request_body, &mut self.response_body];
        keepers.into_iter().flatten().for_each(Keeper::close);
        std::mem::take(&mut self.keeping)
    }

    fn request_head(&mut self, head: &RequestHead, settings: &Settings) {
        self.marks.request_start = Some(head.first);
        self.version = Some(head.version);
        self.target = Some(cut(&head.target, MAX_TARGET));
        self.sender = Some(Sender::of(head, self.begin.peer, settings));
        let says = if head.method.eq_ignore_ascii_case("POST") {
            dialect::by_path(&head.target)
        } else {
            PathSays::NoCall
        };
        self.candidates = match says {
            PathSays::Dialect(dialect) => {
                self.choice = Chosen::ByPath;
                vec![Candidate::with_request(dialect)]
            }
            PathSays::Nothing if may_be_json(&head.headers) => {
                self.choice = Chosen::ByShape;
                DIALECTS.into_iter().map(Candidate::with_request).collect()
            }
            PathSays::Nothing => {
                self.choice = Chosen::ByShape;
                DIALECTS.into_iter().map(Candidate::bare).collect()
            }
            PathSays::NoCall => {
                self.choice = Chosen::NoCall;
                self.request_body = None;
                self.response_body = None;
                Vec::new()
            }
        };
    }

    fn response_head(&mut self, head: &ResponseHead) {
        self.first_answer.get_or_insert(head.first);
        self.status = Some(head.status);
        self.server_request_id = server_request_id(&head.headers);
        self.version.get_or_insert(head.version);
        self.marks.response_head = Some(head.last);
        if is_type(&head.headers, "event-stream") {
            self.event_stream = Expected::Events;
        }
        // An answer that only its shape could make a call must be of a form that has one.
        let shapeless = self.choice == Chosen::Unasked || self.choice == Chosen::ByShape;
        if shapeless && !self.claimed() && !may_be_json(&head.headers) {
            self.choice = Chosen::NoCall;
            self.candidates.clear();
            self.request_body = None;
            self.response_body = None;
        }
        self.want_answer();
    }

    fn claimed(&self) -> bool {
        self.candidates.iter().any(Candidate::request_claims)
    }

    /// Makes the answer's readers, once.
    fn want_answer(&mut self) {
        if self.choice == Chosen::Unasked {
            self.choice = Chosen::ByShape;
            self.candidates = DIALECTS.into_iter().map(Candidate::bare).collect();
        }
        if self.candidates.iter().any(|c| c.answer.is_some()) {
            return;
        }
        if self.choice == Chosen::ByShape && self.claimed() {
            self.candidates.retain(Candidate::request_claims);
            self.candidates.truncate(1);
        }
        for candidate in &mut self.candidates {
            let mut reader = (candidate.dialect.answer)();
            reader.begin(self.event_stream, self.stall_threshold);
            if !self.keeping {
                reader.stop_keeping();
            }
            candidate.answer = Some(reader);
        }
    }

    fn gap(&mut self, place: Place, length: u64) {
        match place {
            Place::RequestBody => {
                if let Some(keeper) = &mut self.request_body {
                    keeper.hole(length);
                }
                for candidate in &mut self.candidates {
                    if let Some(reader) = &mut candidate.request {
                        reader.hole();
                    }
                }
            }
            Place::ResponseBody => {
                if let Some(keeper) = &mut self.response_body {
                    keeper.hole(length);
                }
                self.want_answer();
                for candidate in &mut self.candidates {
                    if let Some(reader) = &mut candidate.answer {
                        reader.hole();
                    }
                }
            }
            Place::RequestHead | Place::ResponseHead => {}
        }
    }

    /// Sums up what is held.
    fn weigh(&mut self) {
        let texts: usize = self
            .candidates
            .iter_mut()
            .map(|candidate| {
                let request = candidate.request.as_mut().map_or(0, |r| r.held());
                let answer = candidate.answer.as_mut().map_or(0, |r| r.held());
                request.saturating_add(answer)
            })
            .sum();
        let bodies: usize = [&self.request_body, &self.response_body]
            .into_iter()
            .flatten()
            .map(Keeper::held)
            .sum();
        self.held = texts.saturating_add(bodies);
    }
}

impl Candidate {
    fn with_request(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            request: Some((dialect.request)()),
            answer: None,
        }
    }

    /// Without a reader for the request: it was lost, or is no JSON.
    pub(super) fn bare(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            request: None,
            answer: None,
        }
    }

    pub(super) fn request_claims(&self) -> bool {
        self.request.as_ref().is_some_and(|reader| reader.claims())
    }

    pub(super) fn claims(&self) -> bool {
        self.request_claims() || self.answer.as_ref().is_some_and(|reader| reader.claims())
    }
}

/// Whether a body may be JSON, or a stream of it, by its Content-Type: curl sends forms unless told
/// otherwise, so that type says nothing either.
fn may_be_json(headers: &Headers) -> bool {
    headers.get("content-type").is_none()
        || [
            "json",
            "event-stream",
            "text/plain",
            "x-www-form-urlencoded",
        ]
        .iter()
        .any(|part| is_type(headers, part))
}

fn is_type(headers: &Headers, part: &str) -> bool {
    headers
        .get("content-type")
        .is_some_and(|value| value.to_ascii_lowercase().contains(part))
}
