//! The traffic of the bench, made by a process of its own inside the namespace.
//!
//! A part says a line when it has something to say, and ends when its standard input does: it never
//! outlives the bench.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::shell::say;

/// The port of the server, which is tapped.
pub(super) const PORT: u16 = 8000;
/// How many streams, and what each brings.
pub(super) const STREAMS: u32 = 200;
pub(super) const TOKENS_PER_SECOND: u32 = 50;
/// Bytes of a ping, and of a pong.
pub(super) const PING_BYTES: usize = 64;

/// What a part says that goes on until it is stopped, when it has begun.
pub(super) const RUNNING: &str = "running";

/// Round trips that are not counted: caches and the scheduler settle.
const WARM_UP: usize = 2_000;
/// Answers are this long, and up to twice as long, so that they do not all end at once.
const LEAST_TOKENS: u32 = 300;
const WORDS_OF_PROMPT: usize = 200;
const BULK_WRITE: usize = 1 << 20;

/// Makes one kind of traffic.
pub(in crate::bench) fn part(words: &[&str]) -> Result<()> {
    match words {
        ["ping", round_trips] => ping(round_trips.parse()?),
        ["pong"] => pong(),
        ["streams"] => streams(),
        ["bulk", megabytes] => bulk(megabytes.parse()?),
        ["get", address, path] => get(address.parse()?, path),
        _ => bail!("there is no such part of the bench"),
    }
}

fn listen() -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))
}

fn connect() -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends back what comes over one connection after the other, to the end of standard input.
fn pong() -> Result<()> {
    let listener = listen()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; PING_BYTES];
            while stream.read_exact(&mut bytes).is_ok() && stream.write_all(&bytes).is_ok() {}
        }
    });
    say(RUNNING);
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

/// Says the median and the 99th percentile of the round trips' times, in nanoseconds.
fn ping(round_trips: usize) -> Result<()> {
    let mut stream = connect()?;
    let mut bytes = [b'x'; PING_BYTES];
    let mut times = Vec::with_capacity(round_trips);
    for number in 0..WARM_UP + round_trips {
        let begin = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        if number >= WARM_UP {
            times.push(begin.elapsed().as_nanos() as u64);
        }
    }
    times.sort_unstable();
    let at = |part: usize| {
        let last = times.len().saturating_sub(1);
        times.get(last * part / 100).copied().unwrap_or_default()
    };
    say(&format!("{} {}", at(50), at(99)));
    Ok(())
}

/// Streams answers, says when all run, and goes on to the end of standard input.
fn streams() -> Result<()> {
    let listener = listen()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = serve(&stream);
            });
        }
    });
    let mut begun = Vec::new();
    for number in 0..STREAMS {
        let stream = connect()?;
        let (say_begun, hear_begun) = std::sync::mpsc::channel();
        begun.push(hear_begun);
        thread::spawn(move || {
            let _ = ask(&stream, number, &say_begun);
        });
        // Spread over a token's time, as those of real servers are.
        thread::sleep(token_time() / STREAMS);
    }
    for stream in begun {
        stream.recv().context("a stream did not begin")?;
    }
    say(RUNNING);
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn token_time() -> Duration {
    Duration::from_secs(1) / TOKENS_PER_SECOND
}

/// A client: asks again and again over one connection, and reads the answers.
fn ask(stream: &TcpStream, number: u32, begun: &std::sync::mpsc::Sender<()>) -> io::Result<()> {
    let prompt = " word".repeat(WORDS_OF_PROMPT);
    let body = format!(
        "{{\"model\":\"bench\",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{number}{prompt}\"}}]}}"
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        (&mut &*stream).write_all(request.as_bytes())?;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.starts_with("data: ") {
                // Nobody listens any more after the first.
                let _ = begun.send(());
            }
            if line.starts_with("data: [DONE]") {
                break;
            }
        }
        // The empty line of the event, the end of its chunk, and the last chunk: `0` and two line ends.
        for _ in 0..4 {
            line.clear();
            reader.read_line(&mut line)?;
        }
    }
}

/// The server of one connection: a chunk and a write a token.
fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let mut line = String::new();
    for answer in 0.. {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        writer.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        let port = u32::from(stream.peer_addr()?.port());
        let tokens = LEAST_TOKENS + (port * 7 + answer * 13) % LEAST_TOKENS;
        let mut next = Instant::now();
        for _ in 0..tokens {
            next += token_time();
            thread::sleep(next.saturating_duration_since(Instant::now()));
            event(
                writer,
                "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,\
                 \"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" the\"},\
                 \"logprobs\":null,\"finish_reason\":null}]}",
            )?;
        }
        event(
            writer,
            &format!(
                "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,\
                 \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\
                 \"stop\"}}],\"usage\":{{\"prompt_tokens\":{WORDS_OF_PROMPT},\"completion_tokens\":\
                 {tokens},\"total_tokens\":{}}}}}",
                WORDS_OF_PROMPT as u32 + tokens
            ),
        )?;
        event(writer, "[DONE]")?;
        writer.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

fn event(mut writer: &TcpStream, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    writer.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
}

/// Sends as fast as it goes, in packets as large as the kernel makes them.
fn bulk(megabytes: usize) -> Result<()> {
    let listener = listen()?;
    let server = thread::spawn(move || -> io::Result<u64> {
        let (mut stream, _) = listener.accept()?;
        io::copy(&mut stream, &mut io::sink())
    });
    let mut stream = connect()?;
    let bytes = vec![b'x'; BULK_WRITE];
    for _ in 0..megabytes {
        stream.write_all(&bytes)?;
    }
    drop(stream);
    match server.join() {
        Ok(received) => say(&received?.to_string()),
        Err(_) => bail!("the server of the bulk transfer failed"),
    }
    Ok(())
}

/// Says the body at a path.
fn get(address: SocketAddr, path: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    say(body);
    Ok(())
}
