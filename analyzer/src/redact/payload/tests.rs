use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

/// What is left of a text that comes in pieces of this size.
fn pieces(text: &[u8], size: usize, leave: Leave) -> String {
    let mut payloads = Payloads::new(leave);
    let mut left = Vec::new();
    for piece in text.chunks(size.max(1)) {
        payloads.push(piece, |bytes| left.extend_from_slice(bytes));
    }
    payloads.end(|bytes| left.extend_from_slice(bytes));
    assert_eq!(payloads.held(), 0);
    String::from_utf8_lossy(&left).into_owned()
}

fn left(text: &str, leave: Leave) -> String {
    let whole = pieces(text.as_bytes(), text.len(), leave);
    for size in [1, 2, 3, 7, 64, 1_000] {
        assert_eq!(
            pieces(text.as_bytes(), size, leave),
            whole,
            "in pieces of {size}"
        );
    }
    whole
}

/// Bytes that no two places share.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn marker(media: &str, bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hash = hash
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let space = if media.is_empty() { "" } else { " " };
    format!("[base64{space}{media} {} bytes sha256:{hash}]", bytes.len())
}

fn image(length: usize) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), noise(length)].concat()
}

#[test]
fn images_give_way_to_their_type_length_and_hash() {
    for length in [20, 500, 501, 502, 100_000] {
        let image = image(length);
        let base64 = STANDARD.encode(&image);
        let shown = marker("image/png", &image);
        for (before, after) in [
            ("{\"url\":\"data:image/png;base64,", "\"}"),
            ("data:image\\/png;charset=x;base64,", " and"),
            ("{\"data\": \"", "\"}"),
            ("![](", ")"),
        ] {
            for leave in [Leave::Images, Leave::All] {
                let text = format!("{before}{base64}{after}");
                assert_eq!(left(&text, leave), format!("{before}{shown}{after}"));
            }
        }
    }
    // What the URL says counts, and it may be small.
    let gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04";
    let text = format!("data:image/x;base64,{}", STANDARD.encode(gif));
    assert_eq!(
        left(&text, Leave::Images),
        format!("data:image/x;base64,{}", marker("image/x", gif))
    );
}

#[test]
fn escapes_and_line_breaks_are_part_of_it() {
    let image = image(1_000);
    let base64 = STANDARD.encode(&image);
    assert!(base64.contains('/') && base64.contains('+'));
    let shown = format!("\"{}\"", marker("image/png", &image));
    let lines = |ending: &str| {
        let lines = base64.as_bytes().chunks(76);
        let lines: Vec<_> = lines
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        lines.join(ending)
    };
    for encoded in [
        base64.replace('/', "\\/"),
        base64.replace('+', "\\u002b").replace('=', "\\u003D"),
        URL_SAFE.encode(&image),
        lines("\n"),
        lines("\r\n"),
        lines("\\n"),
        lines("\\r\\n"),
    ] {
        assert_eq!(left(&format!("\"{encoded}\""), Leave::Images), shown);
    }
}

#[test]
fn what_follows_data_is_not_lost() {
    let image = image(300);
    let base64 = STANDARD.encode(&image);
    let shown = marker("image/png", &image);
    for after in [
        "",
        "\\",
        "\\\"",
        "\\u",
        "\\u00",
        "\\u0041b",
        "\\n",
        "\\nshort\\n",
        "\nshort\n",
        "\r",
        "模",
    ] {
        let all = left(&format!("{base64}{after}"), Leave::Images);
        assert_eq!(all.strip_prefix(&shown), Some(after));
    }
}

#[test]
fn other_data_goes_only_where_it_is_asked_for() {
    let bytes = noise(3_000);
    let base64 = STANDARD.encode(&bytes);
    let wav = [b"RIFF\0\0\0\0WAVEfmt ".to_vec(), vec![0; 3_000]].concat();
    let silence = vec![0; 3_000];
    for (text, shown) in [
        (
            format!("x {base64} y"),
            format!("x {} y", marker("", &bytes)),
        ),
        (
            format!("data:application/pdf;base64,{base64}\""),
            format!(
                "data:application/pdf;base64,{}\"",
                marker("application/pdf", &bytes)
            ),
        ),
        (
            format!("{{\"data\":\"{}\"", STANDARD.encode(&silence)),
            format!("{{\"data\":\"{}\"", marker("", &silence)),
        ),
        (
            format!("\"audio\":\"{}\"", STANDARD.encode(&wav)),
            format!("\"audio\":\"{}\"", marker("audio/wav", &wav)),
        ),
    ] {
        assert_eq!(left(&text, Leave::All), shown);
        assert_eq!(left(&text, Leave::Images), text);
    }
    // Base64 that no encoder writes is hashed as it stands.
    let odd = format!("x {base64}A=A y");
    let odd_shown = left(&odd, Leave::All);
    assert!(
        odd_shown.starts_with("x [base64 ") && odd_shown.ends_with("] y"),
        "{odd_shown}"
    );
}

#[test]
fn words_stay_however_long_they_are() {
    for text in [
        "ACGT".repeat(1_000),
        "0123456789abcdef".repeat(100),
        "ha".repeat(1_000),
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
            .repeat(20),
        "word\\nword\\/word\\u0041 \\\"quoted\\\" ".repeat(100),
        "https://example.org/a/very/long/path/that/has/no/end?and=a&long=query".repeat(3),
        "one\ntwo\nthree\nfour\n".repeat(100),
    ] {
        assert_eq!(left(&text, Leave::All), text);
        assert_eq!(left(&text, Leave::Images), text);
    }
}

#[test]
fn vectors_give_way_to_their_length_and_token_ids_stay() {
    let vector: Vec<String> = (0..1_536).map(|i| format!("-0.{:06}", i * 37)).collect();
    for leave in [Leave::Images, Leave::All] {
        let text = format!("{{\"embedding\": [{}], \"index\": 0}}", vector.join(", "));
        assert_eq!(
            left(&text, leave),
            "{\"embedding\": [\"[vector of 1536 numbers]\"], \"index\": 0}"
        );
        let ids: Vec<String> = (0..2_000).map(|i| (i * 91).to_string()).collect();
        let ids = format!("{{\"prompt\":[{}]}}", ids.join(","));
        assert_eq!(left(&ids, leave), ids);
        for few in ["[0.1,0.2]", "[", "[1", "[]", "[[[[", "[0.25, \"a\"]"] {
            assert_eq!(left(few, leave), few);
        }
        let base64 = STANDARD.encode(noise(6_144));
        let text = format!("\"embedding\":\"{base64}\"");
        assert!(left(&text, leave).starts_with("\"embedding\":\"[base64 6144 bytes sha256:"));
    }
}

proptest! {
    #[test]
    fn pieces_change_nothing(
        parts in proptest::collection::vec(prop_oneof![
            "[ -~\\n]{0,40}",
            Just("\\n".to_owned()),
            Just("\\u002b".to_owned()),
            Just("[0.1,".to_owned()),
            Just("data:image/png;base64,".to_owned()),
            Just(STANDARD.encode(image(50))),
            Just(STANDARD.encode(noise(600))),
            Just("0.125,".repeat(60)),
        ], 0..12),
        size in 1usize..300,
    ) {
        let text = parts.concat();
        for leave in [Leave::Images, Leave::All] {
            let whole = pieces(text.as_bytes(), text.len(), leave);
            prop_assert_eq!(pieces(text.as_bytes(), size, leave), whole);
        }
    }

    #[test]
    fn text_without_data_is_untouched(text in "[a-z \\\\\"{}:,\\n]{0,400}") {
        prop_assert_eq!(pieces(text.as_bytes(), 50, Leave::All), text);
    }
}
