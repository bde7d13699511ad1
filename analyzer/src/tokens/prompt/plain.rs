//! The plain rule, for models of which nothing is known: each string of a message's own, and so many tokens
//! a message and a prompt, as the old tracker counted. Where structured values stand in for strings, the
//! strings within them count.

use crate::{
    dialect::{
        Overhead,
        prompt::{Part, Prompt},
    },
    json::{Kind, Reader, Step, Visitor},
};

/// Whether the definitions of tools count, as the text that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tools {
    Count,
    /// The old tracker left them out.
    LeftOut,
}

/// Counts a prompt by the plain rule.
pub(super) fn count(
    prompt: &Prompt,
    overhead: Overhead,
    tools: Tools,
    text: &dyn Fn(&str) -> u64,
) -> u64 {
    let texts = prompt.tape().map(|(part, piece)| match part {
        // The ids of calls stood in no string of a message's own.
        Part::CallId | Part::ResultRef | Part::Settings => 0,
        Part::Tool if tools == Tools::LeftOut => 0,
        Part::ArgumentsValue | Part::ContentValue => strings(piece, text),
        _ => text(piece),
    });
    let texts = texts.fold(0, u64::saturating_add);
    let messages = prompt.messages.unwrap_or(0);
    texts
        .saturating_add(prompt.token_ids)
        .saturating_add(messages.saturating_mul(overhead.message))
        .saturating_add(overhead.prompt)
}

/// Counts the strings within a JSON value.
fn strings(json: &str, text: &dyn Fn(&str) -> u64) -> u64 {
    let mut strings = Strings {
        text,
        current: String::new(),
        tokens: 0,
    };
    Reader::new().push(json.as_bytes(), &mut strings);
    strings.tokens
}

struct Strings<'a> {
    text: &'a dyn Fn(&str) -> u64,
    current: String,
    tokens: u64,
}

impl Visitor for Strings<'_> {
    type Node = ();

    fn root(&mut self) -> Option<()> {
        Some(())
    }

    fn child(&mut self, (): (), _: Step<'_>) -> Option<()> {
        Some(())
    }

    fn text(&mut self, (): (), piece: &str) {
        self.current.push_str(piece);
    }

    fn end(&mut self, (): (), kind: Kind) {
        if kind == Kind::String {
            self.tokens = self.tokens.saturating_add((self.text)(&self.current));
            self.current.clear();
        }
    }
}
