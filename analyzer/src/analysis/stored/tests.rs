use super::*;

const HEAD: usize = 1_000;
const TAIL: usize = 300;

fn settings() -> Settings {
    Settings {
        bodies: KeepBodies::Full,
        stored_head: HEAD,
        stored_tail: TAIL,
        ..Settings::default()
    }
}

/// What is stored of a body that comes in pieces of this size.
fn stored(body: &[u8], size: usize, settings: &Settings) -> StoredBody {
    let mut keeper = Keeper::new(settings).unwrap();
    body.chunks(size).for_each(|piece| keeper.push(piece));
    keeper.finish().redacted(&settings.redactor).0
}

#[test]
fn head_and_tail_are_those_of_the_whole_body() {
    for (head, tail) in [(HEAD, TAIL), (STORED_HEAD, STORED_TAIL), (0, 0)] {
        let settings = Settings {
            stored_head: head,
            stored_tail: tail,
            ..settings()
        };
        for length in [
            0,
            10,
            head,
            head + 1,
            head + tail,
            head + tail + 1,
            head + tail + MARGIN,
            head + tail + 2 * MARGIN,
            head + tail + 2 * MARGIN + 1,
            1_000_000,
        ] {
            // No data, and no secrets.
            let body: Vec<u8> = (0..length).map(|i| b" .a,;:!?b"[i % 9]).collect();
            for size in [1_000, 70_000, 1_000_000] {
                let stored = stored(&body, size, &settings);
                if length <= head + tail {
                    assert_eq!((stored.head, stored.omitted), (body.clone(), 0));
                    continue;
                }
                assert_eq!(stored.head, body[..head], "{length} {size}");
                assert_eq!(stored.tail, body[length - tail..], "{length} {size}");
                assert_eq!(stored.omitted, (length - head - tail) as u64);
            }
        }
    }
}

/// Wherever a secret lies on the borders of what is stored, no part of it is.
#[test]
fn a_secret_on_a_border_leaves_no_part() {
    let secret = "sk-proj-Zq7Lm2Xw9Kd4Rt6Yb1Vn8Hs3Jf5Gp0Qc";
    for length in [HEAD + TAIL + 200, HEAD + TAIL + 3 * MARGIN] {
        let margin = (length - TAIL).saturating_sub(MARGIN);
        for border in [HEAD, HEAD + MARGIN, length - TAIL, margin] {
            if border <= secret.len() || border + secret.len() >= length {
                continue;
            }
            for start in border - secret.len() - 1..=border + 1 {
                let mut body = ". ".repeat(length / 2).into_bytes();
                body[start..start + secret.len()].copy_from_slice(secret.as_bytes());
                let stored = stored(&body, 700, &settings());
                let text = [stored.head, b" | ".to_vec(), stored.tail].concat();
                let text = String::from_utf8(text).unwrap();
                for part in secret.as_bytes().windows(6).skip(3) {
                    let part = std::str::from_utf8(part).unwrap();
                    assert!(!text.contains(part), "{length} {start}: {part}");
                }
            }
        }
    }
}

#[test]
fn a_hole_is_said_and_halves_of_secrets_beside_it_go() {
    let settings = settings();
    let mut keeper = Keeper::new(&settings).unwrap();
    keeper.push(b"the key is sk-proj-Zq7L");
    keeper.hole(12);
    keeper.push(b"4Rt6Yb1Vn8Hs3Jf5Gp0Qc, keep it.");
    let (stored, found) = keeper.finish().redacted(&settings.redactor);
    assert_eq!(
        String::from_utf8(stored.head).unwrap(),
        "the key is [redacted:cut][... 12 bytes missing ...][redacted:cut], keep it."
    );
    assert_eq!(found, 2);
}

#[test]
fn a_closed_keeper_keeps_nothing_more() {
    let mut keeper = Keeper::new(&settings()).unwrap();
    keeper.push(b"first");
    keeper.close();
    keeper.push(b"second");
    keeper.hole(9);
    let stored = keeper.finish().redacted(&Redactor::default()).0;
    assert_eq!((stored.head.as_slice(), stored.omitted), (&b"first"[..], 6));
    let none = Settings {
        bodies: KeepBodies::No,
        ..settings()
    };
    assert!(Keeper::new(&none).is_none());
}

#[test]
fn uploads_are_told_by_their_hash() {
    let settings = settings();
    let mut keeper = Keeper::new(&settings).unwrap();
    keeper.content_type("multipart/form-data; boundary=b");
    keeper
        .push(b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n\x00\xff");
    keeper.hole(7);
    keeper.push(
        b"\x00more\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhello\r\n--b--",
    );
    let stored = keeper.finish().redacted(&settings.redactor).0;
    let text = String::from_utf8(stored.head).unwrap();
    assert!(
        text.contains("[file 7 bytes sha256:")
            && !text.contains("more")
            && text.contains("\r\nhello\r\n"),
        "{text}"
    );
    assert!(text.contains("[... 7 bytes missing ...]"), "{text}");

    let mut none = Keeper::new(&settings).unwrap();
    none.content_type("multipart/form-data; boundary=b");
    none.push(b"{}");
    let stored = none.finish().redacted(&settings.redactor).0;
    assert_eq!((stored.head.len(), stored.omitted), (0, 2));
}

/// Rules by path cannot tell what the end of a document is in the middle of.
#[test]
fn a_tail_that_rules_cannot_judge_is_not_stored() {
    let redactor = Redactor::new(Vec::new(), vec!["$.secret".parse().unwrap()]);
    let settings = Settings {
        redactor: redactor.into(),
        ..settings()
    };
    for filler in [2_000, 3 * MARGIN] {
        let document = format!(
            "{{\"a\":\"{}\",\"secret\":\"hidden\"}}",
            ". ".repeat(filler)
        );
        let kept = stored(document.as_bytes(), 999, &settings);
        // In the margins the whole document is seen, and so its end is understood.
        let whole = document.len() <= HEAD + TAIL + 2 * MARGIN;
        assert_eq!(
            kept.tail.ends_with(b"\"secret\":\"[redacted:json_path]\"}"),
            whole
        );
        if !whole {
            assert!(kept.tail.is_empty());
            let stored = kept.head.len() as u64 + kept.omitted;
            assert_eq!(stored, document.len() as u64, "{filler}");
        }

        let event = format!("data: {{\"a\":\"{}\"}}\n\n", ". ".repeat(30));
        let stream = event.repeat(filler / 30) + "data: {\"secret\":\"hidden\"}\n\n";
        let kept = stored(stream.as_bytes(), 999, &settings);
        let tail = String::from_utf8(kept.tail).unwrap();
        assert!(
            tail.ends_with("data: {\"secret\":\"[redacted:json_path]\"}\n\n"),
            "{tail}"
        );
    }
}
