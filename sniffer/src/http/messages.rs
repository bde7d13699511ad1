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
use super::half::{Lost, State};
use super::handler::Context;
use super::head;
use super::pairing::{AnswerForm, Exchange, Ghosts, Interim, Progress};
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
        cx.counters.head_bytes += bytes.len() as u64;
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
        // Nobody knows where its body ends: what is there need not be a head, whatever it looks like.
        let is_lost = framing == Err(Framing::None);
        let framing = settle(cx, framing);
        let Some(number) = self.open_request(cx) else {
            return;
        };
        self.client.lost = Lost::default();
        self.client.damaged = None;
        let body = body(cx, framing, &fields);
        self.tell_request(cx, number, line, fields);
        match body {
            Some(body) => self.client.state = State::Body(body),
            None => self.finish_request(cx, Finish::Read),
        }
        if is_lost {
            self.client.state = State::Seek;
            self.client.candidate = true;
        }
    }

    /// Tells what a request's head says.
    fn tell_request<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        number: u32,
        line: &head::RequestLine<'_>,
        headers: Headers,
    ) {
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.method = Method::of(line.method);
            if headers.get("expect").is_some() {
                exchange.interim = Interim::Asked;
            }
            if line.version == Version::Http09 {
                exchange.answer = AnswerForm::Simple;
            }
        }
        cx.counters.requests += 1;
        let head = RequestHead {
            method: head::lossy(line.method),
            target: head::lossy(line.target),
            version: line.version,
            headers,
            first: self.client.message.first,
            last: self.client.message.last,
        };
        self.emit(cx, number, EventKind::RequestHead(head));
    }

    /// A request's head broke off after these lines: tells what they say.
    pub(super) fn request_in_part<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        number: u32,
        lines: &[u8],
    ) {
        let line = memchr::memchr(b'\n', lines).and_then(|end| lines.get(..end));
        let Some(line) = line.and_then(head::request_line) else {
            return;
        };
        cx.counters.head_bytes += lines.len() as u64;
        let fields = fields(cx, lines);
        self.tell_request(cx, number, &line, fields);
    }

    /// A response's head broke off after these lines. Tells what they say, and gives the exchange, where
    /// they say that this is the final answer.
    pub(super) fn response_in_part<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        lines: &[u8],
    ) -> Option<u32> {
        let line = memchr::memchr(b'\n', lines).and_then(|end| lines.get(..end));
        let line = line.and_then(head::status_line)?;
        if matches!(line.status, 100..=199) {
            return None;
        }
        let number = self.open_response(cx)?;
        cx.counters.head_bytes += lines.len() as u64;
        let fields = fields(cx, lines);
        self.tell_response(cx, number, line, fields);
        Some(number)
    }

    /// The exchange of the request whose head is being read: a new one, unless its answer came first.
    pub(super) fn open_request<S: EventSink>(&mut self, cx: &mut Context<'_, S>) -> Option<u32> {
        if let Some(number) = self.client.message.exchange {
            return Some(number);
        }
        let asked = self.client.message.origin;
        let turn = self.turn_of(asked);
        self.end_answered(cx, turn);
        let ghosts = self.ghosts();
        if ghosts != Ghosts::default() || self.server.offset > self.answered {
            self.exchanges.forget_burst();
        }
        let pipelined = self.exchanges.note_request(asked) || ghosts.waiting > 0;
        let turn = self.turn(turn, ghosts);
        let answer_after = self.answered.max(asked.received.unwrap_or_default());
        let number = self.begin(cx, self.client.message.first)?;
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.request = Progress::Reading;
            exchange.pipelined = pipelined;
            exchange.ghosts = ghosts;
            exchange.answer_after = answer_after;
            exchange.asked = Some(asked);
            exchange.turn = turn;
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
            let interim = std::mem::take(&mut self.server.message).origin;
            let (before, offset) = (self.answered, self.server.offset);
            // Not where it follows an answer that was lost, or that may be this exchange's.
            let follows = |it: &Exchange| {
                let after = if it.doubt {
                    it.answer_after
                } else {
                    it.answer_after.max(before)
                };
                it.received().is_none() || interim.at <= after
            };
            if let Some(exchange) = self.exchanges.unanswered()
                && exchange.may_have(interim)
                && follows(exchange)
            {
                exchange.answer_after = offset;
                self.answered = offset;
            }
            return;
        }
        let Some(number) = self.open_response(cx) else {
            return;
        };
        let method = self
            .exchanges
            .get_mut(number)
            .map_or(Method::Unknown, |exchange| exchange.method);
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
        self.tell_response(cx, number, line, fields);
        if let Some(protocol) = switch {
            if let Some(exchange) = self.exchanges.get_mut(number) {
                exchange.response_end = Some(self.server.message.last);
            }
            self.end(cx, number, Ending::Upgraded);
            self.leave_alone(cx, protocol);
            return;
        }
        match body {
            Some(body) => {
                self.server.state = State::Body(body);
                // The request that was not seen may have been HEAD: what follows may be the next head.
                self.server.candidate = method == Method::Unknown;
            }
            None => self.finish_response(cx, Finish::Read),
        }
    }

    /// Tells what a final response's head says.
    fn tell_response<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        number: u32,
        line: head::StatusLine,
        headers: Headers,
    ) {
        cx.counters.responses += 1;
        if let Some(exchange) = self.exchanges.get_mut(number) {
            exchange.response = Progress::Reading;
            exchange.doubt = false;
        }
        let head = ResponseHead {
            status: line.status,
            version: line.version,
            headers,
            first: self.server.message.first,
            last: self.server.message.last,
        };
        self.emit(cx, number, EventKind::ResponseHead(head));
    }

    /// The exchange that the response answers whose head was read.
    fn open_response<S: EventSink>(&mut self, cx: &mut Context<'_, S>) -> Option<u32> {
        self.end_damaged_response(cx);
        if let Some(number) = self.answered_by(cx) {
            return Some(number);
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
        self.lay_ghost();
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
        self.silence(cx);
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
    let decoder = Decoder::new(
        &codings,
        limits.body_read,
        cx.decoder_memory,
        limits.decoder_memory,
    );
    Some(Body::new(frame, decoder))
}
