//! How much longer a tokenizer.json may make a text before it splits it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

/// Times that a text may grow: sentencepiece's longest replacement takes 33 octets for one letter, and a mark of
/// three before each word comes on top. A file that replaces a letter by a book would make 64 KB a gigabyte.
pub(super) const MOST: usize = 256;

/// At most so many octets become of one by a normalizer and those within it. What Unicode's forms and small letters
/// add is not told: it is bounded by Unicode.
pub(super) fn of(normalizer: &Value) -> usize {
    let text = |key: &str| normalizer.get(key).and_then(Value::as_str);
    match text("type") {
        Some("Sequence") => normalizer
            .get("normalizers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .fold(1, |growth, step| growth.saturating_mul(of(step))),
        Some("Replace") => {
            let made = text("content").map_or(0, str::len);
            let literal = normalizer
                .pointer("/pattern/String")
                .and_then(Value::as_str);
            match literal.map_or(0, str::len) {
                // An expression may fit between any two letters.
                0 => made + 1,
                taken => made.div_ceil(taken).max(1),
            }
        }
        Some("Prepend") => 1 + text("prepend").map_or(0, str::len),
        Some("Precompiled") => text("precompiled_charsmap").map_or(1, of_map),
        Some("ByteLevel") => 2,
        _ => 1,
    }
}

/// The longest text in sentencepiece's table: the size of an index, the index, and texts that end in a zero.
fn of_map(map: &str) -> usize {
    let Ok(map) = BASE64_STANDARD.decode(map) else {
        return usize::MAX;
    };
    let Some((size, rest)) = map.split_first_chunk() else {
        return usize::MAX;
    };
    let texts = rest
        .get(u32::from_le_bytes(*size) as usize..)
        .unwrap_or(rest);
    let lengths = texts.split(|byte| *byte == 0).map(<[u8]>::len);
    lengths.max().unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn growth_is_of_all_steps_together() {
        let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let map = |texts: &[u8]| {
            let map = [&4_u32.to_le_bytes()[..], b"trie", texts].concat();
            json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(map)})
        };
        let gemma = replace(json!({"String": " "}), "▁");
        for (normalizer, growth) in [
            (Value::Null, 1),
            (json!({"type": "NFC"}), 1),
            (gemma.clone(), 3),
            (replace(json!({"String": "``"}), "\""), 1),
            (replace(json!({"Regex": " {2,}"}), "▁"), 4),
            (
                replace(json!({"String": "a"}), &"b".repeat(100_000)),
                100_000,
            ),
            (json!({"type": "Prepend", "prepend": "▁"}), 4),
            (map(b"\0ab\0abcde\0"), 5),
            (map(b""), 1),
            (
                json!({"type": "Sequence", "normalizers": [gemma, {"type": "ByteLevel"}]}),
                6,
            ),
            (
                json!({"type": "Sequence", "normalizers": vec![replace(json!({"Regex": "."}), "aaaaaaa"); 99]}),
                usize::MAX,
            ),
        ] {
            assert_eq!(of(&normalizer), growth, "{normalizer}");
        }
        // No index of the size that is told: all of it is text.
        let torn = BASE64_STANDARD.encode([0xff; 12]);
        let torn = json!({"type": "Precompiled", "precompiled_charsmap": torn});
        assert_eq!(of(&torn), 8);
    }
}
