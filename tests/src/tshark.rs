//! What tshark reads of a capture: its HTTP requests and answers, paired as it pairs them.

use std::{collections::BTreeMap, net::IpAddr, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::process;

/// A request, an answer, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transaction {
    /// The client's address and port.
    pub client: String,
    /// The request's method.
    pub method: Option<String>,
    /// The request's target, as sent.
    pub uri: Option<String>,
    /// The answer's status.
    pub status: Option<u64>,
    /// The length of the request's body, as its head or its chunks say.
    pub request_length: Option<u64>,
    /// The length of the answer's body, as its head or its chunks say.
    pub response_length: Option<u64>,
}

/// Whether tshark puts segments in order before it reads them. It waits at a hole for ever then; without
/// it, it takes what comes for what is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It does.
    Restored,
    /// It does not.
    AsCaptured,
}

/// How tshark is to read: nothing is looked up, streams are put together, and HTTP is found on every
/// port.
const OPTIONS: [&str; 10] = [
    "-n",
    "-o",
    "tcp.desegment_tcp_streams:TRUE",
    "-o",
    "http.desegment_body:TRUE",
    "-d",
    "tcp.port==8000,http",
    "--enable-heuristic",
    "http_tcp",
    "-2",
];

/// The transactions of a capture file, in the order in which tshark shows their first message.
///
/// # Errors
/// Where tshark cannot be run, or its output is not read.
pub fn transactions(file: &Path, order: Order) -> Result<Vec<Transaction>> {
    let restored = order == Order::Restored;
    let restored = format!(
        "tcp.reassemble_out_of_order:{}",
        if restored { "TRUE" } else { "FALSE" }
    );
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(file)
        .args(OPTIONS)
        .args(["-o", &restored])
        .args(["-Y", "http", "-T", "json", "--no-duplicate-keys"])
        .args(["-J", "frame ip ipv6 tcp http"])
        // Nobody's settings.
        .env("WIRESHARK_CONFIG_DIR", "/nonexistent");
    let done = process::run(&mut command)?;
    // A capture that is cut off is read up to there, which is told by a code of its own.
    ensure!(matches!(done.code, Some(0 | 2)), "tshark: {}", done.stderr);
    let packets: Vec<Value> = serde_json::from_str(&done.stdout).context("tshark's JSON")?;
    let mut reading = Reading::default();
    for packet in &packets {
        let layers = packet
            .pointer("/_source/layers")
            .and_then(Value::as_object)
            .context("layers")?;
        reading.packet(layers)?;
    }
    Ok(reading.found)
}

/// The transactions so far, and where the requests of each frame are among them.
#[derive(Default)]
struct Reading {
    found: Vec<Transaction>,
    requests: BTreeMap<String, Vec<usize>>,
}

impl Reading {
    fn packet(&mut self, layers: &Map<String, Value>) -> Result<()> {
        let frame = text(layers, "frame.number").context("a frame has a number")?;
        for message in all(layers.get("http")) {
            if let Some(method) = text(message, "http.request.method") {
                let transaction = Transaction {
                    client: end(layers, "src").context("a request has a sender")?,
                    method: Some(method),
                    uri: text(message, "http.request.uri"),
                    request_length: length(message),
                    ..Transaction::default()
                };
                self.requests
                    .entry(frame.clone())
                    .or_default()
                    .push(self.found.len());
                self.found.push(transaction);
            } else if let Some(status) = text(message, "http.response.code") {
                self.response(layers, message, status.parse()?)?;
            }
        }
        Ok(())
    }

    fn response(
        &mut self,
        layers: &Map<String, Value>,
        message: &Map<String, Value>,
        status: u64,
    ) -> Result<()> {
        // Interim answers are no answers here.
        if (100..200).contains(&status) && status != 101 {
            return Ok(());
        }
        let asked = text(message, "http.request_in").and_then(|frame| self.requests.get(&frame));
        let found = &mut self.found;
        let open = asked.and_then(|asked| {
            let mut asked = asked.iter().copied();
            asked.find(|at| found.get(*at).is_some_and(|it| it.status.is_none()))
        });
        let client = end(layers, "dst").context("an answer has a receiver")?;
        let place = open.unwrap_or(found.len());
        if open.is_none() {
            found.push(Transaction {
                client,
                ..Transaction::default()
            });
        }
        let answer = found.get_mut(place).context("it is there")?;
        answer.status = Some(status);
        answer.response_length = length(message);
        Ok(())
    }
}

/// The length of a body that chunks add up to, or else that the head names.
fn length(message: &Map<String, Value>) -> Option<u64> {
    let mut chunks = Vec::new();
    collect(message, "http.chunk_size", &mut chunks);
    if !chunks.is_empty() {
        return Some(
            chunks
                .iter()
                .filter_map(|size| size.parse::<u64>().ok())
                .sum(),
        );
    }
    text(message, "http.content_length")?.parse().ok()
}

/// The first value of a field, wherever it stands.
fn text(within: &Map<String, Value>, field: &str) -> Option<String> {
    let mut found = Vec::new();
    collect(within, field, &mut found);
    found.into_iter().next()
}

fn collect(within: &Map<String, Value>, field: &str, found: &mut Vec<String>) {
    for (name, value) in within {
        match value {
            Value::String(text) if name == field => found.push(text.clone()),
            Value::Array(list) if name == field => {
                found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Value::Object(inner) => collect(inner, field, found),
            Value::Array(list) => {
                for inner in list.iter().filter_map(Value::as_object) {
                    collect(inner, field, found);
                }
            }
            _ => {}
        }
    }
}

/// One object, or the objects of a list.
fn all(value: Option<&Value>) -> Vec<&Map<String, Value>> {
    match value {
        Some(Value::Object(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

/// An end of a frame's innermost IP packet: `src` or `dst`.
fn end(layers: &Map<String, Value>, which: &str) -> Option<String> {
    let mut addresses = Vec::new();
    for family in ["ip", "ipv6"] {
        collect(layers, &format!("{family}.{which}"), &mut addresses);
    }
    let address: IpAddr = addresses.last()?.parse().ok()?;
    let port = text(layers, &format!("tcp.{which}port"))?;
    Some(format!("{address} {port}"))
}
