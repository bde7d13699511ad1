//! Text kept within bounds.

/// Text kept of one body, in bytes: the read cap of a decoded body, since text is never longer than
/// the JSON that carried it. What goes past it is not counted, and the call says `truncated`.
pub const MAX_TEXT: usize = 64 << 20;

/// How much more text a body may keep.
#[derive(Clone, Debug)]
pub(super) struct Room {
    left: usize,
    cut: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            left: MAX_TEXT,
            cut: false,
        }
    }
}

impl Room {
    /// As much of the piece as there is room for.
    pub(super) fn take<'a>(&mut self, piece: &'a str) -> &'a str {
        if self.cut {
            return "";
        }
        let kept = piece
            .get(..piece.floor_char_boundary(self.left))
            .unwrap_or_default();
        self.left = self.left.saturating_sub(kept.len());
        self.cut = kept.len() < piece.len();
        kept
    }

    /// Bytes kept so far.
    pub(super) const fn used(&self) -> usize {
        MAX_TEXT.saturating_sub(self.left)
    }

    /// Keeps nothing more.
    pub(super) const fn close(&mut self) {
        self.cut = true;
    }

    /// Whether anything was left out.
    pub(super) const fn cut(&self) -> bool {
        self.cut
    }
}

/// Appends a piece to a short field, which never grows past `cap` bytes and ends at a character's end.
pub(super) fn cut_to(field: &mut String, piece: &str, cap: usize) {
    let room = cap.saturating_sub(field.len());
    let end = piece.floor_char_boundary(room);
    field.push_str(piece.get(..end).unwrap_or_default());
}

/// Bytes that come in pieces, as text: what is no UTF-8 becomes U+FFFD, and a character that a piece's
/// end cuts in two waits for its rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Utf8 {
    partial: Vec<u8>,
}

impl Utf8 {
    /// The text of the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let cut = all.utf8_chunks().last().map_or(0, |chunk| {
            let invalid = chunk.invalid();
            // Only a beginning at the very end may yet become a character.
            let unfinished = std::str::from_utf8(invalid)
                .err()
                .is_some_and(|e| e.error_len().is_none());
            if unfinished { invalid.len() } else { 0 }
        });
        self.partial = all.split_off(all.len() - cut);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What stands for a character that never came to its end.
    pub(super) fn finish(&mut self) -> &'static str {
        if std::mem::take(&mut self.partial).is_empty() {
            ""
        } else {
            "\u{FFFD}"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_characters_end_and_stays_cut() {
        let mut room = Room {
            left: 4,
            cut: false,
        };
        assert_eq!(room.take("你好"), "你");
        assert!(room.cut());
        assert_eq!(room.take("a"), "");
        let mut field = String::new();
        cut_to(&mut field, "abc", 5);
        cut_to(&mut field, "你", 5);
        assert_eq!(field, "abc");
    }

    #[test]
    fn text_in_pieces_is_the_text() {
        for bytes in [
            &b"a\xe4\xbd\xa0\xf0\x9f\x98\x80b"[..],
            b"\xff\xe4\xbdz\xf0\x9f",
            b"\xc3",
        ] {
            for size in 1..=bytes.len() {
                let mut utf8 = Utf8::default();
                let mut text: String = bytes.chunks(size).map(|piece| utf8.push(piece)).collect();
                text.push_str(utf8.finish());
                assert_eq!(text, String::from_utf8_lossy(bytes), "in pieces of {size}");
            }
        }
    }
}
