//! A call's token figures, and what follows from them.

use std::sync::Arc;

use super::stored::KeptBodies;
use crate::{
    call::{Call, TokenSource},
    cost::PriceTable,
    dialect::{
        Dialect, Form,
        answer::{AnswerFacts, sum},
        request::RequestFacts,
    },
    record::Record,
    redact::Redactor,
    tokens::{Tokenizer, Tokenizers},
};

/// A call whose tokens are not counted yet.
#[derive(Debug)]
pub struct Uncounted {
    pub(crate) call: Call,
    pub(crate) dialect: &'static Dialect,
    pub(crate) request: RequestFacts,
    pub(crate) answer: AnswerFacts,
    pub(crate) bodies: Option<KeptBodies>,
    pub(crate) form: Form,
    /// Texts to count as they stand, where they are no JSON.
    pub(crate) plain: Plain,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) prices: Option<Arc<PriceTable>>,
}

/// A report's bodies that are no JSON: they are counted as they stand.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
}

impl Uncounted {
    /// The call as known without counting.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Counts the tokens and closes the row. Takes some milliseconds for long texts.
    pub fn count(mut self, tokenizers: &Tokenizers) -> Record {
        let models = [&self.call.request_model, &self.call.response_model];
        let tokenizer = tokenizers.choose(models.into_iter().flatten().map(String::as_str));
        let refused = self.call.status.is_some_and(|status| status >= 300)
            && self
                .answer
                .choices
                .values()
                .all(|c| c.texts().next().is_none());
        if !refused {
            let input = self.count_input(tokenizer);
            let output = self.count_output(tokenizer);
            self.call.tokenizer = input.or(output).map(|_| tokenizer.name());
            self.call.counted_input_tokens = input;
            self.call.counted_output_tokens = output;
        }
        self.settle();
        self.redacted()
    }

    /// Closes the row without counting: for when counting is too far behind.
    pub fn uncounted(mut self) -> Record {
        self.settle();
        self.redacted()
    }

    /// The row and the bodies without their secrets: nothing else leaves the analysis.
    fn redacted(self) -> Record {
        let Self {
            mut call,
            bodies,
            redactor,
            ..
        } = self;
        let mut found: u64 = call.wire_texts().map(|text| redactor.text(text)).sum();
        let bodies = bodies.map(|bodies| {
            let (bodies, in_bodies) = bodies.redacted(&redactor);
            found += in_bodies;
            bodies
        });
        call.redactions = found;
        Record { call, bodies }
    }

    fn count_input(&self, tokenizer: Tokenizer) -> Option<u64> {
        if let Some(text) = &self.plain.request {
            return Some(tokenizer.count(text));
        }
        let prompt = &self.request.prompt;
        let overhead = self.dialect.overhead;
        prompt.present.then(|| {
            let text: u64 = prompt.parts().map(|part| tokenizer.count(part)).sum();
            let messages = prompt.messages.unwrap_or(0);
            text.saturating_add(prompt.token_ids)
                .saturating_add(messages.saturating_mul(overhead.message))
                .saturating_add(overhead.prompt)
        })
    }

    fn count_output(&self, tokenizer: Tokenizer) -> Option<u64> {
        if let Some(text) = &self.plain.response {
            return Some(tokenizer.count(text));
        }
        let choices = &self.answer.choices;
        let echoed = self.echoed();
        let each = self.request.choices.unwrap_or(1).max(1);
        (!choices.is_empty()).then(|| {
            let texts = choices.iter().flat_map(|(index, choice)| {
                let prompt = echoed.get((index / each) as usize).copied();
                choice
                    .texts()
                    .map(move |text| without_prompt(text, prompt.unwrap_or_default()))
            });
            texts.map(|text| tokenizer.count(text)).sum()
        })
    }

    /// The prompts that the choices were asked to begin with, in order. Token ids cannot be told
    /// from the text that follows them, and stay in it.
    fn echoed(&self) -> Vec<&str> {
        if self.request.echo {
            self.request.prompt.parts().collect()
        } else {
            Vec::new()
        }
    }

    /// The effective figures, and what follows from them.
    fn settle(&mut self) {
        let call = &mut self.call;
        // A figure that output followed is too low; where ours is not higher, it is still the better one.
        let usage = self.answer.usage;
        let reported_output = usage.output.filter(|reported| {
            !self.answer.usage_is_behind
                || call.counted_output_tokens.is_none_or(|c| c <= *reported)
        });
        (call.input_tokens, call.input_source) = effective(usage.input, call.counted_input_tokens);
        (call.output_tokens, call.output_source) =
            effective(reported_output, call.counted_output_tokens);
        call.total_tokens = sum(call.input_tokens, call.output_tokens);
        call.output_partial &= call.output_tokens.is_some();
        call.tokens_per_second = call
            .total_tokens
            .zip(call.elapsed.filter(|elapsed| *elapsed > 0))
            .map(|(tokens, elapsed)| tokens as f64 / (elapsed as f64 / 1e6));
        self.call.tpot = self.tpot();
        if let Some(prices) = &self.prices {
            self.call.cost = prices.cost(&self.call, &usage);
        }
    }

    /// Time per output token after the first, in microseconds.
    fn tpot(&self) -> Option<f64> {
        let call = &self.call;
        let one_choice = self.answer.choices.len() <= 1 && self.request.choices.unwrap_or(1) <= 1;
        if !self.form.is_stream()
            || !one_choice
            || call.missing_response_bytes > 0
            || call.truncated
        {
            return None;
        }
        let span = call.marks.last_token?.micros_since(call.marks.first_token?);
        let mut tokens = call.output_tokens?;
        let unseen_thoughts = call.output_source == TokenSource::Reported
            && self.answer.choices.values().all(|c| c.reasoning.is_empty());
        if unseen_thoughts {
            tokens = tokens.saturating_sub(call.reasoning_tokens.unwrap_or(0));
        }
        (tokens >= 2 && span > 0).then(|| span as f64 / (tokens - 1) as f64)
    }
}

fn without_prompt<'a>(text: &'a str, prompt: &str) -> &'a str {
    text.strip_prefix(prompt).unwrap_or(text)
}

fn effective(reported: Option<u64>, counted: Option<u64>) -> (Option<u64>, TokenSource) {
    match (reported, counted) {
        (Some(figure), _) => (Some(figure), TokenSource::Reported),
        (None, Some(figure)) => (Some(figure), TokenSource::Counted),
        (None, None) => (None, TokenSource::None),
    }
}
