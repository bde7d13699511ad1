//! A stored body as text.

use std::borrow::Cow;

use crate::call::StoredBody;

/// A body as the two texts that are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BodyText<'a> {
    pub(super) head: Cow<'a, str>,
    pub(super) tail: Cow<'a, str>,
    /// Bytes left out between the two.
    pub(super) omitted: u64,
}

impl<'a> BodyText<'a> {
    /// Bytes that are no UTF-8 become U+FFFD. Where something is left out between head and tail, the
    /// cuts move to characters' boundaries; where nothing is, the two become one head.
    pub(super) fn new(body: &'a StoredBody) -> Self {
        if body.tail.is_empty() && body.omitted == 0 {
            return Self {
                head: lossy(&body.head),
                tail: Cow::Borrowed(""),
                omitted: 0,
            };
        }
        if body.omitted == 0 {
            let whole = [body.head.as_slice(), &body.tail].concat();
            return Self {
                head: Cow::Owned(lossy(&whole).into_owned()),
                tail: Cow::Borrowed(""),
                omitted: 0,
            };
        }
        let head = without_cut_end(&body.head);
        let tail = without_cut_start(&body.tail);
        let cut = (body.head.len() - head.len()) + (body.tail.len() - tail.len());
        Self {
            head: lossy(head),
            tail: lossy(tail),
            omitted: body.omitted.saturating_add(cut as u64),
        }
    }

    /// Bytes of both texts.
    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

/// Bytes as text. Nearly all are, and to find that out is quicker than to look for what is not.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Takes off a character that the end cuts in two.
fn without_cut_end(bytes: &[u8]) -> &[u8] {
    // A character has at most four bytes, so a cut one shows in the last three.
    for keep in (bytes.len().saturating_sub(3)..bytes.len()).rev() {
        let (kept, end) = bytes.split_at(keep);
        let cut = std::str::from_utf8(end)
            .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none());
        if cut {
            return kept;
        }
    }
    bytes
}

/// Takes off the rest of a character whose beginning is left out.
fn without_cut_start(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|b| **b & 0xc0 == 0x80);
    bytes.split_at(rest.count()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(head: &[u8], tail: &[u8], omitted: u64) -> StoredBody {
        StoredBody {
            head: head.to_vec(),
            tail: tail.to_vec(),
            omitted,
        }
    }

    /// Whatever the two cuts, no character is damaged and no byte is unaccounted for.
    #[test]
    fn every_pair_of_cuts_keeps_characters_whole() {
        let text = "aé模😀b模é";
        let bytes = text.as_bytes();
        for from in 0..=bytes.len() {
            for to in from..=bytes.len() {
                let stored = body(&bytes[..from], &bytes[to..], (to - from) as u64);
                let shown = BodyText::new(&stored);
                assert!(
                    !shown.head.contains('\u{fffd}') && !shown.tail.contains('\u{fffd}'),
                    "{from} {to}"
                );
                assert!(text.starts_with(&*shown.head) && text.ends_with(&*shown.tail));
                assert_eq!(
                    shown.bytes() as u64 + shown.omitted,
                    bytes.len() as u64,
                    "{from} {to}"
                );
                assert_eq!(shown.omitted == 0, from == to);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let stored = body(b"a\xffb", b"", 0);
        assert_eq!(BodyText::new(&stored).head, "a\u{fffd}b");
    }
}
