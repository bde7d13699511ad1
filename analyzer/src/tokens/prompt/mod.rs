//! Counting a whole prompt: what a chat template adds to its texts is counted, too.
//!
//! Three ways, the surest first: the model's own template, where the operator gave it ([`Template`]); the
//! family's rule (`rules/`); and the plain rule of the old tracker for models of which nothing is known.
//! Pictures count by the published rule of the model's family, where there is one (`pictures.rs`).

mod bounds;
mod chat;
mod pictures;
mod plain;
mod python;
mod rules;
mod sink;
mod template;
#[cfg(test)]
mod tests;

pub use chat::MAX_TURNS;
pub use sink::{Specials, Strip};
pub use template::{
    MAX_FUEL, MAX_RENDERED, MAX_TO_RENDER, Template, TemplateError, TemplateFailures,
};

use super::{Choice, Family, Fit};
use crate::{
    dialect::{
        Dialect,
        prompt::{Part, Prompt, Wrapping},
    },
    time::Timestamp,
};
use chat::Chat;
use plain::Tools;
use serde::Serialize;
use sink::Sink;

/// What is counted, and how.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The API that brought it.
    pub dialect: &'a Dialect,
    /// What counts it.
    pub choice: &'a Choice,
    /// The model's own template, where there is one.
    pub template: Option<&'a Template>,
    /// The model's names, as the request and the answer have them.
    pub models: &'a [&'a str],
    /// When the request was made: templates write the date.
    pub time: Timestamp,
}

/// How a prompt was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptRule {
    /// By the model's own template.
    Template,
    /// By its family's well-known one, or for a plain text, with what its vocabulary puts before it.
    Family,
    /// By the old tracker's rule.
    #[default]
    Plain,
}

impl PromptRule {
    /// Its name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Family => "family",
            Self::Plain => "plain",
        }
    }
}

/// A prompt's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tokens of the prompt, those of pictures included.
    pub tokens: u64,
    /// By which rule.
    pub rule: PromptRule,
    /// Pictures that were counted by a rule.
    pub pictures: u64,
    /// Tokens of those.
    pub picture_tokens: u64,
    /// Pictures, sounds and files that were left out, and definitions of tools by the old tracker's rule.
    pub left_out: u64,
    /// The model's own template failed.
    pub template_failed: bool,
}

/// Counts a prompt; `text` counts a text as text.
pub fn count(prompt: &Prompt, asked: Asked<'_>, text: &dyn Fn(&str) -> u64) -> Counted {
    let mut counted = pictures::count(prompt, asked.choice.family, asked.models);
    let tokens = tokens(prompt, asked, text, &mut counted);
    if counted.rule == PromptRule::Plain && asked.choice.family == Family::Unknown {
        let tools = prompt.tape().filter(|(part, _)| *part == Part::Tool);
        counted.left_out = counted.left_out.saturating_add(tools.count() as u64);
    }
    counted.tokens = tokens.saturating_add(counted.picture_tokens);
    counted
}

fn tokens(
    prompt: &Prompt,
    asked: Asked<'_>,
    text: &dyn Fn(&str) -> u64,
    counted: &mut Counted,
) -> u64 {
    let family = asked.choice.family;
    let known = asked.choice.family != Family::Unknown;
    let tools = if known { Tools::Count } else { Tools::LeftOut };
    let plain = || plain::count(prompt, asked.dialect.overhead, tools, text);
    let is_chat = asked.dialect.is_chat() || prompt.wrapping == Wrapping::Texts;
    let mut room = String::new();
    if let Some(mut chat) = Chat::of(prompt).filter(|_| is_chat) {
        chat.mark_where_it_goes_on(&mut room);
        // What was given as ids is never part of a conversation, but may stand beside it.
        let ids = prompt.token_ids;
        if let Some(template) = asked.template {
            match template.count(&chat, asked.time, rules::specials(family), text) {
                Ok(tokens) => {
                    counted.rule = PromptRule::Template;
                    return tokens.saturating_add(ids);
                }
                Err(_) => counted.template_failed = true,
            }
        }
        let mut sink = Sink::for_chat(&chat, text, rules::specials(family));
        if rules::write(asked.choice, &chat, &mut sink) {
            counted.rule = PromptRule::Family;
            return sink.finish().saturating_add(ids);
        }
        return plain();
    }
    // Vectors and rankings: the special tokens of such models are not known.
    if !asked.dialect.is_completion() {
        return plain();
    }
    // Who renders a template himself writes its special tokens, and servers read them.
    let with_specials = |piece: &str| raw(piece, asked, text);
    let plain = || plain::count(prompt, asked.dialect.overhead, tools, &with_specials);
    let is_known = asked.choice.fit != Fit::Guess && family != Family::Unknown;
    let around = match asked.template {
        Some(template) => template.around_text(),
        None if is_known => rules::before_text(family),
        None => return plain(),
    };
    counted.rule = PromptRule::Family;
    let texts = prompt.texts().count() as u64;
    let has_gap = prompt.tape().any(|(part, _)| part == Part::Suffix);
    let gap = if has_gap {
        rules::around_gap(family)
    } else {
        0
    };
    plain()
        .saturating_add(texts.saturating_mul(around))
        .saturating_add(gap)
}

/// Counts a text that goes into the model as it stands, as its server's tokenizer reads it.
fn raw(piece: &str, asked: Asked<'_>, text: &dyn Fn(&str) -> u64) -> u64 {
    let family = asked.choice.family;
    let specials = match asked.template {
        Some(template) => template.specials(rules::specials(family)),
        None if asked.choice.tokenizer.folder().is_some() && rules::reads_specials(family) => {
            return asked.choice.tokenizer.count_around_special(piece, text);
        }
        None => rules::specials(family),
    };
    let mut sink = Sink::new(text, specials);
    sink.text(piece);
    sink.finish()
}
