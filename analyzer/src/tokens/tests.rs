//! The counts are those of the reference implementations.

use std::{collections::HashMap, sync::LazyLock};

use proptest::prelude::*;
use tiktoken_rs::CoreBPE;

use super::{
    engine::split::{Splitter, expressions},
    *,
};

/// The vocabularies that our own engine counts for, each with the reference implementation of its kind: that
/// of the program itself for OpenAI's, and the same made of the vocabulary's tokens and its expression.
/// DeepSeek's three expressions are no one expression: [`plain_texts_count_as_in_hugging_faces_library`] holds it against
/// that library.
static REFERENCES: LazyLock<Vec<(Vocabulary, CoreBPE)>> = LazyLock::new(|| {
    let mut references = vec![
        (Vocabulary::Cl100kBase, tiktoken_rs::cl100k_base().unwrap()),
        (Vocabulary::O200kBase, tiktoken_rs::o200k_base().unwrap()),
    ];
    for vocabulary in [
        Vocabulary::Qwen2,
        Vocabulary::Qwen35,
        Vocabulary::Tekken,
        Vocabulary::Glm4,
        Vocabulary::Glm5,
        Vocabulary::KimiK2,
        Vocabulary::MiniMaxM2,
    ] {
        let (splitter, tokens) = vocabulary.parts().unwrap();
        let ranks = tokens.into_iter().zip(0..).collect();
        let expression = expressions(splitter)[0];
        let engine = CoreBPE::new(ranks, HashMap::default(), expression).unwrap();
        references.push((vocabulary, engine));
    }
    references
});

fn check(text: &str) {
    for (vocabulary, reference) in REFERENCES.iter() {
        // Qwen's texts are composed first; the reference takes them as they are.
        let composed: String = unicode_normalization::UnicodeNormalization::nfc(text).collect();
        let qwen = matches!(vocabulary, Vocabulary::Qwen2 | Vocabulary::Qwen35);
        let expected = reference
            .encode_ordinary(if qwen { &composed } else { text })
            .len();
        assert_eq!(
            vocabulary.tokenizer().count(text),
            expected as u64,
            "{} {text:?}",
            vocabulary.name()
        );
    }
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
        (Vocabulary::Qwen2, "hello world", 2),
        (Vocabulary::DeepSeekV3, "hello world", 2),
        (Vocabulary::Tekken, "hello world", 2),
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
    let error = Vocabulary::by_name("gpt5").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no tokenizer named \"gpt5\"; the known ones are cl100k_base, o200k_base, \
         o200k_harmony, p50k_base, r50k_base, qwen2, qwen3.5, deepseek_v3, tekken, glm4, glm5, kimi_k2, minimax_m2"
    );
}

#[test]
fn the_first_model_that_tells_something_decides() {
    let name = |tokenizers: &Tokenizers, models: &[&str]| {
        let choice = tokenizers.choose(models.iter().copied());
        (
            choice.tokenizer.name().to_string(),
            choice.fit,
            choice.family,
        )
    };
    let set = Tokenizers::always(Vocabulary::R50kBase);
    assert_eq!(
        name(&set, &["gpt-4o"]),
        ("r50k_base".into(), Fit::Set, Family::OpenAi)
    );
    let set = Tokenizers::always(Vocabulary::Cl100kBase);
    assert_eq!(
        name(&set, &["qwen3"]),
        ("cl100k_base".into(), Fit::Set, Family::Unknown)
    );
    let by_model = Tokenizers::by_model();
    assert_eq!(
        name(&by_model, &["my-alias", "gpt-4o"]),
        ("o200k_base".into(), Fit::Exact, Family::OpenAi)
    );
    assert_eq!(
        name(&by_model, &["my-alias"]),
        ("cl100k_base".into(), Fit::Guess, Family::Unknown)
    );
}

#[test]
fn every_vocabulary_is_whole() {
    for vocabulary in Vocabulary::ALL {
        assert_eq!(
            vocabulary.tokenizer().count("a"),
            1,
            "{}",
            vocabulary.name()
        );
        if let Some((_, tokens)) = vocabulary.parts() {
            assert!(tokens.len() > 100_000);
            let single = |byte: u8| tokens.iter().any(|token| *token == [byte]);
            assert!((0..=255).all(single), "{}", vocabulary.name());
        }
    }
}

#[test]
fn special_tokens_count_one_where_they_are_wanted() {
    for (vocabulary, text, expected) in [
        (
            Vocabulary::Qwen2,
            "<|im_start|>user\nhi<|im_end|>\n<think>",
            7,
        ),
        (
            Vocabulary::O200kHarmony,
            "<|start|>user<|message|>hi<|end|>",
            5,
        ),
        (
            Vocabulary::DeepSeekV3,
            "<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜>",
            4,
        ),
        (Vocabulary::Tekken, "<s>[INST]hi[/INST]", 4),
        (
            Vocabulary::KimiK2,
            "<|im_user|>user<|im_middle|>hi<|im_end|>",
            5,
        ),
        (Vocabulary::Glm4, "[gMASK]<sop><|user|>\nhi<|assistant|>", 6),
    ] {
        let tokenizer = vocabulary.tokenizer();
        assert_eq!(tokenizer.count_with_special(text), expected, "{text}");
        assert!(tokenizer.count(text) > expected, "{text}");
        assert_eq!(tokenizer.count_with_special(""), 0);
    }
}

const PROSE: &str = "The tap isn't in the path; it's beside it (see §3): 1,234.5 ms — naïve café. \
    你好，世界！这是一个测试。 こんにちは、世界。 Привет, мир! 안녕하세요 세계.\n\n\tfn main() { println!(\"{x:?}\"); }\r\n  \
    https://example.org/a/b?c=d&e=f#g  日本語とEnglishが混ざる文。  e.g. we'll they'd I'M 12345678  \n";

const CHINESE: &str = "默认情况下，系统启动之后会自动检查网络接口；如果没有找到可用的地址，默认值就是本机。\
    每当有新的请求到来，服务器先读取它的头部，然后逐字逐句地把回答发送给客户端，直到连接被关闭为止。\
    昨天傍晚我们沿着湖边散步，柳树的影子倒映在水面上，几只麻雀叽叽喳喳地飞过，远处的寺庙传来悠扬的钟声。\
    （注意：《用户手册》第3章的“常见问题”与此有关，默认安装时并不包含它。）繁體中文亦然，預設的語言為臺灣國語。";

const JAPANESE: &str = "初期設定では、パケットを記録する前に必ず接続の状態を確認します。\
    もし返事が途中で切れてしまったら、そこまでの文字だけを数えて、残りは失われたものとして報告してください。\
    昨日の夕方、私たちは古い港町の坂道をゆっくり歩きながら、潮の香りと鰹節の匂いに誘われて小さな食堂に入った。\
    「ご注文はお決まりですか？」と尋ねられ、焼き魚定食を二つ頼むと、窓の外では鴎が鳴いていた。";

#[test]
fn quirks_count_as_in_the_references() {
    for text in [
        PROSE,
        CHINESE,
        JAPANESE,
        // One token, of which 默 is none and has its last byte in another one with what follows.
        "，默认",
        "",
        " ",
        "\n",
        " \n ",
        "<|endoftext|><|im_start|>user<|im_sep|>",
        "[INST] <s>hi</s> [/INST]",
        "internationalization Donaudampfschifffahrtsgesellschaft antidisestablishmentarianism",
        "e\u{301}A\u{30a} \u{1100}\u{1161}\u{11a8} \u{212b}",
        "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪",
        "नमस्ते दुनिया สวัสดีชาวโลก مرحبا بالعالم",
        "\u{0}\u{1}\u{7f}\u{85}\u{ad}\u{feff}",
        "    fn f() -> u8 {\r\n\t\treturn 1;\r\n    }\r\n\r\n",
    ] {
        check(text);
    }
    check(&PROSE.repeat(50));
    // Without its signs a text is one piece.
    for text in [CHINESE, JAPANESE] {
        check(&text.replace(|c: char| !c.is_alphabetic(), ""));
    }
}

/// A line of `tests/data/tokens/texts.ndjson`.
#[derive(serde::Deserialize)]
struct Line {
    text: String,
    /// Where DeepSeek's expressions split it: bytes of each piece.
    pieces: Vec<usize>,
    deepseek_v3: u64,
    qwen2: u64,
}

#[test]
fn plain_texts_count_as_in_hugging_faces_library() {
    let lines = include_str!("../../../tests/data/tokens/texts.ndjson").lines();
    let lines: Vec<Line> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() > 150);
    for line in &lines {
        let text = &line.text;
        let mut pieces = Vec::new();
        Splitter::DeepSeek.split(text, |at, end| pieces.push(end - at));
        assert_eq!(pieces, line.pieces, "{text:?}");
        for (vocabulary, count) in [
            (Vocabulary::DeepSeekV3, line.deepseek_v3),
            (Vocabulary::Qwen2, line.qwen2),
        ] {
            let name = vocabulary.name();
            assert_eq!(vocabulary.tokenizer().count(text), count, "{name} {text:?}");
        }
    }
}

#[test]
fn long_pieces_count_as_in_the_references() {
    let mut state = 1u64;
    let mut noise = |alphabet: &[char], length: usize| -> String {
        std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            alphabet[(state >> 33) as usize % alphabet.len()]
        })
        .take(length)
        .collect()
    };
    let letters: Vec<char> = ('a'..='z').collect();
    let han: Vec<char> =
        "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"
            .chars()
            .collect();
    for length in [100, 127, 128, 129, 130, 300, 2_000] {
        for text in [
            noise(&letters, length),
            noise(&['a', 'b'], length),
            noise(&han, length),
            noise(&['!', '=', '-'], length),
            noise(&['\u{e01}', '\u{e32}', '\u{e19}'], length),
            noise(&['👍', '🏽', '\u{200d}'], length),
            "a".repeat(length),
            " ".repeat(length),
            "\n".repeat(length),
            "=".repeat(length),
            "你".repeat(length),
        ] {
            check(&text);
        }
    }
}

#[test]
fn hostile_texts_are_counted() {
    let size = if cfg!(debug_assertions) {
        20_000
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
    // That the work is in proportion, `engine/tests.rs` says, and the benchmark how long it takes.
    for vocabulary in Vocabulary::ALL {
        for text in &texts {
            let count = vocabulary.tokenizer().count(text);
            assert!(0 < count && count <= text.len() as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_counts_as_in_the_references(
        words in proptest::collection::vec(
            prop_oneof![
                "[a-zA-Z]{1,12}", "[a-z]{10,40}", "[0-9]{1,7}", "[ \n\r\t]{1,9}", "[!-/:-@'’“”]{1,5}",
                "[一-龥]{1,24}", "[ぁ-んァ-ヶー]{1,20}", "[가-힣]{1,8}", "[éüßа-я]{1,12}", "'(s|t|ll|ve|S|D)",
                "[ก-ฮะ-ฺเ-์]{1,20}", "\\PC{1,20}", "[👍🏽❤️👩\u{200d}]{1,6}", "<\\|(im_start|endoftext)\\|>",
            ],
            0..40,
        ),
    ) {
        check(&words.concat());
    }
}
