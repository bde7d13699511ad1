//! One exchange in flight.

use std::sync::Arc;

use super::{
    leg::LegReader,
    progress::Stage,
    settings::Settings,
    stored::Keeper,
    whose::{MAX_TARGET, Sender, cut, server_request_id},
};
use crate::{
    call::Marks,
    cost::PriceTable,
    dialect::{
        self, AnswerChoice, DIALECTS, Expected, KeptHeaders, PathSays, RequestChoice,
        answer::{ServerTimes, Unit},
    },
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
    pub(super) expected: Expected,
    /// How long the client is asked to wait before it tries again, in microseconds.
    pub(super) retry_after: Option<i64>,
    pub(super) marks: Marks,
    pub(super) choice: Chosen,
    pub(super) request: Option<RequestChoice>,
    pub(super) answer: Option<AnswerChoice>,
    headers: KeptHeaders,
    pub(super) answer_body: AnswerBody,
    pub(super) request_body: Option<Keeper>,
    pub(super) response_body: Option<Keeper>,
    /// The time of the answer's first byte, which names a call whose request was lost.
    pub(super) first_answer: Option<crate::time::Timestamp>,
    pub(super) leg: LegReader,
    /// Bytes of text and bodies held.
    pub(super) held: usize,
    /// What was told of it while it is under way.
    pub(super) told: Option<Stage>,
    keeping: bool,
    stall_threshold: i64,
    pub(super) redactor: Arc<Redactor>,
    pub(super) prices: Option<Arc<PriceTable>>,
}

/// How the dialect is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// No request head was seen yet.
    Unasked,
    /// The path says that it is a call.
    ByPath,
    /// The bodies' shape will say it, or that it is none.
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
            expected: Expected::Anything,
            retry_after: None,
            marks: Marks::default(),
            choice: Chosen::Unasked,
            request: None,
            answer: None,
            headers: KeptHeaders::default(),
            answer_body: AnswerBody::Unseen,
            request_body: Keeper::new(settings),
            response_body: Keeper::new(settings),
            first_answer: None,
            leg: LegReader::default(),
            held: 0,
            told: None,
            keeping: true,
            stall_threshold: settings.stall_threshold,
            redactor: Arc::clone(&settings.redactor),
            prices: settings.prices.clone(),
        }
    }

    /// Reads the bodies though nothing says that they are a call, as chat unless their shape says
    /// otherwise: a report makes a row in any case.
    pub(super) fn read_anyway(&mut self, settings: &Settings) {
        let likely = self.request.as_ref().and_then(RequestChoice::likely);
        if likely.is_none() {
            let chat = DIALECTS.iter().copied().take(1).collect();
            self.request = Some(RequestChoice::open(chat, None));
            self.request_body = Keeper::new(settings);
            self.response_body = Keeper::new(settings);
        }
    }

    pub(super) fn event(&mut self, event: &EventKind<'_>, settings: &Settings) {
        match event {
            EventKind::RequestHead(head) => self.request_head(head, settings),
            EventKind::RequestBody { bytes, .. } => {
                self.leg.request(bytes);
                if let Some(request) = &mut self.request {
                    request.push(bytes);
                }
                if let Some(keeper) = &mut self.request_body {
                    keeper.push(bytes);
                }
                self.weigh();
            }
            EventKind::RequestEnd { time } => {
                self.marks.request_end = Some(*time);
                self.leg.request_end();
            }
            EventKind::ResponseHead(head) => self.response_head(head),
            EventKind::ResponseBody { bytes, time } => {
                self.first_answer.get_or_insert(*time);
                self.answer_body = AnswerBody::Seen;
                self.leg.answer(bytes);
                self.want_answer();
                if let Some(answer) = &mut self.answer {
                    answer.push(bytes, *time);
                }
                self.give_up_unclaimed();
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
        if let Some(request) = &mut self.request {
            request.stop_keeping();
        }
        if let Some(answer) = &mut self.answer {
            answer.stop_keeping();
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
        let content_type = head.headers.get("content-type");
        if let (Some(keeper), Some(content_type)) = (&mut self.request_body, content_type) {
            keeper.content_type(content_type);
        }
        match says {
            PathSays::Dialect(dialect) => {
                self.choice = Chosen::ByPath;
                self.request = Some(RequestChoice::sure(dialect, content_type));
            }
            PathSays::Perhaps(dialects) => {
                self.choice = Chosen::ByShape;
                self.request = Some(RequestChoice::open(dialects, content_type));
            }
            PathSays::Nothing => {
                self.choice = Chosen::ByShape;
                self.request = may_be_json(&head.headers)
                    .then(|| RequestChoice::open(Vec::new(), content_type));
            }
            PathSays::NoCall => self.no_call(),
        }
        if self.choice != Chosen::NoCall {
            self.leg.begin();
        }
    }

    fn no_call(&mut self) {
        self.choice = Chosen::NoCall;
        self.leg = LegReader::default();
        self.request = None;
        self.answer = None;
        self.request_body = None;
        self.response_body = None;
    }

    fn response_head(&mut self, head: &ResponseHead) {
        self.first_answer.get_or_insert(head.first);
        self.status = Some(head.status);
        self.server_request_id = server_request_id(&head.headers);
        self.version.get_or_insert(head.version);
        self.marks.response_head = Some(head.last);
        self.expected = head
            .headers
            .get("content-type")
            .map_or(Expected::Anything, Expected::of);
        self.headers = KeptHeaders::of(&head.headers);
        // The other form of the field is a date, whose distance depends on two clocks.
        self.retry_after = head
            .headers
            .get("retry-after")
            .and_then(|seconds| ServerTimes::micros(seconds, Unit::Seconds));
        // An answer that only its shape could make a call must be of a form that has one.
        let shapeless = self.choice == Chosen::Unasked || self.choice == Chosen::ByShape;
        let is_hinted = self.request.as_ref().is_some_and(|r| r.likely().is_some());
        if shapeless && !is_hinted && !may_be_json(&head.headers) {
            self.no_call();
        }
        self.want_answer();
    }

    /// Begins the answer, once.
    fn want_answer(&mut self) {
        if self.choice == Chosen::Unasked {
            self.choice = Chosen::ByShape;
        }
        if self.answer.is_some() || (self.choice == Chosen::NoCall && self.request.is_none()) {
            return;
        }
        let likely = self.request.as_ref().and_then(RequestChoice::likely);
        let headers = std::mem::take(&mut self.headers);
        let mut answer = AnswerChoice::new(self.expected, headers, self.stall_threshold, likely);
        if !self.keeping {
            answer.stop_keeping();
        }
        self.answer = Some(answer);
    }

    /// An exchange of which neither side bears a sign in all that is probed is no call.
    fn give_up_unclaimed(&mut self) {
        if self.choice == Chosen::ByShape
            && self.answer.as_ref().is_some_and(AnswerChoice::is_given_up)
        {
            self.no_call();
        }
    }

    fn gap(&mut self, place: Place, length: u64) {
        match place {
            Place::RequestBody => {
                self.leg.request_hole();
                if let Some(keeper) = &mut self.request_body {
                    keeper.hole(length);
                }
                if let Some(request) = &mut self.request {
                    request.hole();
                }
            }
            Place::ResponseBody => {
                self.leg.answer_hole();
                if let Some(keeper) = &mut self.response_body {
                    keeper.hole(length);
                }
                self.want_answer();
                if let Some(answer) = &mut self.answer {
                    answer.hole();
                }
            }
            Place::RequestHead | Place::ResponseHead => {}
        }
    }

    /// Sums up what is held.
    fn weigh(&mut self) {
        let request = self.request.as_mut().map_or(0, RequestChoice::held);
        let answer = self.answer.as_mut().map_or(0, AnswerChoice::held);
        let texts = request.saturating_add(answer);
        let bodies: usize = [&self.request_body, &self.response_body]
            .into_iter()
            .flatten()
            .map(Keeper::held)
            .sum();
        self.held = texts.saturating_add(bodies).saturating_add(self.leg.held());
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
