//! An OpenAI-style model server that knows what it sent.
//!
//! It behaves as uvicorn does: the response head leaves at once, tokens follow later, each in a
//! write of its own. Its text is made from the prompt, so that two runs give the same answers. For
//! every request it keeps a [`Truth`]: what a tap beside it should have seen.
//!
//! What it does is chosen by the request's `model`:
//!
//! | model | what happens |
//! |---|---|
//! | `error-400`, `error-429`, `error-500` | an error of that status |
//! | `error-in-stream` | status 200, some tokens, an error event |
//! | `abort` | the server closes the connection in the middle of the answer |
//! | `slow` | the first token takes a second |
//! | a name with `reason` in it | reasoning comes before the answer |
//! | any other | an answer |
//!
//! A server that was started [`broken`](ModelServer::start_broken) reads every request and closes
//! the connection without a word.

mod answer;
mod request;
mod respond;
mod truth;

use std::{
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

pub use truth::{Ending, Truth};

use crate::process;

/// How fast the server is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the request to the head of the answer: uvicorn sends it before the model has done anything.
    pub head: Duration,
    /// From there to the first token.
    pub think: Duration,
    /// From one token to the next.
    pub token: Duration,
}

impl Default for Pace {
    /// Fast enough for tests, slow enough that the head and the tokens are packets of their own.
    fn default() -> Self {
        Self {
            head: Duration::ZERO,
            think: Duration::from_millis(30),
            token: Duration::from_millis(2),
        }
    }
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    Broken,
}

#[derive(Debug)]
struct Shared {
    pace: Pace,
    health: Health,
    stopped: AtomicBool,
    requests: AtomicU64,
    log: Mutex<Vec<Truth>>,
}

impl ModelServer {
    /// Listens on `address` (port 0: any free one) and serves until it is dropped.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn start(address: SocketAddr, pace: Pace) -> Result<Self> {
        Self::start_as(address, pace, Health::Sound)
    }

    /// Listens as [`start`](Self::start) does, and answers nothing.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn start_broken(address: SocketAddr) -> Result<Self> {
        Self::start_as(address, Pace::default(), Health::Broken)
    }

    fn start_as(address: SocketAddr, pace: Pace, health: Health) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            pace,
            health,
            stopped: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            log: Mutex::new(Vec::new()),
        });
        let for_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("model-server".into())
            .spawn(move || accept(&listener, &for_thread))?;
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log once it has this many entries: an entry is made just after its answer's last byte.
    ///
    /// # Errors
    /// Where it stays shorter; the error shows it.
    pub fn log_of(&self, count: usize) -> Result<Vec<Truth>> {
        process::eventually(|| Some(self.log()).filter(|log| log.len() >= count))
            .with_context(|| format!("not {count} requests but {:?}", self.log()))
    }

    /// What is known of the requests that are over, in the order of their ends.
    pub fn log(&self) -> Vec<Truth> {
        self.shared.lock().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the accepting thread; whether it succeeds does not matter.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Truth>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A thread that cannot be had closes the connection, as a server without room would.
        let _ = thread::Builder::new().spawn(move || {
            // An I/O error is the client's leaving; the truth has noted it.
            let _ = serve(&stream, &shared);
        });
    }
}

/// Requests of one connection, one after the other.
fn serve(stream: &TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = request::read(&mut reader)? {
        let number = shared.requests.fetch_add(1, Ordering::Relaxed);
        let mut truth = Truth::new(number, &request);
        if shared.health == Health::Broken {
            truth.ending = Ending::ServerAborted;
            shared.lock().push(truth);
            return Ok(());
        }
        let next = respond::respond(stream, &request, shared.pace, &mut truth);
        shared.lock().push(truth);
        if matches!(next?, respond::Next::Close) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::http;

    const FAST: Pace = Pace {
        head: Duration::ZERO,
        think: Duration::ZERO,
        token: Duration::ZERO,
    };

    fn server() -> ModelServer {
        ModelServer::start("127.0.0.1:0".parse().unwrap(), FAST).unwrap()
    }

    fn chat(server: &ModelServer, body: &str) -> http::Response {
        http::post(server.address(), "/v1/chat/completions", body).unwrap()
    }

    fn events(response: &http::Response) -> Vec<serde_json::Value> {
        response
            .text()
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    #[test]
    fn a_stream_has_a_role_the_tokens_an_end_and_usage() {
        let server = server();
        let response = chat(
            &server,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":3,
                "user":"u1","messages":[{"role":"user","content":"four words of prompt"}]}"#,
        );
        assert_eq!(response.status, 200);
        assert!(response.text().ends_with("data: [DONE]\n\n"));
        let events = events(&response);
        assert_eq!(events.len(), 1 + 3 + 1 + 1);
        assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events[4]["choices"][0]["finish_reason"], "stop");
        assert_eq!(events[5]["usage"]["prompt_tokens"], 4);
        assert_eq!(events[5]["usage"]["completion_tokens"], 3);
        let truth = &server.log_of(1).unwrap()[0];
        assert_eq!(truth.user.as_deref(), Some("u1"));
        assert_eq!((truth.status, truth.content_events), (200, 3));
        assert_eq!(truth.ending, Ending::Whole);
        assert_eq!(truth.reported_output_tokens, Some(3));
    }

    #[test]
    fn a_plain_answer_says_the_same_as_a_stream() {
        let server = server();
        let messages = r#""max_tokens":9,"messages":[{"role":"user","content":"hello"}]"#;
        let plain = chat(&server, &format!(r#"{{"model":"m",{messages}}}"#));
        let plain: serde_json::Value = serde_json::from_str(&plain.text()).unwrap();
        let streamed = chat(
            &server,
            &format!(r#"{{"model":"m","stream":true,{messages}}}"#),
        );
        let streamed: String = events(&streamed)
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(plain["choices"][0]["message"]["content"], streamed.as_str());
        assert_eq!(plain["usage"]["completion_tokens"], 9);
    }

    #[test]
    fn errors_go_by_the_models_name() {
        let server = server();
        for status in [400, 429, 500] {
            let response = chat(
                &server,
                &format!(r#"{{"model":"error-{status}","messages":[]}}"#),
            );
            assert_eq!(response.status, status);
        }
        assert_eq!(chat(&server, "not json").status, 400);
        let broken = chat(
            &server,
            r#"{"model":"error-in-stream","stream":true,"messages":[]}"#,
        );
        assert_eq!(broken.status, 200);
        assert!(broken.text().contains(r#"{"error":"#));
        assert_eq!(http::get(server.address(), "/nowhere").unwrap().status, 404);
        let models = http::get(server.address(), "/v1/models").unwrap();
        assert!(models.text().contains(r#""object":"list""#));
    }

    #[test]
    fn the_servers_abort_breaks_the_framing() {
        let server = server();
        let response = http::post(
            server.address(),
            "/v1/chat/completions",
            r#"{"model":"abort","stream":true,"messages":[]}"#,
        );
        assert!(response.is_err(), "a cut chunked body: {response:?}");
        assert_eq!(server.log_of(1).unwrap()[0].ending, Ending::ServerAborted);
    }

    #[test]
    fn a_broken_server_says_nothing() {
        let server = ModelServer::start_broken("127.0.0.1:0".parse().unwrap()).unwrap();
        let body = r#"{"model":"m","user":"u1","messages":[]}"#;
        let response = http::post(server.address(), "/v1/chat/completions", body);
        assert!(response.is_err(), "{response:?}");
        let truth = &server.log_of(1).unwrap()[0];
        assert_eq!((truth.status, truth.user.as_deref()), (0, Some("u1")));
        assert_eq!(truth.ending, Ending::ServerAborted);
    }

    #[test]
    fn a_client_that_leaves_is_noticed() {
        let server = ModelServer::start(
            "127.0.0.1:0".parse().unwrap(),
            Pace {
                head: Duration::ZERO,
                think: Duration::ZERO,
                token: Duration::from_millis(1),
            },
        )
        .unwrap();
        let body = r#"{"model":"m","stream":true,"max_tokens":100000,"messages":[]}"#;
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut some = [0; 512];
        assert!(stream.read(&mut some).unwrap() > 0);
        drop(stream);
        assert_eq!(server.log_of(1).unwrap()[0].ending, Ending::ClientLeft);
    }
}
