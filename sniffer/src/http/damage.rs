//! Holes: what is lost with them, and who is charged.
//!
//! A hole inside a body whose end is still known costs its bytes and nothing else. After any other
//! hole the stream is searched (see `resync`). Of a head that a hole cut off, what was read stays: a
//! request's line and fields, a response's status. Which request a response answers after a hole is
//! another matter (see `order`).

use analyzer::exchange::{EventKind, Place};
use analyzer::time::Timestamp;

use crate::tcp::Side;

use super::EventSink;
use super::body::{Body, Hole};
use super::endings::Finish;
use super::half::{Lost, Message, State};
use super::handler::Context;
use super::protocol::Protocol;
use super::settings::UNKNOWN_AFTER;
use super::stream::HttpStream;

/// The shortest message there is: `GET / HTTP/1.0` or `HTTP/1.0 200` and its two line ends. Fewer bytes
/// cannot hide one.
pub(super) const MIN_MESSAGE: u64 = 16;

impl HttpStream {
    /// `length` bytes of one direction will never come.
    pub(super) fn gap<S: EventSink>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        if length == 0 {
            return;
        }
        let half = self.half_mut(from);
        grow(&mut half.offset, length);
        match std::mem::replace(&mut half.state, State::Seek) {
            State::Silent => {
                half.state = State::Silent;
                grow(&mut cx.counters.missing_between, length);
            }
            State::Idle => {
                self.hole_between(from, length);
                self.lose_between(cx, from, length);
            }
            State::Seek => self.lose_between(cx, from, length),
            State::Head => self.lose_head(cx, from, length),
            State::Body(body) => self.hole(cx, from, body, length),
            State::Resync(body) => self.lose_place(cx, from, body, length),
        }
    }

    /// The head that is being read cannot be read to its end: `length` bytes of it are missing, or it
    /// is too large (0).
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
        let kept = std::mem::take(&mut half.head);
        // Its whole lines are read. A head that is too large is refused whole.
        let end = memchr::memrchr(b'\n', &kept).map_or(0, |end| end + 1);
        let lines = kept.get(..end).filter(|_| length > 0).unwrap_or_default();
        let read = match from {
            Side::Client if sure => self.lose_request_head(cx, lines, length),
            Side::Server if sure => self.lose_response_head(cx, lines, length),
            Side::Client | Side::Server => None,
        };
        if read.is_none() {
            self.half_mut(from).hidden.one |= !sure;
            self.lose_between(cx, from, length);
            if from == Side::Client {
                self.cut_attached(cx);
            }
        }
        let passed = kept.len().saturating_sub(read.unwrap_or_default());
        self.skip(cx, from, passed as u64, time);
        self.half_mut(from).keep_buffer(kept);
    }

    /// The request is there, whatever else it said: its answer belongs to it. Gives how many bytes of
    /// the head were read.
    fn lose_request_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        lines: &[u8],
        length: u64,
    ) -> Option<usize> {
        let number = self.open_request(cx)?;
        self.request_in_part(cx, number, lines);
        self.note_gap(cx, Some(number), Place::RequestHead, length);
        if let Some(exchange) = self.exchanges.get_mut(number) {
            grow(&mut exchange.request_transfer.missing_head, length);
        }
        self.finish_request(cx, Finish::Lost);
        self.client.state = State::Seek;
        self.client.damaged = Some(number);
        self.client.lost = Lost::default();
        self.hide(Side::Client, length);
        Some(lines.len())
    }

    /// The response is there, and its status is known. How long it is is not.
    fn lose_response_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        lines: &[u8],
        length: u64,
    ) -> Option<usize> {
        let number = self.response_in_part(cx, lines)?;
        let last = self.server.message.last;
        self.note_gap(cx, Some(number), Place::ResponseHead, length);
        if let Some(exchange) = self.exchanges.get_mut(number) {
            grow(&mut exchange.response_transfer.missing_head, length);
            exchange.doubt = true;
            exchange.saw_response(last);
        }
        self.server.message = Message::default();
        self.server.damaged = Some(number);
        self.doubt_unanswered();
        self.hide(Side::Server, length);
        Some(lines.len())
    }

    /// Bytes are missing where a head was due or sought.
    fn lose_between<S: EventSink>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        self.half_mut(from).state = State::Seek;
        self.hide(from, length);
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
            Side::Server if self.server.damaged.is_some() => {
                let number = self.server.damaged;
                if let Some(exchange) = number.and_then(|number| self.exchanges.get_mut(number)) {
                    grow(&mut exchange.response_transfer.missing_body, length);
                }
                self.doubt_unanswered();
                self.note_gap(cx, number, Place::ResponseBody, length);
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
                self.explain(from, 0);
            }
            Hole::Past { inside, beyond } => {
                self.half_mut(from).state = State::Body(body);
                self.lose_in_body(cx, from, inside);
                self.explain(from, beyond);
                // The end was not seen, so that it has no time.
                match from {
                    Side::Client => self.finish_request(cx, Finish::Lost),
                    Side::Server => self.finish_response(cx, Finish::Lost),
                }
                if beyond > 0 {
                    self.hole_between(from, beyond);
                    self.lose_between(cx, from, beyond);
                }
            }
        }
    }

    /// The server's stream is known up to so many bytes before here, holes included.
    const fn explain(&mut self, from: Side, beyond: u64) {
        if matches!(from, Side::Server) {
            self.server_seen = self.server.offset.saturating_sub(beyond);
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
        self.drop_probe(cx, from);
        self.lose_in_body(cx, from, length);
        self.hide(from, length);
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

    /// Passes over bytes, and charges the exchange that they belong to, where that can be told.
    pub(super) fn skip<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        length: u64,
        time: Timestamp,
    ) {
        grow(&mut cx.counters.skipped_bytes, length);
        if self.half(from).hidden.bytes > 0 && length > 0 {
            self.hide(from, length);
            // Bytes that were seen are in their place: no answer to them came before.
            self.half_mut(from).hidden.after = self.server.offset;
        }
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
                let damaged = self.server.damaged;
                let exchange = match damaged {
                    Some(number) => self.exchanges.get_mut(number),
                    None => self.exchanges.unanswered().filter(|it| it.doubt),
                };
                if let Some(exchange) = exchange {
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

    /// The head of a request whose answer has begun already cannot be read.
    pub(super) fn cut_attached<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        if self.client.message.exchange.is_some() {
            self.finish_request(cx, Finish::Lost);
            self.client.state = State::Seek;
        }
    }
}

pub(super) const fn grow(sum: &mut u64, by: u64) {
    *sum = sum.saturating_add(by);
}

pub(super) const fn body_place(from: Side) -> Place {
    match from {
        Side::Client => Place::RequestBody,
        Side::Server => Place::ResponseBody,
    }
}
