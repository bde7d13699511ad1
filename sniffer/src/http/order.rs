//! Which request a response answers, where something was lost.
//!
//! After a hole in the server's stream any exchange that waits may have been answered in it, and after
//! one in the client's there may be requests that nobody saw. Four things can still tell the order:
//!
//! * the acknowledgements: no answer begins before what the client had received when it asked, nor was
//!   sent before the server had received the request; and a request that was sent when the server had
//!   received all before it, and the client had something newer of the server than with the byte before,
//!   is the first of those under way ([`Turn`]), so that an answer which begins just there is its own;
//! * the habit of the client: one that was never seen to send a request before all earlier ones were
//!   answered ends, with each new request, whatever waited before it;
//! * the hole itself: it holds no more messages than there is room for, and one of a client at least where
//!   it began between two;
//! * the count: a response that may be for one of several requests leaves one fewer of them.
//!
//! What these leave open stays open: such a response becomes an exchange without a request.

use analyzer::exchange::Ending;

use crate::tcp::Side;

use super::EventSink;
use super::body::Frame;
use super::damage::{MIN_MESSAGE, grow};
use super::endings::Finish;
use super::framing::Method;
use super::half::{Hidden, Origin, State};
use super::handler::Context;
use super::pairing::{Evidence, Ghosts, Habit, Progress, Turn};
use super::resync::MIN_END_AND_HEAD;
use super::stream::HttpStream;

/// The shortest answer that a server gives in practice: `HTTP/1.1 204 No Content` and its line ends.
const MIN_ANSWER: u64 = 27;

impl HttpStream {
    /// What is known of the request that begins here and those before it.
    pub(super) fn turn(&mut self, turn: Turn, ghosts: Ghosts) -> Turn {
        self.unseen |= ghosts != Ghosts::default();
        if turn == Turn::First {
            self.unseen = false;
        }
        if turn == Turn::Behind && self.unseen {
            Turn::BehindUnseen
        } else {
            turn
        }
    }

    /// What the acknowledgements tell of a request that begins here.
    pub(super) fn turn_of(&self, asked: Origin) -> Turn {
        let Some(received) = asked.received else {
            return Turn::Unknown;
        };
        // No answer came between it and the byte before it.
        let beside = asked.before == Some(received);
        if beside || self.server.offset > received {
            return Turn::Behind;
        }
        if received == 0 {
            return match (asked.at, self.info.from_start) {
                (0, true) => Turn::First,
                (0, false) => Turn::Unknown,
                _ => Turn::Behind,
            };
        }
        match self.server.received {
            Some(known) if known >= asked.at => Turn::First,
            Some(_) if self.server_seen == received => Turn::Behind,
            _ => Turn::Unknown,
        }
    }

    /// Notes bytes that may hide whole messages.
    pub(super) fn hide(&mut self, from: Side, length: u64) {
        let seen = self.server_seen;
        let turns = self.exchanges.habit().takes_turns();
        let hidden = &mut self.half_mut(from).hidden;
        // What the server said since answered the earlier ones.
        let answered = from == Side::Client && turns && seen > hidden.after;
        if hidden.bytes == 0 || answered {
            hidden.one &= hidden.bytes == 0;
            hidden.bytes = 0;
            hidden.after = seen;
        }
        grow(&mut hidden.bytes, length);
    }

    /// A hole begins between two messages of one side.
    pub(super) fn hole_between(&mut self, from: Side, length: u64) {
        self.half_mut(from).hidden.one = true;
        let offset = self.server.offset;
        if from == Side::Client
            && length >= MIN_MESSAGE
            && let Some(front) = self.exchanges.unanswered()
        {
            // A request, before the server said anything to the one that waits: if nothing of the
            // answer was lost, for holes of both sides are noticed in any order.
            front.overtaken |= front.answer_after == offset;
        }
    }

    /// How many requests may have been lost between the last one and the one that begins now, and
    /// whether the client's habit tells that they were answered.
    pub(super) fn ghosts(&mut self) -> Ghosts {
        let hidden = std::mem::take(&mut self.client.hidden);
        let most = hidden.bytes / MIN_MESSAGE;
        let turns = self.exchanges.habit().takes_turns();
        // They were sent after those that wait.
        let none_waits = self.exchanges.waiting() == 0;
        if most > 0
            && turns
            && none_waits
            && self.server.offset.saturating_sub(hidden.after) >= MIN_ANSWER
        {
            self.answered = self.server.offset;
            Ghosts {
                waiting: 0,
                answered: most,
            }
        } else {
            if most > 0 && hidden.one {
                self.exchanges.note_pipelining(Evidence::Hole);
            }
            Ghosts {
                waiting: most,
                answered: 0,
            }
        }
    }

    /// The answer of an exchange is over. If its request was seen, and nothing of it was lost, what it
    /// said answers no other.
    pub(super) fn explain_answer(&mut self, number: u32) {
        let Some(exchange) = self.exchanges.get_mut(number) else {
            return;
        };
        let of_answer = &exchange.response_transfer;
        let whole = of_answer.missing_head == 0 && of_answer.missing_body == 0;
        let asked = exchange.request != Progress::Waiting;
        let overtaken = exchange.overtaken;
        if !whole || !asked {
            return;
        }
        if overtaken {
            self.exchanges.note_pipelining(Evidence::Hole);
        }
        if self.client.hidden.one {
            self.client.hidden.after = self.server.offset;
        }
    }

    /// A response was taken for the answer to a request that nobody saw.
    pub(super) fn lay_ghost(&mut self) {
        let one = self.exchanges.habit() == Habit::OneByOne;
        let hidden = &mut self.client.hidden;
        if one {
            *hidden = Hidden::default();
        } else {
            hidden.bytes = hidden.bytes.saturating_sub(MIN_MESSAGE);
        }
    }

    /// The exchange that a final response answers, if that is certain.
    pub(super) fn answered_by<S: EventSink>(&mut self, cx: &mut Context<'_, S>) -> Option<u32> {
        let answer = self.server.message.origin;
        let asked_less = self.exchanges.asked_less(answer);
        let front = self.exchanges.unanswered()?;
        if !front.may_have(answer) {
            front.ghosts.waiting = front.ghosts.waiting.saturating_sub(1);
            cx.counters.responses_unpaired += 1;
            return None;
        }
        match front.turn {
            Turn::First if answer.at <= front.answer_after => {
                front.doubt = false;
                front.ghosts = Ghosts::default();
                self.server.hidden = Hidden::default();
                return Some(front.number);
            }
            Turn::BehindUnseen => {
                self.answer_ghost(cx);
                return None;
            }
            _ => {}
        }
        let front = self.exchanges.unanswered()?;
        if !front.doubt {
            if front.ghosts.waiting == 0 {
                self.server.hidden = Hidden::default();
                return Some(front.number);
            }
            self.answer_ghost(cx);
            return None;
        }
        if self.client.hidden.bytes >= MIN_MESSAGE || asked_less {
            // It may as well answer a request that was lost after these.
            for number in self.doubtful() {
                self.end(cx, number, Ending::Lost);
            }
            self.unpaired(cx);
            return None;
        }
        let room = self.server.hidden.bytes / MIN_MESSAGE;
        let (number, ghosts) = (front.number, front.ghosts.waiting);
        if ghosts == 0 && (room == 0 || self.exchanges.waiting() == 1) {
            self.server.hidden = Hidden::default();
            for exchange in self.exchanges.iter_mut() {
                exchange.doubt &= exchange.response != Progress::Waiting;
            }
            return Some(number);
        }
        // Whichever it answers: of those that wait the first is not answered any more.
        if ghosts > 0 {
            self.answer_ghost(cx);
        } else {
            self.lose_front(cx);
            self.unpaired(cx);
        }
        None
    }

    /// A response may be for a request that was lost before the first that waits, or for that one.
    fn answer_ghost<S>(&mut self, cx: &mut Context<'_, S>) {
        if let Some(front) = self.exchanges.unanswered() {
            front.ghosts.waiting = front.ghosts.waiting.saturating_sub(1);
        }
        self.unpaired(cx);
    }

    fn unpaired<S>(&mut self, cx: &mut Context<'_, S>) {
        cx.counters.responses_unpaired += 1;
        // The first that waits may be answered now.
        self.hide(Side::Server, MIN_MESSAGE);
        self.exchanges.forget_burst();
        self.doubt_unanswered();
    }

    fn lose_front<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        if let Some(number) = self.exchanges.unanswered().map(|front| front.number) {
            self.exchanges.forget_burst();
            self.end(cx, number, Ending::Lost);
        }
    }

    fn doubtful(&self) -> Vec<u32> {
        self.exchanges
            .numbers(|exchange| exchange.response == Progress::Waiting && exchange.doubt)
    }

    /// Any response that was to come may have been lost.
    pub(super) fn doubt_unanswered(&mut self) {
        for exchange in self.exchanges.iter_mut() {
            exchange.doubt |= exchange.response == Progress::Waiting;
        }
    }

    /// The response whose head was read in part is over: another begins, or its client went on.
    pub(super) fn end_damaged_response<S: EventSink>(&mut self, cx: &mut Context<'_, S>) {
        if let Some(number) = self.server.damaged.take() {
            self.answered = self.server.offset;
            self.exchanges.forget_burst();
            self.end(cx, number, Ending::Lost);
        }
    }

    /// A new request came. A client that takes turns sent it after the whole answer to the one before:
    /// where that answer was not recognised, or its end was not, it was lost.
    pub(super) fn end_answered<S: EventSink>(&mut self, cx: &mut Context<'_, S>, turn: Turn) {
        if matches!(self.server.state, State::Resync(_))
            && self.server.hidden.bytes >= MIN_END_AND_HEAD
        {
            self.doubt_unanswered();
        }
        let turns = self.exchanges.habit().takes_turns() && turn != Turn::Behind;
        let so_far = self.server.offset;
        // Within a head or body there is an answer to come.
        let in_answer = matches!(self.server.state, State::Head | State::Body(_));
        let first = turn == Turn::First && self.exchanges.habit() != Habit::Window && !in_answer;
        let passed = self.exchanges.numbers(|exchange| {
            if first && exchange.doubt && exchange.response == Progress::Waiting {
                return true;
            }
            let before = if exchange.pipelined {
                exchange.doubt
            } else {
                exchange.answer_after < so_far
            };
            turns && !in_answer && before && exchange.response == Progress::Waiting
        });
        if turns && !in_answer {
            self.end_damaged_response(cx);
            self.server.hidden = Hidden::default();
        }
        for number in passed {
            self.end(cx, number, Ending::Lost);
            self.answered = so_far;
            self.exchanges.forget_burst();
        }
        self.end_reading(cx, turns);
    }

    /// The same for an answer that is being read.
    fn end_reading<S: EventSink>(&mut self, cx: &mut Context<'_, S>, turns: bool) {
        let Some(reading) = self.server.message.exchange else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(reading) else {
            return;
        };
        let (in_doubt, unknown) = (exchange.doubt, exchange.method == Method::Unknown);
        if !turns || exchange.response != Progress::Reading {
            return;
        }
        let message = &self.server.message.transfer;
        let untouched = message.body_bytes == 0 && message.missing_body == 0;
        match &self.server.state {
            State::Resync(_) if in_doubt => {
                self.finish_response(cx, Finish::Lost);
                self.server.state = State::Seek;
                self.server.hidden = Hidden::default();
                self.exchanges.forget_burst();
            }
            State::Body(body) if matches!(body.frame(), Frame::Guess) => {
                self.finish_response(cx, Finish::Lost);
            }
            // The request that was not seen was HEAD.
            State::Body(_) if unknown && untouched => self.finish_response(cx, Finish::Read),
            _ => {}
        }
    }
}
