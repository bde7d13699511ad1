//! Bounds on a template where minijinja's fuel has none: parsing, and walks through the values that it makes. It is
//! the operator's own file, but one that was fetched from somewhere.

use std::{cell::Cell, thread};

use minijinja::{Environment, Error, ErrorKind, Value, value::ValueKind};

/// Bytes of one tag besides its literals: the parser goes a level deeper for a `-`, and templates that people publish
/// have some hundred.
const MAX_CODE: usize = 8_192;

/// Alternatives of all conditions, each of which is parsed within the one before.
const MAX_ALTERNATIVES: usize = 1_024;

/// For parsing: what the two bounds above allow takes some 20 MB without optimization.
const STACK: usize = 64 << 20;

/// Values that one rendering may write or walk through, and 64 bytes of text each: as much as it has fuel.
const MAX_VALUES: u64 = super::MAX_FUEL;

/// Levels of values within values: what comes by JSON has 128 at most, and the message around it some.
const MAX_DEPTH: usize = 160;

/// Bytes of text that count as a value.
const BYTES: usize = 64;

thread_local! {
    /// What is left for the rendering on this thread.
    static LEFT: Cell<u64> = const { Cell::new(MAX_VALUES) };
}

/// Parses a template, on a stack that suffices for what may be parsed.
pub(super) fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    source: String,
) -> Result<(), Error> {
    let refused = |what: String| Err(Error::new(ErrorKind::SyntaxError, what));
    if longest_tag(&source) > MAX_CODE {
        return refused(format!(
            "it has a tag of more than {MAX_CODE} bytes besides its texts"
        ));
    }
    if source.matches("elif").count() > MAX_ALTERNATIVES {
        return refused(format!("it has more than {MAX_ALTERNATIVES} alternatives"));
    }
    let parsed = thread::scope(|scope| {
        let parse = || environment.add_template_owned(name, source);
        let thread = thread::Builder::new().name("template".to_owned());
        let parsing = thread.stack_size(STACK).spawn_scoped(scope, parse)?;
        Ok::<_, std::io::Error>(parsing.join())
    });
    match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(_)) => refused("its parser failed".to_owned()),
        Err(error) => refused(format!("there is no thread to parse it on: {error}")),
    }
}

/// Bytes of the longest tag, without what stands in quotes. A brace that closes none ends a tag, as it does for the
/// parser.
fn longest_tag(source: &str) -> usize {
    let bytes = source.as_bytes();
    let (mut longest, mut at) = (0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| {
        rest.windows(2)
            .position(|two| matches!(two, b"{{" | b"{%" | b"{#"))
    }) {
        at += found + 2;
        if bytes[at - 1] == b'#' {
            let end = source.get(at..).and_then(|rest| rest.find("#}"));
            at = end.map_or(bytes.len(), |end| at + end + 2);
            continue;
        }
        let (mut code, mut open, mut quote) = (0, 0_usize, None);
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match (quote, byte) {
                (Some(_), b'\\') => at += 1,
                (Some(mark), byte) if mark == *byte => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(*byte),
                (None, b'}' | b'%') if open == 0 && bytes.get(at) == Some(&b'}') => break,
                (None, byte) => {
                    code += 1;
                    match byte {
                        b'{' | b'[' | b'(' => open += 1,
                        b'}' | b']' | b')' => open = open.saturating_sub(1),
                        _ => {}
                    }
                }
            }
        }
        longest = longest.max(code);
    }
    longest
}

/// A rendering begins on this thread.
pub(super) fn begin() {
    LEFT.set(MAX_VALUES);
}

fn spend(values: u64) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(values);
    LEFT.set(left.unwrap_or(0));
    match left {
        Some(_) => Ok(()),
        None => Err(Error::from(ErrorKind::OutOfFuel)),
    }
}

/// Pays for a walk through all of a value.
///
/// # Errors
/// It is too deep, or too large together with what was walked through before.
pub(super) fn charge(value: &Value) -> Result<(), Error> {
    walk(value, 0)
}

fn walk(value: &Value, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value has more than {MAX_DEPTH} levels"),
        ));
    }
    let text = value.as_str().map_or(0, str::len);
    spend(1 + (text / BYTES) as u64)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                walk(&item, depth + 1)?;
            }
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                walk(&value.get_item(&key)?, depth + 1)?;
                walk(&key, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The filter of this name. Lists that were added up are not held anywhere: each item of theirs is walked to.
pub(super) fn length(value: &Value) -> Result<usize, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        let mut length = 0;
        for _ in value.try_iter()? {
            spend(1)?;
            length += 1;
        }
        return Ok(length);
    }
    if value.is_undefined() {
        return Ok(0);
    }
    spend(1 + (value.as_str().map_or(0, str::len) / BYTES) as u64)?;
    value.len().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("cannot calculate length of value of type {}", value.kind()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_tag_is_found_whatever_stands_around_it() {
        for (source, longest) in [
            ("", 0),
            ("no { tag } %} }}", 0),
            ("{{a}}{% bcd %}", 5),
            ("{{ 'long }} text' }}", 2),
            (r#"{{ "a\"}}" ~ b }}"#, 6),
            ("{# {{ long comment }} #}{{a}}", 1),
            ("{{ {'a': {}} ~ bc }}", 13),
            ("{{ not not", 8),
            ("{{ 'torn", 1),
            ("{{ 'torn\\", 1),
            ("{#", 0),
            ("{{", 0),
        ] {
            assert_eq!(longest_tag(source), longest, "{source}");
        }
    }

    #[test]
    fn what_is_parsed_is_bounded_and_what_may_be_parsed_does_no_harm() {
        let half = MAX_CODE / 2;
        let alternatives =
            |count| format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(count));
        for (source, is_taken) in [
            (format!("{{{{{}1}}}}", "-".repeat(MAX_CODE - 1)), true),
            (format!("{{{{{}1}}}}", "-".repeat(MAX_CODE)), false),
            (
                format!("{{{{ {}1 }}}}", "not ".repeat(MAX_CODE / 4 - 1)),
                true,
            ),
            (format!("{{{{ {}1 }}}}", "not ".repeat(100_000)), false),
            (format!("{{{{1{}}}}}", "+1".repeat(half - 1)), true),
            (format!("{{{{1{}}}}}", "|e".repeat(half - 1)), true),
            (format!("{{{{ {}1 }}}}", "0 if 0 else ".repeat(140)), true),
            (format!("{{{{ '{}' }}}}", "- ".repeat(100_000)), true),
            (alternatives(MAX_ALTERNATIVES), true),
            (alternatives(MAX_ALTERNATIVES + 1), false),
        ] {
            let begins: String = source.chars().take(40).collect();
            let added = add(&mut Environment::new(), "chat", source);
            assert_eq!(added.is_ok(), is_taken, "{begins}: {added:?}");
        }
    }
}
