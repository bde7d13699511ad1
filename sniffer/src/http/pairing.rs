//! The exchanges of one connection that are open, and which of them a response answers.
//!
//! Responses come in the order of their requests (RFC 9112 §9.3.2): a response answers the oldest
//! exchange that has none. The order holds only as long as nothing was lost. An exchange whose
//! response may have been lost is in doubt, and one before which requests may have been lost has
//! ghosts (see `damage`). Where that leaves more than one request that a response may answer, it is
//! paired with none: the request and the response become two exchanges, each without its other half.
//! What can settle the matter is how the client was seen to send its requests before: its [`Habit`].

use std::collections::VecDeque;

use analyzer::exchange::{Ending, Transfer};
use analyzer::time::Timestamp;

use super::damage::MIN_MESSAGE;
use super::framing::Method;
use super::half::Origin;

/// How a client was seen to send its requests, as long as nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Habit {
    /// Each after the whole answer to the one before.
    #[default]
    OneByOne,
    /// Several at once; whether it then waits for all their answers was not seen yet.
    Unproven,
    /// Several at once, and then none before all of them were answered.
    Bursts,
    /// Also between the answers to earlier ones.
    Window,
}

impl Habit {
    /// Whether a request that follows bytes of the server follows all answers to those before it.
    pub(super) const fn takes_turns(self) -> bool {
        matches!(self, Self::OneByOne | Self::Bursts)
    }
}

/// Requests, each after all answers, after which a client is believed to wait for them whatever a hole
/// looks like.
const TURNS: u32 = 8;
/// Requests in a row, each perhaps after all answers, after which a client that sent some at once is
/// believed to have gone over to waiting. Else a loss at the wrong place would cost the pairing of the
/// whole rest of its connection.
const TURNS_AGAIN: u32 = 32;

/// How it is known that a request was sent before all earlier ones were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Both were seen.
    Seen,
    /// A hole can hardly be anything else.
    Hole,
}

/// One open exchange.
pub(super) struct Exchange {
    pub(super) number: u32,
    pub(super) method: Method,
    /// Whether the answer to it may come without a head.
    pub(super) answer: AnswerForm,
    pub(super) request: Progress,
    pub(super) response: Progress,
    pub(super) request_transfer: Transfer,
    pub(super) response_transfer: Transfer,
    /// The latest time over the bytes of both messages.
    pub(super) last: Timestamp,
    /// The latest time over the bytes of the response.
    pub(super) response_last: Option<Timestamp>,
    pub(super) response_end: Option<Timestamp>,
    pub(super) client_left: Option<Timestamp>,
    /// What broke the exchange off first, if its response does not come to its end all the same.
    pub(super) broken: Option<(Ending, Timestamp)>,
    /// Whether its response may have been lost, or cannot be read.
    pub(super) doubt: bool,
    /// Whether its request came before the answer to another was over.
    pub(super) pipelined: bool,
    /// Whether an interim answer is to be expected.
    pub(super) interim: Interim,
    /// Whether another request seems to have been lost before the server said anything to this one.
    pub(super) overtaken: bool,
    /// The requests that may have been lost between the one before it and its own.
    pub(super) ghosts: Ghosts,
    /// Where its request began; `None` where that was not seen.
    pub(super) asked: Option<Origin>,
    /// How far the client's stream had come when its request was over.
    pub(super) asked_until: u64,
    /// Whether its request was sent when none was outstanding.
    pub(super) turn: Turn,
    /// Answers that were over when it began.
    answers_before: u64,
    /// Bytes that the server had sent before the exchange began.
    pub(super) server_bytes_before: u64,
    /// How far the server's stream had come before anything of the answer can have been in it.
    pub(super) answer_after: u64,
}

/// Requests that nobody saw, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ghosts {
    /// Those whose answers may be yet to come.
    pub(super) waiting: u64,
    /// Those that were answered, if the client takes turns.
    pub(super) answered: u64,
}

/// Whether a request asked for an interim answer (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interim {
    /// It did.
    Asked,
    /// It did not.
    Unasked,
}

/// What the acknowledgements tell of a request and the bytes of the client before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The server had received all of them when it sent the last byte that the client received before the
    /// request: unless the client has always some requests under way, it is the first of those that are.
    First,
    /// They were sent with others before it.
    Behind,
    /// The same, and among those may be some that nobody saw.
    BehindUnseen,
    /// Nothing.
    Unknown,
}

/// The form of the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// A head and a body.
    Full,
    /// Perhaps a bare body: the request was HTTP/0.9.
    Simple,
}

/// How far a message of an exchange came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing of it was read.
    Waiting,
    /// It is being read.
    Reading,
    /// Its end was read.
    Done,
    /// Its end was lost, or never came.
    Cut,
}

impl Exchange {
    pub(super) fn new(number: u32, begun: Timestamp, server_bytes_before: u64) -> Self {
        Self {
            number,
            method: Method::Unknown,
            answer: AnswerForm::Full,
            request: Progress::Waiting,
            response: Progress::Waiting,
            request_transfer: Transfer::default(),
            response_transfer: Transfer::default(),
            last: begun,
            response_last: None,
            response_end: None,
            client_left: None,
            broken: None,
            doubt: false,
            pipelined: false,
            interim: Interim::Unasked,
            overtaken: false,
            ghosts: Ghosts::default(),
            asked: None,
            asked_until: u64::MAX,
            turn: Turn::Unknown,
            answers_before: 0,
            server_bytes_before,
            answer_after: 0,
        }
    }

    /// How much of the server's stream the client had received when it asked.
    pub(super) fn received(&self) -> Option<u64> {
        self.asked?.received
    }

    /// Whether an answer that began here can be its own: not where the client had received that before it
    /// asked, nor where the server sent it before it had received the request.
    pub(super) fn may_have(&self, answer: Origin) -> bool {
        self.asked.is_none_or(|asked| {
            asked.received.is_none_or(|so_far| so_far <= answer.at)
                && answer.received.is_none_or(|so_far| so_far > asked.at)
        })
    }

    /// Notes bytes of the response.
    pub(super) fn saw_response(&mut self, time: Timestamp) {
        self.response_last = self.response_last.max(Some(time));
        self.last = self.last.max(time);
    }
}

/// The open exchanges, in the order in which they began.
#[derive(Default)]
pub(super) struct Exchanges {
    open: VecDeque<Exchange>,
    habit: Habit,
    /// Whether requests are, or were a moment ago, outstanding beside others.
    burst: bool,
    /// Requests in a row that came when none was outstanding, as far as could be told.
    turns: u32,
    /// All such requests of the connection.
    clean: u32,
    /// Answers that were over so far.
    answers: u64,
}

impl Exchanges {
    pub(super) fn push(&mut self, mut exchange: Exchange) {
        exchange.answers_before = self.answers;
        self.open.push_back(exchange);
    }

    pub(super) const fn habit(&self) -> Habit {
        self.habit
    }

    /// A request begins: notes what that tells of the client's habit, and tells whether answers to
    /// earlier requests are outstanding.
    pub(super) fn note_request(&mut self, asked: Origin) -> bool {
        let answers = self.answers;
        let oldest = self.open.iter().find(|it| it.response != Progress::Done);
        let Some(oldest) = oldest else {
            if std::mem::take(&mut self.burst) {
                self.settle(Habit::Bursts);
            }
            self.clean = self.clean.saturating_add(1);
            self.note_turn();
            return false;
        };
        self.burst = true;
        if oldest.doubt {
            // One answer between one request and the next: perhaps its own.
            if answers == oldest.answers_before.saturating_add(1) {
                self.note_turn();
            }
        } else if asked.received_more_than(oldest.asked)
            && (oldest.response == Progress::Reading || answers > oldest.answers_before)
        {
            self.turns = 0;
            self.change(Habit::Window);
        } else {
            self.turns = 0;
            self.note_pipelining(Evidence::Seen);
        }
        true
    }

    fn note_turn(&mut self) {
        self.turns = self.turns.saturating_add(1);
        if self.turns >= TURNS_AGAIN {
            self.settle(Habit::Bursts);
        }
    }

    /// The client was seen to wait for all answers.
    fn settle(&mut self, habit: Habit) {
        if self.habit == Habit::Unproven {
            self.habit = habit;
        }
    }

    /// A request was sent before all earlier ones were answered.
    pub(super) fn note_pipelining(&mut self, evidence: Evidence) {
        let believed = evidence == Evidence::Seen || self.clean < TURNS;
        if self.habit == Habit::OneByOne && believed {
            self.change(Habit::Unproven);
        }
    }

    fn change(&mut self, habit: Habit) {
        self.habit = habit;
        if !habit.takes_turns() {
            // What was concluded from the habit before was not so.
            for exchange in &mut self.open {
                let ghosts = &mut exchange.ghosts;
                ghosts.waiting += std::mem::take(&mut ghosts.answered);
            }
        }
    }

    /// An answer is over.
    pub(super) const fn note_answer(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }

    /// Something was lost: what the client waited for cannot be told.
    pub(super) const fn forget_burst(&mut self) {
        self.burst = false;
    }

    /// Exchanges without any response.
    pub(super) fn waiting(&self) -> usize {
        let waiting = |exchange: &&Exchange| exchange.response == Progress::Waiting;
        self.open.iter().filter(waiting).count()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Exchange> {
        let at = self.position(number)?;
        self.open.get_mut(at)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Exchange> {
        let at = self.position(number)?;
        self.open.remove(at)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.open.iter_mut()
    }

    /// The oldest exchange without any response: the next response is its.
    pub(super) fn unanswered(&mut self) -> Option<&mut Exchange> {
        self.open
            .iter_mut()
            .find(|exchange| exchange.response == Progress::Waiting)
    }

    /// Whether the server had received more than all requests that were seen when it sent this answer, so
    /// much more that it may be another request.
    pub(super) fn asked_less(&self, answer: Origin) -> bool {
        let until = self.open.back().map_or(u64::MAX, |last| last.asked_until);
        answer
            .received
            .is_some_and(|so_far| so_far.saturating_sub(until) >= MIN_MESSAGE)
    }

    /// The numbers of those that `which` picks.
    pub(super) fn numbers(&self, which: impl Fn(&Exchange) -> bool) -> Vec<u32> {
        let picked = self.open.iter().filter(|exchange| which(exchange));
        picked.map(|exchange| exchange.number).collect()
    }

    /// Numbers only grow from front to back.
    fn position(&self, number: u32) -> Option<usize> {
        self.open
            .binary_search_by_key(&number, |exchange| exchange.number)
            .ok()
    }
}
