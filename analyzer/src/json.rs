//! A push reader of JSON: bytes in, in any pieces, and steps, text and scalars out.
//!
//! Bodies are never whole, and one event of a stream may have many megabytes. So nothing is
//! buffered but a key or a number that a piece's end cuts in two; strings are handed on piece by
//! piece. A [`Visitor`] says for each value which node of its own tree it is, or that it does not
//! care: then the value is skipped at the speed of a byte search.
//!
//! It is forgiving where a tap gains by it (a byte order mark, a trailing comma, NaN, raw control
//! characters in strings, anything after the root value) and never fails: damage is counted, and
//! bytes that are no JSON leave the reader [`State::Invalid`], with all that was read before kept.

use memchr::memchr2;
use strings::whole_string;

mod strings;
#[cfg(test)]
mod tests;

/// How deep containers may nest and still be visited. Deeper ones are skipped and counted: no wire
/// API nests deeper than about ten levels, and a body of `[[[[…` must not grow the stack.
pub const MAX_DEPTH: usize = 128;

/// Bytes of a key that are kept. The value of a longer key is skipped: no field of a wire API has
/// such a name.
pub const MAX_KEY: usize = 256;

/// Bytes of a number or literal that are kept; a longer one is not read as a number.
pub const MAX_BARE: usize = 64;

/// What a value is, besides a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
}

/// One step down from a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// To the value of this key, escapes resolved.
    Key(&'a str),
    /// To this element, from 0.
    Index(u32),
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`, and the NaN and Infinity that some encoders write.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
}

/// Takes what the reader finds.
pub trait Visitor {
    /// The visitor's name for a place in the document.
    type Node: Copy + std::fmt::Debug + Send;

    /// The root value's node.
    fn root(&mut self) -> Option<Self::Node>;
    /// The node one step below `node`; `None` skips that value.
    fn child(&mut self, node: Self::Node, step: Step<'_>) -> Option<Self::Node>;
    /// A container or string begins.
    fn begin(&mut self, _node: Self::Node, _kind: Kind) {}
    /// A piece of a string, escapes resolved, never empty.
    fn text(&mut self, _node: Self::Node, _piece: &str) {}
    /// A scalar.
    fn scalar(&mut self, _node: Self::Node, _scalar: Scalar<'_>) {}
    /// A container or string ends.
    fn end(&mut self, _node: Self::Node, _kind: Kind) {}
}

/// How far a document has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More bytes are needed.
    Incomplete,
    /// The root value is complete.
    Done,
    /// The bytes are no JSON from some place on.
    Invalid,
}

/// What was wrong with a document that was read all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Sequences of bytes that were no UTF-8, and lone surrogates: U+FFFD stands for each.
    pub replaced: u64,
    /// Containers that were skipped for their depth.
    pub too_deep: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lex {
    /// A value is due; after `[` also its end.
    Value,
    /// A key or the object's end is due.
    Key,
    Colon,
    /// A comma or the container's end is due.
    Comma,
    InKey(Escape),
    InString(Escape),
    /// In a number or literal.
    Bare,
    SkipString {
        escaped: bool,
    },
    SkipNest {
        depth: u64,
        string: Within,
    },
    Done,
    Invalid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Unicode { digits: u8, value: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Structure,
    String,
    Escape,
}

#[derive(Clone, Copy, Debug)]
struct Frame<N> {
    node: N,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Object,
    /// The next element's index.
    Array(u32),
}

/// The reader of one document; [`Reader::reset`] makes it ready for the next.
#[derive(Debug)]
pub struct Reader<N> {
    lex: Lex,
    stack: Vec<Frame<N>>,
    /// The node of the value that is due or being read; `None` skips it.
    node: Option<N>,
    started: bool,
    /// A key or bare word that a piece's end cut in two.
    kept: String,
    kept_overflow: bool,
    /// The beginning of a character whose rest is in the next piece.
    partial: [u8; 4],
    partial_len: usize,
    /// A high surrogate that waits for its low one.
    high: Option<u16>,
    damage: Damage,
}

impl<N: Copy> Default for Reader<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Copy> Reader<N> {
    /// A reader at the beginning of a document.
    pub const fn new() -> Self {
        Self {
            lex: Lex::Value,
            stack: Vec::new(),
            node: None,
            started: false,
            kept: String::new(),
            kept_overflow: false,
            partial: [0; 4],
            partial_len: 0,
            high: None,
            damage: Damage {
                replaced: 0,
                too_deep: 0,
            },
        }
    }

    /// Begins another document. Damage goes on being counted.
    pub fn reset(&mut self) {
        self.lex = Lex::Value;
        self.stack.clear();
        self.started = false;
        self.kept.clear();
        self.kept_overflow = false;
        self.partial_len = 0;
        self.high = None;
    }

    /// How far the document has been read.
    pub const fn state(&self) -> State {
        match self.lex {
            Lex::Done => State::Done,
            Lex::Invalid => State::Invalid,
            _ => State::Incomplete,
        }
    }

    /// What was wrong so far, over all documents.
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// Reads the next bytes; what follows the end of the root value (or the place from which on the
    /// bytes are no JSON) comes back.
    pub fn push<'b, V: Visitor<Node = N>>(&mut self, bytes: &'b [u8], visitor: &mut V) -> &'b [u8] {
        if !self.started && !bytes.is_empty() {
            self.started = true;
            self.node = visitor.root();
        }
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match self.lex {
                Lex::Value => self.value(byte, rest, visitor),
                Lex::Key => self.key(byte, tail, visitor),
                Lex::Colon => {
                    match byte {
                        b':' => self.lex = Lex::Value,
                        _ => self.expect_space(byte),
                    }
                    tail
                }
                Lex::Comma => self.comma(byte, tail, visitor),
                Lex::InKey(escape) | Lex::InString(escape) => {
                    self.string(escape, byte, rest, visitor)
                }
                Lex::Bare => self.bare(rest, visitor),
                Lex::SkipString { escaped } => self.skip_string(escaped, rest),
                Lex::SkipNest { depth, string } => self.skip_nest(depth, string, rest),
                Lex::Done | Lex::Invalid => return rest,
            };
        }
        rest
    }

    /// The document ends here: a number at the root is complete only now.
    pub fn finish<V: Visitor<Node = N>>(&mut self, visitor: &mut V) -> State {
        if self.lex == Lex::Bare && self.stack.is_empty() {
            self.end_bare(visitor);
        }
        self.state()
    }

    fn expect_space(&mut self, byte: u8) {
        if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            self.lex = Lex::Invalid;
        }
    }

    fn value<'b, V: Visitor<Node = N>>(
        &mut self,
        byte: u8,
        rest: &'b [u8],
        visitor: &mut V,
    ) -> &'b [u8] {
        let tail = rest.get(1..).unwrap_or_default();
        match byte {
            b'"' => {
                let Some(node) = self.node else {
                    self.lex = Lex::SkipString { escaped: false };
                    return tail;
                };
                visitor.begin(node, Kind::String);
                if let Some((text, after)) = whole_string(tail) {
                    if !text.is_empty() {
                        visitor.text(node, text);
                    }
                    visitor.end(node, Kind::String);
                    self.after_value();
                    return after;
                }
                self.lex = Lex::InString(Escape::None);
                tail
            }
            b'{' | b'[' => {
                self.open(byte, visitor);
                tail
            }
            b']' if matches!(self.stack.last(), Some(f) if matches!(f.place, Place::Array(_))) => {
                self.close(visitor);
                tail
            }
            b' ' | b'\n' | b'\r' | b'\t' => tail,
            // A byte order mark.
            0xEF | 0xBB | 0xBF if self.stack.is_empty() => tail,
            b'-' | b'+' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.lex = Lex::Bare;
                self.kept.clear();
                self.kept_overflow = false;
                rest
            }
            _ => {
                self.lex = Lex::Invalid;
                tail
            }
        }
    }

    fn open<V: Visitor<Node = N>>(&mut self, byte: u8, visitor: &mut V) {
        let skip = Lex::SkipNest {
            depth: 1,
            string: Within::Structure,
        };
        let Some(node) = self.node else {
            self.lex = skip;
            return;
        };
        if self.stack.len() >= MAX_DEPTH {
            self.damage.too_deep = self.damage.too_deep.saturating_add(1);
            self.lex = skip;
            return;
        }
        if byte == b'{' {
            visitor.begin(node, Kind::Object);
            self.stack.push(Frame {
                node,
                place: Place::Object,
            });
            self.lex = Lex::Key;
        } else {
            visitor.begin(node, Kind::Array);
            self.stack.push(Frame {
                node,
                place: Place::Array(0),
            });
            self.next_element(visitor);
        }
    }

    fn next_element<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        if let Some(Frame {
            node,
            place: Place::Array(index),
        }) = self.stack.last_mut()
        {
            // Asked for an element that an empty array or a trailing comma never brings: harmless.
            self.node = visitor.child(*node, Step::Index(*index));
            *index = index.saturating_add(1);
            self.lex = Lex::Value;
        }
    }

    fn close<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        if let Some(frame) = self.stack.pop() {
            let kind = match frame.place {
                Place::Object => Kind::Object,
                Place::Array(_) => Kind::Array,
            };
            visitor.end(frame.node, kind);
        }
        self.after_value();
    }

    fn after_value(&mut self) {
        self.lex = if self.stack.is_empty() {
            Lex::Done
        } else {
            Lex::Comma
        };
    }

    fn comma<'b, V: Visitor<Node = N>>(
        &mut self,
        byte: u8,
        tail: &'b [u8],
        visitor: &mut V,
    ) -> &'b [u8] {
        let Some(place) = self.stack.last().map(|frame| frame.place) else {
            self.lex = Lex::Done;
            return tail;
        };
        match (byte, place) {
            (b',', Place::Object) => self.lex = Lex::Key,
            (b',', Place::Array(_)) => self.next_element(visitor),
            (b'}', Place::Object) | (b']', Place::Array(_)) => self.close(visitor),
            _ => self.expect_space(byte),
        }
        tail
    }

    fn key<'b, V: Visitor<Node = N>>(
        &mut self,
        byte: u8,
        tail: &'b [u8],
        visitor: &mut V,
    ) -> &'b [u8] {
        match byte {
            b'"' => {
                if let Some((text, after)) = whole_string(tail) {
                    let step = (text.len() <= MAX_KEY).then_some(Step::Key(text));
                    self.step_to(step, visitor);
                    return after;
                }
                self.kept.clear();
                self.kept_overflow = false;
                self.lex = Lex::InKey(Escape::None);
            }
            b'}' => self.close(visitor),
            _ => self.expect_space(byte),
        }
        tail
    }

    fn step_to<V: Visitor<Node = N>>(&mut self, step: Option<Step<'_>>, visitor: &mut V) {
        self.node = match (step, self.stack.last()) {
            (Some(step), Some(frame)) => visitor.child(frame.node, step),
            _ => None,
        };
        self.lex = Lex::Colon;
    }

    fn bare<'b, V: Visitor<Node = N>>(&mut self, rest: &'b [u8], visitor: &mut V) -> &'b [u8] {
        let is_bare = |b: &u8| matches!(b, b'-' | b'+' | b'.') || b.is_ascii_alphanumeric();
        let end = rest.iter().position(|b| !is_bare(b));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if let Ok(word) = std::str::from_utf8(word) {
            self.keep(word, MAX_BARE);
        }
        if end.is_some() {
            self.end_bare(visitor);
        }
        after
    }

    fn end_bare<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        let word = std::mem::take(&mut self.kept);
        let scalar = match word.as_str() {
            _ if self.kept_overflow => Some(Scalar::Null),
            "null" | "NaN" | "Infinity" | "-Infinity" => Some(Scalar::Null),
            "true" => Some(Scalar::Bool(true)),
            "false" => Some(Scalar::Bool(false)),
            number if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Some(Scalar::Number(number))
            }
            _ => None,
        };
        match scalar {
            Some(scalar) => {
                if let Some(node) = self.node {
                    visitor.scalar(node, scalar);
                }
                self.after_value();
            }
            None => self.lex = Lex::Invalid,
        }
        self.kept = word;
    }

    fn skip_string<'b>(&mut self, escaped: bool, rest: &'b [u8]) -> &'b [u8] {
        let (within, after) = past_string(escaped, rest);
        match within {
            Within::Structure => self.after_value(),
            Within::String => self.lex = Lex::SkipString { escaped: false },
            Within::Escape => self.lex = Lex::SkipString { escaped: true },
        }
        after
    }

    fn skip_nest<'b>(&mut self, depth: u64, string: Within, rest: &'b [u8]) -> &'b [u8] {
        let (mut depth, mut within, mut rest) = (depth, string, rest);
        loop {
            if within != Within::Structure {
                (within, rest) = past_string(within == Within::Escape, rest);
            }
            let found = rest
                .iter()
                .position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']'));
            let Some((&byte, after)) = found.and_then(|at| rest.get(at..)?.split_first()) else {
                self.lex = Lex::SkipNest {
                    depth,
                    string: within,
                };
                return &[];
            };
            rest = after;
            match byte {
                b'"' => within = Within::String,
                b'{' | b'[' => depth = depth.saturating_add(1),
                _ => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.after_value();
                        return rest;
                    }
                }
            }
        }
    }
}

/// Goes past a string that is not wanted; says where that ended.
fn past_string(escaped: bool, bytes: &[u8]) -> (Within, &[u8]) {
    let mut rest = if escaped {
        bytes.get(1..).unwrap_or_default()
    } else {
        bytes
    };
    if escaped && bytes.is_empty() {
        return (Within::Escape, bytes);
    }
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let after = rest.get(at + 1..).unwrap_or_default();
        if rest.get(at) == Some(&b'"') {
            return (Within::Structure, after);
        }
        let Some(next) = after.get(1..) else {
            return (Within::Escape, &[]);
        };
        rest = next;
    }
    (Within::String, &[])
}
