//! Counts a prompt that a rule or a template writes: special tokens are one token each, and the text
//! between two of them is counted as a whole.

use aho_corasick::{AhoCorasick, MatchKind};

use super::chat::Chat;

/// The special tokens of a vocabulary, as a rendered prompt has them.
#[derive(Debug)]
pub struct Specials {
    finder: Option<AhoCorasick>,
    strips: Vec<Strip>,
}

/// Which white space around it a special token takes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strip {
    /// That before it.
    pub left: bool,
    /// That after it.
    pub right: bool,
}

impl Specials {
    /// Those of these names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with_strips(names.into_iter().map(|name| (name, Strip::default())))
    }

    /// Those of these names, and the white space that each takes in.
    pub fn with_strips<'a>(tokens: impl IntoIterator<Item = (&'a str, Strip)>) -> Self {
        let (names, strips): (Vec<&str>, Vec<Strip>) = tokens
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .unzip();
        // The longest that begins first, as the tokenizers crate does. A set too large to build is none.
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(names)
            .ok()
            .filter(|_| !strips.is_empty());
        Self { finder, strips }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.finder.is_none()
    }
}

/// Takes what is written.
pub(super) struct Sink<'a> {
    count: &'a dyn Fn(&str) -> u64,
    specials: &'a Specials,
    tokens: u64,
    /// What was written since the last special token, and what was not looked through yet.
    pending: String,
    ending: Ending,
    #[cfg(test)]
    written: String,
}

/// Stands behind the last text of a conversation whose last message is to be gone on with; what a template writes
/// after it is not sent. The space at its end tells whether the template trims texts.
pub(super) const GOES_ON: &str = "LAST_MESSAGE_GOES_ON_HERE ";

/// Where the prompt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// After all that is written.
    Whole,
    /// At the last [`GOES_ON`], which may still come: nothing is counted before that is known.
    Awaited,
    /// It was there.
    Passed,
}

impl<'a> Sink<'a> {
    pub(super) fn new(count: &'a dyn Fn(&str) -> u64, specials: &'a Specials) -> Self {
        Self {
            count,
            specials,
            tokens: 0,
            pending: String::new(),
            ending: Ending::Whole,
            #[cfg(test)]
            written: String::new(),
        }
    }

    /// One that takes this conversation.
    pub(super) fn for_chat(
        chat: &Chat<'_>,
        count: &'a dyn Fn(&str) -> u64,
        specials: &'a Specials,
    ) -> Self {
        let ending = if chat.goes_on {
            Ending::Awaited
        } else {
            Ending::Whole
        };
        Self {
            ending,
            ..Self::new(count, specials)
        }
    }

    /// What was written so far is counted apart from what follows.
    pub(super) fn cut(&mut self) {
        self.end();
        self.look_through();
        self.tokens += (self.count)(&std::mem::take(&mut self.pending));
    }

    /// Takes back what stands after the end of a message that goes on.
    fn end(&mut self) {
        if self.ending != Ending::Awaited {
            return;
        }
        if let Some(end) = goes_on_at(&self.pending) {
            self.pending.truncate(end);
            self.ending = Ending::Passed;
        }
        #[cfg(test)]
        if let Some(end) = goes_on_at(&self.written) {
            self.written.truncate(end);
        }
    }

    /// A special token that no text becomes, by its name.
    pub(super) fn special(&mut self, name: &'static str) {
        debug_assert!(!name.is_empty(), "a special token has a name");
        self.tokens(1);
        #[cfg(test)]
        if self.ending != Ending::Passed {
            self.written.push_str(name);
        }
    }

    /// So many tokens that are no text.
    pub(super) fn tokens(&mut self, tokens: u64) {
        self.cut();
        if self.ending != Ending::Passed {
            self.tokens = self.tokens.saturating_add(tokens);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.ending == Ending::Passed {
            return;
        }
        self.pending.push_str(text);
        #[cfg(test)]
        self.written.push_str(text);
    }

    /// Counts what is complete: after a turn, so that no more than one is held.
    pub(super) fn look_through(&mut self) {
        let Some(finder) = &self.specials.finder else {
            return;
        };
        if self.ending == Ending::Awaited {
            return;
        }
        let mut start = 0;
        for found in finder.find_iter(&self.pending) {
            let strip = self.specials.strips.get(found.pattern().as_usize());
            let strip = strip.copied().unwrap_or_default();
            let mut before = self.pending.get(start..found.start()).unwrap_or_default();
            if strip.left {
                before = before.trim_end();
            }
            self.tokens += (self.count)(before) + 1;
            start = found.end();
            if strip.right {
                let after = self.pending.get(start..).unwrap_or_default();
                start += after.len() - after.trim_start().len();
            }
        }
        self.pending.drain(..start);
    }

    pub(super) fn finish(mut self) -> u64 {
        self.end();
        self.ending = Ending::Passed;
        self.look_through();
        self.tokens + (self.count)(&self.pending)
    }

    /// What a rule or a template wrote, up to where it ends.
    #[cfg(test)]
    pub(super) fn into_written(mut self) -> String {
        self.end();
        self.written
    }
}

/// Where a text ends whose last message goes on, as transformers cuts it.
fn goes_on_at(text: &str) -> Option<usize> {
    let at = text.rfind(GOES_ON.trim_end())?;
    if text[at..].starts_with(GOES_ON) {
        return Some(at);
    }
    Some(text[..at].trim_end().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts letters, so that what was split where can be read off.
    fn letters(text: &str) -> u64 {
        if text.is_empty() {
            0
        } else {
            100 + text.len() as u64
        }
    }

    #[test]
    fn text_between_special_tokens_is_counted_as_a_whole() {
        let specials = Specials::of(["<a>", "<a><b>", "<b>"]);
        let mut sink = Sink::new(&letters, &specials);
        for piece in ["on", "e<a", ">", "two", "", "<a><b>", "<", "three"] {
            sink.text(piece);
        }
        sink.look_through();
        sink.text("four");
        assert_eq!(sink.finish(), 103 + 1 + 103 + 1 + 110);
    }

    #[test]
    fn white_space_goes_with_the_token_that_takes_it_in() {
        let right = Strip {
            left: false,
            right: true,
        };
        let left = Strip {
            left: true,
            right: false,
        };
        let specials = Specials::with_strips([("<r>", right), ("<l>", left)]);
        let mut sink = Sink::new(&letters, &specials);
        sink.text("x <r> \ny <l> z");
        assert_eq!(sink.finish(), 102 + 1 + 101 + 1 + 102);
    }

    #[test]
    fn a_message_that_goes_on_ends_the_prompt() {
        let specials = Specials::of(["<e>"]);
        let chat = Chat {
            goes_on: true,
            ..Chat::default()
        };
        let left_as_it_is = format!("<e>on <e> {GOES_ON}<e>more");
        let trimmed = format!("<e>on <e> {}<e>more", GOES_ON.trim_end());
        for (text, expected) in [
            (left_as_it_is.as_str(), 1 + 103 + 1 + 101),
            (&trimmed, 1 + 103 + 1),
            ("<e>without", 1 + 107),
        ] {
            let mut sink = Sink::for_chat(&chat, &letters, &specials);
            for piece in text.split_inclusive('_') {
                sink.text(piece);
                sink.look_through();
            }
            assert_eq!(sink.finish(), expected, "{text}");
        }
        // What is no text and comes after the end is not counted either.
        let mut sink = Sink::for_chat(&chat, &letters, &specials);
        sink.special("<s>");
        sink.text(&left_as_it_is);
        sink.special("</s>");
        sink.tokens(5);
        sink.text("more");
        assert_eq!(sink.finish(), 1 + 1 + 103 + 1 + 101);
    }

    #[test]
    fn a_set_of_none_is_text_alone() {
        let specials = Specials::of([]);
        let mut sink = Sink::new(&letters, &specials);
        sink.text("<a>");
        sink.special("<s>");
        sink.tokens(7);
        assert_eq!(sink.finish(), 103 + 1 + 7);
    }
}
