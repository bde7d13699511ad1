//! Counting tokens: the engines, and the choice of one by model.
//!
//! Texts off the wire are hostile: [`windows`](self) of bounded size are encoded one after another,
//! and a run without any sure boundary is cut (see `window.rs`), so that neither time nor memory
//! grows faster than the text and no regular expression runs into its limit.

pub mod cache;
mod choose;
mod counter;
mod family;
pub mod generated;
mod models;
pub mod policy;
pub mod prompt;
mod tokenizer;
mod vocabulary;
mod window;

pub use choose::{Choice, Fit, Tokenizers, UnknownTokenizer};
pub use counter::Counter;
pub use family::Family;
pub use prompt::PromptRule;
pub use tokenizer::Tokenizer;
pub use vocabulary::Vocabulary;
pub use window::MAX_RUN;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(vocabulary: Vocabulary, text: &str) -> u64 {
        vocabulary.engine().encode_ordinary(text).len() as u64
    }

    #[test]
    fn known_counts() {
        // Well-known figures, the second of the OpenAI cookbook.
        for (vocabulary, text, expected) in [
            (Vocabulary::Cl100kBase, "hello world", 2),
            (Vocabulary::Cl100kBase, "tiktoken is great!", 6),
            (Vocabulary::Cl100kBase, "<|endoftext|>", 7),
            (Vocabulary::R50kBase, "hello world", 2),
            (Vocabulary::O200kBase, "hello world", 2),
            (Vocabulary::O200kHarmony, "hello world", 2),
            (Vocabulary::P50kBase, "", 0),
        ] {
            assert_eq!(
                vocabulary.tokenizer().count(text),
                expected,
                "{} {text}",
                vocabulary.name()
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
        assert_eq!(&**chosen.choose(["gpt-4o"]).tokenizer.name(), "r50k_base");
        let chosen = Tokenizers::from_setting(None).unwrap();
        let name = |models: &[&str]| {
            chosen
                .choose(models.iter().copied())
                .tokenizer
                .name()
                .to_string()
        };
        assert_eq!(name(&["my-alias", "gpt-4o"]), "o200k_base");
        assert_eq!(name(&["my-alias"]), "cl100k_base");
    }

    const PROSE: &str = "The tap isn't in the path; it's beside it (see §3): 1,234.5 ms — naïve café. \
        你好，世界！这是一个测试。 こんにちは、世界。 Привет, мир! 안녕하세요 세계.\n\n\tfn main() { println!(\"{x:?}\"); }\r\n  \
        https://example.org/a/b?c=d&e=f#g  日本語とEnglishが混ざる文。  e.g. we'll they'd I'M 12345678  \n";

    #[test]
    fn windows_change_no_count_of_ordinary_text() {
        let long = PROSE.repeat(1_000);
        for vocabulary in Vocabulary::ALL {
            assert_eq!(
                vocabulary.tokenizer().count(&long),
                plain(vocabulary, &long),
                "{}",
                vocabulary.name()
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
        for vocabulary in Vocabulary::ALL {
            vocabulary.tokenizer().count("loaded");
            for text in &texts {
                let begun = std::time::Instant::now();
                assert!(vocabulary.tokenizer().count(text) > 0);
                // The bound is for optimised code; it is generous elsewhere.
                let start: String = text.chars().take(4).collect();
                assert!(
                    begun.elapsed().as_secs() < 5,
                    "{} {start:?}",
                    vocabulary.name()
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
            for vocabulary in [Vocabulary::Cl100kBase, Vocabulary::O200kBase, Vocabulary::R50kBase] {
                let counted: u64 = window::windows_of(&text, size, 4_096)
                    .map(|window| plain(vocabulary, window))
                    .sum();
                prop_assert_eq!(counted, plain(vocabulary, &text), "{}", vocabulary.name());
            }
        }
    }
}
