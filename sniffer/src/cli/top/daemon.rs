//! Pictures of a daemon: its API is asked once a second.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use crossbeam_channel::Sender;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};

#[cfg(feature = "tls")]
use super::tls::{self, Tls};
use super::{
    address::{Address, Scheme},
    events::Message,
    picture::{AllUnderWay, Picture, Status},
};
use crate::cli::human;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer: 8,192 calls under way take some 8 MB.
const ANSWER: usize = 64 * 1024 * 1024;

/// Cells of what it says of a refusal.
const DETAIL: usize = 300;

/// A daemon, and how it is asked.
pub(super) struct Daemon {
    address: Address,
    /// `Bearer TOKEN`.
    token: Option<HeaderValue>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    runtime: Runtime,
}

/// What was asked for is there, or the daemon does not have it.
enum Answer<T> {
    Given(T),
    Unknown,
}

impl Daemon {
    pub(super) fn new(
        address: Address,
        token: Option<&str>,
        #[cfg(feature = "tls")] tls: Option<Tls>,
    ) -> anyhow::Result<Self> {
        let header = |token: &str| -> anyhow::Result<HeaderValue> {
            let mut header = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| anyhow!("the token holds characters that no header takes"))?;
            header.set_sensitive(true);
            Ok(header)
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot ask over the network")?;
        Ok(Self {
            address,
            token: token.map(header).transpose()?,
            #[cfg(feature = "tls")]
            tls,
            runtime,
        })
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Asks for all, once.
    pub(super) fn picture(&self, started: Instant) -> anyhow::Result<Picture> {
        let status: Status = match self.ask("/api/status")? {
            Answer::Given(status) => status,
            Answer::Unknown => bail!(
                "{} is no llmtap: it has no /api/status. Name llmtap's own address (--listen), not the model server's",
                self.address
            ),
        };
        let under_way = match self.ask::<AllUnderWay>("/api/inflight")? {
            Answer::Given(all) => Some(all.calls),
            Answer::Unknown => None,
        };
        Ok(Picture {
            at: started.elapsed().as_secs_f64(),
            status,
            under_way,
            note: None,
        })
    }

    /// Goes on asking, and tells what it hears, until nobody listens.
    pub(super) fn watch(self, tell: Sender<Message>) -> anyhow::Result<()> {
        let started = Instant::now();
        let ask = move || {
            loop {
                let message = match self.picture(started) {
                    Ok(picture) => Message::Picture(Box::new(picture)),
                    Err(why) => Message::Trouble(format!("{why:#}")),
                };
                if tell.send(message).is_err() {
                    return;
                }
                thread::sleep(INTERVAL);
            }
        };
        let named = thread::Builder::new().name("ask".to_owned());
        named
            .spawn(ask)
            .context("cannot start a thread that asks the daemon")?;
        Ok(())
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Answer<T>> {
        let address = &self.address;
        let asked = async { timeout(PATIENCE, self.get(path)).await };
        let (status, body) = self.runtime.block_on(asked).map_err(|_| {
            anyhow!(
                "no answer from {address} in {} s: is it the right address, and what does the log of that llmtap say?",
                PATIENCE.as_secs()
            )
        })??;
        match status.as_u16() {
            200 => {}
            // No such endpoint; or it follows no calls, since it does not capture.
            404 | 503 => return Ok(Answer::Unknown),
            401 | 403 => bail!(
                "{address} wants {} token: name its file with --api-token-file (of a daemon on this machine: \
                 llmtap.token beside its store)",
                if self.token.is_some() { "another" } else { "a" }
            ),
            _ => bail!("{address}{path} answered {status}: {}", detail(&body)),
        }
        let answer = serde_json::from_slice(&body)
            .with_context(|| format!("{address} is no llmtap: its answer cannot be read"))?;
        Ok(Answer::Given(answer))
    }

    /// One request on a connection of its own.
    async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let address = &self.address;
        let mut request = Request::get(address.target(path))
            .header(HOST, address.authority.as_str())
            .header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::new())?;
        let mut connection = self.connect().await?;
        let answer = connection.send_request(request).await;
        let answer = answer.with_context(|| {
            let unlike = match address.scheme {
                Scheme::Http => "; or does it speak TLS? Then it is https://",
                Scheme::Https => "",
            };
            format!("no answer from {address} that is HTTP: is it llmtap{unlike}")
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!("the answer of {address} broke off: {error}"))?;
        Ok((status, body.to_bytes()))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let address = &self.address;
        let stream = TcpStream::connect((address.host(), address.port())).await;
        let stream = stream.map_err(|error| no_connection(address, &error))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let stream = tls.connect(address.host(), stream).await;
            let stream = stream.map_err(|error| {
                let plain = address.by(Scheme::Http).to_string();
                anyhow!("no answer from {address}: {}", tls::explain(&error, &plain))
            })?;
            return over(stream).await;
        }
        over(stream).await
    }
}

/// What the daemon says of its refusal; from whoever it is, it drives no terminal.
fn detail(body: &[u8]) -> String {
    let document = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match document["detail"].as_str() {
        Some(detail) => human::cell(detail, DETAIL),
        None => "see the daemon's log".to_owned(),
    }
}

fn no_connection(address: &Address, error: &io::Error) -> anyhow::Error {
    let what_to_do = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there. Is llmtap running (llmtap run, llmtap serve)? Its \
             log says where it listens, at \"ready:\""
                .to_owned()
        }
        _ => format!("{error}: is llmtap running there, and is this machine let through to it?"),
    };
    anyhow!("no answer from {address}: {what_to_do}")
}

/// HTTP/1.1 on a connection, which lives as long as what is given.
async fn over<S>(stream: S) -> anyhow::Result<SendRequest<Empty<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with it is told to who asks.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
