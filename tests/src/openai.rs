//! The real openai package as the client: the calls that it makes, and what it saw of them.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{namespace::Namespace, process::Done, row::Row, tools};

/// Threads of the client; each has a kept-alive connection in the pool.
pub const THREADS: usize = 4;

/// This many calls of every kind, mixed; their ids, which are their users too, begin with `prefix`.
pub fn calls(count: usize, prefix: &str) -> Vec<Value> {
    let kinds = [
        json!({"stream": true, "include_usage": true, "max_tokens": 30}),
        json!({"stream": true, "max_tokens": 17}),
        json!({"max_tokens": 25}),
        json!({"stream": true, "max_tokens": 800, "leave_after": 6}),
        json!({"stream": true, "include_usage": true, "n": 3, "max_tokens": 8}),
        json!({"api": "completion", "stream": true, "max_tokens": 12}),
        json!({"api": "completion", "max_tokens": 12}),
        json!({"model": "error-400"}),
        json!({"model": "error-429", "stream": true}),
        json!({"model": "error-500"}),
        json!({"model": "error-in-stream", "stream": true}),
        json!({"model": "abort", "stream": true, "max_tokens": 20}),
        json!({"model": "reasoner", "stream": true, "max_tokens": 20}),
        json!({"tools": true, "stream": true}),
        json!({"prompt": [{"type": "text", "text": "what is this"},
                          {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
               "max_tokens": 5}),
        json!({"stream": true, "max_tokens": 0, "include_usage": true}),
        json!({"model": "slow", "stream": true, "max_tokens": 3}),
    ];
    (0..count)
        .map(|number| {
            let mut call = kinds[number % kinds.len()].clone();
            call["id"] = format!("{prefix}-{number:02}").into();
            if call.get("prompt").is_none() {
                call["prompt"] = "tell me more about packets ".repeat(1 + number * 7).into();
            }
            call
        })
        .collect()
}

/// A client of one server.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Whom it calls.
    pub server: SocketAddr,
    /// How many threads make the calls, over one pool of connections.
    pub threads: usize,
    /// The address that it connects from; `None` leaves it to the system.
    pub from: Option<IpAddr>,
    /// The network namespace that it runs in; `None`: the test's.
    pub namespace: Option<&'a Namespace>,
}

impl Client<'_> {
    /// A client with [`THREADS`] threads, here.
    pub fn of(server: SocketAddr) -> Self {
        Self {
            server,
            threads: THREADS,
            from: None,
            namespace: None,
        }
    }

    /// Makes the calls, and gives what it saw, a row a call.
    ///
    /// # Errors
    /// Where it cannot be run or fails; a call that fails is a row that says so.
    pub fn make(&self, calls: &[Value]) -> Result<Vec<Row>> {
        let python = tools::python()?;
        let mut command = match self.namespace {
            Some(namespace) => namespace.command(python),
            None => Command::new(python),
        };
        command
            .arg(tools::file("clients/openai_client.py"))
            .arg(format!("http://{}/v1", self.server))
            .arg(self.threads.to_string());
        if let Some(from) = self.from {
            command.arg(from.to_string());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("its input is a pipe")?;
        input.write_all(serde_json::to_string(calls)?.as_bytes())?;
        drop(input);
        let done = Done::from(child.wait_with_output()?);
        ensure!(done.code == Some(0), "the client: {}", done.stderr);
        done.rows()
    }
}
