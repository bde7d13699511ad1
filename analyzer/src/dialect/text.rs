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
}
