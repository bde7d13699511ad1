//! What a dialect reads from a request.

use super::{answer::MAX_WORD, prompt::Prompt, text::cut_to};
use crate::json::Damage;

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
