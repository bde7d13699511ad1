//! What `run` and `serve` share: the store, the metrics, the API and the signals.

use std::{
    io::{self, Write as _},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use analyzer::{
    analysis::analyze_report,
    api::{self, ApiState, Board, CaptureState, CaptureStatus},
    metrics::{Metrics, Publisher},
    redact::Redactor,
    report::Report,
    store::{Reader, WriterHandle, system_clock},
};
use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    Setup, analysis_setup,
    args::{AnalysisArgs, Bodies, Serving},
    places,
    storage::{Storage, StorageArgs},
};

/// Threads of the API's runtime: it answers a scrape now and then.
const API_THREADS: usize = 2;

/// How long work that the API handed off may take at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// SIGXFSZ, as Linux numbers it on all but MIPS: a file came to the largest size that the process may give it.
const FILE_TOO_LARGE: i32 = 25;

/// The exit code of a program that a signal ended at once: 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Whether packets are to be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capturing {
    Yes,
    No,
}

/// The parts that serve, running.
pub(crate) struct Daemon {
    metrics: Metrics,
    board: Arc<Board>,
    capture: Arc<CaptureStatus>,
    storage: Storage,
    setup: Setup,
    redactions: Arc<Redactions>,
    stop: Arc<AtomicBool>,
    stopping: Arc<Notify>,
    runtime: Runtime,
    server: JoinHandle<Result<(), api::ApiError>>,
    address: std::net::SocketAddr,
}

impl Daemon {
    /// Opens the store, binds the API and serves it.
    pub(crate) fn start(
        serving: &Serving,
        analysis: &AnalysisArgs,
        storing: &StorageArgs,
        capturing: Capturing,
    ) -> anyhow::Result<Self> {
        let db = serving.db.clone().map_or_else(places::default_db, Ok)?;
        let metrics = Metrics::new();
        let listener = api::bind(serving.listen)?;
        let address = listener
            .local_addr()
            .context("the API's address cannot be read")?;
        let storage = storing.open(&db, serving.bodies, &metrics)?;
        let key = match &analysis.key_file {
            Some(path) => places::read_key(path)?,
            None => places::key_beside(&db)?,
        };
        let setup = analysis_setup(analysis, Some(&key), serving.bodies)?;
        match serving.bodies {
            Bodies::Full | Bodies::Text => tracing::info!(
                "storing calls in {} {}; with their request and response text {}, known secrets \
                 taken out (leave the text out with --bodies none)",
                db.display(),
                storing.rows_kept(),
                storing.bodies_kept()
            ),
            Bodies::None => tracing::info!(
                "storing calls in {} {}; without their text",
                db.display(),
                storing.rows_kept()
            ),
        }

        let redactions = Arc::new(Redactions {
            redactor: Arc::clone(&setup.analysis.redactor),
            publisher: Mutex::new(metrics.redactions().publisher()),
        });
        let board = Arc::new(Board::new(metrics.clone()));
        let capture = Arc::new(CaptureStatus::new(match capturing {
            Capturing::Yes => CaptureState::Starting,
            Capturing::No => CaptureState::None,
        }));
        let state = Arc::new(ApiState::new(
            metrics.clone(),
            Arc::clone(&board),
            Arc::clone(&capture),
            storage.handle(),
            Reader::open(&db)?,
            analyse(&setup, Arc::clone(&redactions)),
        ));
        let runtime = Builder::new_multi_thread()
            .worker_threads(API_THREADS)
            .thread_name("api")
            .enable_all()
            .build()
            .context("cannot start the API's threads")?;
        let (stop, stopping) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        {
            let _inside = runtime.enter();
            let signals = (
                signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
                signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            );
            // Caught once, it ends nothing any more: the write fails, as on a full disk.
            drop(signal(SignalKind::from_raw(FILE_TOO_LARGE)));
            runtime.spawn(listen(signals, Arc::clone(&stop), Arc::clone(&stopping)));
        }
        let shutdown = Arc::clone(&stopping);
        let server = runtime
            .spawn(async move { api::serve(listener, state, shutdown.notified_owned()).await });
        Ok(Self {
            metrics,
            board,
            capture,
            storage,
            setup,
            redactions,
            stop,
            stopping,
            runtime,
            server,
            address,
        })
    }

    /// Tells people and `/ready` that everything works.
    pub(crate) fn ready(&self, capturing: Option<&str>) {
        if let Some(what) = capturing {
            self.capture.set(CaptureState::Capturing(what.to_owned()));
        }
        let address = self.address;
        let what = capturing
            .map(|what| format!("{what}; "))
            .unwrap_or_default();
        tracing::info!(
            "ready: {what}metrics at http://{address}/metrics, status at http://{address}/"
        );
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub(crate) fn writer(&self) -> WriterHandle {
        self.storage.handle()
    }

    pub(crate) const fn redactions(&self) -> &Arc<Redactions> {
        &self.redactions
    }

    pub(crate) const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Set when a signal asks for the end.
    pub(crate) fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Waits until a signal asks for the end, or the API cannot go on.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        let (runtime, server) = (&self.runtime, &mut self.server);
        runtime.block_on(server).context("the API ended")??;
        Ok(())
    }

    /// Ends the API, then writes all that was accepted.
    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        self.capture
            .set(CaptureState::Stopped("llmtap is stopping".to_owned()));
        // Kept for the server if it does not wait yet.
        self.stopping.notify_one();
        if !self.server.is_finished() {
            self.wait()?;
        }
        self.runtime.shutdown_timeout(LAST_WORK);
        self.storage.close()
    }
}

/// Hands on to the metrics what was taken out.
pub(crate) struct Redactions {
    redactor: Arc<Redactor>,
    publisher: Mutex<Publisher>,
}

impl Redactions {
    pub(crate) fn publish(&self) {
        let counts: Vec<_> = self.redactor.counts().iter().collect();
        let publisher = self.publisher.lock();
        let mut publisher = publisher.unwrap_or_else(PoisonError::into_inner);
        publisher.publish(&counts);
    }
}

/// Makes rows of reports.
fn analyse(setup: &Setup, redactions: Arc<Redactions>) -> api::Analyse {
    let settings = Arc::clone(&setup.analysis);
    let tokenizers = Arc::clone(&setup.tokenizers);
    let reports = AtomicU64::new(0);
    Arc::new(move |report: Report| {
        let number = reports.fetch_add(1, Ordering::Relaxed);
        let record = analyze_report(report, system_clock(), &settings, &tokenizers, number);
        redactions.publish();
        record
    })
}

/// The first signal asks for an orderly end, the second ends at once.
async fn listen(
    (mut interrupt, mut terminate): (Signal, Signal),
    stop: Arc<AtomicBool>,
    stopping: Arc<Notify>,
) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: writing what was accepted (again to stop at once)");
    stop.store(true, Ordering::Relaxed);
    stopping.notify_one();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = writeln!(
        io::stderr(),
        "llmtap: stopped at once; rows that were not written are lost"
    );
    process::exit(EXIT_INTERRUPTED);
}
