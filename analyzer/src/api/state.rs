//! What the handlers share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde::Serialize;
use tokio::sync::watch;

use super::{
    access::{Access, Denied, Throttle},
    board::Board,
    queries::Queries,
    report::{Analyse, ReportLimits},
    scrape::ScrapeLimits,
};
use crate::{
    feed::Feed,
    live::Live,
    metrics::Metrics,
    record::Record,
    store::{Health, Reader, WriterHandle},
};

/// Who is told of a report's row once it is stored.
pub type OnStored = Arc<dyn Fn(&Record) + Send + Sync>;

/// What the API serves from.
pub struct ApiState {
    pub(super) metrics: Metrics,
    pub(super) board: Arc<Board>,
    pub(super) capture: Arc<CaptureStatus>,
    pub(super) writer: WriterHandle,
    pub(super) reader: Arc<Mutex<Reader>>,
    pub(super) queries: Arc<Queries>,
    pub(super) analyse: Analyse,
    pub(super) stored: Option<OnStored>,
    pub(super) reports: ReportLimits,
    pub(super) scrapes: ScrapeLimits,
    pub(super) started: Instant,
    pub(super) feed: Option<Feed>,
    /// Set when the API is to end.
    pub(super) ending: watch::Sender<bool>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Live<super::tls::Tls>>,
    pub(super) access: Live<Access>,
    pub(super) throttle: Throttle,
}

impl ApiState {
    /// Puts the parts together. `analyse` makes a row of a report; it may take its time.
    pub fn new(
        metrics: Metrics,
        board: Arc<Board>,
        capture: Arc<CaptureStatus>,
        writer: WriterHandle,
        reader: Reader,
        analyse: Analyse,
    ) -> Self {
        for reason in Denied::REASONS {
            metrics.api().refused.inc_by(reason, 0);
        }
        Self {
            metrics,
            board,
            capture,
            writer,
            queries: Arc::new(Queries::new(reader.path().to_owned())),
            reader: Arc::new(Mutex::new(reader)),
            analyse,
            stored: None,
            reports: ReportLimits::new(),
            scrapes: ScrapeLimits::new(),
            started: Instant::now(),
            feed: None,
            ending: watch::Sender::new(false),
            #[cfg(feature = "tls")]
            tls: None,
            access: Live::default(),
            throttle: Throttle::default(),
        }
    }

    /// The same, with somebody who is told of each report's row that was stored.
    #[must_use]
    pub fn telling(mut self, stored: OnStored) -> Self {
        self.stored = Some(stored);
        self
    }

    /// The same with calls as they happen.
    #[must_use]
    pub fn feeding(mut self, feed: Feed) -> Self {
        self.feed = Some(feed);
        self
    }

    /// The same by TLS alone.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn by_tls(mut self, tls: Option<Live<super::tls::Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// The same by these rules of who may ask; else all may that reach it, and nobody sees what was said.
    #[must_use]
    pub fn guarded(mut self, access: Live<Access>) -> Self {
        self.access = access;
        self
    }

    /// Why llmtap is not ready; empty when it is.
    pub(super) fn obstacles(&self) -> Vec<String> {
        let capture = match self.capture.get() {
            CaptureState::None | CaptureState::Capturing(_) | CaptureState::Replayed(_) => None,
            CaptureState::Starting => Some("capture: not started yet".to_owned()),
            CaptureState::Stopped(why) => Some(format!("capture: {why}")),
        };
        let store = match self.writer.health() {
            Health::Storing => None,
            Health::Failing(why) => Some(format!("store: {why}")),
        };
        capture.into_iter().chain(store).collect()
    }
}

/// Whether packets are captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "snake_case")]
pub enum CaptureState {
    /// Nothing is to be captured: the analyzer runs alone.
    None,
    /// Soon.
    Starting,
    /// They are; where and how, for people.
    Capturing(String),
    /// Files were read to their end; which, for people.
    Replayed(String),
    /// No longer; why.
    Stopped(String),
}

/// The capture's state, set by whoever captures.
#[derive(Debug)]
pub struct CaptureStatus(Mutex<CaptureState>);

impl CaptureStatus {
    /// In this state.
    pub const fn new(state: CaptureState) -> Self {
        Self(Mutex::new(state))
    }

    /// Changes it.
    pub fn set(&self, state: CaptureState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The state now.
    pub fn get(&self) -> CaptureState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
