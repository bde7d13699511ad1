//! What pictures count, by the published rules of the models that take them. A picture whose size must be
//! known and is not, and a picture for a model without such a rule, is left out, and the row says so.

use super::{super::Family, Counted};
use crate::dialect::prompt::{Detail, Part, Picture, Prompt};

/// Counts the pictures; what else came along is left out.
pub(super) fn count(prompt: &Prompt, family: Family, models: &[&str]) -> Counted {
    let rule = Rule::of(family, models);
    let others = prompt
        .tape()
        .filter(|(part, _)| *part == Part::Other)
        .count() as u64;
    let mut counted = Counted {
        left_out: others.saturating_add(prompt.more_media),
        ..Counted::default()
    };
    for picture in prompt.pictures() {
        match rule.and_then(|rule| rule.tokens(picture)) {
            Some(tokens) => {
                counted.pictures += 1;
                counted.picture_tokens = counted.picture_tokens.saturating_add(tokens);
            }
            None => counted.left_out = counted.left_out.saturating_add(1),
        }
    }
    counted
}

/// How a family counts a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// OpenAI: a base, and so many a tile of 512 pixels, after fitting into 2048 by 2048 and bringing the
    /// shorter side to 768 (platform.openai.com/docs/guides/images-vision).
    Tiles { base: u64, tile: u64 },
    /// OpenAI's smaller models: patches of 32 pixels, at most 1536, times a factor in hundredths (same page).
    Patches { hundredths: u64 },
    /// Qwen2-VL, 2.5-VL and 3-VL: squares of so many pixels, within bounds of the whole area, and a token
    /// before and after (qwen_vl_utils, smart_resize, with the processors' own bounds).
    Qwen { side: u32, min: u64, max: u64 },
    /// Gemma 3: 256, and the two around them with their empty lines.
    Gemma,
    /// Llama 3.2 with vision: one token; the picture is attended to beside the text.
    Llama,
    /// Anthropic: width times height over 750, after fitting 1568 pixels and about 1600 tokens
    /// (docs.claude.com, vision).
    Claude,
    /// Gemini: 258, or 258 a tile (ai.google.dev/gemini-api/docs/tokens).
    Gemini,
}

impl Rule {
    fn of(family: Family, models: &[&str]) -> Option<Self> {
        let named = |part: &str| models.iter().any(|m| m.to_ascii_lowercase().contains(part));
        Some(match family {
            Family::OpenAi => Self::openai(named)?,
            Family::Qwen2 | Family::Qwen2Old if named("vl") => Self::Qwen {
                side: 28,
                min: 4 * 28 * 28,
                max: 16_384 * 28 * 28,
            },
            Family::Qwen3 | Family::Qwen3Instruct | Family::Qwen3Thinking if named("vl") => {
                Self::Qwen {
                    side: 32,
                    min: 256 * 256,
                    max: 4_096 * 4_096,
                }
            }
            Family::Gemma if named("gemma-3") || named("gemma3") => Self::Gemma,
            Family::Llama31 if named("3.2") => Self::Llama,
            Family::Claude => Self::Claude,
            Family::Gemini => Self::Gemini,
            _ => return None,
        })
    }

    fn openai(named: impl Fn(&str) -> bool) -> Option<Self> {
        let tiles = |base, tile| Some(Self::Tiles { base, tile });
        let patches = |hundredths| Some(Self::Patches { hundredths });
        let is_small = named("mini");
        if named("4.1-nano") || named("gpt-5-nano") {
            patches(246)
        } else if named("o4-mini") {
            patches(172)
        } else if is_small && (named("gpt-4.1") || named("gpt-5")) {
            patches(162)
        } else if is_small && named("gpt-4o") {
            tiles(2_833, 5_667)
        } else if named("gpt-5") {
            tiles(70, 140)
        } else if named("o1") || named("o3") {
            tiles(75, 150)
        } else if [
            "gpt-4o",
            "gpt-4.1",
            "gpt-4.5",
            "gpt-4-turbo",
            "gpt-4-vision",
        ]
        .iter()
        .any(|n| named(n))
        {
            tiles(85, 170)
        } else {
            None
        }
    }

    fn tokens(self, picture: &Picture) -> Option<u64> {
        match (self, picture.detail) {
            (Self::Gemma, _) => return Some(260),
            (Self::Llama, _) => return Some(1),
            (Self::Tiles { base, .. }, Detail::Low) => return Some(base),
            _ => {}
        }
        let (width, height) = picture.size?;
        let (width, height) = (f64::from(width), f64::from(height));
        Some(match self {
            Self::Tiles { base, tile } => {
                let fit = (2_048.0 / width.max(height)).min(1.0);
                let (width, height) = (width * fit, height * fit);
                let shrink = (768.0 / width.min(height)).min(1.0);
                base + tile * pieces(width * shrink, 512.0) * pieces(height * shrink, 512.0)
            }
            Self::Patches { hundredths } => {
                let all = pieces(width, 32.0).saturating_mul(pieces(height, 32.0));
                let patches = if all > 1_536 {
                    shrunk_patches(width, height)
                } else {
                    all
                };
                patches.saturating_mul(hundredths).div_ceil(100)
            }
            Self::Qwen { side, min, max } => {
                qwen(width, height, f64::from(side), min as f64, max as f64)?
            }
            Self::Claude => {
                let fit = (1_568.0 / width.max(height)).min(1.0);
                let tokens = width * fit * (height * fit) / 750.0;
                tokens.ceil().min(1_600.0) as u64
            }
            Self::Gemini if width <= 384.0 && height <= 384.0 => 258,
            Self::Gemini => {
                let unit = (width.min(height) / 1.5).floor().clamp(256.0, 768.0);
                258 * pieces(width, unit).saturating_mul(pieces(height, unit))
            }
            Self::Gemma | Self::Llama => return None,
        })
    }
}

/// How many pieces of this size cover a length.
fn pieces(length: f64, size: f64) -> u64 {
    (length / size).ceil().max(1.0) as u64
}

/// Patches of a picture that is brought down to 1536 of them, whole ones across.
fn shrunk_patches(width: f64, height: f64) -> u64 {
    let ratio = (1_536.0 * 32.0 * 32.0 / (width * height)).sqrt();
    let across = width * ratio / 32.0;
    let down = height * ratio / 32.0;
    let whole = (across.floor() / across).min(down.floor() / down);
    let ratio = ratio * if whole > 0.0 { whole } else { 1.0 };
    pieces(width * ratio, 32.0)
        .saturating_mul(pieces(height * ratio, 32.0))
        .min(1_536)
}

/// Squares of a picture that is brought to whole ones, and the two tokens around; `None` where the model
/// refuses it, as it does beyond 200 to 1.
fn qwen(width: f64, height: f64, side: f64, min: f64, max: f64) -> Option<u64> {
    if width.max(height) / width.min(height) > 200.0 {
        return None;
    }
    let whole = |length: f64| (length / side).round_ties_even() * side;
    let (mut w, mut h) = (whole(width).max(side), whole(height).max(side));
    if w * h > max {
        let ratio = (width * height / max).sqrt();
        w = ((width / ratio / side).floor() * side).max(side);
        h = ((height / ratio / side).floor() * side).max(side);
    } else if w * h < min {
        let ratio = (min / (width * height)).sqrt();
        w = (width * ratio / side).ceil() * side;
        h = (height * ratio / side).ceil() * side;
    }
    Some((w / side) as u64 * (h / side) as u64 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn pictures_count_by_the_published_rules() {
        for (family, model, size, detail, expected) in [
            // The examples of OpenAI's guide.
            (Family::OpenAi, "gpt-4o", Some((1_024, 1_024)), Detail::High, Some(765)),
            (Family::OpenAi, "gpt-4o", Some((2_048, 4_096)), Detail::High, Some(1_105)),
            (Family::OpenAi, "gpt-4o", Some((4_096, 8_192)), Detail::Low, Some(85)),
            (Family::OpenAi, "gpt-4o", None, Detail::Low, Some(85)),
            (Family::OpenAi, "gpt-4o", None, Detail::High, None),
            (Family::OpenAi, "gpt-4.1-mini", Some((1_024, 1_024)), Detail::High, Some(1_659)),
            (Family::OpenAi, "o4-mini", Some((1_800, 2_400)), Detail::High, Some(2_498)),
            (Family::OpenAi, "gpt-3.5-turbo", Some((64, 64)), Detail::High, None),
            // smart_resize: 1092 by 812 is 39 by 29 squares.
            (Family::Qwen2Old, "Qwen2.5-VL-7B-Instruct", Some((1_092, 812)), Detail::High, Some(1_133)),
            (Family::Qwen2, "Qwen2.5-VL-7B-Instruct", Some((10, 10)), Detail::High, Some(6)),
            (Family::Qwen2, "Qwen2.5-VL-7B-Instruct", Some((10, 3_000)), Detail::High, None),
            (Family::Qwen2, "Qwen2.5-7B-Instruct", Some((28, 28)), Detail::High, None),
            (Family::Gemma, "gemma-3-27b-it", None, Detail::High, Some(260)),
            (Family::Llama31, "Llama-3.2-11B-Vision", None, Detail::High, Some(1)),
            // The examples of Anthropic's and Google's guides.
            (Family::Claude, "claude-sonnet-4", Some((200, 200)), Detail::High, Some(54)),
            (Family::Claude, "claude-sonnet-4", Some((1_000, 1_000)), Detail::High, Some(1_334)),
            (Family::Gemini, "gemini-2.0-flash", Some((384, 384)), Detail::High, Some(258)),
            (Family::Gemini, "gemini-2.0-flash", Some((960, 540)), Detail::High, Some(1_548)),
            (Family::Unknown, "my-model", Some((64, 64)), Detail::High, None),
        ] {
            let picture = Picture { size, detail };
            let tokens = Rule::of(family, &[model]).and_then(|rule| rule.tokens(&picture));
            assert_eq!(tokens, expected, "{model}, {size:?}, {detail:?}");
        }
    }

    #[test]
    fn no_size_does_harm() {
        let sizes = [1, 2, 31, 1_000, 65_535, u32::MAX];
        for (family, model) in [
            (Family::OpenAi, "gpt-4o"),
            (Family::OpenAi, "gpt-4.1-mini"),
            (Family::Qwen2, "qwen2-vl"),
            (Family::Qwen3, "qwen3-vl"),
            (Family::Claude, "claude"),
            (Family::Gemini, "gemini"),
        ] {
            for width in sizes {
                for height in sizes {
                    let picture = Picture {
                        size: Some((width, height)),
                        detail: Detail::High,
                    };
                    let rule = Rule::of(family, &[model]).unwrap();
                    assert!(rule.tokens(&picture).is_none_or(|tokens| tokens > 0));
                }
            }
        }
    }
}
