//! The count of what was generated.

use super::count::Uncounted;
use crate::{
    dialect::answer,
    tokens::{
        Choice, Counter,
        generated::{Shown, TurnEnd, generated},
    },
};

/// The rule of texts that are counted as they stand.
const AS_THEY_STAND: &str = "text";

/// A count and the rule it was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) tokens: u64,
    pub(super) rule: &'static str,
}

impl Uncounted {
    /// Counts what was generated: of each choice, what the model's family writes around what is shown,
    /// or else each of its texts, once over all its pieces.
    pub(super) fn count_output(&self, counter: &Counter, by: &Choice) -> Option<Counted> {
        let plain = |text: &str| counter.count(&by.tokenizer, text);
        if let Some(text) = &self.plain.response {
            let tokens = plain(text);
            let rule = AS_THEY_STAND;
            return Some(Counted { tokens, rule });
        }
        let choices = &self.answer.choices;
        let echoed = self.echoed();
        let each = self.request.choices.unwrap_or(1).max(1);
        (!choices.is_empty()).then(|| {
            let mut sum = Counted {
                tokens: 0,
                rule: AS_THEY_STAND,
            };
            for (index, choice) in choices {
                let prompt = echoed.get((index / each) as usize).copied();
                let shown = shown(choice, prompt.unwrap_or_default());
                sum.tokens += match generated(by.family, &shown) {
                    Some(generated) => {
                        sum.rule = generated.rule;
                        generated.count(plain)
                    }
                    None => shown.texts().map(plain).sum(),
                };
            }
            sum
        })
    }

    /// The prompts that the choices were asked to begin with, in order. Token ids cannot be told
    /// from the text that follows them, and stay in it.
    fn echoed(&self) -> Vec<&str> {
        if self.request.echo {
            self.request.prompt.texts().collect()
        } else {
            Vec::new()
        }
    }
}

/// A choice's texts, without the prompt before them.
fn shown<'a>(choice: &'a answer::Choice, prompt: &str) -> Shown<'a> {
    let content = [&choice.content, &choice.refusal, &choice.transcript];
    let tools = choice.tools.values();
    Shown {
        reasoning: &choice.reasoning,
        content: content
            .into_iter()
            .map(|text| text.strip_prefix(prompt).unwrap_or(text))
            .collect(),
        tools: tools
            .map(|tool| (tool.name.as_str(), tool.arguments.as_str()))
            .collect(),
        end: TurnEnd::of(choice.finish_reason.as_deref()),
    }
}
