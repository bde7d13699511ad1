use fancy_regex::Regex;
use proptest::prelude::*;

use super::*;

fn pieces(splitter: Splitter, text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    splitter.split(text, |at, end| pieces.push(&text[at..end]));
    pieces
}

/// What an expression makes of a text: its matches, and what lies between them.
fn matches<'a>(expression: &Regex, text: &'a str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for found in expression.find_iter(text).map(Result::unwrap) {
        pieces.push(&text[at..found.start()]);
        pieces.push(found.as_str());
        at = found.end();
    }
    pieces.push(&text[at..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn by_expressions<'a>(expressions: &[Regex], text: &'a str) -> Vec<&'a str> {
    expressions.iter().fold(vec![text], |pieces, expression| {
        let parts = pieces.iter().flat_map(|piece| matches(expression, piece));
        parts.collect()
    })
}

fn all() -> Vec<(Splitter, Vec<Regex>)> {
    let regex = |expression: &&str| Regex::new(expression).unwrap();
    let mut all: Vec<_> = EXPRESSIONS
        .iter()
        .map(|(splitter, expression)| (*splitter, vec![regex(expression)]))
        .collect();
    all.push((Splitter::DeepSeek, DEEPSEEK.iter().map(regex).collect()));
    all
}

fn check(text: &str) {
    thread_local!(static ALL: Vec<(Splitter, Vec<Regex>)> = all());
    ALL.with(|all| {
        for (splitter, expressions) in all {
            assert_eq!(
                pieces(*splitter, text),
                by_expressions(expressions, text),
                "{splitter:?} {text:?}"
            );
        }
    });
}

#[test]
fn an_expression_has_its_splitter() {
    for (splitter, expression) in EXPRESSIONS {
        assert_eq!(Splitter::of_expressions(&[expression]), Some(*splitter));
    }
    assert_eq!(
        Splitter::of_expressions(&DEEPSEEK),
        Some(Splitter::DeepSeek)
    );
    assert_eq!(Splitter::of_expressions(&[r"\w+"]), None);
}

#[test]
fn quirks_are_those_of_the_expressions() {
    for text in [
        "I'm we'LL they'd it'ſ 'S'x 'tis ''s don't' 'K",
        "\u{301}A \u{301}a A\u{301}B aBC ABc ABC你A 你好Ａ ÀÉîõ ǅa",
        "a  b   c\n  d \n\n\t e\r\nf  \u{a0}\u{3000} g  ",
        " \n",
        "  ",
        "\n ",
        "x \n y",
        "x\u{2028} y",
        " 1",
        "  1",
        "   1234567 ",
        "１２３４ ①② Ⅷ 〇々",
        "a/b //\n/ x\r\n/",
        "!!\n\n/ ?!\r\r a",
        " …—“x”",
        "\u{1}\u{2}a \u{1} \u{200d}\u{200d}x",
        "\u{ad}\u{1}!",
        "あ・い ーァ ゛ア ゠ 一龥龦㐀 中文ABC中文123中文",
        "中'll 中's",
        "👩‍👩‍👧 ❤️ 🇩🇪 é̂",
        "'",
        " '",
        "' ",
        "'\n",
        "",
    ] {
        check(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_split_as_by_the_expressions(
        words in proptest::collection::vec(
            prop_oneof![
                "[a-zA-Z]{1,3}", "[0-9１②]{1,5}", "[ \n\r\t\u{a0}\u{2028}]{1,4}", "[!-/:-@'’“”/]{1,3}",
                "[你好世龦㐀。，！ーのァ・゠々〇]{1,4}", "[éüßǅʰа-яªſK]{1,4}", "'(s|t|ll|ve|S|D|ſ|LL)",
                "[\u{301}\u{0e31}กี]{1,2}", "\\PC{1,3}", "[\u{1}\u{200d}\u{ad}\u{fe0f}❤👩]{1,3}",
            ],
            0..12,
        ),
    ) {
        check(&words.concat());
    }
}
