//! The way back into step after a hole.
//!
//! In a chunked body the next chunk is looked for, and believed once its end proves it; anywhere else
//! the next head, which is believed at the start of a segment only, and only if every line of it is
//! what it must be: a prompt may quote HTTP, but not begin a segment with it and keep to its grammar.

use analyzer::time::Timestamp;

use crate::tcp::Side;

use super::EventSink;
use super::chunked::{Boundary, find_boundary};
use super::damage::{MIN_MESSAGE, grow};
use super::endings::Finish;
use super::half::{Hidden, State};
use super::handler::Context;
use super::head::{Scan, Scanner};
use super::pairing::Habit;
use super::protocol::{Protocol, Start, Trust, is_known_method, is_tls_record, sought_start};
use super::settings::MAX_PROBE;
use super::stream::{HttpStream, line_ends};

/// The shortest end of a chunked body with the head of another behind it:
/// `0`, two line ends, `HTTP/1.0 200`, `Transfer-Encoding:chunked`, two line ends. Fewer lost bytes
/// cannot have led from one body into the next.
pub(super) const MIN_END_AND_HEAD: u64 = 48;

impl HttpStream {
    /// A head that is being read was found in a search and may be none. A segment that begins like a
    /// head more surely takes its place.
    pub(super) fn look_again<S: EventSink>(
        &mut self,
        cx: &mut Context<'_, S>,
        from: Side,
        bytes: &[u8],
        time: Timestamp,
    ) {
        let half = self.half_mut(from);
        if !half.sought || !matches!(half.state, State::Head) || !is_head(from, bytes) {
            return;
        }
        // The first bytes of a head may stand alone in a segment: `OST / HTTP/1.1` is one, and goes on
        // with what the segment before it began.
        // A method that is known, and would not be with those bytes before it, begins a head of its own.
        let joined = [&half.head, bytes].concat();
        let goes_on = !half.scanner.is_begun()
            && is_head(from, &joined)
            && (has_known_method(&joined) || !has_known_method(bytes));
        if !goes_on {
            half.state = State::Seek;
            let kept = half.drop_head();
            self.skip(cx, from, kept, time);
        }
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
                Side::Server => {
                    self.finish_response(cx, Finish::Lost);
                    self.doubt_unanswered();
                }
            }
            self.half_mut(from).state = State::Seek;
            self.half_mut(from).begin_head(time, bytes.len());
            return 0;
        }
        // A chunk may be another message's, where the hole may have led from one into the next.
        let others = match from {
            // One request at a time: no other was begun before the server said something.
            Side::Client => {
                self.exchanges.habit() != Habit::OneByOne || self.server.offset > self.answered
            }
            Side::Server => self.client.hidden.bytes >= MIN_MESSAGE || self.exchanges.waiting() > 0,
        };
        let half = self.half_mut(from);
        half.message.last = half.message.last.max(time);
        let hopeless = others && half.hidden.bytes >= MIN_END_AND_HEAD;
        let mut held = std::mem::take(&mut half.probe);
        held.extend_from_slice(bytes);
        let found = if hopeless { None } else { find_boundary(&held) };
        let (at, sure) = match found {
            Some((at, Boundary::Sure)) => (at, true),
            Some((at, _)) if held.len() - at <= MAX_PROBE => (at, false),
            Some(_) | None => (held.len(), false),
        };
        let (passed, rest) = held.split_at_checked(at).unwrap_or_default();
        self.pass_over(cx, from, passed.len() as u64);
        if !sure {
            self.half_mut(from).probe = rest.to_vec();
            return bytes.len();
        }
        let half = self.half_mut(from);
        let number = half.message.exchange;
        if let State::Resync(mut body) = std::mem::replace(&mut half.state, State::Seek) {
            body.resume();
            half.state = State::Body(body);
        }
        half.hidden = Hidden::default();
        if from == Side::Server
            && let Some(exchange) = number.and_then(|number| self.exchanges.get_mut(number))
        {
            exchange.doubt = false;
        }
        self.read(cx, from, rest, time);
        bytes.len()
    }

    /// Gives up what was held back as a chunk.
    pub(super) fn drop_probe<S>(&mut self, cx: &mut Context<'_, S>, from: Side) {
        let held = std::mem::take(&mut self.half_mut(from).probe);
        self.pass_over(cx, from, held.len() as u64);
    }

    /// Passes over bytes of a body that is out of step.
    fn pass_over<S>(&mut self, cx: &mut Context<'_, S>, from: Side, length: u64) {
        grow(&mut cx.counters.skipped_bytes, length);
        grow(&mut self.half_mut(from).message.transfer.unread, length);
        if length > 0 {
            self.hide(from, length);
        }
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
                    half.begin_head(time, rest.len());
                    cx.counters.framing_bytes += start as u64;
                    return start;
                }
                Start::Other(protocol) if !self.is_recognised() => {
                    self.leave_alone(cx, protocol);
                    return 0;
                }
                Start::Other(_) | Start::No => {
                    if !self.is_recognised() && is_tls_record(bytes) {
                        self.leave_alone(cx, Protocol::Tls);
                        return 0;
                    }
                }
            }
        }
        self.skip(cx, from, bytes.len() as u64, time);
        bytes.len()
    }
}

/// Whether bytes begin with one of the usual methods, as a line of a request.
fn has_known_method(bytes: &[u8]) -> bool {
    memchr::memchr(b' ', bytes)
        .and_then(|end| bytes.get(..end))
        .is_some_and(is_known_method)
}

/// Whether bytes that may be anything begin with a head, as far as its first line and those after it
/// can tell.
pub(super) fn is_head(from: Side, bytes: &[u8]) -> bool {
    let mut scanner = Scanner::new(from, Trust::Sought);
    match scanner.advance(bytes) {
        Scan::Complete(_) => true,
        Scan::Incomplete => scanner.is_begun(),
        Scan::Invalid | Scan::Other(_) => false,
    }
}
