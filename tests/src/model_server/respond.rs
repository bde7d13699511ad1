//! Writing one response, as uvicorn does: the head at once, each event in a write of its own.

use std::{
    io::{self, ErrorKind, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Ending, Pace, Truth,
    answer::{Answer, Api},
    request::Request,
};

/// After how many tokens `error-in-stream` and `abort` break off.
const BREAK_AFTER: usize = 4;

/// What the `slow` model adds before its first token.
const SLOW: Duration = Duration::from_secs(1);

/// What becomes of the connection.
pub(super) enum Next {
    KeepAlive,
    Close,
}

/// Answers one request, and notes what was sent.
pub(super) fn respond(
    stream: &TcpStream,
    request: &Request,
    pace: Pace,
    truth: &mut Truth,
) -> Result<Next> {
    let api = match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/chat/completions") => Api::Chat,
        ("POST", "/v1/completions") => Api::Completions,
        ("GET", "/v1/models") => {
            let list = json!({"object": "list", "data": [{"id": "m", "object": "model"}]});
            return plain(stream, request, 200, &list, truth);
        }
        _ => return plain(stream, request, 404, &json!({"detail": "Not Found"}), truth),
    };
    let Some(body) = request.body.as_ref().filter(|body| body.is_object()) else {
        return plain(
            stream,
            request,
            400,
            &error(400, "the body is not JSON"),
            truth,
        );
    };
    let model = truth.model.clone().unwrap_or_default();
    if let Some(status) = model
        .strip_prefix("error-")
        .and_then(|rest| rest.parse().ok())
    {
        let text = format!("the model {model} always answers so");
        return plain(stream, request, status, &error(status, &text), truth);
    }
    thread::sleep(pace.head);
    let think = if model == "slow" {
        pace.think + SLOW
    } else {
        pace.think
    };
    let answer = Answer::to(api, truth.number, body);
    if truth.stream {
        let usage = body["stream_options"]["include_usage"].as_bool() == Some(true);
        let stream_it = Streamed {
            stream,
            answer: &answer,
            pause: pace.token,
            truth,
        };
        return stream_it.run(think, &model, usage, request.keep_alive);
    }
    thread::sleep(think);
    if model == "abort" {
        truth.ending = Ending::ServerAborted;
        return Ok(Next::Close);
    }
    truth.content_events = answer.choices;
    truth.reported_input_tokens = Some(answer.prompt_tokens);
    truth.reported_output_tokens = Some(answer.output_tokens());
    plain(stream, request, 200, &answer.whole(), truth)
}

struct Streamed<'a> {
    stream: &'a TcpStream,
    answer: &'a Answer,
    pause: Duration,
    truth: &'a mut Truth,
}

impl Streamed<'_> {
    fn run(mut self, think: Duration, model: &str, usage: bool, keep_alive: bool) -> Result<Next> {
        match self.events(think, model, usage) {
            Ok(true) if keep_alive => {
                self.truth.ending = Ending::Whole;
                Ok(Next::KeepAlive)
            }
            Ok(whole) => {
                if whole {
                    self.truth.ending = Ending::Whole;
                }
                self.stream.shutdown(Shutdown::Both)?;
                Ok(Next::Close)
            }
            Err(error) => {
                self.truth.ending = Ending::ClientLeft;
                Err(error.into())
            }
        }
    }

    /// Whether the answer is whole; an error is the client's leaving.
    fn events(&mut self, think: Duration, model: &str, usage: bool) -> io::Result<bool> {
        self.truth.status = 200;
        let mut out = self.stream;
        out.write_all(
            b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\n\
              content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        thread::sleep(think);
        let answer = self.answer;
        if answer.api == Api::Chat {
            for index in 0..answer.choices {
                self.event(&answer.chunk(&Answer::role_choice(index)).to_string())?;
            }
        }
        for (number, piece) in answer.pieces.iter().enumerate() {
            if number == BREAK_AFTER && model == "abort" {
                self.truth.ending = Ending::ServerAborted;
                return Ok(false);
            }
            if number == BREAK_AFTER && model == "error-in-stream" {
                self.event(&error(500, "the engine died").to_string())?;
                break;
            }
            for index in 0..answer.choices {
                self.event(&answer.chunk(&answer.piece_choice(index, piece)).to_string())?;
                self.truth.content_events += 1;
            }
            thread::sleep(self.pause);
            if client_left(self.stream)? {
                return Err(ErrorKind::ConnectionReset.into());
            }
        }
        if model != "error-in-stream" {
            for index in 0..answer.choices {
                self.event(&answer.chunk(&answer.finish_choice(index)).to_string())?;
            }
            if usage {
                let mut last = answer.chunk(&json!([]));
                last["usage"] = answer.usage();
                self.event(&last.to_string())?;
                self.truth.reported_input_tokens = Some(answer.prompt_tokens);
                self.truth.reported_output_tokens = Some(answer.output_tokens());
            }
        }
        self.event("[DONE]")?;
        out.write_all(b"0\r\n\r\n")?;
        Ok(true)
    }

    /// One event, one chunk, one write.
    fn event(&self, data: &str) -> io::Result<()> {
        let event = format!("data: {data}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let mut out = self.stream;
        out.write_all(chunk.as_bytes())
    }
}

/// A JSON answer with its length.
fn plain(
    stream: &TcpStream,
    request: &Request,
    status: u16,
    body: &Value,
    truth: &mut Truth,
) -> Result<Next> {
    let body = body.to_string();
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        429 => "Too Many Requests",
        _ => "Internal Server Error",
    };
    truth.status = status;
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nserver: uvicorn\r\ncontent-length: {}\r\n\
         content-type: application/json\r\n\r\n",
        body.len()
    );
    let mut out = stream;
    // Uvicorn writes head and body apart, too.
    let sent = out
        .write_all(head.as_bytes())
        .and_then(|()| out.write_all(body.as_bytes()));
    truth.ending = match sent {
        Ok(()) => Ending::Whole,
        Err(_) => Ending::ClientLeft,
    };
    sent?;
    Ok(if request.keep_alive {
        Next::KeepAlive
    } else {
        Next::Close
    })
}

fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_request_error",
        _ => "internal_server_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": status.to_string()}})
}

/// Whether the client closed its end: uvicorn drops the connection on its FIN.
fn client_left(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match seen {
        Ok(bytes) => Ok(bytes == 0),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
