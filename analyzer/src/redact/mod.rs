//! Secrets out of all that is stored, shown or counted by: known ones by their shape, and those that the
//! operator names by rules.
//!
//! A body is redacted as a whole, after it was assembled and before it is stored; text columns are before
//! the row is handed on. Each secret gives way to a marker with its kind, `[redacted:openai_key]`, and is
//! counted. What the wire's form hides is seen through:
//!
//! * JSON's escapes (`\/`, `\u0073k-…`), also of JSON within strings of JSON;
//! * streams: the text of a stream is put together from its events, and a secret in it is taken out of each
//!   event that holds a part of it;
//! * cuts: some more than is stored is looked at, so that a secret on the border is seen whole; and where
//!   a body breaks off or has a hole, what looks like the beginning or the rest of a secret goes too.
//!
//! What it cannot see: secrets without a known shape, or in another coding (base64, URL-encoded, token ids,
//! spelt out). It lowers the risk of a store; it does not make it public.

pub(crate) mod form;
mod json_path;
mod kind;
mod media;
pub(crate) mod payload;
mod shapes;
mod view;
mod walk;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use regex::bytes::{Regex, RegexBuilder};

pub use json_path::{JsonPath, JsonPathError};
pub use kind::{Counts, Kind};
pub(crate) use shapes::MISSING;
use shapes::{Edges, Found};
use view::View;
use walk::Form;

/// How often escapes are resolved within what escapes stood for: a tool's arguments are JSON in a string,
/// and may hold JSON in a string.
const MAX_NESTING: usize = 3;

/// Fields that give a text's tokens one by one. Beside a secret they spell it.
const TOKEN_FIELDS: [&str; 9] = [
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "token_ids",
    "prompt_token_ids",
    "input_token_logprobs",
    "output_token_logprobs",
    "logprobsResult",
    "completion_probabilities",
];

static TOKEN_PATHS: LazyLock<Vec<JsonPath>> =
    LazyLock::new(|| TOKEN_FIELDS.map(JsonPath::anywhere).to_vec());

/// Takes secrets out.
#[derive(Debug, Default)]
pub struct Redactor {
    expressions: Vec<Regex>,
    paths: Vec<JsonPath>,
    counts: Arc<Counts>,
}

/// A regular expression of the operator's, checked.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

/// Why an expression is refused.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    /// It is none.
    #[error("{0}")]
    Invalid(#[from] regex::Error),
    /// It would match between any two characters.
    #[error(
        "it matches the empty text, and so everywhere: write one that needs at least one character"
    )]
    Empty,
}

impl std::str::FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let regex = RegexBuilder::new(text).build()?;
        if regex.is_match(b"") {
            return Err(ExpressionError::Empty);
        }
        Ok(Self(regex))
    }
}

/// One replacement in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    with: With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Marker(Kind),
    /// A marker where a whole JSON value was.
    Value(Kind),
    /// Nothing: the marker stands in another place.
    Nothing,
}

/// A part of a body, with what was found in it.
#[derive(Debug)]
pub(crate) struct Marked {
    edits: Vec<Edit>,
    /// Secrets found.
    pub(crate) found: u64,
}

/// How much of a body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All that there was, or its beginning.
    Head,
    /// The end, from somewhere in the middle on.
    Tail,
}

impl Redactor {
    /// With rules of the operator's beside the known shapes.
    pub fn new(expressions: Vec<Expression>, paths: Vec<JsonPath>) -> Self {
        Self {
            expressions: expressions.into_iter().map(|one| one.0).collect(),
            paths,
            counts: Arc::default(),
        }
    }

    /// With its own rules, but going on with another's counts: for those that take its place.
    #[must_use]
    pub fn counting_on(&self, other: &Self) -> Self {
        Self {
            expressions: self.expressions.clone(),
            paths: self.paths.clone(),
            counts: Arc::clone(&other.counts),
        }
    }

    /// The same rules, counting for itself: for what is shown before its call has ended, and is counted then.
    #[must_use]
    pub(crate) fn counting_apart(&self) -> Self {
        Self {
            expressions: self.expressions.clone(),
            paths: self.paths.clone(),
            counts: Arc::default(),
        }
    }

    /// How many secrets of each kind were taken out so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes the secrets out of a short text; gives their number.
    pub(crate) fn text(&self, text: &mut String) -> u64 {
        let bytes = text.as_bytes();
        let mut found = Vec::new();
        self.find(bytes, Edges::NONE, &mut found);
        if found.is_empty() {
            return 0;
        }
        let mut marked = self.marked(found.into_iter().map(in_place).collect());
        marked.whole_characters(text);
        let redacted = marked.apply(text.as_bytes(), 0..text.len());
        *text = String::from_utf8_lossy(&redacted).into_owned();
        marked.found
    }

    /// A request target without its secrets: user and password, values of the query that are credentials by
    /// their name, and what has the shape of one.
    pub(crate) fn target(&self, target: &str) -> String {
        let mut text = target.to_owned();
        self.text(&mut text);
        text
    }

    /// Finds the secrets of a body, or of a part of it.
    pub(crate) fn body(&self, body: &[u8], part: Part) -> Marked {
        let edges = Edges {
            starts_cut: part == Part::Tail,
            ends_cut: true,
        };
        let form = walk::form(body, edges.starts_cut);
        let mut edits = Vec::new();
        self.layers(body, edges, &mut edits);
        let streamed = form != Form::Other && is_stream(body, form);
        if streamed || (form != Form::Other && !self.paths.is_empty()) {
            let walked = walk::walk(body, form, edges.starts_cut, &self.paths);
            for pieces in walked.texts {
                self.pieces(body, &pieces, edges, &mut edits);
            }
            let values = walked.values.into_iter();
            edits.extend(values.map(|range| Edit {
                range,
                with: With::Value(Kind::JsonPath),
            }));
        }
        if !edits.is_empty() && names_tokens(body) {
            let walked = walk::walk(body, form, edges.starts_cut, &TOKEN_PATHS);
            edits.extend(walked.values.into_iter().map(|range| Edit {
                range,
                with: With::Value(Kind::Tokens),
            }));
        }
        self.marked(edits)
    }

    /// Whether the end of a body can be judged without what comes before it.
    pub(crate) fn judges_tail(&self, tail: &[u8]) -> bool {
        self.paths.is_empty() || walk::form(tail, true) == Form::Events
    }

    /// Secrets in the text as it is, and in what its escapes stand for.
    fn layers(&self, text: &[u8], edges: Edges, edits: &mut Vec<Edit>) {
        let mut found = Vec::new();
        self.find(text, edges, &mut found);
        edits.extend(found.drain(..).map(in_place));
        let mut views: Vec<View> = Vec::new();
        for _ in 0..MAX_NESTING {
            let source = views.last().map_or(text, |view| &view.text);
            if memchr::memchr(b'\\', source).is_none() {
                break;
            }
            let mut view = View::default();
            view.push_unescaped(source, 0..source.len());
            views.push(view);
            let top = views.last().map_or(text, |view| &view.text);
            self.find(top, edges, &mut found);
            lower(&mut found, &views, edits);
        }
    }

    /// Secrets in the text that these pieces of a body make.
    fn pieces(&self, body: &[u8], pieces: &[Range<usize>], edges: Edges, edits: &mut Vec<Edit>) {
        let mut joined = View::default();
        for piece in pieces {
            joined.push_unescaped(body, piece.clone());
        }
        let mut found = Vec::new();
        let mut views = vec![joined];
        for _ in 0..MAX_NESTING {
            let Some(top) = views.last() else { break };
            self.find(&top.text, edges, &mut found);
            let escaped = memchr::memchr(b'\\', &top.text).is_some();
            let mut next = View::default();
            if escaped {
                next.push_unescaped(&top.text, 0..top.text.len());
            }
            lower(&mut found, &views, edits);
            if !escaped {
                break;
            }
            views.push(next);
        }
    }

    fn find(&self, text: &[u8], edges: Edges, found: &mut Vec<Found>) {
        shapes::find(text, edges, found);
        for expression in &self.expressions {
            let matches = expression.find_iter(text).filter(|one| !one.is_empty());
            found.extend(matches.map(|one| (one.range(), Kind::Custom)));
        }
    }

    /// Puts the edits in order, joins those that overlap, and counts them.
    fn marked(&self, mut edits: Vec<Edit>) -> Marked {
        edits.retain(|edit| !edit.range.is_empty());
        // Of edits at one place the longest says best what it was.
        edits.sort_by_key(|edit| (edit.range.start, std::cmp::Reverse(edit.range.end)));
        let mut joined: Vec<Edit> = Vec::with_capacity(edits.len());
        for edit in edits {
            match joined.last_mut() {
                Some(last) if edit.range.start < last.range.end => {
                    last.range.end = last.range.end.max(edit.range.end);
                    if last.with == With::Nothing {
                        last.with = edit.with;
                    }
                }
                _ => joined.push(edit),
            }
        }
        let mut found = 0;
        for edit in &joined {
            if let With::Marker(kind) | With::Value(kind) = edit.with {
                self.counts.add(kind);
                found += 1;
            }
        }
        Marked {
            edits: joined,
            found,
        }
    }
}

impl Marked {
    /// The part `keep` of the text, redacted. A secret that reaches into it from before, or out of it, leaves
    /// its marker whole.
    pub(crate) fn apply(&self, text: &[u8], keep: Range<usize>) -> Vec<u8> {
        let mut kept = Vec::with_capacity(keep.len());
        let mut at = keep.start;
        for edit in &self.edits {
            if edit.range.end <= keep.start {
                continue;
            }
            if edit.range.start >= keep.end {
                break;
            }
            kept.extend_from_slice(text.get(at..edit.range.start).unwrap_or_default());
            match edit.with {
                With::Marker(kind) => kept.extend_from_slice(marker(kind).as_bytes()),
                With::Value(kind) => {
                    kept.push(b'"');
                    kept.extend_from_slice(marker(kind).as_bytes());
                    kept.push(b'"');
                }
                With::Nothing => {}
            }
            at = edit.range.end;
        }
        kept.extend_from_slice(text.get(at..keep.end).unwrap_or_default());
        kept
    }

    /// Widens the edits to whole characters: expressions of the operator's may match bytes.
    fn whole_characters(&mut self, text: &str) {
        for edit in &mut self.edits {
            edit.range.start = text.floor_char_boundary(edit.range.start);
            edit.range.end = text.ceil_char_boundary(edit.range.end);
        }
    }
}

/// Bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn marker(kind: Kind) -> String {
    format!("[redacted:{}]", kind.as_str())
}

fn in_place((range, kind): Found) -> Edit {
    Edit {
        range,
        with: With::Marker(kind),
    }
}

/// Brings what was found in the last view down to the text under all of them.
fn lower(found: &mut Vec<Found>, views: &[View], edits: &mut Vec<Edit>) {
    for (range, kind) in found.drain(..) {
        let mut ranges = vec![range];
        for view in views.iter().rev() {
            ranges = ranges.iter().flat_map(|range| view.source(range)).collect();
        }
        let mut with = With::Marker(kind);
        for range in ranges {
            edits.push(Edit { range, with });
            with = With::Nothing;
        }
    }
}

/// Whether a body may say one text in many places.
fn is_stream(body: &[u8], form: Form) -> bool {
    let starts = body.trim_ascii_start();
    form == Form::Events
        || starts.first() == Some(&b'[')
        || memchr::memmem::find(starts, b"\n{").is_some()
        || memchr::memmem::find(starts, b"}{").is_some()
}

fn names_tokens(body: &[u8]) -> bool {
    [&b"logprobs"[..], b"token_ids", b"_probabilities"]
        .iter()
        .any(|word| memchr::memmem::find(body, word).is_some())
}

#[cfg(test)]
mod tests;
