//! Filters: the one definition of what can be asked for.

use regex::bytes::{Regex, RegexBuilder};

use super::{
    BadParameter, NONE, Parameter,
    parameter::{Takes, single, word},
    parse,
};
use crate::{
    store::blocks::{Dimension, Measure},
    time::Timestamp,
};

/// Values of all filters together: more make a question that is slow, and that nobody typed.
const VALUES: usize = 200;

/// Bytes of one value.
const VALUE_BYTES: usize = 1_024;

/// The filters, in the order in which help lists them.
#[rustfmt::skip]
pub const FILTERS: &[Parameter] = &[
    Parameter::once("from", "TIME", Takes::Time, "Calls that began at this time or later: RFC 3339, a date, seconds since the Unix epoch, or a span before now such as -1h or -7d"),
    Parameter::once("to", "TIME", Takes::Time, "Calls that began before this time, in the same forms; `now` too"),
    Parameter::many("model", "NAME", "The model that was asked for, else the one that answered. As in all filters of texts: `*` stands for anything, `!` before it for all but this, `~none` for no value; given more than once, any of them will do"),
    Parameter::many("operation", "NAME", "The operation, such as chat or embeddings"),
    Parameter::many("dialect", "NAME", "The wire API, such as openai_chat"),
    Parameter::many("outcome", "NAME", "How the call ended, such as ok, client_abort or server_error"),
    Parameter::many("status", "CODE", "The HTTP status: a code such as 429, or a class such as 4xx"),
    Parameter::many("client", "ADDRESS", "The client's address, else the TCP client's"),
    Parameter::many("user", "NAME", "The user"),
    Parameter::many("key", "HASH", "The keyed hash of the API key"),
    Parameter::once("stream", "true|false", Takes::OneOf(&["true", "false"]), "Whether the answer was streamed"),
    Parameter::many("server", "ADDRESS:PORT", "The model server"),
    Parameter::many("source", "NAME", "Where the call was seen: ebpf, pcap, file, report or import"),
    Parameter::once("min_elapsed", "SPAN", Takes::Span, "Calls that took at least so long: seconds, or 250ms, 1m30s"),
    Parameter::once("min_ttft", "SPAN", Takes::Span, "Calls whose first token took at least so long"),
    Parameter::many("label.", "VALUE", "The label of this name (as --label gave it)"),
    Parameter::many("q", "TEXT", "This text in the stored part of the request or the answer, in capitals or not"),
    Parameter::once("outer", "no|yes|only", Takes::OneOf(OUTER), "Whether rows that show a call a second time, from a relay's other side, are left out, taken in, or alone (default: no)"),
];

/// Those of them that look at what was stored: what is told before, they cannot be asked of.
const OF_STORED: [&str; 3] = ["from", "to", "q"];

/// The filters that calls under way can be asked by.
pub fn of_live() -> impl Iterator<Item = &'static Parameter> {
    let all = FILTERS.iter();
    all.filter(|filter| !OF_STORED.contains(&filter.name))
}

const OUTER: &[&str] = &["no", "yes", "only"];

/// Which calls are asked for. All that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The first time, in microseconds since the Unix epoch.
    pub from: Option<i64>,
    /// The time after the last.
    pub to: Option<i64>,
    pub(super) texts: Vec<(Subject, Match<Pattern>)>,
    pub(super) least: Vec<(Measure, u64)>,
    pub(super) bodies: Option<Match<Regex>>,
    pub(super) outer: Outer,
}

/// Whose text a pattern is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Dimension(Dimension),
    Label(String),
}

/// Values that will do, if there are such, and values that will not.
#[derive(Clone, Debug)]
pub(super) struct Match<P> {
    pub(super) any: Vec<P>,
    pub(super) none: Vec<P>,
}

/// What is done with rows that are the outer leg of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outer {
    #[default]
    No,
    Yes,
    Only,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// There is none.
    Null,
    /// Parts in this order, with anything between them.
    Parts(Vec<String>),
    /// A status of this class.
    Class(char),
}

impl Filter {
    /// Reads the filters among these parameters; whatever is no filter must be known to the caller.
    ///
    /// # Errors
    /// Where one is not understood, or its name is neither a filter's nor one of `others`.
    pub fn parse(
        pairs: &[(String, String)],
        others: &[Parameter],
        now: Timestamp,
    ) -> Result<Self, BadParameter> {
        let mut filter = Self::default();
        if pairs.len() > VALUES {
            let reason = format!("there are more than {VALUES} parameters");
            return Err(BadParameter::new("", reason));
        }
        for (name, value) in pairs {
            if value.len() > VALUE_BYTES && !others.iter().any(|other| other.is_named(name)) {
                let reason = format!("{name} is longer than {VALUE_BYTES} bytes");
                return Err(BadParameter::new(name, reason));
            }
            if value.contains('\0') {
                let reason = format!("{name} holds a zero byte, which no text has");
                return Err(BadParameter::new(name, reason));
            }
            filter.take(pairs, name, value, others, now)?;
        }
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from > to
        {
            return Err(BadParameter::new("from", "from is later than to"));
        }
        Ok(filter)
    }

    fn take(
        &mut self,
        pairs: &[(String, String)],
        name: &str,
        value: &str,
        others: &[Parameter],
        now: Timestamp,
    ) -> Result<(), BadParameter> {
        let Some(known) = FILTERS.iter().find(|filter| filter.is_named(name)) else {
            if others.iter().any(|other| other.is_named(name)) {
                return Ok(());
            }
            let known: Vec<Parameter> = FILTERS.iter().chain(others).copied().collect();
            return Err(BadParameter::unknown(name, &known));
        };
        if !known.repeats {
            single(pairs, name)?;
        }
        match known.takes {
            Takes::Time => {
                let time = parse::time(value, now).ok_or_else(|| {
                    BadParameter::new(
                        name,
                        format!(
                            "{name} is no time: {value:?}. Give RFC 3339 (2026-01-31T12:00:00Z), a date, \
                             seconds since the Unix epoch, now, or a span before now such as -1h"
                        ),
                    )
                })?;
                let place = if name == "from" {
                    &mut self.from
                } else {
                    &mut self.to
                };
                *place = Some(time);
            }
            Takes::Span => {
                let span = parse::span(value).ok_or_else(|| {
                    BadParameter::new(
                        name,
                        format!("{name} is no span: {value:?}. Give seconds, or 250ms, 1m30s"),
                    )
                })?;
                if let Some(measure) = name.strip_prefix("min_").and_then(Measure::named) {
                    self.least.push((measure, span as u64));
                }
            }
            Takes::OneOf(words) => {
                let word = word(name, value, words)?;
                match (name, Dimension::named(name)) {
                    ("outer", _) => {
                        self.outer = match word {
                            "yes" => Outer::Yes,
                            "only" => Outer::Only,
                            _ => Outer::No,
                        };
                    }
                    (_, Some(dimension)) => {
                        let word = Pattern::Parts(vec![word.to_owned()]);
                        self.text(Subject::Dimension(dimension), word, Wanted::Yes);
                    }
                    (_, None) => {}
                }
            }
            Takes::Text | Takes::Number(..) | Takes::Integer => {
                let (value, wanted) = negation(value);
                if name == "q" {
                    self.search(value, wanted)?;
                } else if let Some(label) = name.strip_prefix("label.") {
                    self.text(Subject::Label(label.to_owned()), pattern(value), wanted);
                } else if let Some(dimension) = Dimension::named(name) {
                    let pattern = if name == "status" {
                        status(value)?
                    } else {
                        pattern(value)
                    };
                    self.text(Subject::Dimension(dimension), pattern, wanted);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, subject: Subject, pattern: Pattern, wanted: Wanted) {
        let known = self.texts.iter().position(|(known, _)| *known == subject);
        let place = known.unwrap_or_else(|| {
            self.texts.push((subject, Match::default()));
            self.texts.len() - 1
        });
        self.texts[place].1.add(pattern, wanted);
    }

    fn search(&mut self, text: &str, wanted: Wanted) -> Result<(), BadParameter> {
        if text.is_empty() {
            return Err(BadParameter::new(
                "q",
                "q is empty: give the text to look for",
            ));
        }
        let regex = RegexBuilder::new(&regex::escape(text))
            .case_insensitive(true)
            .build();
        let regex = regex.map_err(|error| BadParameter::new("q", format!("q: {error}")))?;
        let bodies = self.bodies.get_or_insert_default();
        bodies.add(regex, wanted);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

impl<P> Default for Match<P> {
    fn default() -> Self {
        Self {
            any: Vec::new(),
            none: Vec::new(),
        }
    }
}

impl<P> Match<P> {
    fn add(&mut self, pattern: P, wanted: Wanted) {
        match wanted {
            Wanted::Yes => self.any.push(pattern),
            Wanted::No => self.none.push(pattern),
        }
    }

    /// Whether a value will do; `fits` says whether it fits a pattern.
    pub(super) fn holds(&self, mut fits: impl FnMut(&P) -> bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(&mut fits)) && !self.none.iter().any(&mut fits)
    }
}

/// Takes a `!` off. `\!` is one that belongs to the text.
fn negation(text: &str) -> (&str, Wanted) {
    match text.strip_prefix('!') {
        Some(rest) => (rest, Wanted::No),
        None => (text, Wanted::Yes),
    }
}

/// Reads a pattern: `*` is anything, and a backslash takes its meaning from what follows.
fn pattern(text: &str) -> Pattern {
    if text == NONE {
        return Pattern::Null;
    }
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '*' => parts.push(String::new()),
            '\\' => parts[last].push(chars.next().unwrap_or('\\')),
            other => parts[last].push(other),
        }
    }
    Pattern::Parts(parts)
}

fn status(text: &str) -> Result<Pattern, BadParameter> {
    let digits = text.as_bytes();
    match digits {
        _ if text == NONE => Ok(Pattern::Null),
        [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => Ok(Pattern::Class(char::from(*class))),
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => Ok(Pattern::Parts(vec![text.to_owned()])),
        _ => Err(BadParameter::new(
            "status",
            format!("status must be a code such as 429 or a class such as 4xx, not {text:?}"),
        )),
    }
}

impl Pattern {
    /// Whether a text is as this says.
    pub(super) fn fits(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (Self::Null, text) => text.is_none(),
            (_, None) => false,
            (Self::Class(class), Some(text)) => text.len() == 3 && text.starts_with(*class),
            (Self::Parts(parts), Some(text)) => fits_parts(parts, text),
        }
    }
}

/// The first part begins the text, the last one ends it, and the others come between, each as early as it can.
fn fits_parts(parts: &[String], text: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let Some((last, middle)) = rest.split_last() else {
        return text == first;
    };
    let Some(mut left) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        let Some(place) = left.find(part.as_str()) else {
            return false;
        };
        left = &left[place + part.len()..];
    }
    left.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Filter, BadParameter> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Filter::parse(&pairs, &[], Timestamp::from_micros(0))
    }

    #[test]
    fn wrong_parameters_say_what_is_right() {
        for (pair, said) in [
            (("modle", "x"), "was \"model\" meant"),
            (("colour", "x"), "there are from, to"),
            (("from", "soon"), "RFC 3339"),
            (("status", "4"), "4xx"),
            (("status", "9999"), "4xx"),
            (("stream", "yes"), "one of true, false"),
            (("outer", "onyl"), "was \"only\" meant"),
            (("min_ttft", "-1"), "250ms"),
            (("q", ""), "empty"),
            (("label.", "x"), "there is no parameter"),
        ] {
            let error = parse(&[pair]).unwrap_err();
            assert_eq!(error.name, pair.0);
            assert!(error.reason.contains(said), "{error}");
        }
        assert!(parse(&[("from", "2"), ("to", "1")]).is_err());
        assert!(parse(&[("from", "1"), ("from", "1")]).is_err());
        assert!(parse(&[("model", &"x".repeat(2_000))]).is_err());
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (text, fitting, other) in [
            ("qwen*", "qwen3-8b", "the qwen"),
            ("*", "", "-"),
            ("a*b*c", "abbc", "acb"),
            ("ab*bc", "abbc", "abc"),
            ("\\*", "*", "x"),
            ("\\!x", "!x", "x"),
        ] {
            let pattern = pattern(text);
            assert!(pattern.fits(Some(fitting)), "{text} {fitting}");
            assert!(other == "-" || !pattern.fits(Some(other)), "{text} {other}");
            assert!(!pattern.fits(None));
        }
        assert!(pattern(NONE).fits(None) && !pattern(NONE).fits(Some(NONE)));
    }

    #[test]
    fn every_filter_is_one_of_something() {
        for filter in FILTERS {
            let value = match filter.takes {
                Takes::OneOf(words) => words[0],
                Takes::Time | Takes::Span => "1",
                _ if filter.name == "status" => "200",
                _ => "x",
            };
            let name = filter.name.replace("label.", "label.x");
            let read = parse(&[(&name, value)]).unwrap();
            let counts = [
                usize::from(read.from.is_some()) + usize::from(read.to.is_some()),
                read.texts.len(),
                read.least.len(),
                usize::from(read.bodies.is_some()),
                usize::from(filter.name == "outer"),
            ];
            assert_eq!(counts.iter().sum::<usize>(), 1, "{}", filter.name);
        }
    }
}
