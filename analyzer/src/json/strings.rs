//! Strings: escapes, surrogate pairs and UTF-8, wherever a piece of the document ends.

use memchr::memchr2;

use super::{Escape, Kind, Lex, MAX_KEY, Reader, Step, Visitor};

impl<N: Copy> Reader<N> {
    pub(super) fn string<'b, V: Visitor<Node = N>>(
        &mut self,
        escape: Escape,
        byte: u8,
        rest: &'b [u8],
        visitor: &mut V,
    ) -> &'b [u8] {
        let tail = rest.get(1..).unwrap_or_default();
        match escape {
            Escape::None => {
                let end = memchr2(b'"', b'\\', rest);
                let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
                if !plain.is_empty() {
                    self.lone_surrogate(visitor);
                    self.plain(plain, visitor);
                }
                match after.split_first() {
                    Some((b'"', after)) => {
                        self.end_string(visitor);
                        after
                    }
                    Some((_, after)) => {
                        self.end_partial(visitor);
                        self.set_escape(Escape::Backslash);
                        after
                    }
                    None => after,
                }
            }
            Escape::Backslash => {
                let resolved = match byte {
                    b'"' => "\"",
                    b'\\' => "\\",
                    b'/' => "/",
                    b'b' => "\u{8}",
                    b'f' => "\u{c}",
                    b'n' => "\n",
                    b'r' => "\r",
                    b't' => "\t",
                    b'u' => {
                        self.set_escape(Escape::Unicode {
                            digits: 0,
                            value: 0,
                        });
                        return tail;
                    }
                    _ => {
                        self.lex = Lex::Invalid;
                        return tail;
                    }
                };
                self.lone_surrogate(visitor);
                self.emit(resolved, visitor);
                self.set_escape(Escape::None);
                tail
            }
            Escape::Unicode { digits, value } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    self.lex = Lex::Invalid;
                    return tail;
                };
                let value = (value << 4) | digit as u16;
                if digits == 3 {
                    self.unit(value, visitor);
                    self.set_escape(Escape::None);
                } else {
                    self.set_escape(Escape::Unicode {
                        digits: digits + 1,
                        value,
                    });
                }
                tail
            }
        }
    }

    fn set_escape(&mut self, escape: Escape) {
        self.lex = match self.lex {
            Lex::InKey(_) => Lex::InKey(escape),
            _ => Lex::InString(escape),
        };
    }

    /// One UTF-16 unit of an escape.
    fn unit<V: Visitor<Node = N>>(&mut self, unit: u16, visitor: &mut V) {
        if let (Some(high), 0xDC00..=0xDFFF) = (self.high, unit) {
            self.high = None;
            let code = 0x1_0000 + ((u32::from(high) & 0x3FF) << 10) + (u32::from(unit) & 0x3FF);
            self.emit_char(char::from_u32(code), visitor);
            return;
        }
        self.lone_surrogate(visitor);
        match unit {
            0xD800..=0xDBFF => self.high = Some(unit),
            _ => self.emit_char(char::from_u32(u32::from(unit)), visitor),
        }
    }

    fn lone_surrogate<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        if self.high.take().is_some() {
            self.emit_char(None, visitor);
        }
    }

    fn emit_char<V: Visitor<Node = N>>(&mut self, character: Option<char>, visitor: &mut V) {
        if character.is_none() {
            self.damage.replaced = self.damage.replaced.saturating_add(1);
        }
        let mut buffer = [0; 4];
        let text = character
            .unwrap_or(char::REPLACEMENT_CHARACTER)
            .encode_utf8(&mut buffer);
        self.emit(text, visitor);
    }

    fn emit<V: Visitor<Node = N>>(&mut self, piece: &str, visitor: &mut V) {
        if matches!(self.lex, Lex::InKey(_)) {
            self.keep(piece, MAX_KEY);
        } else if let Some(node) = self.node {
            visitor.text(node, piece);
        }
    }

    pub(super) fn keep(&mut self, piece: &str, cap: usize) {
        if self.kept.len().saturating_add(piece.len()) <= cap {
            self.kept.push_str(piece);
        } else {
            self.kept_overflow = true;
        }
    }

    /// Unescaped bytes of a string: checked as UTF-8 across the ends of pieces.
    fn plain<V: Visitor<Node = N>>(&mut self, bytes: &[u8], visitor: &mut V) {
        let mut rest = bytes;
        while self.partial_len > 0 {
            let Some((&byte, tail)) = rest.split_first() else {
                return;
            };
            if self.extend_partial(byte, visitor) {
                rest = tail;
            }
        }
        if let Ok(text) = std::str::from_utf8(rest) {
            if !text.is_empty() {
                self.emit(text, visitor);
            }
            return;
        }
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                self.emit(chunk.valid(), visitor);
            }
            let bad = chunk.invalid();
            if bad.is_empty() {
                continue;
            }
            // Only the end of the piece can cut a good character.
            let cut = chunks.peek().is_none()
                && std::str::from_utf8(bad).is_err_and(|error| error.error_len().is_none());
            match self.partial.get_mut(..bad.len()) {
                Some(room) if cut => {
                    room.copy_from_slice(bad);
                    self.partial_len = bad.len();
                }
                _ => self.emit_char(None, visitor),
            }
        }
    }

    /// Adds a byte to the character that a piece's end cut. False: the byte does not belong to it,
    /// and the character was given up.
    fn extend_partial<V: Visitor<Node = N>>(&mut self, byte: u8, visitor: &mut V) -> bool {
        let mut bytes = self.partial;
        let len = self.partial_len;
        let Some(slot) = bytes.get_mut(len) else {
            self.end_partial(visitor);
            return false;
        };
        *slot = byte;
        let candidate = bytes.get(..=len).unwrap_or_default();
        match std::str::from_utf8(candidate) {
            Ok(text) => {
                self.partial_len = 0;
                self.emit(text, visitor);
                true
            }
            Err(error) if error.error_len().is_none() => {
                self.partial = bytes;
                self.partial_len = len + 1;
                true
            }
            Err(_) => {
                self.end_partial(visitor);
                false
            }
        }
    }

    fn end_partial<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        if self.partial_len > 0 {
            self.partial_len = 0;
            self.emit_char(None, visitor);
        }
    }

    fn end_string<V: Visitor<Node = N>>(&mut self, visitor: &mut V) {
        self.end_partial(visitor);
        self.lone_surrogate(visitor);
        if matches!(self.lex, Lex::InKey(_)) {
            let key = std::mem::take(&mut self.kept);
            let step = (!self.kept_overflow).then_some(Step::Key(&key));
            self.step_to(step, visitor);
            self.kept = key;
        } else {
            if let Some(node) = self.node {
                visitor.end(node, Kind::String);
            }
            self.after_value();
        }
    }
}

/// The string that ends within these bytes and needs no work, and what follows its closing quote.
pub(super) fn whole_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr2(b'"', b'\\', bytes)?;
    let (text, after) = bytes.split_at(end);
    let (b'"', after) = after.split_first()? else {
        return None;
    };
    Some((std::str::from_utf8(text).ok()?, after))
}
