//! The real Traefik, as the proxy before the model servers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    http,
    process::{self, Daemon},
    tools,
};

/// A path that Traefik answers itself, once it has its routes.
const READY: &str = "/configured";

/// Whether Traefik asks the next server when one does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It answers 502.
    Never,
    /// It asks so many times in all.
    Attempts(u32),
}

/// A running Traefik; dropping it ends it.
#[derive(Debug)]
pub struct Traefik {
    address: SocketAddr,
    daemon: Daemon,
}

impl Traefik {
    /// Listens on a free port of 127.0.0.1 and passes on what comes to these servers in turn. It
    /// serves when this returns. Its file goes into `folder`.
    ///
    /// # Errors
    /// Where it was not installed, or does not come up.
    pub fn start(servers: &[SocketAddr], retry: Retry, folder: &Path) -> Result<Self> {
        // JSON is YAML.
        let file = folder.join("traefik.yml");
        fs::write(&file, routes(servers, retry).to_string())?;
        let mut command = Command::new(tools::traefik()?);
        command
            .args([
                "--entrypoints.web.address=127.0.0.1:0",
                "--ping.manualrouting=true",
                "--providers.file.watch=false",
                // It calls nobody but the servers.
                "--global.checknewversion=false",
                "--global.sendanonymoususage=false",
                "--log.level=ERROR",
            ])
            .arg(format!("--providers.file.filename={}", file.display()));
        let daemon = Daemon::start(command)?;
        let ready = process::eventually(|| {
            let address = listening(daemon.id())?;
            let answer = http::get(address, READY).ok()?;
            (answer.status == 200).then_some(address)
        });
        match ready {
            Some(address) => Ok(Self { address, daemon }),
            None => Err(daemon.failure("Traefik never served")),
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and so its connections to the servers.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop(self) -> Result<()> {
        let done = self.daemon.stop("KILL")?;
        ensure!(done.code.is_none(), "Traefik had ended before: {done:?}");
        Ok(())
    }
}

fn routes(servers: &[SocketAddr], retry: Retry) -> Value {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| json!({"url": format!("http://{server}")}))
        .collect();
    let mut http = json!({
        "routers": {
            "ready": {"rule": format!("Path(`{READY}`)"), "service": "ping@internal"},
            "model": {"rule": "PathPrefix(`/v1`)", "service": "model"},
        },
        "services": {"model": {"loadBalancer": {"servers": servers}}},
    });
    if let Retry::Attempts(attempts) = retry {
        http["routers"]["model"]["middlewares"] = json!(["again"]);
        // A POST is not idempotent, and is not sent again unless told so; nor, without a status, is
        // what a server heard and did not answer, which is Traefik's own 502.
        http["middlewares"] = json!({
            "again": {"retry": {
                "attempts": attempts,
                "retryNonIdempotentMethod": true,
                "status": ["502"],
            }},
        });
    }
    json!({"http": http})
}

/// The port of 127.0.0.1 on which a process listens: Traefik does not tell which one it was given.
fn listening(process: u32) -> Option<SocketAddr> {
    let sockets: Vec<_> = fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    table.lines().find_map(|line| {
        // proc(5): number, local address, remote address, state (0A: LISTEN), …, the tenth the inode.
        let fields: Vec<_> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let listens = fields.get(3) == Some(&"0A") && address == "0100007F";
        let own = fields
            .get(9)
            .is_some_and(|inode| sockets.iter().any(|own| own == inode));
        let port = u16::from_str_radix(port, 16).ok()?;
        (listens && own).then_some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    })
}
