//! A call's token figures, and what follows from them.

use std::sync::Arc;

use super::stored::KeptBodies;
use crate::{
    call::{Call, Confidence, Outcome, TokenSource},
    cost::PriceTable,
    dialect::{
        Dialect, Form,
        answer::{AnswerFacts, sum},
        request::RequestFacts,
    },
    record::Record,
    redact::Redactor,
    tokens::{
        Choice, Counter,
        policy::{Due, Known},
        prompt,
    },
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

    /// Counts what is to be counted of its tokens, and closes the row. Takes some milliseconds for
    /// long texts.
    pub fn count(mut self, counter: &Counter) -> Record {
        let due = self.due(counter);
        if due.input || due.output {
            let models = [&self.call.request_model, &self.call.response_model];
            let models = models.into_iter().flatten().map(String::as_str);
            let choice = counter.tokenizers().choose(models);
            let input = due.input.then(|| self.count_input(counter, &choice));
            let output = due.output.then(|| self.count_output(counter, &choice));
            let (input, output) = (input.flatten(), output.flatten());
            self.call.output_rule = output.map(|output| output.rule);
            let output = output.map(|output| output.tokens);
            if input.or(output).is_some() {
                self.call.tokenizer = Some(Arc::clone(choice.tokenizer.name()));
                self.call.tokenizer_fit = Some(choice.fit);
            }
            self.call.counted_input_tokens = input;
            self.call.counted_output_tokens = output;
            self.call.audited = due.audit && self.is_comparable();
        }
        self.settle();
        self.redacted()
    }

    /// What is to be counted. A call that was refused took no tokens.
    fn due(&self, counter: &Counter) -> Due {
        let silent = || {
            let mut choices = self.answer.choices.values();
            choices.all(|choice| choice.texts().next().is_none())
        };
        if self.call.status.is_some_and(|status| status >= 300) && silent() {
            return Due::default();
        }
        let usage = self.answer.usage;
        let known = Known {
            input: usage.input.is_some(),
            output: usage.output.is_some() && !self.answer.usage_is_behind,
        };
        counter.policy().due(self.call.call_key.0, known)
    }

    /// Whether a count is of all that the server's figures are of: nothing was lost or cut, the answer
    /// came to its end, and no figure is of a part only.
    fn is_comparable(&self) -> bool {
        self.call.outcome == Outcome::Ok
            && self.call.confidence == Confidence::Complete
            && !self.call.output_partial
            && !self.answer.usage_is_behind
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

    fn count_input(&mut self, counter: &Counter, choice: &Choice) -> Option<u64> {
        let tokenizer = &choice.tokenizer;
        if let Some(text) = &self.plain.request {
            return Some(counter.count(tokenizer, text));
        }
        if !self.request.prompt.present {
            return None;
        }
        let call = &self.call;
        let models = [&call.request_model, &call.response_model];
        let models: Vec<&str> = models.into_iter().flatten().map(String::as_str).collect();
        let asked = prompt::Asked {
            dialect: self.dialect,
            choice,
            template: tokenizer.template(),
            models: &models,
            time: call.marks.request_start.unwrap_or_default(),
        };
        let text = |text: &str| counter.count(tokenizer, text);
        let figures = prompt::count(&self.request.prompt, asked, &text);
        self.call.prompt_rule = Some(figures.rule);
        self.call.counted_pictures = Some(figures.pictures);
        self.call.uncounted_parts = Some(figures.left_out);
        Some(figures.tokens)
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

fn effective(reported: Option<u64>, counted: Option<u64>) -> (Option<u64>, TokenSource) {
    match (reported, counted) {
        (Some(figure), _) => (Some(figure), TokenSource::Reported),
        (None, Some(figure)) => (Some(figure), TokenSource::Counted),
        (None, None) => (None, TokenSource::None),
    }
}
