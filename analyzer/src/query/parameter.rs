//! Parameters: their definition, and what is said of wrong ones.

use super::nearest::nearest;

/// A parameter of a question: what the API takes under its name, and the command line as a flag.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name. One that ends in a dot stands for all that begin with it.
    pub name: &'static str,
    /// What its value is called.
    pub value: &'static str,
    /// What it means, in one line or two.
    pub doc: &'static str,
    /// Whether it may be given more than once.
    pub repeats: bool,
    /// What it takes.
    pub takes: Takes,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// A time.
    Time,
    /// A span.
    Span,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number between these.
    Number(u64, u64),
    /// Any whole number.
    Integer,
}

impl Parameter {
    /// A parameter that is given once.
    pub const fn once(
        name: &'static str,
        value: &'static str,
        takes: Takes,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            value,
            doc,
            repeats: false,
            takes,
        }
    }

    /// A parameter that may be given more than once.
    pub const fn many(name: &'static str, value: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            value,
            doc,
            repeats: true,
            takes: Takes::Text,
        }
    }

    /// Whether a name that was given is this one's.
    pub fn is_named(&self, name: &str) -> bool {
        if self.name.ends_with('.') {
            return name.len() > self.name.len() && name.starts_with(self.name);
        }
        self.name == name
    }
}

/// A parameter that is not understood. Its text says what to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadParameter {
    /// Its name, as it was given.
    pub name: String,
    /// What is wrong, and what is right.
    pub reason: String,
}

impl BadParameter {
    /// A value that is not taken.
    pub fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// A name that is not known, beside those that are.
    pub fn unknown(name: &str, known: &[Parameter]) -> Self {
        let names = known.iter().map(|parameter| parameter.name);
        let reason = if let Some(near) = nearest(name, names.clone()) {
            format!("there is no parameter {name:?}: was {near:?} meant?")
        } else {
            let names: Vec<_> = names.collect();
            format!(
                "there is no parameter {name:?}: there are {}",
                names.join(", ")
            )
        };
        Self::new(name, reason)
    }
}

/// The one value of a parameter that is given once.
///
/// # Errors
/// Where it was given more than once.
pub fn single<'a>(
    pairs: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, BadParameter> {
    let mut values = pairs.iter().filter(|(given, _)| given == name);
    let first = values.next();
    if values.next().is_some() {
        return Err(BadParameter::new(
            name,
            format!("{name} was given more than once"),
        ));
    }
    Ok(first.map(|(_, value)| value.as_str()))
}

/// A whole number.
///
/// # Errors
/// Where it is none, or not in the range.
pub fn number(
    pairs: &[(String, String)],
    name: &str,
    (least, most): (u64, u64),
    default: u64,
) -> Result<u64, BadParameter> {
    let Some(text) = single(pairs, name)? else {
        return Ok(default);
    };
    let number = text.parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        BadParameter::new(
            name,
            format!("{name} must be a whole number from {least} to {most}, not {text:?}"),
        )
    })
}

/// One of some words.
///
/// # Errors
/// Where it is another; the nearest is named.
pub fn one_of(
    pairs: &[(String, String)],
    name: &str,
    words: &[&'static str],
    default: &'static str,
) -> Result<&'static str, BadParameter> {
    let Some(text) = single(pairs, name)? else {
        return Ok(default);
    };
    word(name, text, words)
}

/// One of some words.
///
/// # Errors
/// Where it is another; the nearest is named.
pub fn word(name: &str, text: &str, words: &[&'static str]) -> Result<&'static str, BadParameter> {
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(word);
    }
    let reason = match nearest(text, words.iter().copied()) {
        Some(near) => format!("{name} has no {text:?}: was {near:?} meant?"),
        None => format!("{name} must be one of {}, not {text:?}", words.join(", ")),
    };
    Err(BadParameter::new(name, reason))
}
