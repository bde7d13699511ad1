//! A trickle of varied clients, for the demonstration.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;
use serde_json::json;

/// About two calls a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(500);

/// A client gives a silent server up after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a call of the trickle is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stream,
    StreamWithoutUsage,
    Plain,
    LeavesEarly,
}

/// The trickle repeats after these: models, kinds and prompt lengths in words.
const CALLS: [(&str, Kind, usize); 12] = [
    ("qwen3-32b", Kind::Stream, 12),
    ("llama-3.3-70b", Kind::Plain, 40),
    ("deepseek-reasoner", Kind::Stream, 25),
    ("qwen3-32b", Kind::StreamWithoutUsage, 300),
    ("mistral-small", Kind::Plain, 8),
    ("qwen3-32b", Kind::LeavesEarly, 60),
    ("llama-3.3-70b", Kind::Stream, 900),
    ("error-429", Kind::Plain, 10),
    ("mistral-small", Kind::Stream, 5),
    ("slow", Kind::Stream, 30),
    ("error-in-stream", Kind::Stream, 20),
    ("abort", Kind::Stream, 15),
];

/// Calls the server for ever, about twice a second, each call on a thread and connection of its own.
pub fn trickle(server: SocketAddr) -> ! {
    for number in 0_usize.. {
        // A call that fails is part of the show.
        let _ = thread::Builder::new().spawn(move || call(server, number));
        thread::sleep(BETWEEN_CALLS);
    }
    unreachable!("usize has an end, the demonstration has none");
}

/// One call of the trickle.
///
/// # Errors
/// Where the connection breaks, as some do on purpose.
pub fn call(server: SocketAddr, number: usize) -> Result<()> {
    let (model, kind, words) = CALLS[number % CALLS.len()];
    let mut body = json!({
        "model": model,
        "user": format!("demo-{}", number % 5),
        "stream": kind != Kind::Plain,
        "max_tokens": 10 + number * 7 % 60,
        "messages": [{"role": "user", "content": prompt(words, number)}],
    });
    if kind == Kind::Stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    let body = body.to_string();
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut buffer = [0; 4096];
    let mut reads = 0;
    while stream.read(&mut buffer)? > 0 {
        reads += 1;
        if kind == Kind::LeavesEarly && reads == 8 {
            return Ok(());
        }
    }
    Ok(())
}

fn prompt(words: usize, number: usize) -> String {
    const WORDS: [&str; 7] = ["please", "tell", "me", "more", "about", "packet", "capture"];
    let word = |index: usize| WORDS[(index + number) % WORDS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_server::{Ending, ModelServer, Pace};

    #[test]
    fn every_kind_of_call_reaches_the_server() {
        let pace = Pace {
            head: Duration::ZERO,
            think: Duration::ZERO,
            token: Duration::from_millis(1),
        };
        let server = ModelServer::start("127.0.0.1:0".parse().unwrap(), pace).unwrap();
        for number in 0..CALLS.len() {
            let _ = call(server.address(), number);
        }
        let log = server.log_of(CALLS.len()).unwrap();
        let ended = |how| log.iter().filter(|truth| truth.ending == how).count();
        assert_eq!(ended(Ending::ClientLeft), 1);
        assert_eq!(ended(Ending::ServerAborted), 1);
        assert_eq!(log.iter().filter(|truth| truth.status == 429).count(), 1);
    }
}
