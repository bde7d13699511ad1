//! What the server knows of one request.

use serde_json::{Value, json};

use super::request::Request;

/// What the server knows of one request: what a tap beside it should have seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// The request's number, from 0, in the order of arrival.
    pub number: u64,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The value of its `X-Request-Id`.
    pub request_id: Option<String>,
    /// The `user` of its body.
    pub user: Option<String>,
    /// The `model` of its body.
    pub model: Option<String>,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// The status that was sent; 0 before the head left.
    pub status: u16,
    /// Events (of a plain answer: choices) with output that were handed to the socket.
    pub content_events: u64,
    /// The `usage.prompt_tokens` that was sent, if any.
    pub reported_input_tokens: Option<u64>,
    /// The `usage.completion_tokens` that was sent, if any.
    pub reported_output_tokens: Option<u64>,
    /// How the answer ended.
    pub ending: Ending,
}

/// How an answer ended, as the server knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The whole of it was handed to the socket.
    Whole,
    /// The client was seen to leave before that.
    ClientLeft,
    /// The server broke it off on purpose.
    ServerAborted,
    /// It has not ended.
    #[default]
    Open,
}

impl Truth {
    pub(super) fn new(number: u64, request: &Request) -> Self {
        let text = |name| {
            let value = request.body.as_ref()?.get(name)?;
            value.as_str().map(str::to_owned)
        };
        Self {
            number,
            method: request.method.clone(),
            path: request.path.clone(),
            request_id: request.id.clone(),
            user: text("user"),
            model: text("model"),
            stream: request
                .body
                .as_ref()
                .and_then(|body| body.get("stream"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
            ..Self::default()
        }
    }

    /// The truth as one line of JSON.
    pub fn to_json(&self) -> String {
        json!({
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "request_id": self.request_id,
            "user": self.user,
            "model": self.model,
            "stream": self.stream,
            "status": self.status,
            "content_events": self.content_events,
            "reported_input_tokens": self.reported_input_tokens,
            "reported_output_tokens": self.reported_output_tokens,
            "ending": match self.ending {
                Ending::Whole => "whole",
                Ending::ClientLeft => "client_left",
                Ending::ServerAborted => "server_aborted",
                Ending::Open => "open",
            },
        })
        .to_string()
    }
}
