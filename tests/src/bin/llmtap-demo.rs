//! Something to see: a model server on loopback, and with `--clients` a trickle of calls.
//!
//! Prints `listening on ADDRESS` first. Ends when the process that started it is gone, so that it
//! never outlives the demonstration however that ends.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::parent_id,
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use llmtap_tests::{
    clients, http,
    model_server::{ModelServer, Pace},
};

const USAGE: &str = "\
usage: llmtap-demo [--port PORT] [--clients [--after ADDRESS]]

A model server on 127.0.0.1 that speaks the OpenAI API.

  --port PORT   listen on PORT (default 0: any free one)
  --clients     also call it, about twice a second, for ever
  --after ADDRESS  begin with that when the llmtap that serves at ADDRESS is ready
";

/// How often the tap is asked whether it is ready.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// At a person's pace, so that streams can be watched.
const PACE: Pace = Pace {
    head: Duration::ZERO,
    think: Duration::from_millis(120),
    token: Duration::from_millis(25),
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "llmtap-demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<()> {
    let mut port = 0;
    let mut with_clients = false;
    let mut tap = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => {
                let value = arguments.next().context("--port needs a number")?;
                port = value
                    .parse()
                    .with_context(|| format!("{value} is no port"))?;
            }
            "--clients" => with_clients = true,
            "--after" => {
                let value = arguments.next().context("--after needs an address")?;
                let address: SocketAddr = value
                    .parse()
                    .with_context(|| format!("{value} is no ADDRESS:PORT"))?;
                tap = Some(address);
            }
            "--help" | "-h" => {
                write!(io::stdout(), "{USAGE}")?;
                return Ok(());
            }
            other => bail!("unknown argument {other}\n\n{USAGE}"),
        }
    }
    let parent = parent_id();
    let server = ModelServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PACE)?;
    let address = server.address();
    writeln!(io::stdout(), "listening on {address}")?;
    if with_clients {
        thread::spawn(move || {
            // A connection that the tap joins in the middle makes no row.
            while tap.is_some_and(|tap| !is_ready(tap)) {
                thread::sleep(ASK_AGAIN);
            }
            clients::trickle(address)
        });
    }
    while parent_id() == parent {
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn is_ready(tap: SocketAddr) -> bool {
    http::get(tap, "/ready").is_ok_and(|answer| answer.status == 200)
}
