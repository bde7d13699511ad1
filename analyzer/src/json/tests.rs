use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Visits everything and writes down what it hears, adjacent pieces of text merged.
#[derive(Default)]
struct Log {
    out: String,
    text: String,
    skip: Option<&'static str>,
}

impl Visitor for Log {
    type Node = ();
    fn root(&mut self) -> Option<()> {
        Some(())
    }
    fn child(&mut self, (): (), step: Step<'_>) -> Option<()> {
        match step {
            Step::Key(key) if Some(key) == self.skip => return None,
            Step::Key(key) => write!(self.out, "{key:?}:").unwrap(),
            Step::Index(_) => {}
        }
        Some(())
    }
    fn begin(&mut self, (): (), kind: Kind) {
        match kind {
            Kind::Object => self.out.push('{'),
            Kind::Array => self.out.push('['),
            Kind::String => self.text.clear(),
        }
    }
    fn text(&mut self, (): (), piece: &str) {
        assert!(!piece.is_empty());
        self.text.push_str(piece);
    }
    fn scalar(&mut self, (): (), scalar: Scalar<'_>) {
        match scalar {
            Scalar::Null => self.out.push_str("null "),
            Scalar::Bool(value) => write!(self.out, "{value} ").unwrap(),
            Scalar::Number(number) => write!(self.out, "{number} ").unwrap(),
        }
    }
    fn end(&mut self, (): (), kind: Kind) {
        match kind {
            Kind::Object => self.out.push('}'),
            Kind::Array => self.out.push(']'),
            Kind::String => write!(self.out, "{:?} ", self.text).unwrap(),
        }
    }
}

fn read_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    skip: Option<&'static str>,
) -> (String, State, Damage) {
    let mut reader = Reader::new();
    let mut log = Log {
        skip,
        ..Log::default()
    };
    for piece in pieces {
        reader.push(piece, &mut log);
    }
    let state = reader.finish(&mut log);
    (log.out, state, reader.damage())
}

fn read(text: &str) -> (String, State) {
    let (out, state, _) = read_pieces([text.as_bytes()], None);
    (out, state)
}

/// What the reader should say of a value, by another parser.
fn describe(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value;
    match value {
        Value::Null => out.push_str("null "),
        Value::Bool(value) => write!(out, "{value} ").unwrap(),
        Value::Number(number) => write!(out, "{number} ").unwrap(),
        Value::String(text) => write!(out, "{text:?} ").unwrap(),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                describe(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (key, value) in map {
                write!(out, "{key:?}:").unwrap();
                describe(value, out);
            }
            out.push('}');
        }
    }
}

#[test]
fn reads_the_grammar() {
    for (text, expected) in [
        ("{}", "{}"),
        ("[]", "[]"),
        (
            " [ 1 , -2.5e3 ,true,false,null ] ",
            "[1 -2.5e3 true false null ]",
        ),
        (r#"{"a":{"b":["c",{}]}}"#, r#"{"a":{"b":["c" {}]}}"#),
        (
            r#""\"\\\/\b\f\n\r\té😀""#,
            "\"\\\"\\\\/\\u{8}\\u{c}\\n\\r\\té😀\" ",
        ),
        (r#"{"kéy":1}"#, r#"{"kéy":1 }"#),
        ("[NaN,Infinity,-Infinity]", "[null null null ]"),
        ("42", "42 "),
        ("\u{feff}{\"a\":1}", r#"{"a":1 }"#),
        ("[1,]", "[1 ]"),
        (r#"{"a":1,}"#, r#"{"a":1 }"#),
        ("{} trailing", "{}"),
        ("\"a\u{1}\nb\"", "\"a\\u{1}\\nb\" "),
    ] {
        assert_eq!(read(text), (expected.to_owned(), State::Done), "{text}");
    }
}

#[test]
fn what_is_no_json_is_invalid_and_what_is_cut_is_incomplete() {
    for text in [
        "<html>",
        "{1:2}",
        "[1 2]",
        "{\"a\" 1}",
        "[}",
        "{\"a\":]}",
        "\"\\x\"",
        "\"\\u00g0\"",
        "nope",
        "'a'",
    ] {
        assert_eq!(read(text).1, State::Invalid, "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "[1,",
        "\"abc",
        "{\"a\":\"b\\",
        "{\"a\":\"\\u00",
    ] {
        assert_eq!(read(text).1, State::Incomplete, "{text}");
    }
}

#[test]
fn lone_surrogates_and_bad_bytes_are_replaced_and_counted() {
    for (bytes, expected, replaced) in [
        (&br#""\ud800""#[..], "\"\u{fffd}\" ", 1),
        (br#""\udc00x""#, "\"\u{fffd}x\" ", 1),
        (br#""\ud800\ud83d\ude00""#, "\"\u{fffd}\u{1f600}\" ", 1),
        (br#""\ud800\n""#, "\"\u{fffd}\\n\" ", 1),
        (b"\"a\xffb\"", "\"a\u{fffd}b\" ", 1),
        (b"\"\xe4\xbd\"", "\"\u{fffd}\" ", 1),
        (b"\"\xe4\xbd\\n\"", "\"\u{fffd}\\n\" ", 1),
        (b"\"\xf0\x9f\xe4\xbd\xa0\"", "\"\u{fffd}\u{4f60}\" ", 1),
    ] {
        let whole = read_pieces([bytes], None);
        assert_eq!(whole.0, expected);
        assert_eq!(whole.2.replaced, replaced);
        let single = read_pieces(bytes.chunks(1), None);
        assert_eq!(single, whole);
    }
}

#[test]
fn skipped_values_are_passed_over_whatever_is_in_them() {
    let text =
        r#"{"skip":{"a":"}\"]","b":[1,{"c":"\\"}]},"x":1,"skip":"s\"","y":2,"skip":12,"z":[3]}"#;
    for size in 1..text.len() {
        let (out, state, _) = read_pieces(text.as_bytes().chunks(size), Some("skip"));
        assert_eq!(
            (out.as_str(), state),
            (r#"{"x":1 "y":2 "z":[3 ]}"#, State::Done)
        );
    }
}

#[test]
fn depth_is_bounded_and_the_rest_is_read() {
    let deep = format!("[{}{},1]", "[".repeat(100_000), "]".repeat(100_000));
    let (out, state, damage) = read_pieces([deep.as_bytes()], None);
    assert_eq!(state, State::Done);
    assert_eq!(damage.too_deep, 1);
    assert!(out.ends_with("1 ]"));
    assert_eq!(out.matches('[').count(), MAX_DEPTH);
}

#[test]
fn long_keys_and_numbers_are_not_kept() {
    let text = format!(
        "{{\"{}\":1,\"n\":{},\"b\":2}}",
        "k".repeat(MAX_KEY + 1),
        "9".repeat(MAX_BARE + 1)
    );
    for size in [1, 7, text.len()] {
        let (out, state, _) = read_pieces(text.as_bytes().chunks(size), None);
        assert_eq!((out.as_str(), state), (r#"{"n":null "b":2 }"#, State::Done));
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[ -~]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn splits(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|w| bytes[w[0]..w[1]].to_vec())
        .collect()
}

proptest! {
    #[test]
    fn agrees_with_another_parser_however_it_is_cut(
        value in json(),
        pretty: bool,
        escape: bool,
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        if escape {
            let mut ascii = String::new();
            for c in text.chars() {
                if c.is_ascii() { ascii.push(c) } else {
                    for unit in c.encode_utf16(&mut [0; 2]) { write!(ascii, "\\u{unit:04X}").unwrap(); }
                }
            }
            text = ascii;
        }
        let mut expected = String::new();
        describe(&value, &mut expected);
        let pieces = splits(text.as_bytes(), &cuts);
        let (out, state, damage) = read_pieces(pieces.iter().map(Vec::as_slice), None);
        prop_assert_eq!(out, expected);
        prop_assert_eq!(state, State::Done);
        prop_assert_eq!(damage, Damage::default());
        let single = read_pieces(text.as_bytes().chunks(1), None);
        prop_assert_eq!(single.1, State::Done);
    }

    #[test]
    fn any_bytes_read_the_same_however_they_are_cut(
        bytes in proptest::collection::vec(
            prop_oneof![3 => proptest::sample::select(b"{}[]\",:\\u0d8ce1 t\n\xe4\xbd\xa0\xf0\x9f".to_vec()), 1 => any::<u8>()], 0..120),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let whole = read_pieces([bytes.as_slice()], Some("0"));
        let pieces = splits(&bytes, &cuts);
        prop_assert_eq!(&read_pieces(pieces.iter().map(Vec::as_slice), Some("0")), &whole);
        prop_assert_eq!(&read_pieces(bytes.chunks(1), Some("0")), &whole);
    }

    #[test]
    fn strings_of_any_bytes_are_what_the_standard_library_makes_of_them(
        bytes in proptest::collection::vec(
            prop_oneof![proptest::sample::select(b"a\xe4\xbd\xa0\xf0\x9f\x98\x80\xff".to_vec()), any::<u8>()], 0..40),
        size in 1usize..6,
    ) {
        let bytes: Vec<u8> = bytes.into_iter().filter(|b| !matches!(b, b'"' | b'\\')).collect();
        let mut document = vec![b'"'];
        document.extend(&bytes);
        document.push(b'"');
        let (out, _, _) = read_pieces(document.chunks(size), None);
        prop_assert_eq!(out, format!("{:?} ", String::from_utf8_lossy(&bytes)));
    }
}
