//! Pictures of a replay in this process.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use analyzer::{api::Board, call::Call, feed::Feed, metrics::Metrics, time::Timestamp};
use sniffer::{capture::CaptureStats, pipeline};

use super::picture::{Calls, Loss, Picture, Status};

/// What a replay tells of itself.
pub(crate) struct Local {
    board: Board,
    feed: Feed,
    state: Mutex<State>,
    started: Instant,
    speed: f64,
}

#[derive(Default)]
struct State {
    status: Status,
    /// The time of the latest packet, and since when it has been that.
    latest: Option<(Timestamp, Instant)>,
    note: Option<String>,
    ended: Option<f64>,
}

impl Local {
    /// For a replay at this speed.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub(crate) fn new(speed: f64) -> io::Result<Self> {
        let metrics = Metrics::new();
        Ok(Self {
            feed: Feed::start(&metrics, 0)?,
            board: Board::new(metrics),
            state: Mutex::default(),
            started: Instant::now(),
            speed,
        })
    }

    /// What the pipeline's workers are asked by.
    pub(crate) const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// A call has ended.
    pub(crate) fn call(&self, call: &Call) {
        self.board.observe(call);
    }

    /// The sums so far.
    pub(crate) fn progress(&self, sums: &pipeline::Snapshot<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.latest.is_none_or(|(time, _)| time != sums.now) {
            state.latest = Some((sums.now, Instant::now()));
        }
        state.status.packets = sums.capture.packets;
        state.status.in_flight = i64::try_from(sums.totals.in_flight).unwrap_or(i64::MAX);
        state.status.losses = losses(&sums.capture, &sums.totals);
    }

    /// The capture has ended: its report, and what the person should know.
    pub(crate) fn ended(&self, report: Option<&pipeline::Report>, note: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.note = Some(note);
        state.status.in_flight = 0;
        if let Some(report) = report {
            state.status.packets = report.capture.packets;
            state.status.losses = losses(&report.capture, &report.totals);
        }
        state.ended = Some(self.now());
    }

    /// Seconds of the capture's time.
    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * self.speed
    }

    pub(super) fn picture(&self) -> Picture {
        let calls = Calls::of(self.board.json());
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = match (state.ended, state.latest) {
            (None, Some((time, since))) => {
                // Between two packets time goes on as well.
                let passed = since.elapsed().as_secs_f64() * self.speed * 1e6;
                let calls = self.feed.in_flight().peek(time.plus_micros(passed as i64));
                let calls = calls.into_iter().map(serde_json::from_value);
                calls.filter_map(Result::ok).collect()
            }
            _ => Vec::new(),
        };
        Picture {
            at: state.ended.unwrap_or_else(|| self.now()),
            status: Status {
                calls,
                ..state.status.clone()
            },
            under_way: Some(under_way),
            note: state.note.clone(),
        }
    }
}

/// What was lost, as far as it can be told before the end.
fn losses(capture: &CaptureStats, totals: &pipeline::Totals) -> Vec<Loss> {
    let capture = [
        ("dropped_ring", capture.dropped_ring),
        ("dropped_interface", capture.dropped_interface),
        ("unsupported_link", capture.unsupported_link),
    ];
    let capture = capture.map(|(reason, count)| ("capture", reason, count));
    let http = totals
        .http
        .iter()
        .filter(|(name, _)| name.starts_with("missing_"));
    let http = http.map(|(reason, count)| ("http, bytes", reason, count));
    let limits = super::super::limits::shed(totals);
    let limits = limits.map(|(reason, count)| ("limits", reason, count));
    let all = capture.into_iter().chain(http).chain(limits);
    all.filter(|(.., count)| *count > 0)
        .map(|(family, reason, count)| Loss {
            family: family.to_owned(),
            reason: reason.to_owned(),
            count,
        })
        .collect()
}
