//! Pictures of a daemon: its API is asked once a second.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use crossbeam_channel::Sender;
use serde::de::DeserializeOwned;

use super::{
    events::Message,
    picture::{AllUnderWay, Picture, Status},
};

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer: 8,192 calls under way take some 8 MB.
const ANSWER: u64 = 64 * 1024 * 1024;

/// Where a daemon's API is.
pub(super) struct Daemon {
    agent: ureq::Agent,
    /// `http://ADDRESS`, without a slash behind.
    url: String,
    token: Option<String>,
}

/// What was asked for is there, or the daemon does not have it.
enum Answer<T> {
    Given(T),
    Unknown,
}

impl Daemon {
    pub(super) fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/');
        let url = match url.split_once("://") {
            None => format!("http://{url}"),
            Some(("http", _)) => url.to_owned(),
            Some(_) => {
                bail!("{url}: top asks over plain HTTP; name the daemon as http://ADDRESS:PORT")
            }
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self {
            agent: agent.into(),
            url,
            token,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for all, once.
    pub(super) fn picture(&self, started: Instant) -> anyhow::Result<Picture> {
        let status: Status = match self.ask("/api/status")? {
            Answer::Given(status) => status,
            Answer::Unknown => bail!("{} is no llmtap: it has no /api/status", self.url),
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
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().with_context(|| {
            format!(
                "no answer from {}: is llmtap running there (llmtap run, llmtap serve)?",
                self.url
            )
        })?;
        match response.status().as_u16() {
            200 => {}
            // No such endpoint; or it follows no calls, since it does not capture.
            404 | 503 => return Ok(Answer::Unknown),
            401 | 403 => bail!(
                "{} wants {} token: name its file with --api-token-file (of a daemon on this machine: llmtap.token \
                 beside its store)",
                self.url,
                if self.token.is_some() { "another" } else { "a" }
            ),
            status => bail!("{}{path} answered {status}: see the daemon's log", self.url),
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER)
            .read_to_vec();
        let body = body.with_context(|| format!("the answer of {} broke off", self.url))?;
        let answer = serde_json::from_slice(&body)
            .with_context(|| format!("{} is no llmtap: its answer cannot be read", self.url))?;
        Ok(Answer::Given(answer))
    }
}
