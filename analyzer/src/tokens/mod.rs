//! Counting tokens: the engines, and the choice of one by model.
//!
//! Texts off the wire are hostile: [`windows`](self) of bounded size are encoded one after another,
//! and a run without any sure boundary is cut (see `window.rs`), so that neither time nor memory
//! grows faster than the text and no regular expression runs into its limit.

pub mod cache;
mod counter;
mod model;
pub mod policy;
mod window;

use tiktoken_rs::CoreBPE;

pub use counter::Counter;
pub use window::MAX_RUN;

/// One tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// GPT-4, GPT-3.5 and the embedding models; also the stand-in where the model is unknown.
    Cl100kBase,
    /// GPT-4o, 4.1, 5 and the o series.
    O200kBase,
    /// gpt-oss: o200k_base with more special tokens, which plain text never becomes.
    O200kHarmony,
    /// Codex and text-davinci-002 and -003.
    P50kBase,
    /// GPT-3 and GPT-2.
    R50kBase,
}

impl Tokenizer {
    /// Every tokenizer.
    pub const ALL: [Self; 5] = [
        Self::Cl100kBase,
        Self::O200kBase,
        Self::O200kHarmony,
        Self::P50kBase,
        Self::R50kBase,
    ];

    /// Its name in rows and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::P50kBase => "p50k_base",
            Self::R50kBase => "r50k_base",
        }
    }

    /// The tokenizer of this name.
    ///
    /// # Errors
    /// There is none; the error names those that there are.
    pub fn by_name(name: &str) -> Result<Self, UnknownTokenizer> {
        Self::ALL
            .into_iter()
            .find(|tokenizer| tokenizer.name() == name)
            .ok_or_else(|| UnknownTokenizer {
                name: name.to_owned(),
            })
    }

    /// How many tokens this text has, special tokens read as plain text. The first call loads the
    /// vocabulary, which takes some tenths of a second and some tens of MiB; all threads share it.
    pub fn count(self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let engine = self.engine();
        window::windows(text)
            .map(|window| engine.encode_ordinary(window).len() as u64)
            .sum()
    }

    fn engine(self) -> &'static CoreBPE {
        match self {
            Self::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Self::O200kBase | Self::O200kHarmony => tiktoken_rs::o200k_base_singleton(),
            Self::P50kBase => tiktoken_rs::p50k_base_singleton(),
            Self::R50kBase => tiktoken_rs::r50k_base_singleton(),
        }
    }
}

/// A tokenizer was asked for by a name that none has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no tokenizer named {name:?}; the known ones are {}", known())]
pub struct UnknownTokenizer {
    /// The name.
    pub name: String,
}

fn known() -> String {
    Tokenizer::ALL.map(Tokenizer::name).join(", ")
}

/// The choice of a tokenizer for each call.
#[derive(Clone, Debug, Default)]
pub struct Tokenizers {
    always: Option<Tokenizer>,
}

impl Tokenizers {
    /// Chooses by the model's name.
    pub const fn by_model() -> Self {
        Self { always: None }
    }

    /// Always takes this one.
    pub const fn always(tokenizer: Tokenizer) -> Self {
        Self {
            always: Some(tokenizer),
        }
    }

    /// From a setting: by the model's name without one, else always the one named.
    ///
    /// # Errors
    /// There is no tokenizer of that name.
    pub fn from_setting(name: Option<&str>) -> Result<Self, UnknownTokenizer> {
        let always = name.map(Tokenizer::by_name).transpose()?;
        Ok(Self { always })
    }

    /// The tokenizer for a call: the one set, or that of the first model whose name is known, or
    /// cl100k_base. (A deployment's name often says nothing where the answer names the true model.)
    pub fn choose<'a>(&self, models: impl IntoIterator<Item = &'a str>) -> Tokenizer {
        self.always
            .or_else(|| models.into_iter().find_map(model::tokenizer_of))
            .unwrap_or(Tokenizer::Cl100kBase)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(tokenizer: Tokenizer, text: &str) -> u64 {
        tokenizer.engine().encode_ordinary(text).len() as u64
    }

    #[test]
    fn known_counts() {
        // Well-known figures, the second of the OpenAI cookbook.
        for (tokenizer, text, expected) in [
            (Tokenizer::Cl100kBase, "hello world", 2),
            (Tokenizer::Cl100kBase, "tiktoken is great!", 6),
            (Tokenizer::Cl100kBase, "<|endoftext|>", 7),
            (Tokenizer::R50kBase, "hello world", 2),
            (Tokenizer::O200kBase, "hello world", 2),
            (Tokenizer::O200kHarmony, "hello world", 2),
            (Tokenizer::P50kBase, "", 0),
        ] {
            assert_eq!(
                tokenizer.count(text),
                expected,
                "{} {text}",
                tokenizer.name()
            );
        }
    }

    #[test]
    fn a_name_that_none_has_is_an_error_that_lists_those_there_are() {
        let error = Tokenizers::from_setting(Some("gpt5")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no tokenizer named \"gpt5\"; the known ones are cl100k_base, o200k_base, \
             o200k_harmony, p50k_base, r50k_base"
        );
        let chosen = Tokenizers::from_setting(Some("r50k_base")).unwrap();
        assert_eq!(chosen.choose(["gpt-4o"]), Tokenizer::R50kBase);
        let chosen = Tokenizers::from_setting(None).unwrap();
        assert_eq!(chosen.choose(["my-alias", "gpt-4o"]), Tokenizer::O200kBase);
        assert_eq!(chosen.choose(["my-alias"]), Tokenizer::Cl100kBase);
    }

    const PROSE: &str = "The tap isn't in the path; it's beside it (see §3): 1,234.5 ms — naïve café. \
        你好，世界！这是一个测试。 こんにちは、世界。 Привет, мир! 안녕하세요 세계.\n\n\tfn main() { println!(\"{x:?}\"); }\r\n  \
        https://example.org/a/b?c=d&e=f#g  日本語とEnglishが混ざる文。  e.g. we'll they'd I'M 12345678  \n";

    #[test]
    fn windows_change_no_count_of_ordinary_text() {
        let long = PROSE.repeat(1_000);
        for tokenizer in Tokenizer::ALL {
            assert_eq!(
                tokenizer.count(&long),
                plain(tokenizer, &long),
                "{}",
                tokenizer.name()
            );
        }
    }

    #[test]
    fn hostile_texts_are_counted() {
        let size = if cfg!(debug_assertions) {
            100_000
        } else {
            1_000_000
        };
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(size)
        .collect();
        let texts = [
            "a".repeat(size),
            "A".repeat(size),
            " ".repeat(size),
            "\n".repeat(size),
            " \n".repeat(size / 2),
            "\t".repeat(size),
            "!".repeat(size),
            "7".repeat(size),
            "你".repeat(size / 3),
            "!\u{301}".repeat(size / 3),
            "\u{a0}".repeat(size / 2),
            "'s".repeat(size / 2),
            String::from_utf8_lossy(&noise).into_owned(),
        ];
        for tokenizer in Tokenizer::ALL {
            tokenizer.count("loaded");
            for text in &texts {
                let begun = std::time::Instant::now();
                assert!(tokenizer.count(text) > 0);
                // The bound is for optimised code; it is generous elsewhere.
                let start: String = text.chars().take(4).collect();
                assert!(
                    begun.elapsed().as_secs() < 5,
                    "{} {start:?}",
                    tokenizer.name()
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn small_windows_change_no_count(
            words in proptest::collection::vec(
                prop_oneof![
                    "[a-zA-Z]{1,8}", "[0-9]{1,5}", "[ \n\r\t]{1,4}", "[!-/:-@'’“”]{1,3}",
                    "[你好世界。，！ーのァ]{1,6}", "[éüßа-я]{1,6}", "'(s|t|ll|ve|S|D)", "\\PC{1,3}",
                ],
                0..60,
            ),
            size in 8usize..64,
        ) {
            let text = words.concat();
            for tokenizer in [Tokenizer::Cl100kBase, Tokenizer::O200kBase, Tokenizer::R50kBase] {
                let counted: u64 = window::windows_of(&text, size, 4_096)
                    .map(|window| plain(tokenizer, window))
                    .sum();
                prop_assert_eq!(counted, plain(tokenizer, &text), "{}", tokenizer.name());
            }
        }
    }
}
