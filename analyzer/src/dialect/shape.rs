//! The shape of a body: which of the dialects' signs it has.
//!
//! A [`Sign`] is a list of conditions that hold together in one body, or in one event of a stream. A
//! condition is the path to a value that is there and not null, such as `messages[].role` (`[]` is an
//! array's first element), and may go on with the beginning of a text: `object=chat.completion`.
//! One tree of all conditions of all dialects is walked along with the body, so that the cost
//! does not grow with the number of dialects.

use std::sync::LazyLock;

use super::{
    Answer, DIALECTS, Dialect, Request,
    answer::{AnswerFacts, ErrorFacts},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Conditions that together are a dialect's sign. The first one tells the most: without it, the
/// others are no trace of the dialect.
pub type Sign = &'static [&'static str];

/// Conditions of all signs of one side; far above what there are, and checked by a test.
const MAX_CONDITIONS: usize = 256;

/// Bytes of a text that are compared.
const MAX_VALUE: usize = 64;

/// A set of conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Conditions([u64; MAX_CONDITIONS / 64]);

impl Conditions {
    fn insert(&mut self, condition: usize) {
        if let Some(word) = self.0.get_mut(condition / 64) {
            *word |= 1 << (condition % 64);
        }
    }

    fn contains(&self, condition: usize) -> bool {
        let word = self.0.get(condition / 64).copied().unwrap_or_default();
        word >> (condition % 64) & 1 == 1
    }

    /// How many of the conditions of `sign` are here, and whether all are; none without its first one.
    fn of(&self, sign: &Known) -> (u32, bool) {
        if !self.contains(sign.first) {
            return (0, false);
        }
        let words = self.0.iter().zip(&sign.all.0);
        let here = words.map(|(here, sign)| (here & sign).count_ones()).sum();
        let wanted: u32 = sign.all.0.iter().map(|word| word.count_ones()).sum();
        (here, here == wanted)
    }
}

/// A sign, by the numbers of its conditions.
#[derive(Clone, Copy, Debug)]
struct Known {
    first: usize,
    all: Conditions,
}

/// All signs of one side.
#[derive(Debug)]
struct Signs {
    tree: Vec<Node>,
    /// In the order of [`DIALECTS`].
    dialects: Vec<(&'static Dialect, Vec<Known>)>,
    conditions: usize,
}

/// A place in a body that some condition names, or leads through.
#[derive(Debug, Default)]
struct Node {
    keys: Vec<(&'static str, u16)>,
    first: Option<u16>,
    /// The condition that it is there.
    presence: Option<usize>,
    /// Conditions that it begins so.
    values: Vec<(&'static str, usize)>,
}

static REQUESTS: LazyLock<Signs> = LazyLock::new(|| Signs::of(|dialect| dialect.request_signs));
static ANSWERS: LazyLock<Signs> = LazyLock::new(|| Signs::of(|dialect| dialect.answer_signs));

impl Signs {
    fn of(side: fn(&Dialect) -> &'static [Sign]) -> Self {
        let mut signs = Self {
            tree: vec![Node::default()],
            dialects: Vec::new(),
            conditions: 0,
        };
        for dialect in DIALECTS {
            let sets = side(dialect)
                .iter()
                .filter_map(|sign| {
                    let numbers = sign.iter().map(|condition| signs.condition(condition));
                    let numbers: Vec<_> = numbers.collect();
                    let mut all = Conditions::default();
                    for number in &numbers {
                        all.insert(*number);
                    }
                    let first = *numbers.first()?;
                    Some(Known { first, all })
                })
                .collect();
            signs.dialects.push((dialect, sets));
        }
        signs
    }

    /// The number of this condition; alike ones share it.
    fn condition(&mut self, condition: &'static str) -> usize {
        let (path, value) = match condition.split_once('=') {
            Some((path, value)) => (path, Some(value)),
            None => (condition, None),
        };
        let mut at = 0;
        for part in path.split('.') {
            let key = part.trim_end_matches("[]");
            if !key.is_empty() {
                at = self.child(at, Some(key));
            }
            for _ in 0..(part.len() - key.len()) / 2 {
                at = self.child(at, None);
            }
        }
        let next = self.conditions;
        let node = &mut self.tree[at];
        let number = if let Some(value) = value {
            let known = node.values.iter().find(|(known, _)| *known == value);
            let number = known.map_or(next, |(_, number)| *number);
            if number == next {
                node.values.push((value, next));
            }
            number
        } else {
            *node.presence.get_or_insert(next)
        };
        self.conditions = next.max(number + 1);
        number
    }

    fn child(&mut self, at: usize, key: Option<&'static str>) -> usize {
        let node = &self.tree[at];
        let known = match key {
            Some(key) => node.keys.iter().find(|(k, _)| *k == key).map(|(_, n)| *n),
            None => node.first,
        };
        if let Some(known) = known {
            return usize::from(known);
        }
        let fresh = self.tree.len();
        self.tree.push(Node::default());
        match key {
            Some(key) => self.tree[at].keys.push((key, fresh as u16)),
            None => self.tree[at].first = Some(fresh as u16),
        }
        fresh
    }
}

/// Which of two dialects a shape speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Likeness {
    /// A whole sign is there.
    pub(super) whole: bool,
    /// The path speaks for it.
    pub(super) preferred: bool,
    /// Conditions of the longest whole sign, or else of the one most of which is there.
    pub(super) conditions: u32,
}

/// Reads the shape of one body; it keeps nothing else.
#[derive(Debug)]
pub(super) struct Shape {
    signs: &'static Signs,
    found: Conditions,
    /// The first dialect of which a whole sign was seen, of events in order: it is decided in the
    /// middle of a body, so that it does not depend on how that was cut.
    first: Option<&'static Dialect>,
    preferred: Option<&'static Dialect>,
    value: String,
    request: RequestFacts,
    answer: AnswerFacts,
}

impl Shape {
    fn new(signs: &'static Signs) -> Self {
        Self {
            signs,
            found: Conditions::default(),
            first: None,
            preferred: None,
            value: String::new(),
            request: RequestFacts::default(),
            answer: AnswerFacts::default(),
        }
    }

    pub(super) fn of_request() -> Self {
        Self::new(&REQUESTS)
    }

    /// Of an answer to a request of the dialect `preferred`, where that is known: where an event has
    /// whole signs of several, that one holds.
    pub(super) fn of_answer(preferred: Option<&'static Dialect>) -> Self {
        Self {
            preferred,
            ..Self::new(&ANSWERS)
        }
    }

    /// The first dialect of which a whole sign was seen.
    pub(super) fn first(&self) -> Option<&'static Dialect> {
        self.first
    }

    /// How like each dialect the body is, of those of which it has anything, best first.
    pub(super) fn likenesses(
        &self,
        preferred: &[&'static Dialect],
    ) -> Vec<(&'static Dialect, Likeness)> {
        let mut all: Vec<_> = self
            .signs
            .dialects
            .iter()
            .map(|(dialect, signs)| {
                let best = signs.iter().map(|sign| self.found.of(sign));
                let best = best.max_by_key(|(count, whole)| (*whole, *count));
                let (conditions, whole) = best.unwrap_or_default();
                let likeness = Likeness {
                    whole,
                    preferred: preferred.iter().any(|p| p.name == dialect.name),
                    conditions,
                };
                (*dialect, likeness)
            })
            .filter(|(_, likeness)| likeness.conditions > 0)
            .collect();
        // Stable: of equals, the earlier in the table comes first.
        all.sort_by_key(|(_, likeness)| std::cmp::Reverse(*likeness));
        all
    }

    fn find(&mut self, condition: usize) {
        // Nothing new: a body that repeats a key a million times costs no more than its bytes.
        if self.found.contains(condition) {
            return;
        }
        self.found.insert(condition);
        if self.first.is_some() {
            return;
        }
        let whole = |signs: &[Known]| signs.iter().any(|sign| self.found.of(sign).1);
        let mut fitting = self
            .signs
            .dialects
            .iter()
            .filter(|(_, signs)| whole(signs))
            .map(|(dialect, _)| *dialect);
        let preferred = self.preferred.map(|preferred| preferred.name);
        let first = fitting.clone().next();
        self.first = fitting
            .find(|dialect| Some(dialect.name) == preferred)
            .or(first);
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::of_request()
    }
}

impl Visitor for Shape {
    type Node = u16;

    fn root(&mut self) -> Option<u16> {
        Some(0)
    }

    fn child(&mut self, node: u16, step: Step<'_>) -> Option<u16> {
        let node = self.signs.tree.get(usize::from(node))?;
        match step {
            Step::Key(key) => node.keys.iter().find(|(k, _)| *k == key).map(|(_, n)| *n),
            Step::Index(0) => node.first,
            Step::Index(_) => None,
        }
    }

    fn begin(&mut self, node: u16, _kind: Kind) {
        self.value.clear();
        self.present(node);
    }

    fn text(&mut self, _node: u16, piece: &str) {
        super::text::cut_to(&mut self.value, piece, MAX_VALUE);
    }

    fn scalar(&mut self, node: u16, scalar: Scalar<'_>) {
        if scalar != Scalar::Null {
            self.present(node);
        }
    }

    fn end(&mut self, node: u16, kind: Kind) {
        if kind != Kind::String {
            return;
        }
        let Some(node) = self.signs.tree.get(usize::from(node)) else {
            return;
        };
        for (start, condition) in &node.values {
            if self.value.starts_with(start) {
                self.find(*condition);
            }
        }
    }
}

impl Shape {
    fn present(&mut self, node: u16) {
        let node = self.signs.tree.get(usize::from(node));
        if let Some(condition) = node.and_then(|node| node.presence) {
            self.find(condition);
        }
    }
}

impl Request for Shape {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.request
    }
}

impl Answer for Shape {
    /// An answer's array of one kind of objects may be a stream of them, or one answer: both are read.
    const ARRAY_IS_STREAM: bool = false;

    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.answer
    }

    fn end_event(&mut self, _named_error: bool) {
        self.found = Conditions::default();
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;

    fn shape(mut shape: Shape, json: &str) -> Shape {
        Reader::new().push(json.as_bytes(), &mut shape);
        shape
    }

    fn likely(json: &str) -> Vec<(&'static str, bool)> {
        let shape = shape(Shape::of_request(), json);
        let likenesses = shape.likenesses(&[]).into_iter();
        likenesses.map(|(d, like)| (d.name, like.whole)).collect()
    }

    #[test]
    fn there_is_room_for_all_conditions() {
        for signs in [&REQUESTS, &ANSWERS] {
            assert!(signs.conditions <= MAX_CONDITIONS, "{}", signs.conditions);
            assert!(signs.tree.len() < usize::from(u16::MAX));
            for (dialect, signs) in &signs.dialects {
                assert!(!signs.is_empty(), "{}", dialect.name);
            }
        }
    }

    #[test]
    fn the_longest_whole_sign_is_the_likeliest() {
        assert_eq!(likely(r#"{"messages":[]}"#), []);
        assert_eq!(likely(r#"{"model":"m","messages":[{"role":null}]}"#), []);
        let chat = likely(r#"{"messages":[{"role":"user"}]}"#);
        assert_eq!(chat.first(), Some(&("openai_chat", true)));
        assert!(chat.contains(&("anthropic", false)));
        let system = likely(r#"{"system":"a","messages":[{"role":"user"}]}"#);
        assert_eq!(
            system.get(..2),
            Some(&[("anthropic", true), ("openai_chat", true)][..])
        );
        assert_eq!(likely(r#"{"messages":[{"to":"a"},{"role":"user"}]}"#), []);
    }

    #[test]
    fn an_answers_first_sign_decides_and_of_equals_the_preferred_one() {
        let first = |preferred: Option<&'static Dialect>, json: &str| {
            let shape = shape(Shape::of_answer(preferred), json);
            shape.first().map(|dialect| dialect.name)
        };
        let chat = r#"{"object":"chat.completion.chunk","type":"message_start"}"#;
        assert_eq!(first(None, chat), Some("openai_chat"));
        assert_eq!(first(None, r#"{"object":"chat"}"#), None);
        assert_eq!(first(None, r#"{"type":"message"}"#), None);
        assert_eq!(
            first(None, r#"{"type":"message","role":"assistant"}"#),
            Some("anthropic")
        );
        assert_eq!(first(None, r#"{"error":{"type":"message_"}}"#), None);
    }
}
