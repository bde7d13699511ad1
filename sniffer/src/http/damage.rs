//! Holes, and the way back into step after them.
//!
//! A hole inside a body whose end is still known costs its bytes and nothing else. After any other
//! hole the stream is searched: for the next chunk in a chunked body, else for the next head, which is
//! believed at the start of a segment only. The exchange whose response may have been lost is in
//! doubt until a response comes for it. A client that does not pipeline sends its next request only
//! after the whole answer, so that request ends an exchange whose answer was not recognised in what
//! the server sent since.

use analyzer::exchange::{Ending, EventKind, Place};
use analyzer::time::Timestamp;

use crate::tcp::Side;

use super::EventSink;
use super::body::{Body, Frame, Hole};
use super::endings::Finish;
use super::framing::Method;
use super::half::State;
use super::handler::Context;
use super::head;
use super::pairing::Progress;
use super::protocol::{Protocol, Start, is_tls_record, sought_start};
use super::settings::UNKNOWN_AFTER;
use super::stream::{HttpStream, line_ends};

impl HttpStream {
    /// `length` bytes of one direction will never come.
    pub(super) fn gap<S: EventSink>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        if length == 0 {
            return;
        }
        if from == Side::Server {
            grow(&mut self.server_offset, length);
        }
        let half = self.half_mut(from);
        match std::mem::replace(&mut half.state, State::Seek) {
            State::Silent => {
                half.state = State::Silent;
                grow(&mut cx.counters.missing_between, length);
            }
            State::Idle | State::Seek => self.lose_between(cx, from, length),
            State::Head => self.lose_head(cx, from, length),
            State::Body(body) => self.hole(cx, from, body, length),
            State::Resync(body) => self.lose_place(cx, from, body, length),
        }
    }

    /// The head that is being read cannot be read to its end: `length` bytes of it are missing, or it
    /// is too large.
    pub(super) fn lose_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        length: u64,
    ) {
        let half = self.half_mut(from);
        let sure = half.scanner.is_sure();
        let time = half.message.last;
        half.state = State::Seek;
        half.candidate = false;
        let kept = half.drop_head();
        if from == Side::Server || !sure {
            self.lose_between(cx, from, length);
            if from == Side::Client {
                self.cut_attached(cx);
            }
            self.skip(cx, from, kept, time);
            return;
        }
        // The request is there, whatever it said: its answer belongs to it.
        let Some(number) = self.open_request(cx) else {
            return;
        };
        self.note_gap(cx, Some(number), Place::RequestHead, length);
        if let Some(exchange) = self.exchanges.get_mut(number) {
            grow(&mut exchange.request_transfer.missing_head, length);
        }
        self.finish_request(cx, Finish::Lost);
        self.client.state = State::Seek;
        self.client.damaged = Some(number);
        self.skip(cx, from, kept, time);
    }

    /// Bytes are missing where a head was due or sought.
    fn lose_between<S: EventSink>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        self.half_mut(from).state = State::Seek;
        if length == 0 {
            if from == Side::Server {
                self.doubt_unanswered();
            }
            return;
        }
        match from {
            Side::Client => {
                grow(&mut cx.counters.missing_between, length);
                grow(&mut self.client.lost.missing, length);
            }
            Side::Server => {
                let number = self.exchanges.unanswered().map(|exchange| {
                    grow(&mut exchange.response_transfer.missing_head, length);
                    exchange.number
                });
                self.doubt_unanswered();
                self.note_gap(cx, number, Place::ResponseHead, length);
            }
        }
    }

    /// A hole in a body.
    fn hole<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        mut body: Body,
        length: u64,
    ) {
        match body.gap(length) {
            Hole::Unsure => self.lose_place(cx, from, body, length),
            Hole::Within => {
                self.half_mut(from).state = State::Body(body);
                self.lose_in_body(cx, from, length);
            }
            Hole::Past { inside, beyond } => {
                self.half_mut(from).state = State::Body(body);
                self.lose_in_body(cx, from, inside);
                // The end was not seen, so that it has no time.
                match from {
                    Side::Client => self.finish_request(cx, Finish::Lost),
                    Side::Server => self.finish_response(cx, Finish::Lost),
                }
                if beyond > 0 {
                    self.lose_between(cx, from, beyond);
                }
            }
        }
    }

    /// A hole in a chunked body that took framing with it.
    fn lose_place<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        body: Body,
        length: u64,
    ) {
        self.half_mut(from).state = State::Resync(body);
        self.lose_in_body(cx, from, length);
        if from == Side::Server
            && let Some(number) = self.server.message.exchange
            && let Some(exchange) = self.exchanges.get_mut(number)
        {
            exchange.doubt = true;
        }
    }

    fn lose_in_body<S: EventSink>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        let message = &mut self.half_mut(from).message;
        grow(&mut message.transfer.missing_body, length);
        let number = message.exchange;
        self.note_gap(cx, number, body_place(from), length);
    }

    /// Tells of a hole and counts it.
    fn note_gap<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        number: Option<u32>,
        place: Place,
        length: u64,
    ) {
        let Some(number) = number else {
            grow(&mut cx.counters.missing_between, length);
            return;
        };
        if length == 0 {
            return;
        }
        match place {
            Place::RequestHead => grow(&mut cx.counters.missing_request_head, length),
            Place::RequestBody => grow(&mut cx.counters.missing_request_body, length),
            Place::ResponseHead => grow(&mut cx.counters.missing_response_head, length),
            Place::ResponseBody => grow(&mut cx.counters.missing_response_body, length),
        }
        self.emit(cx, number, EventKind::Gap { place, length });
    }

    /// Looks for a chunk or a head after a hole in a chunked body.
    pub(super) fn read_resync<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        if is_head(from, bytes) {
            match from {
                Side::Client => self.finish_request(cx, Finish::Lost),
                Side::Server => self.finish_response(cx, Finish::Lost),
            }
            self.half_mut(from).begin_head(time);
            return 0;
        }
        // Where the client lost bytes too, a chunk may be another response's.
        let hopeless = from == Side::Server && self.client.lost.missing > 0;
        let half = self.half_mut(from);
        half.message.last = half.message.last.max(time);
        let number = half.message.exchange;
        let found = match &mut half.state {
            State::Resync(body) if !hopeless => body.resume(bytes),
            _ => None,
        };
        let passed = found.unwrap_or(bytes.len());
        let transfer = &mut half.message.transfer;
        grow(&mut transfer.unread, passed as u64);
        if found.is_some() {
            let state = std::mem::replace(&mut half.state, State::Seek);
            if let State::Resync(body) = state {
                half.state = State::Body(body);
            }
            if let Some(exchange) = number.and_then(|number| self.exchanges.get_mut(number)) {
                exchange.doubt = false;
            }
        }
        passed
    }

    /// Looks for a head where anything may stand.
    pub(super) fn read_seek<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        let half = self.half_mut(from);
        let start = line_ends(bytes);
        let rest = bytes.get(start..).unwrap_or_default();
        if std::mem::take(&mut half.candidate) && !rest.is_empty() {
            match sought_start(from, rest) {
                Start::Head | Start::More => {
                    half.begin_head(time);
                    return start;
                }
                Start::Other(protocol) if !self.is_recognised() => {
                    self.leave_alone(cx, protocol);
                    return start;
                }
                Start::Other(_) | Start::No => {
                    if !self.is_recognised() && is_tls_record(bytes) {
                        self.leave_alone(cx, Protocol::Tls);
                        return start;
                    }
                }
            }
        }
        self.skip(cx, from, bytes.len() as u64, time);
        bytes.len()
    }

    /// Passes over bytes, and charges the exchange that they belong to, where that can be told.
    pub(super) fn skip<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        length: u64,
        time: Timestamp,
    ) {
        grow(&mut cx.counters.skipped_bytes, length);
        match from {
            Side::Client => {
                let damaged = self.client.damaged;
                match damaged.and_then(|number| self.exchanges.get_mut(number)) {
                    Some(exchange) => {
                        grow(&mut exchange.request_transfer.unread, length);
                        exchange.last = exchange.last.max(time);
                    }
                    None => grow(&mut self.client.lost.skipped, length),
                }
            }
            Side::Server => {
                if let Some(exchange) = self.exchanges.unanswered().filter(|it| it.doubt) {
                    grow(&mut exchange.response_transfer.unread, length);
                    exchange.saw_response(time);
                }
            }
        }
        grow(&mut self.unrecognised, length);
        if self.unrecognised > UNKNOWN_AFTER && !self.is_recognised() {
            self.declare(cx, Protocol::Unknown);
        }
    }

    /// Any response that was to come may have been lost.
    pub(super) fn doubt_unanswered(&mut self) {
        for exchange in self.exchanges.iter_mut() {
            exchange.doubt |= exchange.response == Progress::Waiting;
        }
    }

    /// A new request came. A client that does not pipeline sent it after the whole answer to the one
    /// before: where that answer was not recognised, or its end was not, it was lost.
    pub(super) fn end_answered<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        let so_far = self.server_offset;
        // Within a head or body there is an answer to come.
        let in_answer = matches!(self.server.state, State::Head | State::Body(_));
        let passed = self.exchanges.numbers(|exchange| {
            exchange.response == Progress::Waiting
                && !in_answer
                && if exchange.pipelined {
                    // More likely it only looked so, after damage: clients hardly ever pipeline.
                    exchange.doubt
                } else {
                    exchange.answer_after < so_far
                }
        });
        for number in passed {
            self.end(cx, number, Ending::Lost);
            self.answered = so_far;
        }
        let Some(reading) = self.server.message.exchange else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(reading) else {
            return;
        };
        let (in_doubt, unknown) = (exchange.doubt, exchange.method == Method::Unknown);
        if exchange.pipelined || exchange.response != Progress::Reading {
            return;
        }
        let message = &self.server.message.transfer;
        let untouched = message.body_bytes == 0 && message.missing_body == 0;
        match &self.server.state {
            State::Resync(_) if in_doubt => {
                self.finish_response(cx, Finish::Lost);
                self.server.state = State::Seek;
            }
            State::Body(body) if matches!(body.frame(), Frame::Guess) => {
                self.finish_response(cx, Finish::Lost);
            }
            // The request that was not seen was HEAD.
            State::Body(_) if unknown && untouched => self.finish_response(cx, Finish::Read),
            _ => {}
        }
    }

    /// The head of a request whose answer has begun already cannot be read.
    pub(super) fn cut_attached<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        if self.client.message.exchange.is_some() {
            self.finish_request(cx, Finish::Lost);
            self.client.state = State::Seek;
        }
    }
}

const fn grow(sum: &mut u64, by: u64) {
    *sum = sum.saturating_add(by);
}

pub(super) const fn body_place(from: Side) -> Place {
    match from {
        Side::Client => Place::RequestBody,
        Side::Server => Place::ResponseBody,
    }
}

/// Whether bytes that may be anything begin with a head, beyond doubt.
fn is_head(from: Side, bytes: &[u8]) -> bool {
    let line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    match from {
        Side::Server => bytes.starts_with(b"HTTP/1."),
        Side::Client => {
            sought_start(from, bytes) == Start::Head && line.and_then(head::request_line).is_some()
        }
    }
}
