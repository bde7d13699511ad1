//! What a dialect reads from a request.

use super::{
    answer::MAX_WORD,
    text::{Room, cut_to},
};
use crate::json::Damage;

/// Strings of one prompt that are counted apart; from there on texts are joined, which changes the
/// count by less than a token a string. More than a million strings is no prompt that people write.
pub const MAX_STRINGS: usize = 1 << 20;

/// Bytes of a model's name that are kept; Hugging Face paths and LoRA names stay well below.
pub const MAX_MODEL: usize = 512;

/// Bytes of a user's name that are kept: the API's own limit is 512 characters of ASCII.
pub const MAX_USER: usize = 512;

/// The facts of one request.
#[derive(Debug, Default)]
pub struct RequestFacts {
    /// The model asked for.
    pub model: Option<String>,
    /// The user that the client names.
    pub user: Option<String>,
    /// Whether a stream was asked for, where the body says so.
    pub stream: Option<bool>,
    /// How many choices were asked for (for each prompt, where there are several), where the body says so.
    pub choices: Option<u32>,
    /// The most tokens that may be generated.
    pub max_tokens: Option<u64>,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// Tools on offer, where the body has such a list.
    pub tools: Option<u64>,
    /// Whether and which tool must be called: the wire's word, or the name of a tool.
    pub tool_choice: Option<String>,
    /// The form of the answer that was asked for: the wire's word, such as `json_schema` or `srt`.
    pub response_format: Option<String>,
    /// Files that were uploaded with a form.
    pub files: Files,
    /// Whether the answer begins with the prompt, as the old completions can be asked to.
    pub echo: bool,
    /// The prompt.
    pub prompt: Prompt,
    /// Whether the body was read to its end.
    pub whole: bool,
    /// What was wrong with it.
    pub damage: Damage,
}

impl RequestFacts {
    /// How many choices a whole answer has: each prompt gets as many as were asked for.
    pub fn expected_choices(&self) -> u32 {
        let each = self.choices.unwrap_or(1).max(1);
        each.saturating_mul(self.prompt.prompts.max(1))
    }

    /// Takes a piece of the model's name.
    pub fn model_piece(&mut self, piece: &str) {
        cut_to(self.model.get_or_insert_default(), piece, MAX_MODEL);
    }

    /// Takes a piece of the word for the tool choice.
    pub fn tool_choice_piece(&mut self, piece: &str) {
        cut_to(self.tool_choice.get_or_insert_default(), piece, MAX_WORD);
    }

    /// Takes a piece of the word for the answer's form.
    pub fn response_format_piece(&mut self, piece: &str) {
        cut_to(
            self.response_format.get_or_insert_default(),
            piece,
            MAX_WORD,
        );
    }

    /// One more tool is on offer.
    pub fn one_tool(&mut self) {
        let tools = self.tools.get_or_insert_default();
        *tools = tools.saturating_add(1);
    }

    /// Takes a piece of the user's name.
    pub fn user_piece(&mut self, piece: &str) {
        cut_to(self.user.get_or_insert_default(), piece, MAX_USER);
    }
}

/// Files that came with a form; they are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// How many.
    pub count: u64,
    /// Their bytes in all.
    pub bytes: u64,
    /// The Content-Type of the first one, without its parameters.
    pub kind: Option<String>,
}

/// A prompt's text, compactly: one string and the ends of its parts, each of which is counted on its own.
#[derive(Debug, Default)]
pub struct Prompt {
    text: String,
    ends: Vec<u32>,
    pub(super) room: Room,
    /// Tokens that were given as ids.
    pub token_ids: u64,
    /// Messages, where the prompt has such; `None` where it has none.
    pub messages: Option<u64>,
    /// Prompts of a list of them; 0 where it is no list.
    pub prompts: u32,
    /// Whether there was a prompt at all.
    pub present: bool,
}

impl Prompt {
    /// One more message.
    pub fn one_message(&mut self) {
        self.present = true;
        let messages = self.messages.get_or_insert_default();
        *messages = messages.saturating_add(1);
    }

    /// Adds text to the current part.
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(self.room.take(piece));
    }

    /// Ends the current part; an empty one leaves no trace.
    pub fn end_part(&mut self) {
        // The room is below 4 GiB, so an end always fits.
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        if self.ends.last().copied().unwrap_or(0) == end {
            return;
        }
        if self.ends.len() >= MAX_STRINGS {
            self.ends.pop();
        }
        self.ends.push(end);
    }

    /// The parts, in order; an unfinished last one too.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let unfinished = u32::try_from(self.text.len())
            .ok()
            .filter(|end| self.ends.last().copied().unwrap_or(0) < *end);
        self.ends
            .iter()
            .copied()
            .chain(unfinished)
            .scan(0usize, |start, end| {
                let part = self.text.get(*start..end as usize)?;
                *start = end as usize;
                Some(part)
            })
    }

    /// Whether text was left out for want of room.
    pub const fn cut(&self) -> bool {
        self.room.cut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        let mut prompt = Prompt::default();
        for part in ["user", "", "Grüße", "x"] {
            for c in part.chars() {
                prompt.push(c.encode_utf8(&mut [0; 4]));
            }
            prompt.end_part();
        }
        prompt.push("cut off");
        assert_eq!(
            prompt.parts().collect::<Vec<_>>(),
            ["user", "Grüße", "x", "cut off"]
        );
        assert!(!prompt.cut());
    }

    #[test]
    fn the_number_of_parts_is_bounded_and_no_text_is_lost() {
        let mut prompt = Prompt::default();
        for _ in 0..MAX_STRINGS + 5 {
            prompt.push("a");
            prompt.end_part();
        }
        assert_eq!(prompt.parts().count(), MAX_STRINGS);
        assert_eq!(prompt.parts().map(str::len).sum::<usize>(), MAX_STRINGS + 5);
    }
}
