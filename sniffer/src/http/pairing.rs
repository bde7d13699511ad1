//! The exchanges of one connection that are open, and which of them a response answers.
//!
//! Responses come in the order of their requests (RFC 9112 §9.3.2): a response answers the oldest
//! exchange that has none. The order holds only as long as nothing was lost; an exchange whose
//! response may have been lost is in doubt (see `damage`).

use std::collections::VecDeque;

use analyzer::exchange::{Ending, Transfer};
use analyzer::time::Timestamp;

use super::framing::Method;

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
    /// Bytes that the server had sent before the exchange began.
    pub(super) server_bytes_before: u64,
    /// How far the server's stream had come before anything of the answer can have been in it.
    pub(super) answer_after: u64,
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
            server_bytes_before,
            answer_after: 0,
        }
    }

    /// Notes bytes of the response.
    pub(super) fn saw_response(&mut self, time: Timestamp) {
        self.response_last = self.response_last.max(Some(time));
        self.last = self.last.max(time);
    }
}

/// The open exchanges, in the order in which they began.
#[derive(Default)]
pub(super) struct Exchanges(VecDeque<Exchange>);

impl Exchanges {
    pub(super) fn push(&mut self, exchange: Exchange) {
        self.0.push_back(exchange);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Exchange> {
        let at = self.position(number)?;
        self.0.get_mut(at)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Exchange> {
        let at = self.position(number)?;
        self.0.remove(at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.0.iter_mut()
    }

    /// The oldest exchange without any response: the next response is its.
    pub(super) fn unanswered(&mut self) -> Option<&mut Exchange> {
        self.0
            .iter_mut()
            .find(|exchange| exchange.response == Progress::Waiting)
    }

    /// The numbers of those that `which` picks.
    pub(super) fn numbers(&self, which: impl Fn(&Exchange) -> bool) -> Vec<u32> {
        let picked = self.0.iter().filter(|exchange| which(exchange));
        picked.map(|exchange| exchange.number).collect()
    }

    /// Numbers only grow from front to back.
    fn position(&self, number: u32) -> Option<usize> {
        self.0
            .binary_search_by_key(&number, |exchange| exchange.number)
            .ok()
    }
}
