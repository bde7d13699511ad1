use std::{collections::HashMap, path::Path, sync::LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{Family, Fit, Tokenizers, Vocabulary, engine::split::expressions},
    *,
};

/// The tokenizer.json that a vocabulary's tokens make, as a model's repository has it.
fn file(vocabulary: Vocabulary, normalizer: &Value) -> Value {
    let (splitter, mut tokens) = vocabulary.parts().unwrap();
    // The first tokens are a vocabulary, too.
    tokens.truncate(20_000);
    let letter_of: HashMap<u8, char> = bytes_of_letters()
        .into_iter()
        .map(|(l, b)| (b, l))
        .collect();
    let text = |bytes: &[u8]| bytes.iter().map(|byte| letter_of[byte]).collect::<String>();
    let ranks: HashMap<&[u8], usize> = tokens.iter().map(Vec::as_slice).zip(0..).collect();
    let mut merges = Vec::new();
    for token in tokens.iter().filter(|token| token.len() > 1) {
        // All merges that come before the token's own leave the two parts that it is made of.
        let own = ranks[token.as_slice()];
        let mut ends: Vec<usize> = (0..=token.len()).collect();
        while ends.len() > 3 {
            let lowest = (0..ends.len() - 2)
                .filter_map(|part| Some((*ranks.get(&token[ends[part]..ends[part + 2]])?, part)))
                .min();
            let (rank, part) = lowest.unwrap();
            assert!(rank < own);
            ends.remove(part + 1);
        }
        merges.push(json!([text(&token[..ends[1]]), text(&token[ends[1]..])]));
    }
    let vocab: serde_json::Map<_, _> = tokens
        .iter()
        .zip(0..)
        .map(|(t, id)| (text(t), json!(id)))
        .collect();
    let mut steps: Vec<Value> = expressions(splitter)
        .into_iter()
        .map(|e| json!({"type": "Split", "pattern": {"Regex": e}, "behavior": "Isolated", "invert": false}))
        .collect();
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}));
    let special = json!({
        "id": tokens.len(), "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": true,
        "normalized": false, "special": true,
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special],
        "normalizer": normalizer, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": merges,
        },
    })
}

/// Qwen's and DeepSeek's files, as our engine and as Hugging Face's library read them.
static FILES: LazyLock<Vec<(Loaded, tokenizers::Tokenizer)>> = LazyLock::new(|| {
    [
        (Vocabulary::Qwen2, json!({"type": "NFC"})),
        (
            Vocabulary::DeepSeekV3,
            json!({"type": "Sequence", "normalizers": []}),
        ),
    ]
    .into_iter()
    .map(|(vocabulary, normalizer)| {
        let data = file(vocabulary, &normalizer).to_string();
        let ours = read(data.as_bytes(), &[]).unwrap();
        assert!(matches!(ours, Loaded::Own { .. }), "{}", vocabulary.name());
        (ours, tokenizers::Tokenizer::from_bytes(data).unwrap())
    })
    .collect()
});

fn check(text: &str) {
    for ((ours, theirs), vocabulary) in FILES
        .iter()
        .zip([Vocabulary::Qwen2, Vocabulary::DeepSeekV3])
    {
        let expected = theirs.encode(text, false).unwrap().len() as u64;
        assert_eq!(
            ours.count_with_special(text),
            expected,
            "{} {text:?}",
            vocabulary.name()
        );
    }
}

#[test]
fn quirks_count_as_in_the_library() {
    for text in [
        "",
        " ",
        "a  b\n\n c\r\n",
        "It's 1234567 o'clock, isn't IT'S ſ",
        "你好，世界。これはテスト・です！",
        "e\u{301} \u{212b}",
        "a <|end|>  b<|end|><|end|>\n",
        "\u{1}\u{2}a\u{200d}",
        "x 12 34",
        "  7",
        "fn main() {\n    println!(\"{x:?}\");\n}\n",
    ] {
        check(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_counts_as_in_the_library(
        words in proptest::collection::vec(
            prop_oneof![
                "[a-zA-Z]{1,12}", "[a-z]{10,40}", "[0-9]{1,7}", "[ \n\r\t]{1,9}", "[!-/:-@'’“”]{1,5}",
                "[一-龥]{1,24}", "[ぁ-んァ-ヶー・]{1,20}", "[가-힣]{1,8}", "[éüßа-я]{1,12}", "'(s|t|ll|ve|S|D)",
                "[ก-ฮะ-ฺเ-์]{1,20}", "\\PC{1,20}", "[👍🏽❤️👩\u{200d}]{1,6}", "<\\|end\\|>", "[e\u{301}o\u{308}]{1,4}",
            ],
            0..30,
        ),
    ) {
        check(&words.concat());
    }
}

#[test]
fn what_our_engine_does_not_know_goes_to_the_library() {
    let mut words = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"one": 0, "two": 1, "?": 2}, "unk_token": "?"},
    });
    let loaded = read(words.to_string().as_bytes(), &[]).unwrap();
    assert!(matches!(loaded, Loaded::Foreign { .. }));
    assert_eq!(loaded.count("one two three one"), 4);
    words["model"]["vocab"] = json!(7);
    let error = read(words.to_string().as_bytes(), &[])
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("it is a damaged tokenizer.json, or one of a kind that is not known: "),
        "{error}"
    );
}

#[test]
fn texts_are_counted_whole_and_a_normalizer_cannot_blow_them_up() {
    let mut file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 1_000}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "?",
        },
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"one": 0, "?": 1}, "unk_token": "?"},
    });
    let loaded = read(file.to_string().as_bytes(), &[]).unwrap();
    assert_eq!(loaded.count("one two three one five"), 5);
    for (content, refused) in [("x".repeat(256), false), ("x".repeat(257), true)] {
        file["normalizer"] =
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": content});
        let error = read(file.to_string().as_bytes(), &[]).err();
        let said = error.map(|error| error.to_string());
        let expected = "its normalizer may make a text 257 times as long, more than 256 times";
        assert_eq!(said.as_deref(), refused.then_some(expected));
    }
}

#[test]
fn what_was_given_is_loaded_by_the_first_count_from_what_was_seen() {
    let words = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"one": 0, "?": 1}, "unk_token": "?"},
    });
    let packed = Packed::new(words.to_string().as_bytes(), &["m*"]).unwrap();
    assert!(matches!(packed.load(), Ok(Loaded::Foreign { .. })));
    let mut tokenizers = Tokenizers::by_model();
    let data = words.to_string();
    // There is no such file: it is not read again.
    tokenizers
        .give("m*", Path::new("/gone/words.json"), data.as_bytes(), None)
        .unwrap();
    let tokenizer = tokenizers.choose(["m1"]).tokenizer;
    assert_eq!(tokenizer.count("one two three"), 3);
    assert_eq!(tokenizer.clone().count("one"), 1);
}

#[test]
fn tiktoken_files_are_read_where_a_name_tells_the_model() {
    let line = |token: &[u8], rank: u32| format!("{} {rank}\n", BASE64_STANDARD.encode(token));
    let mut data: String = (0..=255u8).map(|byte| line(&[byte], byte.into())).collect();
    data += &line(b"he", 256);
    data += &line(b"ll", 257);
    data += &line(b"hell", 258);
    let mut tokenizers = Tokenizers::by_model();
    let path = Path::new("/models/Llama-3.1-8B/tokenizer.model");
    tokenizers
        .give("LLAMA*", path, data.as_bytes(), None)
        .unwrap();
    tokenizers
        .give("other*", path, data.as_bytes(), None)
        .unwrap();
    let choice = tokenizers.choose(["meta-llama/Llama-3.1-8B"]);
    assert_eq!(
        (&**choice.tokenizer.name(), choice.fit, choice.family),
        ("Llama-3.1-8B", Fit::Exact, Family::Llama31)
    );
    assert_eq!(choice.tokenizer.folder(), path.parent());
    assert_eq!(choice.tokenizer.count("hello"), 2);
    assert_eq!(choice.tokenizer.count_with_special("<|eot_id|>hello"), 3);
    assert_eq!(
        &**tokenizers.choose(["my-alias", "other"]).tokenizer.name(),
        "Llama-3.1-8B-2"
    );
    for (pattern, file, data, expected) in [
        (
            "mine*",
            "/a/b.model",
            data.as_str(),
            "does not say how its model splits",
        ),
        (
            "qwen*",
            "/a/b",
            "no tokens",
            "it is no tokenizer.json, no tekken.json and no tiktoken file",
        ),
        ("qwen*", "/a/b", "", "it is no tokenizer.json"),
        (
            "qwen*",
            "/a/b",
            "AA== 0\n!!",
            "line 2 is no token in base64 and its rank",
        ),
        ("qwen*", "/a/b", "{}", "it is a damaged tokenizer.json"),
        (
            "qwen*",
            "/a/b",
            r#"{"config":{}}"#,
            "it is a damaged tekken.json",
        ),
    ] {
        let error = tokenizers
            .give(pattern, Path::new(file), data.as_bytes(), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
