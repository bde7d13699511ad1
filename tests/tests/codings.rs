//! Streams under a content coding, flushed event by event: their clocks are those of the events.

use std::io::Write as _;

use anyhow::{Result, ensure};
use llmtap_tests::{
    pcap::{Capture, Conversation},
    process,
    row::Row,
};

const T0: u64 = 1_754_000_000_000_000;

fn event(text: &str) -> String {
    format!(
        "data: {{\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

/// What a coder that is flushed after each event puts on the wire for each; its end comes last.
fn coded(coding: &str, events: &[String]) -> Result<Vec<Vec<u8>>> {
    let level = flate2::Compression::fast();
    let mut out = Vec::new();
    match coding {
        "gzip" => {
            let mut coder = flate2::write::GzEncoder::new(Vec::new(), level);
            for event in events {
                coder.write_all(event.as_bytes())?;
                coder.flush()?;
                out.push(std::mem::take(coder.get_mut()));
            }
            out.push(coder.finish()?);
        }
        "deflate" => {
            let mut coder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            for event in events {
                coder.write_all(event.as_bytes())?;
                coder.flush()?;
                out.push(std::mem::take(coder.get_mut()));
            }
            out.push(coder.finish()?);
        }
        _ => {
            let mut coder = zstd::stream::Encoder::new(Vec::new(), 1)?;
            for event in events {
                coder.write_all(event.as_bytes())?;
                coder.flush()?;
                out.push(std::mem::take(coder.get_mut()));
            }
            out.push(coder.finish()?);
        }
    }
    Ok(out)
}

fn row_of(talk: &Conversation) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("codings.pcap");
    Capture::of(talk).write(&file)?;
    let arguments = [
        "replay".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "ndjson".as_ref(),
    ];
    let done = process::run_llmtap(&arguments)?;
    let mut rows = done.rows()?;
    ensure!(rows.len() == 1, "not one row: {done:?}");
    Ok(rows.remove(0))
}

#[test]
fn clocks_under_every_coding() -> Result<()> {
    let mut events: Vec<String> = ["", " one", " two", " three"].map(event).into();
    events.push("data: [DONE]\n\n".into());
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    for coding in ["gzip", "deflate", "zstd"] {
        let mut talk = Conversation::new(([10, 1, 0, 9], 9).into(), ([10, 0, 0, 1], 8000).into());
        talk.handshake(T0).client(
            T0 + 1_000,
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        talk.server(
            T0 + 2_000,
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: {coding}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            ),
        );
        for (piece, n) in coded(coding, &events)?.iter().zip(1..) {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            // A piece over two segments is there with the second.
            let (head, tail) = chunk.split_at(chunk.len() / 2);
            talk.server(T0 + n * 100_000, head)
                .server(T0 + n * 100_000 + 40, tail);
        }
        talk.server(T0 + 700_000, "0\r\n\r\n").close(T0 + 800_000);
        let row = row_of(&talk)?;
        let mark = |name| row.micros(name).map(|micros| micros - T0 as i64);
        let marks = ["first_event", "first_token", "last_token", "response_end"].map(mark);
        assert_eq!(
            marks,
            [100_040, 200_040, 400_040, 700_000].map(Some),
            "{coding}"
        );
        assert_eq!(row.int("output_tokens"), Some(3), "{coding}");
        assert_eq!(row.text("confidence"), Some("complete"), "{coding}");
    }
    Ok(())
}
