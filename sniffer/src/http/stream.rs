//! One connection: its two directions read side by side.

use std::borrow::Cow;

use analyzer::exchange::{Ending, Event, EventKind, ExchangeId};
use analyzer::time::Timestamp;

use crate::tcp::{ConnectionInfo, Sent, Side};

use super::EventSink;
use super::body::{Body, Frame, Progress as BodyProgress};
use super::coding::Decoder;
use super::damage::{MIN_MESSAGE, grow};
use super::endings::Finish;
use super::framing::Method;
use super::half::{Half, State};
use super::handler::Context;
use super::head::Scan;
use super::pairing::{AnswerForm, Exchanges, Interim, Progress};
use super::protocol::Protocol;
use super::resync::is_head;

/// The state of one connection.
pub struct HttpStream {
    pub(super) info: ConnectionInfo,
    pub(super) client: Half,
    pub(super) server: Half,
    pub(super) exchanges: Exchanges,
    /// The kinds that were told of.
    protocols: Vec<Protocol>,
    /// Bytes that were skipped before anything was recognised.
    pub(super) unrecognised: u64,
    pub(super) server_bytes: u64,
    /// `server_bytes` before the segment that is being read.
    pub(super) server_bytes_before: u64,
    /// How far it had come with the last byte that was seen.
    pub(super) server_seen: u64,
    /// How far it had come when the last answer was over: what came since may be of an answer whose
    /// request is yet to come, when the capture was out of order.
    pub(super) answered: u64,
    pub(super) server_last: Option<Timestamp>,
    /// Whether there may be requests that nobody saw since the last that was certainly the first of those
    /// under way.
    pub(super) unseen: bool,
    pub(super) next: u32,
}

impl HttpStream {
    pub(super) fn new(info: ConnectionInfo) -> Self {
        let state = || {
            if info.from_start {
                State::Idle
            } else {
                State::Seek
            }
        };
        Self {
            info,
            client: Half::new(Side::Client, state()),
            server: Half::new(Side::Server, state()),
            exchanges: Exchanges::default(),
            protocols: Vec::new(),
            unrecognised: 0,
            server_bytes: 0,
            server_bytes_before: 0,
            server_seen: 0,
            answered: 0,
            server_last: None,
            unseen: !info.from_start,
            next: 0,
        }
    }

    /// Reads the next bytes of one direction.
    pub(super) fn data<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        sent: Sent,
    ) {
        if bytes.is_empty() {
            return;
        }
        self.server_bytes_before = self.server_bytes;
        if from == Side::Server {
            self.server_bytes = self.server_bytes.saturating_add(bytes.len() as u64);
            self.server_last = self.server_last.max(Some(sent.time));
        }
        let time = sent.time;
        let half = self.half_mut(from);
        half.candidate = true;
        half.before = half.received;
        half.received = sent.received;
        half.piece = bytes.len();
        grow(&mut half.offset, bytes.len() as u64);
        if from == Side::Server {
            self.server_seen = self.server.offset;
        }
        self.look_again(cx, from, bytes, time);
        self.read(cx, from, bytes, time);
    }

    /// Reads bytes as what is due.
    pub(super) fn read<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) {
        let mut rest = bytes;
        // Every round uses bytes or moves on to a state that does.
        while !rest.is_empty() {
            let used = match &self.half(from).state {
                State::Idle => self.read_idle(cx, from, rest, time),
                State::Head => self.read_head(cx, from, rest, time),
                State::Body(_) => self.read_body(cx, from, rest, time),
                State::Resync(_) => self.read_resync(cx, from, rest, time),
                State::Seek => self.read_seek(cx, from, rest, time),
                State::Silent => {
                    cx.counters.leave_alone(from, rest.len() as u64);
                    rest.len()
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.exchanges.is_empty()
    }

    pub(super) const fn half(&self, side: Side) -> &Half {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    pub(super) const fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(super) fn emit<S: EventSink>(
        &self,
        cx: &mut Context<'_, S>,
        number: u32,
        kind: EventKind<'_>,
    ) {
        let id = ExchangeId {
            connection: self.info.id,
            number,
        };
        cx.sink.event(Event { id, kind });
    }

    /// Tells of a protocol, once.
    pub(super) fn declare<S: EventSink>(&mut self, cx: &mut Context<'_, S>, protocol: Protocol) {
        if !self.protocols.contains(&protocol) {
            self.protocols.push(protocol);
            cx.counters.connection(protocol);
            cx.sink.protocol(&self.info, protocol);
        }
    }

    pub(super) const fn is_recognised(&self) -> bool {
        !self.protocols.is_empty()
    }

    /// The connection speaks something else from here on.
    pub(super) fn leave_alone<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        protocol: Protocol,
    ) {
        self.declare(cx, protocol);
        for number in self.exchanges.numbers(|_| true) {
            self.end(cx, number, Ending::Lost);
        }
        self.silence(cx);
    }

    /// Nothing is read any more.
    pub(super) fn silence<S>(&mut self, cx: &mut Context<'_, S>) {
        for side in [Side::Client, Side::Server] {
            let half = self.half_mut(side);
            let held = half.drop_head() + std::mem::take(&mut half.probe).len() as u64;
            half.state = State::Silent;
            cx.counters.leave_alone(side, held);
        }
    }

    /// Passes over line ends before a head (RFC 9112 §2.2).
    fn read_idle<S>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        let start = line_ends(bytes);
        cx.counters.framing_bytes += start as u64;
        if start < bytes.len() {
            self.half_mut(from).begin_head(time, bytes.len() - start);
        }
        start
    }

    fn read_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        let limit = cx.settings.limits.head_bytes;
        let half = self.half_mut(from);
        half.message.last = half.message.last.max(time);
        let before = half.head.len();
        if before == 0 {
            // A head in one segment is read where it stands.
            match half.scanner.advance(bytes) {
                Scan::Complete(length) if length <= limit => {
                    self.take_head(cx, from, bytes.get(..length).unwrap_or_default());
                    return length;
                }
                Scan::Incomplete if bytes.len() < limit => {
                    half.head.extend_from_slice(bytes);
                    return bytes.len();
                }
                Scan::Complete(_) | Scan::Incomplete => {
                    return self.oversized_head(cx, from, bytes, time);
                }
                Scan::Invalid => return self.refuse_head(cx, from, bytes, time),
                Scan::Other(protocol) => return self.other(cx, from, bytes, time, protocol),
            }
        }
        let take = limit.saturating_sub(before).min(bytes.len());
        half.head
            .extend_from_slice(bytes.get(..take).unwrap_or_default());
        match half.scanner.advance(&half.head) {
            Scan::Complete(length) => {
                let buffer = std::mem::take(&mut half.head);
                self.take_head(cx, from, buffer.get(..length).unwrap_or_default());
                self.half_mut(from).keep_buffer(buffer);
                length.saturating_sub(before)
            }
            Scan::Incomplete if half.head.len() < limit => bytes.len(),
            Scan::Incomplete => {
                half.head.truncate(before);
                self.oversized_head(cx, from, bytes, time)
            }
            Scan::Invalid => {
                half.head.truncate(before);
                self.refuse_head(cx, from, bytes, time)
            }
            Scan::Other(protocol) => {
                half.head.truncate(before);
                self.other(cx, from, bytes, time, protocol)
            }
        }
    }

    fn other<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
        protocol: Protocol,
    ) -> usize {
        if self.is_recognised() {
            return self.refuse_head(cx, from, bytes, time);
        }
        self.leave_alone(cx, protocol);
        0
    }

    fn oversized_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        cx.counters.heads_too_large += 1;
        self.lose_head(cx, from, 0);
        self.skip(cx, from, bytes.len() as u64, time);
        bytes.len()
    }

    /// The memory that beginnings of heads take.
    pub(super) fn held(&self) -> usize {
        self.client.held() + self.server.held()
    }

    /// Gives the beginnings of heads up, and looks for the next ones.
    pub(super) fn shed_heads<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        for side in [Side::Client, Side::Server] {
            if self.half_mut(side).held() > 0 {
                cx.counters.heads_shed += 1;
                self.lose_head(cx, side, 0);
            }
        }
    }

    /// Bytes in the place of a head are none. The rest of the segment is passed over.
    fn refuse_head<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        if from == Side::Server && self.begin_bare_answer(cx, time) {
            return 0;
        }
        cx.counters.heads_invalid += 1;
        let half = self.half_mut(from);
        // What a search took for a head tells nothing of the protocol.
        half.refused |= !half.sought;
        half.candidate = false;
        half.state = State::Seek;
        let kept = half.drop_head();
        let passed = kept + bytes.len() as u64;
        match from {
            Side::Client => self.cut_attached(cx),
            Side::Server => self.doubt_unanswered(),
        }
        self.hide(from, MIN_MESSAGE);
        self.skip(cx, from, passed, time);
        if self.info.from_start
            && self.client.refused
            && self.server.refused
            && !self.is_recognised()
        {
            self.leave_alone(cx, Protocol::Unknown);
        }
        bytes.len()
    }

    /// The answer to an HTTP/0.9 request is a body without a head (RFC 1945 §6).
    pub(super) fn begin_bare_answer<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        time: Timestamp,
    ) -> bool {
        let Some(exchange) = self.exchanges.unanswered() else {
            return false;
        };
        if exchange.answer != AnswerForm::Simple {
            return false;
        }
        exchange.response = Progress::Reading;
        self.server.message.exchange = Some(exchange.number);
        let decoder = Decoder::new(&[], cx.settings.limits.body_read, cx.decoder_memory, 0);
        self.server.state = State::Body(Body::new(Frame::UntilClose, decoder));
        let kept = std::mem::take(&mut self.server.head);
        if !kept.is_empty() {
            self.read_body(cx, Side::Server, &kept, time);
        }
        true
    }

    fn read_body<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) -> usize {
        if from == Side::Server && self.is_next_response(bytes) {
            let finish = match &self.server.state {
                State::Body(body) if matches!(body.frame(), Frame::Guess) => Finish::Lost,
                _ => Finish::Read,
            };
            self.finish_response(cx, finish);
            self.server.begin_head(time, bytes.len());
            return 0;
        }
        if from == Side::Client && self.is_body_left_out(bytes) {
            self.finish_request(cx, Finish::Lost);
            self.client.begin_head(time, bytes.len());
            return 0;
        }
        let connection = self.info.id;
        let half = self.half_mut(from);
        let message = &mut half.message;
        message.last = message.last.max(time);
        let (exchange, time) = (message.exchange, message.last);
        let State::Body(body) = &mut half.state else {
            return bytes.len();
        };
        let before = message.transfer.body_bytes;
        let (used, progress) = body.push(bytes, &mut message.transfer, &mut |piece| {
            if let Some(number) = exchange {
                let id = ExchangeId { connection, number };
                let kind = body_event(from, piece, time);
                cx.sink.event(Event { id, kind });
            }
        });
        let taken = message.transfer.body_bytes.saturating_sub(before);
        cx.counters.body_bytes += taken;
        cx.counters.framing_bytes += (used as u64).saturating_sub(taken);
        match (progress, from) {
            (BodyProgress::More, _) => {}
            (BodyProgress::Done, Side::Client) => self.finish_request(cx, Finish::Read),
            (BodyProgress::Done, Side::Server) => self.finish_response(cx, Finish::Read),
            (BodyProgress::Broken, _) => {
                cx.counters.chunks_invalid += 1;
                match from {
                    Side::Client => self.finish_request(cx, Finish::Lost),
                    Side::Server => self.finish_response(cx, Finish::Lost),
                }
                let half = self.half_mut(from);
                half.state = State::Seek;
                half.candidate = true;
            }
        }
        used
    }

    /// Whether a segment begins the next request in the place of a body that its client asked leave to
    /// send, and got a final answer instead (RFC 9110 §10.1.1).
    fn is_body_left_out(&mut self, bytes: &[u8]) -> bool {
        let candidate = std::mem::take(&mut self.client.candidate);
        let transfer = self.client.message.transfer;
        let untouched = transfer.body_bytes == 0 && transfer.missing_body == 0;
        let exchange = self.client.message.exchange;
        candidate
            && untouched
            && exchange
                .and_then(|number| self.exchanges.get_mut(number))
                .is_some_and(|it| it.interim == Interim::Asked && it.response == Progress::Done)
            && is_head(Side::Client, bytes)
    }

    /// Whether a segment begins the next response in the place of a body that cannot be told to have
    /// begun: its length is a guess, or the request (perhaps HEAD) was not seen.
    fn is_next_response(&mut self, bytes: &[u8]) -> bool {
        let candidate = std::mem::take(&mut self.server.candidate);
        let State::Body(body) = &self.server.state else {
            return false;
        };
        if !candidate || !bytes.starts_with(b"HTTP/1.") {
            return false;
        }
        if matches!(body.frame(), Frame::Guess) {
            return true;
        }
        let message = self.server.message;
        let untouched = message.transfer.body_bytes == 0 && message.transfer.missing_body == 0;
        let method = message
            .exchange
            .and_then(|number| self.exchanges.get_mut(number))
            .map(|exchange| exchange.method);
        untouched && method == Some(Method::Unknown) && !matches!(body.frame(), Frame::UntilClose)
    }
}

pub(super) fn line_ends(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

pub(super) fn body_event(from: Side, piece: &[u8], time: Timestamp) -> EventKind<'_> {
    let bytes = Cow::Borrowed(piece);
    match from {
        Side::Client => EventKind::RequestBody { bytes, time },
        Side::Server => EventKind::ResponseBody { bytes, time },
    }
}
