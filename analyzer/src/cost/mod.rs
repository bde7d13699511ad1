//! What a call costs, by the operator's price table.
//!
//! [`PriceTable`] is read from a file at the start and on SIGHUP. A call is priced where its row is made, so a row keeps the
//! price that held then: a new table changes no old row. All arithmetic is in whole numbers: prices in trillionths
//! of the currency a token, a call's cost in billionths, rounded once, half up.
//!
//! Tokens are priced by kind. Cached, cache-write and audio tokens are parts of the input, reasoning and audio
//! tokens parts of the output; each token is paid for once. A kind without a price of its own has that of its side.
//! A cost rests on whatever figures the row has: its `input_source` and `output_source` say whether they were
//! reported or counted.

mod decimal;
mod file;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use decimal::amount;
pub use table::{PriceError, PriceTable, TableError};

use crate::{
    call::{Call, Outcome},
    dialect::answer::Usage,
};

/// Billionths of a currency's unit: what costs are kept in. 2⁶³ of them are 9.2 × 10⁹ units.
pub const NANOS: i64 = 1_000_000_000;

/// The highest cost of one call, in billionths: a million units. What is beyond rests on a token figure that is none,
/// and would make sums overflow.
pub const MAX_COST: i64 = 1_000_000 * NANOS;

/// Trillionths in a billionth.
const PICOS_A_NANO: u128 = 1_000;

/// Why a call has no cost, or one that is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unpriced {
    /// The table has no price for its model; or the call names none.
    Model,
    /// The table has prices for its model, all of them from later on.
    Time,
    /// It has no token figures.
    Tokens,
    /// Its input tokens are not known: the cost is that of the rest.
    InputTokens,
    /// Its output tokens are not known: the cost is that of the rest.
    OutputTokens,
    /// The cost came out above [`MAX_COST`].
    TooHigh,
}

impl Unpriced {
    /// The name used in rows and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Time => "time",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::TooHigh => "too_high",
        }
    }
}

/// What the price table says of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The cost in billionths of the currency's unit.
    pub nanos: Option<i64>,
    /// The currency.
    pub currency: Option<Arc<str>>,
    /// What is missing in it.
    pub unpriced: Option<Unpriced>,
}

/// The prices of one entry, in trillionths of the currency's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rates {
    /// A token each; a kind without one is not charged for.
    input: Option<u64>,
    output: Option<u64>,
    /// A token each; a kind without one has the price of its side.
    cached: Option<u64>,
    cache_write: Option<u64>,
    audio_input: Option<u64>,
    reasoning: Option<u64>,
    audio_output: Option<u64>,
    /// A call that was not refused.
    call: Option<u64>,
}

impl PriceTable {
    /// The cost of a call whose token figures stand. `usage` tells the input's audio tokens from the output's.
    pub(crate) fn cost(&self, call: &Call, usage: &Usage) -> Cost {
        // Nothing was done for a refused call, and so there is nothing that lacks a price.
        if is_refused(call) {
            return Cost::default();
        }
        let models = [&call.request_model, &call.response_model];
        let marks = &call.marks;
        let at = marks.request_start.or(marks.response_head).or(marks.ended);
        let price = match self.find(models.into_iter().flatten().map(String::as_str), at) {
            Ok(price) => price,
            Err(why) => return Cost::missing(why),
        };
        let (picos, unpriced) = price.rates.picos(call, usage);
        let Some(picos) = picos else {
            return Cost::missing(Unpriced::Tokens);
        };
        let nanos = picos.saturating_add(PICOS_A_NANO / 2) / PICOS_A_NANO;
        match i64::try_from(nanos) {
            Ok(nanos @ 0..=MAX_COST) => Cost {
                nanos: Some(nanos),
                currency: Some(Arc::clone(&price.currency)),
                unpriced,
            },
            _ => Cost::missing(Unpriced::TooHigh),
        }
    }
}

impl Cost {
    fn missing(why: Unpriced) -> Self {
        Self {
            unpriced: Some(why),
            ..Self::default()
        }
    }
}

impl Rates {
    /// The cost in trillionths; `None` where nothing of what is charged for is known.
    fn picos(&self, call: &Call, usage: &Usage) -> (Option<u128>, Option<Unpriced>) {
        let input = call.input_tokens.map(|tokens| {
            let parts = [
                (call.cached_tokens, self.cached),
                (call.cache_write_tokens, self.cache_write),
                (usage.audio_input, self.audio_input),
            ];
            side(tokens, self.input, &parts)
        });
        let output = call.output_tokens.map(|tokens| {
            let parts = [
                (call.reasoning_tokens, self.reasoning),
                (usage.audio_output, self.audio_output),
            ];
            side(tokens, self.output, &parts)
        });
        let no_input = input.is_none() && self.charges_input();
        let no_output = output.is_none() && self.charges_output();
        let known = self.call.is_some()
            || (self.charges_input() && !no_input)
            || (self.charges_output() && !no_output);
        let unpriced = match (no_input, no_output) {
            (true, true) => Some(Unpriced::Tokens),
            (true, false) => Some(Unpriced::InputTokens),
            (false, true) => Some(Unpriced::OutputTokens),
            (false, false) => None,
        };
        let sum = [input, output, self.call.map(u128::from)];
        let sum = sum.into_iter().flatten().fold(0, u128::saturating_add);
        (known.then_some(sum), unpriced)
    }

    fn charges_input(&self) -> bool {
        [self.input, self.cached, self.cache_write, self.audio_input]
            .iter()
            .any(Option::is_some)
    }

    fn charges_output(&self) -> bool {
        [self.output, self.reasoning, self.audio_output]
            .iter()
            .any(Option::is_some)
    }

    fn is_empty(&self) -> bool {
        !self.charges_input() && !self.charges_output() && self.call.is_none()
    }
}

/// The cost of one side's tokens: each part at its own price, and what is left at the side's. Parts that are larger
/// than the whole, as damaged figures are, are cut to it.
fn side(tokens: u64, price: Option<u64>, parts: &[(Option<u64>, Option<u64>)]) -> u128 {
    let price = price.unwrap_or(0);
    let (mut left, mut sum) = (tokens, 0_u128);
    for (part, own) in parts {
        let part = part.unwrap_or(0).min(left);
        left -= part;
        sum += u128::from(part) * u128::from(own.unwrap_or(price));
    }
    sum + u128::from(left) * u128::from(price)
}

/// Whether the server turned the call down without doing anything for it.
fn is_refused(call: &Call) -> bool {
    let refusal = matches!(
        call.outcome,
        Outcome::RateLimited | Outcome::ClientError | Outcome::ServerError | Outcome::Other
    );
    refusal && call.input_tokens.is_none() && call.output_tokens.is_none()
}
