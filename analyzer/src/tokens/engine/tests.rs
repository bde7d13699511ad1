//! The engine beside an obviously correct one, over vocabularies that nobody would make.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Merges as the rule has it, and looks whole pieces up first.
fn naive(ranks: &HashMap<&[u8], usize>, piece: &[u8]) -> u64 {
    if ranks.contains_key(piece) {
        return 1;
    }
    let mut parts: Vec<Vec<u8>> = piece.iter().map(|byte| vec![*byte]).collect();
    loop {
        let join = |at: usize| [&parts[at][..], &parts[at + 1][..]].concat();
        let ranked = (0..parts.len() - 1).filter_map(|at| Some((*ranks.get(&join(at)[..])?, at)));
        let Some((_, at)) = ranked.min() else {
            return parts.len() as u64;
        };
        parts[at] = join(at);
        parts.remove(at + 1);
    }
}

fn check(tokens: &[&[u8]], texts: &[String]) {
    let engine = Engine::new(Splitter::Cl100k, tokens).unwrap();
    let mut ranks = HashMap::new();
    for (rank, token) in tokens.iter().enumerate() {
        ranks.entry(*token).or_insert(rank);
    }
    for text in texts {
        let mut expected = 0;
        Splitter::Cl100k.split(text, |at, end| {
            expected += naive(&ranks, &text.as_bytes()[at..end]);
        });
        assert_eq!(engine.count(text), expected, "{tokens:?} {text:?}");
        // What was met before is known, and counts the same.
        assert_eq!(engine.count(text), expected, "{tokens:?} {text:?}");
    }
}

const SHORT: &str = "[ab你好们\u{4f61}é\u{e0}👍🏽\u{20000}]{1,5}";
const LONG: &str = "[ab你好们\u{4f61}é\u{e0}👍🏽\u{20000}]{1,30}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_vocabulary_counts_by_the_rule(
        sources in proptest::collection::vec(SHORT, 1..30),
        cuts in proptest::collection::vec((0usize..20, 1usize..12), 30),
        texts in proptest::collection::vec(LONG, 1..12),
        sorted in any::<bool>(),
    ) {
        let mut tokens: Vec<&[u8]> = sources
            .iter()
            .zip(&cuts)
            .map(|(source, (from, length))| {
                // Many end within a character.
                let bytes = &source.as_bytes()[from % source.len()..];
                &bytes[..bytes.len().min(*length)]
            })
            .collect();
        tokens.extend(sources.iter().map(String::as_bytes));
        // Characters' first bytes and characters, so that longer tokens can be made at all.
        let characters = ["你", "好", "们", "é", "👍"].map(str::as_bytes);
        tokens.extend(characters.iter().flat_map(|c| [&c[..2], *c]));
        if sorted {
            tokens.sort_by_key(|token| token.len());
        }
        check(&tokens, &texts);
    }
}

#[test]
fn tokens_that_merging_never_makes_count_one_when_they_are_all_of_a_piece() {
    let engine = || Engine::new(Splitter::Cl100k, &[b"bc", b"ab", b"abcd"]).unwrap();
    assert_eq!([engine().count("abcd"), engine().count("xabcd")], [1, 4]);
    assert_eq!(engine().merging_alone().count("abcd"), 3);
}

/// 默 is no token here, but its last byte with 认 is, so that 默认 is one, and the token before it takes both.
#[test]
fn a_character_of_several_tokens_may_be_within_a_token() {
    let tokens: [&[u8]; 10] = [
        b"\xe9\xbb",
        b"\xe8\xae",
        "认".as_bytes(),
        b"\x98\xe8\xae\xa4",
        "默认".as_bytes(),
        b"\xe4\xbd",
        "你".as_bytes(),
        "你默认".as_bytes(),
        "你认".as_bytes(),
        "默认你".as_bytes(),
    ];
    let texts = [
        "你默认",
        "你默",
        "默认",
        "你你默认你",
        "认你默认认",
        "默你默默认",
        "你认默认你默",
    ];
    check(&tokens, &texts.map(String::from));
}

/// Every token of scripts of many characters, alone and before others, through the parts that `characters.rs`
/// makes and without these.
#[test]
fn tokens_of_many_characters_count_as_merged_from_bytes() {
    use crate::tokens::Vocabulary;

    for vocabulary in Vocabulary::ALL {
        let Some((splitter, tokens)) = vocabulary.parts() else {
            continue;
        };
        let tokens: Vec<&[u8]> = tokens.iter().map(|token| &token[..]).collect();
        let wide = tokens
            .iter()
            .filter(|token| token.iter().any(|byte| *byte >= 0xe0));
        let wide: Vec<&str> = wide
            .filter_map(|token| str::from_utf8(token).ok())
            .collect();
        let others = (0..wide.len()).map(|at| wide[at * 7 % wide.len()]);
        let mut texts: Vec<String> = wide.iter().map(|token| (*token).to_string()).collect();
        texts.extend(
            wide.iter()
                .zip(others)
                .map(|(one, other)| format!("{one}{other}")),
        );
        assert!(texts.len() > 1_000);
        let parts = Engine::new(splitter, &tokens).unwrap();
        assert!(parts.characters.is_some(), "{}", vocabulary.name());
        let counts: Vec<u64> = texts.iter().map(|text| parts.count(text)).collect();
        // What was counted before is forgotten with the room.
        let bytes = Engine {
            characters: None,
            rooms: Mutex::default(),
            ..parts
        };
        for (text, count) in texts.iter().zip(counts) {
            assert_eq!(count, bytes.count(text), "{} {text:?}", vocabulary.name());
        }
    }
}

#[test]
fn a_vocabulary_that_is_too_large_is_none() {
    let tokens = vec![&b"a"[..]; MOST_TOKENS + 1];
    assert!(Engine::new(Splitter::Cl100k, &tokens).is_none());
    assert!(Engine::new(Splitter::Cl100k, &tokens[1..]).is_some());
}

/// What bounds the work on a megabyte without a seam: each merge takes one entry from the heap and makes two.
#[test]
fn long_pieces_take_three_steps_a_byte_at_most() {
    use crate::tokens::Vocabulary;

    let (_, tokens) = Vocabulary::Cl100kBase.parts().unwrap();
    let tokens: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
    let Learned { pairs, .. } = Pairs::learn(&tokens).unwrap();
    let mut state = 1u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        b'a' + (state >> 33) as u8 % 26
    };
    for length in [1_000, 64_000] {
        let noise = std::iter::repeat_with(&mut letter).take(length).collect();
        for piece in [
            noise,
            b"a".repeat(length),
            b" ".repeat(length),
            "你".repeat(length / 3).into(),
        ] {
            let mut bench = Bench::default();
            let count = bench.merge_bytes(&pairs, &piece).len();
            assert!(0 < count && count < length);
            assert!(
                bench.steps > 0 && bench.steps <= 3 * length as u64,
                "{}",
                bench.steps
            );
        }
    }
}
