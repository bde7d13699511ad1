//! Receivers of OTLP: one that shows what it got, and a collector between the two.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::{
    process::{self, Daemon},
    tools,
};

/// The receiver of `tests/otlp/receiver.py`.
#[derive(Debug)]
pub struct Receiver {
    daemon: Daemon,
    scheme: &'static str,
    http: u64,
    grpc: u64,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// HTTP/1.1 with protobuf bodies.
    Http,
    /// gRPC.
    Grpc,
}

impl Via {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http, Self::Grpc];

    /// The word of `--otlp-protocol`.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

impl Receiver {
    /// Starts it with what it is to answer; see the file.
    ///
    /// # Errors
    /// Where Python or its packages are missing.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_with(arguments, "http")
    }

    /// The same over TLS; the authority's certificate is `ca.pem` in the folder.
    ///
    /// # Errors
    /// As [`Receiver::start`].
    pub fn start_tls(folder: &Path) -> Result<Self> {
        let folder = folder.to_str().context("a folder's name in UTF-8")?;
        Self::start_with(&["--tls", folder], "https")
    }

    fn start_with(arguments: &[&str], scheme: &'static str) -> Result<Self> {
        let mut command = Command::new(tools::python()?);
        command.arg(tools::file("otlp/receiver.py")).args(arguments);
        // It ends with its standard input.
        command.stdin(Stdio::piped());
        let daemon = Daemon::start(command)?;
        let line = daemon.stdout_lines(1)?.remove(0);
        let ready: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let port = |name: &str| ready["ready"][name].as_u64().context("a port");
        Ok(Self {
            scheme,
            http: port("http")?,
            grpc: port("grpc")?,
            daemon,
        })
    }

    /// Its address, for `--otlp-endpoint`.
    pub fn endpoint(&self, via: Via) -> String {
        let port = match via {
            Via::Http => self.http,
            Via::Grpc => self.grpc,
        };
        format!("{}://127.0.0.1:{port}", self.scheme)
    }

    /// Waits until it has shown requests that are enough, and gives all that it showed so far.
    ///
    /// # Errors
    /// Where they do not come, or the receiver failed.
    pub fn wait(&self, enough: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let mut count = 1;
        loop {
            let lines = self.daemon.stdout_lines(count)?;
            let requests = lines.iter().skip(1).map(|line| serde_json::from_str(line));
            let requests: Vec<Value> = requests.collect::<Result<_, _>>()?;
            if enough(&requests) {
                return Ok(requests);
            }
            count = lines.len() + 1;
        }
    }

    /// Waits for as many spans that were taken, and gives them.
    ///
    /// # Errors
    /// As [`Receiver::wait`].
    pub fn spans(&self, count: usize) -> Result<Vec<Value>> {
        let requests = self.wait(|requests| taken(requests).len() >= count)?;
        Ok(taken(&requests))
    }
}

/// The spans of requests that were answered `ok`.
fn taken(requests: &[Value]) -> Vec<Value> {
    let good = requests
        .iter()
        .filter(|request| request["signal"] == "traces" && request["answer"] == "ok");
    good.filter_map(|request| request["items"].as_array())
        .flatten()
        .cloned()
        .collect()
}

/// The metrics of the last such request, by name.
pub fn last_metrics(requests: &[Value]) -> Map<String, Value> {
    let mut of_metrics = requests.iter().filter(|r| r["signal"] == "metrics");
    let last = of_metrics.next_back().and_then(|r| r["items"].as_array());
    let named = last.into_iter().flatten().filter_map(|metric| {
        let name = metric["name"].as_str()?;
        Some((name.to_owned(), metric.clone()))
    });
    named.collect()
}

/// A real collector, rotel, that hands on to another receiver what it gets.
#[derive(Debug)]
pub struct Collector {
    _daemon: Daemon,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Collector {
    /// Starts it between.
    ///
    /// # Errors
    /// Where it was not installed, or does not start.
    pub fn before(receiver: &Receiver) -> Result<Self> {
        let collector = collector()?;
        // The well-known ports, on a loopback address that no other process of the tests has.
        let id = std::process::id();
        let host = format!(
            "127.{}.{}.{}",
            (id >> 16) % 64 + 64,
            (id >> 8) % 256,
            id % 256
        );
        let address = |port: u16| format!("{host}:{port}").parse::<SocketAddr>();
        let (grpc, http) = (address(4317)?, address(4318)?);
        let mut command = Command::new(collector);
        command.args(["start", "--exporter", "otlp", "--disable-batching"]);
        command.args(["--otlp-grpc-endpoint", &grpc.to_string()]);
        command.args(["--otlp-http-endpoint", &http.to_string()]);
        command.args(["--otlp-exporter-protocol", "grpc"]);
        command.args(["--otlp-exporter-endpoint", &receiver.endpoint(Via::Grpc)]);
        let daemon = Daemon::start(command)?;
        let open = |address| std::net::TcpStream::connect(address).ok();
        let both = process::eventually(|| open(grpc).and(open(http)));
        ensure!(
            both.is_some(),
            daemon.failure("the collector never listened")
        );
        Ok(Self {
            _daemon: daemon,
            http,
            grpc,
        })
    }

    /// Its address, for `--otlp-endpoint`.
    pub fn endpoint(&self, via: Via) -> String {
        match via {
            Via::Http => format!("http://{}", self.http),
            Via::Grpc => format!("http://{}", self.grpc),
        }
    }
}

/// The collector's program, in its Python package.
fn collector() -> Result<std::path::PathBuf> {
    let find =
        "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let mut python = Command::new(tools::python()?);
    let found = process::run(python.args(["-c", find]))?;
    ensure!(
        found.code == Some(0),
        "rotel is missing: `cargo xtask test` installs it: {found:?}"
    );
    Ok(found.stdout.trim().into())
}
