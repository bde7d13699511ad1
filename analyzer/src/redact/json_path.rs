//! JSON paths that the operator names: `$.messages[*].content`, `$..arguments`, `$['a key'][0]`.
//!
//! The part of RFC 9535 that names places: names, indices from 0, wildcards and descent to a name. Filters,
//! slices and indices from the end are refused.

use std::str::FromStr;

/// A path from the root of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// One step down.
    Child(Selector),
    /// Any number of steps down, and then this one.
    Descendant(Selector),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Name(String),
    Index(u32),
    Any,
}

/// Why a text is no path, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON path at character {place}: {why} (write $.messages[*].content or the like)")]
pub struct JsonPathError {
    /// From 1.
    place: usize,
    why: &'static str,
}

/// One step from a container to a value in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'k> {
    /// By this key; `None` where it is too long or broken, and fits no name.
    Key(Option<&'k str>),
    Index(u32),
}

/// How far the paths have come on the way to one value: paths by number, with the segments that they are past.
pub(super) type Places = Vec<(usize, usize)>;

impl JsonPath {
    /// A path to every value of this name, at any depth.
    pub(super) fn anywhere(name: &str) -> Self {
        Self(vec![Segment::Descendant(Selector::Name(name.to_owned()))])
    }
}

/// Where all paths stand at the root, and whether one of them means all of it.
pub(super) fn at_root(paths: &[JsonPath]) -> (Places, bool) {
    let places = (0..paths.len()).map(|path| (path, 0)).collect();
    (places, paths.iter().any(|path| path.0.is_empty()))
}

/// Where they stand one step further, and whether one of them ends there.
pub(super) fn step(paths: &[JsonPath], from: &Places, step: Step<'_>) -> (Places, bool) {
    let (mut places, mut ends) = (Places::new(), false);
    for &(path, past) in from {
        let Some(segments) = paths.get(path).map(|path| path.0.as_slice()) else {
            continue;
        };
        let selector = match segments.get(past) {
            Some(Segment::Child(selector)) => selector,
            Some(Segment::Descendant(selector)) => {
                places.push((path, past));
                selector
            }
            None => continue,
        };
        let fits = match (selector, step) {
            (Selector::Any, _) => true,
            (Selector::Name(name), Step::Key(Some(key))) => name == key,
            (Selector::Index(index), Step::Index(at)) => *index == at,
            _ => false,
        };
        if fits {
            ends |= past + 1 == segments.len();
            places.push((path, past + 1));
        }
    }
    places.sort_unstable();
    places.dedup();
    (places, ends)
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<Self, JsonPathError> {
        let mut parser = Parser { text, at: 0 };
        if !parser.eat("$") {
            return Err(parser.error("it must begin with $"));
        }
        let mut segments = Vec::new();
        while parser.at < text.len() {
            segments.push(parser.segment()?);
        }
        Ok(Self(segments))
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn segment(&mut self) -> Result<Segment, JsonPathError> {
        if self.eat("..") {
            let selector = if self.rest().starts_with('[') {
                self.bracket()?
            } else {
                self.shorthand()?
            };
            return Ok(Segment::Descendant(selector));
        }
        if self.eat(".") {
            return Ok(Segment::Child(self.shorthand()?));
        }
        if self.rest().starts_with('[') {
            return Ok(Segment::Child(self.bracket()?));
        }
        Err(self.error("a dot or a bracket must follow"))
    }

    fn shorthand(&mut self) -> Result<Selector, JsonPathError> {
        if self.eat("*") {
            return Ok(Selector::Any);
        }
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || !c.is_ascii();
        let name = self.take_while(part_of_name);
        if name.is_empty() {
            return Err(self.error("a name or * must follow"));
        }
        Ok(Selector::Name(name.to_owned()))
    }

    fn bracket(&mut self) -> Result<Selector, JsonPathError> {
        self.eat("[");
        let selector = if self.eat("*") {
            Selector::Any
        } else if let Some(quote) = self
            .rest()
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"'))
        {
            Selector::Name(self.quoted(quote)?)
        } else {
            let digits = self.take_while(|c| c.is_ascii_digit());
            let index = digits.parse().ok();
            Selector::Index(
                index
                    .ok_or_else(|| self.error("an index from 0, * or a quoted name must follow"))?,
            )
        };
        if self.eat("]") {
            return Ok(selector);
        }
        Err(self.error("] must follow"))
    }

    fn quoted(&mut self, quote: char) -> Result<String, JsonPathError> {
        self.at += 1;
        let mut name = String::new();
        loop {
            let mut chars = self.rest().chars();
            let c = match chars.next() {
                Some('\\') => {
                    self.at += 1;
                    chars.next()
                }
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(name);
                }
                c => c,
            };
            let c = c.ok_or_else(|| self.error("the quote is not closed"))?;
            self.at += c.len_utf8();
            name.push(c);
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, what: &str) -> bool {
        let eats = self.rest().starts_with(what);
        self.at += if eats { what.len() } else { 0 };
        eats
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn error(&self, why: &'static str) -> JsonPathError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        JsonPathError {
            place: before.chars().count() + 1,
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(path: &str, steps: &[Step<'_>]) -> bool {
        let paths = [path.parse().unwrap()];
        let (mut places, mut end) = at_root(&paths);
        for one in steps {
            (places, end) = step(&paths, &places, *one);
        }
        end
    }

    const fn key(name: &str) -> Step<'_> {
        Step::Key(Some(name))
    }

    #[test]
    fn paths_lead_where_they_say() {
        let content = [key("messages"), Step::Index(3), key("content")];
        for (path, expected) in [
            ("$", false),
            ("$.messages[*].content", true),
            ("$['messages'][3][\"content\"]", true),
            ("$.messages[3].content", true),
            ("$.messages[2].content", false),
            ("$.messages.*.content", true),
            ("$..content", true),
            ("$..[3].content", true),
            ("$..*", true),
            ("$.messages..content", true),
            ("$.messages[*]", false),
            ("$.messages[*].content.more", false),
            ("$.Messages[*].content", false),
        ] {
            assert_eq!(ends(path, &content), expected, "{path}");
        }
        assert!(ends("$", &[]));
        assert!(ends("$.modèle", &[key("modèle")]));
        assert!(ends("$['it\\'s']", &[key("it's")]));
        assert!(!ends("$.*", &[]));
        assert!(ends("$.*", &[Step::Key(None)]));
        assert!(!ends("$.a", &[Step::Key(None)]));
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_place() {
        for (path, place) in [
            ("", 1),
            ("messages", 1),
            ("$messages", 2),
            ("$.", 3),
            ("$..", 4),
            ("$.a b", 4),
            ("$[", 3),
            ("$[-1]", 3),
            ("$[0", 4),
            ("$['a", 5),
            ("$.é[x]", 5),
            ("$[?(@.a)]", 3),
            ("$[99999999999]", 14),
        ] {
            let error = path.parse::<JsonPath>().unwrap_err();
            assert_eq!(error.place, place, "{path}: {error}");
        }
    }
}
