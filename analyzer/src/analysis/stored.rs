//! What is kept of a body for storage: its head and its tail, without data and without secrets.
//!
//! Data (base64, vectors) is replaced as it comes, so that it takes no room. Secrets are taken out at the
//! end, by whoever counts the tokens: that is slow beside the rest.

use std::collections::VecDeque;

use super::settings::{KeepBodies, Settings};
use crate::{
    call::{Bodies, StoredBody},
    redact::{
        Part, Redactor,
        form::Form,
        payload::{Leave, Payloads},
    },
};

/// Bytes of a body's beginning that are stored.
pub const STORED_HEAD: usize = 256 << 10;

/// Bytes of a longer body's end that are stored: usage and finish reasons stand there.
pub const STORED_TAIL: usize = 64 << 10;

/// Bytes beyond the head's end and before the tail's beginning that are kept until the secrets are out: one
/// on the border is seen whole. The longest private keys in use have 13 KB.
const MARGIN: usize = 16 << 10;

/// A body as it comes, cut to what is stored.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Takes uploads out of a form.
    form: Option<Box<Form>>,
    /// Bytes of the form so far.
    form_bytes: u64,
    payloads: Payloads,
    kept: Cut,
    closed: bool,
}

/// The head and the tail of a body, and a margin at each.
#[derive(Debug)]
struct Cut {
    head_cap: usize,
    tail_cap: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
}

/// A body that is over, with its secrets still in it: it must not be stored.
#[derive(Debug)]
pub(crate) struct Kept {
    head_cap: usize,
    tail_cap: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    omitted: u64,
}

/// Both bodies of an exchange, with their secrets still in them.
#[derive(Debug)]
pub(crate) struct KeptBodies {
    pub(crate) request: Kept,
    pub(crate) response: Kept,
}

impl Keeper {
    /// For one body; `None` where bodies are not kept.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let leave = match settings.bodies {
            KeepBodies::Full => Leave::Images,
            KeepBodies::Text => Leave::All,
            KeepBodies::No => return None,
        };
        Some(Self {
            form: None,
            form_bytes: 0,
            payloads: Payloads::new(leave),
            kept: Cut {
                head_cap: settings.stored_head,
                tail_cap: settings.stored_tail,
                head: Vec::new(),
                tail: VecDeque::new(),
                omitted: 0,
            },
            closed: false,
        })
    }

    /// Before the first bytes: what the head says that they are.
    pub(super) fn content_type(&mut self, content_type: &str) {
        self.form = Form::for_type(content_type).map(Box::new);
    }

    /// Bytes kept so far.
    pub(super) fn held(&self) -> usize {
        let cut = &self.kept;
        let held = cut.head.len().saturating_add(cut.tail.len());
        held.saturating_add(self.payloads.held())
    }

    /// Keeps nothing more; what comes is omitted.
    pub(super) fn close(&mut self) {
        self.end();
        self.closed = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.closed {
            self.kept.omit(bytes.len());
            return;
        }
        let (kept, payloads) = (&mut self.kept, &mut self.payloads);
        match &mut self.form {
            Some(form) => {
                self.form_bytes = self.form_bytes.saturating_add(bytes.len() as u64);
                form.push(bytes, |field| payloads.push(field, |text| kept.push(text)));
            }
            None => payloads.push(bytes, |text| kept.push(text)),
        }
    }

    /// Bytes are missing here. It says so, for whoever reads it and for the redaction.
    pub(super) fn hole(&mut self, length: u64) {
        if !self.closed {
            let kept = &mut self.kept;
            self.payloads.end(|text| kept.push(text));
            let missing = format!("[... {length} {}", crate::redact::MISSING);
            self.kept.push(missing.as_bytes());
        }
    }

    pub(super) fn finish(mut self) -> Kept {
        self.end();
        if self.form.as_ref().is_some_and(|form| !form.has_parts()) {
            self.kept.omitted = self.kept.omitted.saturating_add(self.form_bytes);
        }
        let Cut {
            head_cap,
            tail_cap,
            head,
            tail,
            omitted,
        } = self.kept;
        Kept {
            head_cap,
            tail_cap,
            head,
            tail: tail.into(),
            omitted,
        }
    }

    fn end(&mut self) {
        let kept = &mut self.kept;
        self.payloads.end(|text| kept.push(text));
        if let Some(form) = &mut self.form {
            form.end(|text| kept.push(text));
        }
    }
}

impl Cut {
    fn push(&mut self, bytes: &[u8]) {
        let head_cap = self.head_cap.saturating_add(MARGIN);
        let tail_cap = self.tail_cap.saturating_add(MARGIN);
        let room = head_cap.saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let (passed, rest) = rest.split_at(rest.len().saturating_sub(tail_cap));
        let over = (self.tail.len() + rest.len()).saturating_sub(tail_cap);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
        self.omit(passed.len() + over);
    }

    fn omit(&mut self, bytes: usize) {
        self.omitted = self.omitted.saturating_add(bytes as u64);
    }
}

impl KeptBodies {
    /// The same with nothing kept of the response.
    #[must_use]
    pub(crate) fn without_answer(mut self) -> Self {
        let response = &mut self.response;
        let kept = response.head.len().saturating_add(response.tail.len()) as u64;
        response.omitted = response.omitted.saturating_add(kept);
        (response.head, response.tail) = (Vec::new(), Vec::new());
        self
    }

    /// The bodies as they are stored, and how many secrets were taken out.
    pub(crate) fn redacted(self, redactor: &Redactor) -> (Bodies, u64) {
        let (request, in_request) = self.request.redacted(redactor);
        let (response, in_response) = self.response.redacted(redactor);
        (Bodies { request, response }, in_request + in_response)
    }
}

impl Kept {
    /// Whether the limits leave out a part of it.
    pub(super) fn is_cut(&self) -> bool {
        let kept = self.head.len().saturating_add(self.tail.len());
        self.omitted > 0 || kept > self.head_cap.saturating_add(self.tail_cap)
    }

    fn redacted(self, redactor: &Redactor) -> (StoredBody, u64) {
        if self.omitted > 0 {
            return self.in_two(redactor);
        }
        let mut body = self.head;
        body.extend_from_slice(&self.tail);
        let marked = redactor.body(&body, Part::Head);
        let caps = self.head_cap.saturating_add(self.tail_cap);
        let stored = if body.len() <= caps {
            StoredBody {
                head: marked.apply(&body, 0..body.len()),
                ..StoredBody::default()
            }
        } else {
            let tail = body.len() - self.tail_cap;
            StoredBody {
                head: marked.apply(&body, 0..self.head_cap),
                tail: marked.apply(&body, tail..body.len()),
                omitted: (tail - self.head_cap) as u64,
            }
        };
        (stored, marked.found)
    }

    /// Redacts a body between whose parts something is not known.
    fn in_two(self, redactor: &Redactor) -> (StoredBody, u64) {
        let head = redactor.body(&self.head, Part::Head);
        let tail = redactor.body(&self.tail, Part::Tail);
        let head_end = self.head_cap.min(self.head.len());
        let tail_start = self.tail.len().saturating_sub(self.tail_cap);
        let margins = (self.head.len() - head_end + tail_start) as u64;
        let mut stored = StoredBody {
            head: head.apply(&self.head, 0..head_end),
            tail: tail.apply(&self.tail, tail_start..self.tail.len()),
            omitted: self.omitted.saturating_add(margins),
        };
        // Where rules cannot tell what in it they mean, it is not stored.
        if !redactor.judges_tail(&self.tail) {
            stored.omitted += (self.tail.len() - tail_start) as u64;
            stored.tail = Vec::new();
        }
        (stored, head.found + tail.found)
    }
}

#[cfg(test)]
mod tests;
