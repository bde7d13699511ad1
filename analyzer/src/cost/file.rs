//! The text of a price table: TOML, since people write it by hand, with comments.

use std::{ops::Range, sync::Arc};

use serde::Deserialize;
use toml::{Spanned, Value, value::Datetime};

use super::{
    Rates,
    decimal::millionths,
    table::{MAX_PRICES, Price, TableError},
};
use crate::time::Timestamp;

/// Characters of a currency's name: `EUR`, or what a house calls its credits. It becomes a label.
const CURRENCY_CAP: usize = 16;

/// Bytes of a pattern.
const PATTERN_CAP: usize = 256;

/// Millionths are trillionths a token where the price is for a million of them.
const PICOS_A_MILLIONTH_A_CALL: u64 = 1_000_000;

/// The file as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    currency: Option<Spanned<String>>,
    #[serde(default)]
    price: Vec<Spanned<Entry>>,
}

/// One `[[price]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    model: Spanned<String>,
    currency: Option<Spanned<String>>,
    valid_from: Option<Spanned<Value>>,
    input: Option<Spanned<Value>>,
    output: Option<Spanned<Value>>,
    cached: Option<Spanned<Value>>,
    cache_write: Option<Spanned<Value>>,
    audio_input: Option<Spanned<Value>>,
    reasoning: Option<Spanned<Value>>,
    audio_output: Option<Spanned<Value>>,
    call: Option<Spanned<Value>>,
}

/// Reads the patterns and their prices, in the order of the file.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Price)>, TableError> {
    let at = |span: Range<usize>, message: String| TableError {
        line: line(text, span.start),
        message,
    };
    let file: File = toml::from_str(text).map_err(|error| {
        at(
            error.span().unwrap_or_default(),
            error.message().trim().to_owned(),
        )
    })?;
    if file.price.is_empty() {
        let message = "there is no price in it: a [[price]] names a model and its prices";
        return Err(at(0..0, message.to_owned()));
    }
    if file.price.len() > MAX_PRICES {
        let message = format!("it has more than {MAX_PRICES} prices: leave some out");
        return Err(at(0..0, message));
    }
    let common = file.currency.map(|name| currency(name, at)).transpose()?;
    let mut prices = Vec::with_capacity(file.price.len());
    for entry in file.price {
        let span = entry.span();
        let entry = entry.into_inner();
        let own = entry.currency.map(|name| currency(name, at)).transpose()?;
        let Some(currency) = own.or_else(|| common.clone()) else {
            let message = "this price has no currency: write currency = \"EUR\" at the top of the file, or here";
            return Err(at(span, message.to_owned()));
        };
        let (place, model) = (entry.model.span(), entry.model.into_inner());
        if model.trim().is_empty() || model.len() > PATTERN_CAP {
            let message = format!(
                "a model is a name or a pattern of 1 to {PATTERN_CAP} bytes, such as \"qwen3-*\""
            );
            return Err(at(place, message));
        }
        let tokens = |name, value: Option<Spanned<Value>>| rate(name, value, 1, at);
        let rates = Rates {
            input: tokens("input", entry.input)?,
            output: tokens("output", entry.output)?,
            cached: tokens("cached", entry.cached)?,
            cache_write: tokens("cache_write", entry.cache_write)?,
            audio_input: tokens("audio_input", entry.audio_input)?,
            reasoning: tokens("reasoning", entry.reasoning)?,
            audio_output: tokens("audio_output", entry.audio_output)?,
            call: rate("call", entry.call, PICOS_A_MILLIONTH_A_CALL, at)?,
        };
        if rates.is_empty() {
            let message = "nothing has a price here: give input, output or another kind one, 0 where it is free";
            return Err(at(span, message.to_owned()));
        }
        let valid_from = match entry.valid_from {
            Some(value) => valid_from(value, at)?,
            None => Timestamp::from_micros(i64::MIN),
        };
        let price = Price {
            currency,
            valid_from,
            rates,
            line: line(text, span.start),
        };
        prices.push((model, price));
    }
    Ok(prices)
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + memchr::memchr_iter(b'\n', before).count()
}

fn currency(
    name: Spanned<String>,
    at: impl Fn(Range<usize>, String) -> TableError,
) -> Result<Arc<str>, TableError> {
    let text = name.get_ref().as_str();
    let fits = (1..=CURRENCY_CAP).contains(&text.len());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if fits && text.bytes().all(plain) {
        return Ok(text.into());
    }
    let message = format!(
        "a currency is a word of up to {CURRENCY_CAP} letters, such as \"EUR\" or \"credits\""
    );
    Err(at(name.span(), message))
}

/// A price in trillionths, `scale` of which are a millionth.
fn rate(
    name: &str,
    value: Option<Spanned<Value>>,
    scale: u64,
    at: impl Fn(Range<usize>, String) -> TableError,
) -> Result<Option<u64>, TableError> {
    let Some(value) = value else { return Ok(None) };
    let text = match value.get_ref() {
        Value::Integer(number) => number.to_string(),
        // The shortest text that gives the same number is what was written, up to 15 digits; Display writes no
        // exponents.
        Value::Float(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    match millionths(&text) {
        // The highest price a call in trillionths is 10¹⁸, within 64 bits.
        Ok(price) => Ok(Some(price.saturating_mul(scale))),
        Err(error) => Err(at(value.span(), format!("{name}: {error}"))),
    }
}

/// A date is its first moment in UTC.
fn valid_from(
    value: Spanned<Value>,
    at: impl Fn(Range<usize>, String) -> TableError,
) -> Result<Timestamp, TableError> {
    let text = match value.get_ref() {
        Value::Datetime(time) => rfc3339(time),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    let time = text.and_then(|text| {
        let text = text.trim();
        let date = || -> Option<jiff::Timestamp> {
            let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok())??;
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(midnight.timestamp())
        };
        date().or_else(|| text.parse().ok())
    });
    match time {
        Some(time) => Ok(Timestamp::from_micros(time.as_microsecond())),
        None => Err(at(
            value.span(),
            "valid_from is a date (2026-01-31, from its first moment in UTC) or an RFC 3339 time with its offset \
             (2026-01-31T08:00:00+01:00)"
                .to_owned(),
        )),
    }
}

/// A date, or a time with its offset; a time without one says nothing.
fn rfc3339(time: &Datetime) -> Option<String> {
    let date_alone = time.time.is_none() && time.date.is_some();
    (date_alone || time.offset.is_some()).then(|| time.to_string())
}
