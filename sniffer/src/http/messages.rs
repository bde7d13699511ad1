//! Heads that were read: the exchanges that they begin, and the bodies that they announce.

use analyzer::exchange::{
    Begin, Ending, EventKind, Headers, Place, RequestHead, ResponseHead, Version,
};
use analyzer::time::Timestamp;

use crate::tcp::Side;

use super::EventSink;
use super::body::{Body, Frame};
use super::chunked::Chunked;
use super::coding::Decoder;
use super::endings::Finish;
use super::framing::{self, Framing, Method};
use super::half::{Lost, Message, State};
use super::handler::Context;
use super::head;
use super::pairing::{AnswerForm, Exchange, Progress};
use super::protocol::Protocol;
use super::stream::HttpStream;

impl HttpStream {
    /// A head was read to its end.
    pub(super) fn take_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
    ) {
        self.declare(cx, Protocol::Http1);
        let half = self.half_mut(from);
        half.state = State::Idle;
        half.candidate = false;
        let line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
        match from {
            Side::Client => {
                if let Some(line) = line.and_then(head::request_line) {
                    self.request(cx, &line, bytes);
                }
            }
            Side::Server => {
                if let Some(line) = line.and_then(head::status_line) {
                    self.response(cx, line, bytes);
                }
            }
        }
    }

    fn request<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        line: &head::RequestLine<'_>,
        bytes: &[u8],
    ) {
        let fields = fields(cx, bytes);
        let framing = framing::of_request(line.version, &fields);
        let framing = settle(cx, framing);
        let Some(number) = self.open_request(cx) else {
            return;
        };
        self.client.lost = Lost::default();
        self.client.damaged = None;
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.method = Method::of(line.method);
            if line.version == Version::Http09 {
                exchange.answer = AnswerForm::Simple;
            }
        }
        cx.counters.requests += 1;
        let body = body(cx, framing, &fields);
        let head = RequestHead {
            method: head::lossy(line.method),
            target: head::lossy(line.target),
            version: line.version,
            headers: fields,
            first: self.client.message.first,
            last: self.client.message.last,
        };
        self.emit(cx, number, EventKind::RequestHead(head));
        match body {
            Some(body) => self.client.state = State::Body(body),
            None => self.finish_request(cx, Finish::Read),
        }
    }

    /// The exchange of the request whose head is being read: a new one, unless its answer came first.
    pub(super) fn open_request<S: EventSink>(&mut self, cx: &mut Context<'_, S>) -> Option<u32> {
        if let Some(number) = self.client.message.exchange {
            return Some(number);
        }
        self.end_answered(cx);
        let unanswered = |exchange: &Exchange| exchange.response != Progress::Done;
        let pipelined = self.exchanges.iter().any(unanswered);
        let answer_after = self.answered;
        let number = self.begin(cx, self.client.message.first)?;
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.request = Progress::Reading;
            exchange.pipelined = pipelined;
            exchange.answer_after = answer_after;
        }
        self.client.message.exchange = Some(number);
        Some(number)
    }

    fn response<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        line: head::StatusLine,
        bytes: &[u8],
    ) {
        let fields = fields(cx, bytes);
        // RFC 9110 §15.2: interim, and another head follows; but 101 is the last word in HTTP.
        if matches!(line.status, 100..=199) && line.status != 101 {
            cx.counters.interim_responses += 1;
            self.server.message = Message::default();
            self.answered = self.server_offset;
            if let Some(exchange) = self.exchanges.unanswered() {
                exchange.answer_after = self.answered;
            }
            return;
        }
        let Some(number) = self.open_response(cx) else {
            return;
        };
        cx.counters.responses += 1;
        let method = match self.exchanges.get_mut(number) {
            Some(exchange) => {
                exchange.response = Progress::Reading;
                exchange.doubt = false;
                exchange.method
            }
            None => Method::Unknown,
        };
        self.server.message.exchange = Some(number);
        let tunnel = method == Method::Connect && matches!(line.status, 200..=299);
        let switch = if line.status == 101 {
            Some(Protocol::of_upgrade(fields.get("upgrade")))
        } else {
            tunnel.then_some(Protocol::Tunnel)
        };
        let framing = framing::of_response(method, line.status, &fields);
        let framing = settle(cx, framing);
        let body = body(cx, framing, &fields);
        let head = ResponseHead {
            status: line.status,
            version: line.version,
            headers: fields,
            first: self.server.message.first,
            last: self.server.message.last,
        };
        self.emit(cx, number, EventKind::ResponseHead(head));
        if let Some(protocol) = switch {
            if let Some(exchange) = self.exchanges.get_mut(number) {
                exchange.response_end = Some(self.server.message.last);
            }
            self.end(cx, number, Ending::Upgraded);
            self.leave_alone(cx, protocol);
            return;
        }
        match body {
            Some(body) => self.server.state = State::Body(body),
            None => self.finish_response(cx, Finish::Read),
        }
    }

    /// The exchange that the response answers whose head was read.
    fn open_response<S: EventSink>(&mut self, cx: &mut Context<'_, S>) -> Option<u32> {
        // Where both sides lost bytes since, the response to an exchange in doubt was among them more
        // likely than not, and so was the request of this one.
        let both_lost = self.client.lost.missing > 0;
        while let Some(exchange) = self.exchanges.unanswered() {
            let number = exchange.number;
            if !(both_lost && exchange.doubt) {
                return Some(number);
            }
            self.end(cx, number, Ending::Lost);
        }
        let number = self.begin(cx, self.server.message.first)?;
        cx.counters.responses_without_request += 1;
        if matches!(self.client.state, State::Head) {
            // An answer to a request whose head is still coming (431, 400).
            self.client.message.exchange = Some(number);
            if let Some(exchange) = self.exchanges.get_mut(number) {
                exchange.request = Progress::Reading;
            }
            return Some(number);
        }
        let lost = std::mem::take(&mut self.client.lost);
        if lost.missing > 0 {
            self.emit(
                cx,
                number,
                EventKind::Gap {
                    place: Place::RequestHead,
                    length: lost.missing,
                },
            );
        }
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.request_transfer.missing_head = lost.missing;
            exchange.request_transfer.unread = lost.skipped;
        }
        Some(number)
    }

    /// Begins an exchange; `None` where the connection had too many and was given up.
    fn begin<S: EventSink>(&mut self, cx: &mut Context<'_, S>, time: Timestamp) -> Option<u32> {
        let next = self.next.checked_add(1);
        let (Some(next), true) = (
            next,
            self.exchanges.len() < cx.settings.limits.open_exchanges,
        ) else {
            self.give_up(cx);
            return None;
        };
        let number = std::mem::replace(&mut self.next, next);
        let mut exchange = Exchange::new(number, time, self.server_bytes_before);
        // A request into a connection that its server has closed will not be answered.
        exchange.broken = self
            .server
            .ended
            .map(|(ending, ended)| (ending, ended.max(time)));
        self.exchanges.push(exchange);
        cx.counters.exchanges += 1;
        let begin = Begin {
            source: cx.settings.source,
            peer: Some(self.info.client),
            server: Some(self.info.server),
        };
        self.emit(cx, number, EventKind::Begin(begin));
        Some(number)
    }

    fn give_up<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        for number in self.exchanges.numbers(|_| true) {
            cx.counters.exchanges_evicted += 1;
            self.end(cx, number, Ending::Evicted);
        }
        for half in [&mut self.client, &mut self.server] {
            half.drop_head();
            half.state = State::Silent;
        }
    }
}

fn fields<S>(cx: &mut Context<'_, S>, head: &[u8]) -> Headers {
    let fields = head::fields(head, cx.settings.limits.head_fields);
    cx.counters.fields_invalid += fields.invalid;
    cx.counters.fields_dropped += fields.dropped;
    fields.headers
}

/// Counts a framing that had to be chosen in place of one that cannot be read.
fn settle<S>(cx: &mut Context<'_, S>, framing: Result<Framing, Framing>) -> Framing {
    framing.unwrap_or_else(|framing| {
        cx.counters.framings_invalid += 1;
        framing
    })
}

fn body<S>(cx: &Context<'_, S>, framing: Framing, headers: &Headers) -> Option<Body> {
    let frame = match framing {
        Framing::None => return None,
        Framing::Length(length) => Frame::Length(length),
        Framing::Chunked => Frame::Chunked(Chunked::new()),
        Framing::UntilClose => Frame::UntilClose,
        Framing::Guess => Frame::Guess,
    };
    let limits = &cx.settings.limits;
    let codings = framing::codings(headers);
    let decoder = Decoder::new(&codings, limits.body_read, cx.permits, limits.decoders);
    Some(Body::new(frame, decoder))
}
