//! How exchanges come to their ends.

use analyzer::exchange::{End, Ending, EventKind, Transfer};
use analyzer::time::Timestamp;

use crate::tcp::{CloseReason, Side};

use super::EventSink;
use super::body::Frame;
use super::coding::Reading;
use super::damage::body_place;
use super::half::{Message, State};
use super::handler::Context;
use super::pairing::Progress;
use super::protocol::Protocol;
use super::stream::{HttpStream, body_event};

/// How a message came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Its last byte was read.
    Read,
    /// Its end was lost, or never came.
    Lost,
}

impl HttpStream {
    /// One direction reached its end.
    pub(super) fn fin<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        time: Timestamp,
    ) {
        if from == Side::Server && matches!(self.server.state, State::Head) {
            // A bare answer so short that it could still have become a status line.
            self.begin_bare_answer(cx, self.server.message.last);
        }
        if from == Side::Server
            && let State::Body(body) = &self.server.state
            && matches!(body.frame(), Frame::UntilClose | Frame::Guess)
        {
            // RFC 9112 §6.3: such a body ends with the connection. Its end is its last byte; when the
            // server thought of closing is another matter.
            self.finish_response(cx, Finish::Read);
        }
        match from {
            Side::Client => self.client_ended(cx, Ending::ClientFin, time),
            Side::Server => self.server_ended(cx, Ending::ServerFin, time),
        }
    }

    /// One side reset the connection.
    pub(super) fn rst<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        time: Timestamp,
    ) {
        match from {
            Side::Client => self.client_ended(cx, Ending::ClientReset, time),
            Side::Server => {
                self.server_ended(cx, Ending::ServerReset, time);
                self.end_all(cx, Ending::ServerReset);
            }
        }
    }

    /// The connection is over.
    pub(super) fn close<S: EventSink>(mut self, cx: &mut Context<'_, S>, reason: CloseReason) {
        for side in [Side::Client, Side::Server] {
            let half = self.half_mut(side);
            if matches!(half.state, State::Head) {
                cx.counters.heads_unfinished += 1;
                if half.scanner.is_sure() {
                    self.declare(cx, Protocol::Http1);
                }
            }
        }
        let fallback = match reason {
            CloseReason::TimedOut => Ending::TimedOut,
            CloseReason::CaptureEnd => Ending::CaptureEnd,
            CloseReason::Evicted => Ending::Evicted,
            // Neither FIN nor RST told what became of it.
            CloseReason::Closed | CloseReason::Replaced => Ending::Lost,
        };
        for side in [Side::Client, Side::Server] {
            let kept = self.half_mut(side).drop_head();
            let time = self.half(side).message.last;
            self.skip(cx, side, kept, time);
        }
        self.end_all(cx, fallback);
        for side in [Side::Client, Side::Server] {
            self.drop_probe(cx, side);
            let unread = self.half(side).message.transfer.body_bytes;
            cx.counters.unread_bytes = cx.counters.unread_bytes.saturating_add(unread);
        }
        if self.unrecognised > 0 && !self.is_recognised() {
            self.declare(cx, Protocol::Unknown);
        }
    }

    /// The client sends no more. Its open exchanges may still be answered.
    fn client_ended<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        ending: Ending,
        time: Timestamp,
    ) {
        self.client.ended.get_or_insert((ending, time));
        for exchange in self.exchanges.iter_mut() {
            exchange.client_left.get_or_insert(time);
            if exchange.response != Progress::Done {
                exchange.broken.get_or_insert((ending, time));
            }
        }
        if matches!(self.client.state, State::Head) {
            cx.counters.heads_unfinished += 1;
            if self.client.scanner.is_sure() {
                self.declare(cx, Protocol::Http1);
            }
            let kept = self.client.drop_head();
            self.client.state = State::Seek;
            let time = self.client.message.last;
            self.skip(cx, Side::Client, kept, time);
        }
        self.finish_request(cx, Finish::Lost);
        self.client.state = State::Silent;
        if self.server.ended.is_some() {
            self.end_all(cx, ending);
        }
    }

    /// The server sends no more. A request that is still being sent is read to its end first.
    fn server_ended<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        ending: Ending,
        time: Timestamp,
    ) {
        self.server.ended.get_or_insert((ending, time));
        for exchange in self.exchanges.iter_mut() {
            if exchange.response != Progress::Done {
                exchange.broken.get_or_insert((ending, time));
            }
        }
        if matches!(self.server.state, State::Head) {
            cx.counters.heads_unfinished += 1;
            if self.server.scanner.is_sure() {
                self.declare(cx, Protocol::Http1);
            }
            let kept = self.server.drop_head();
            self.server.state = State::Seek;
            let time = self.server.message.last;
            self.skip(cx, Side::Server, kept, time);
        }
        let settled = self
            .exchanges
            .numbers(|exchange| exchange.request != Progress::Reading);
        for number in settled {
            self.settle(cx, number, ending);
        }
        if !matches!(self.server.state, State::Body(_) | State::Resync(_))
            || self.server.message.exchange.is_none()
        {
            self.server.state = State::Silent;
        }
    }

    /// The request that is being read is over.
    pub(super) fn finish_request<S: EventSink>(&mut self, cx: &mut Context<'_, S>, finish: Finish) {
        self.flush(cx, Side::Client);
        self.client.state = State::Idle;
        let message = std::mem::take(&mut self.client.message);
        let Some(number) = message.exchange else {
            let silent = message.transfer.body_bytes;
            cx.counters.unread_bytes = cx.counters.unread_bytes.saturating_add(silent);
            return;
        };
        let asked_until = self.client.offset;
        if finish == Finish::Read {
            let time = message.last;
            self.emit(cx, number, EventKind::RequestEnd { time });
        }
        let Some(exchange) = self.exchanges.get_mut(number) else {
            return;
        };
        add(&mut exchange.request_transfer, &message.transfer);
        exchange.last = exchange.last.max(message.last);
        exchange.asked_until = asked_until;
        exchange.request = match finish {
            Finish::Read => Progress::Done,
            Finish::Lost => Progress::Cut,
        };
        if exchange.response == Progress::Done {
            self.end(cx, number, Ending::Complete);
        } else if self.server.ended.is_some() {
            self.settle(cx, number, Ending::Lost);
        }
    }

    /// The response that is being read is over.
    pub(super) fn finish_response<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        finish: Finish,
    ) {
        self.flush(cx, Side::Server);
        self.answered = self.server.offset;
        self.server.state = State::Idle;
        let message = std::mem::take(&mut self.server.message);
        let Some(number) = message.exchange else {
            let silent = message.transfer.body_bytes;
            cx.counters.unread_bytes = cx.counters.unread_bytes.saturating_add(silent);
            return;
        };
        self.exchanges.note_answer();
        if finish == Finish::Lost {
            self.exchanges.forget_burst();
        }
        let Some(exchange) = self.exchanges.get_mut(number) else {
            return;
        };
        add(&mut exchange.response_transfer, &message.transfer);
        exchange.saw_response(message.last);
        if finish == Finish::Read {
            self.explain_answer(number);
        }
        let Some(exchange) = self.exchanges.get_mut(number) else {
            return;
        };
        match finish {
            Finish::Lost => self.end(cx, number, Ending::Lost),
            Finish::Read => {
                exchange.response = Progress::Done;
                exchange.response_end = Some(message.last);
                // An answer may come before its request's end.
                if exchange.request != Progress::Reading {
                    self.end(cx, number, Ending::Complete);
                } else if matches!(self.client.state, State::Resync(_)) {
                    // That end was most likely lost, and would be waited for in vain.
                    self.finish_request(cx, Finish::Lost);
                    self.client.state = State::Seek;
                }
            }
        }
    }

    fn end_all<S: EventSink>(&mut self, cx: &mut Context<'_, S>, fallback: Ending) {
        for number in self.exchanges.numbers(|_| true) {
            self.settle(cx, number, fallback);
        }
    }

    /// Ends an exchange that nothing more will come for.
    fn settle<S: EventSink>(&mut self, cx: &mut Context<'_, S>, number: u32, fallback: Ending) {
        let Some(exchange) = self.exchanges.get_mut(number) else {
            return;
        };
        let ending = match (exchange.response, exchange.broken) {
            (Progress::Done, _) => Ending::Complete,
            // Whether its answer came to an end is not known.
            _ if exchange.doubt => Ending::Lost,
            (_, Some((ending, _))) => ending,
            (_, None) => fallback,
        };
        self.end(cx, number, ending);
    }

    /// Ends an exchange. A message of it that is still being read is read on in silence.
    pub(super) fn end<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        number: u32,
        ending: Ending,
    ) {
        let mut messages = [None, None];
        for (side, message) in [Side::Client, Side::Server].into_iter().zip(&mut messages) {
            if self.half(side).message.exchange == Some(number) {
                self.flush(cx, side);
                let reading = &mut self.half_mut(side).message;
                *message = Some(*reading);
                *reading = Message {
                    first: reading.first,
                    origin: reading.origin,
                    last: reading.last,
                    ..Message::default()
                };
            }
        }
        let Some(mut exchange) = self.exchanges.remove(number) else {
            return;
        };
        let [request, response] = messages;
        if let Some(request) = request {
            add(&mut exchange.request_transfer, &request.transfer);
            exchange.last = exchange.last.max(request.last);
        }
        if let Some(response) = response {
            add(&mut exchange.response_transfer, &response.transfer);
            exchange.saw_response(response.last);
        }
        let response_end = match ending {
            Ending::Complete | Ending::Upgraded => exchange.response_end,
            _ => None,
        };
        let time = match (ending, exchange.broken) {
            (Ending::Complete | Ending::Upgraded, _) => response_end.unwrap_or(exchange.last),
            (
                Ending::ServerFin | Ending::ServerReset | Ending::ClientFin | Ending::ClientReset,
                Some((_, broken)),
            ) => exchange.response_last.max(Some(broken)).unwrap_or(broken),
            _ => exchange.last,
        };
        if ending == Ending::Lost {
            cx.counters.exchanges_lost += 1;
        }
        let (request, response) = (exchange.request_transfer, exchange.response_transfer);
        cx.counters.unread_bytes = cx
            .counters
            .unread_bytes
            .saturating_add(request.unread.saturating_add(response.unread));
        let server_spoke = self.server_bytes > exchange.server_bytes_before;
        let end = End {
            ending,
            response_end,
            time,
            client_left: exchange.client_left,
            server_last: self.server_last.filter(|_| server_spoke),
            request,
            response,
        };
        self.emit(cx, number, EventKind::End(end));
    }

    /// Hands on what a body holds back, and tells what of it could not be decoded.
    fn flush<S: EventSink>(&mut self, cx: &mut Context<'_, S>, side: Side) {
        self.drop_probe(cx, side);
        let half = self.half_mut(side);
        let message = &mut half.message;
        let (number, time) = (message.exchange, message.last);
        let (State::Body(body) | State::Resync(body), Some(number)) = (&mut half.state, number)
        else {
            return;
        };
        let mut last = Vec::new();
        body.finish(&mut message.transfer, &mut |piece| {
            last.extend_from_slice(piece);
        });
        let undecoded = body.take_undecoded();
        cx.counters.codings_cut += u64::from(body.take_cut());
        match body.reading() {
            Reading::On => {}
            Reading::Corrupt => cx.counters.bodies_undecoded += 1,
            Reading::Capped => cx.counters.bodies_capped += 1,
            Reading::Refused => cx.counters.decoders_refused += 1,
        }
        if !last.is_empty() {
            self.emit(cx, number, body_event(side, &last, time));
        }
        if undecoded > 0 {
            let place = body_place(side);
            let length = undecoded;
            self.emit(cx, number, EventKind::Gap { place, length });
        }
    }
}

fn add(sum: &mut Transfer, part: &Transfer) {
    sum.body_bytes = sum.body_bytes.saturating_add(part.body_bytes);
    sum.decoded_bytes = sum.decoded_bytes.saturating_add(part.decoded_bytes);
    sum.missing_head = sum.missing_head.saturating_add(part.missing_head);
    sum.missing_body = sum.missing_body.saturating_add(part.missing_body);
    sum.unread = sum.unread.saturating_add(part.unread);
}
