//! What `run` and `serve` share: the store, the metrics, the API and the signals.

use std::{
    io::{self, Write as _},
    path::Path,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "otlp")]
use analyzer::otlp::Exporter;
use analyzer::{
    analysis::analyze_report,
    api::{self, ApiState, Board, CaptureState, CaptureStatus},
    feed::Feed,
    live::Live,
    metrics::{Found, Kept, Metrics, Publisher},
    record::Record,
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
    config::{LogHandle, Reloader, Running},
    counting::Counting,
    places,
    storage::{Storage, StorageArgs},
    terminal::Terminal,
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
    feed: Feed,
    capture: Arc<CaptureStatus>,
    storage: Storage,
    totals: Option<Kept>,
    setup: Setup,
    redactions: Arc<Redactions>,
    counting: Arc<Counting>,
    stop: Arc<AtomicBool>,
    stopping: Arc<Notify>,
    runtime: Runtime,
    server: JoinHandle<Result<(), api::ApiError>>,
    scheme: &'static str,
    address: std::net::SocketAddr,
    #[cfg(feature = "otlp")]
    otlp: Option<Exporter>,
}

impl Daemon {
    /// Opens the store, binds the API and serves it.
    #[expect(
        clippy::too_many_lines,
        reason = "one part after the other, each of which needs those before it"
    )]
    pub(crate) fn start(
        serving: &Serving,
        analysis: &AnalysisArgs,
        storing: &StorageArgs,
        capturing: Capturing,
        (mut reloader, log): (Reloader, LogHandle),
    ) -> anyhow::Result<Self> {
        let db = serving.db.clone().map_or_else(places::default_db, Ok)?;
        let metrics = Metrics::with_labels(serving.metrics.labels(&analysis.whose)?);
        let access = serving.access.named(serving.listen)?;
        #[cfg(feature = "tls")]
        let tls = serving.access.tls()?.map(Live::from);
        let listener = api::bind(serving.listen)?;
        let address = listener
            .local_addr()
            .context("the API's address cannot be read")?;
        let storage = storing.open(&db, serving.bodies, &metrics)?;
        // Secrets beside it come after: where there can be no store, none are made.
        let access = Live::from(serving.access.with_own_token(access, &db)?);
        reloader.own_token_is_made();
        let totals = keep(&metrics, &places::totals_beside(&db));
        let key = match &analysis.key_file {
            Some(path) => places::read_key(path)?,
            None => places::key_beside(&db)?,
        };
        let setup = analysis_setup(analysis, Some(&key), serving.bodies)?;
        say_what_is_stored(&db, serving.bodies, storing);

        let redactions = Arc::new(Redactions {
            redactor: Arc::clone(&setup.analysis.current().redactor),
            publisher: Mutex::new(metrics.redactions().publisher()),
        });
        let counting = Arc::new(Counting::new(&setup.counter, &metrics));
        let board = Arc::new(Board::new(metrics.clone()));
        let run = system_clock().as_micros().unsigned_abs();
        let feed = Feed::start(&metrics, run).context("cannot start the live feed's thread")?;
        let capture = Arc::new(CaptureStatus::new(match capturing {
            Capturing::Yes => CaptureState::Starting,
            Capturing::No => CaptureState::None,
        }));
        #[cfg(feature = "otlp")]
        let otlp = serving
            .otlp
            .start(serving.bodies, address.port(), &metrics)?;
        let state = ApiState::new(
            metrics.clone(),
            Arc::clone(&board),
            Arc::clone(&capture),
            storage.handle(),
            Reader::open(&db)?,
            analyse(&setup, Arc::clone(&redactions), Arc::clone(&counting)),
        )
        .guarded(access.clone())
        .feeding(feed.clone());
        #[cfg(feature = "otlp")]
        let state = match otlp.as_ref().and_then(Exporter::queue) {
            Some(queue) => state.telling(Arc::new(move |record| queue.submit(record))),
            None => state,
        };
        #[cfg(feature = "tls")]
        let scheme = if tls.is_some() { "https" } else { "http" };
        #[cfg(not(feature = "tls"))]
        let scheme = "http";
        #[cfg(feature = "tls")]
        let state = state.by_tls(tls.clone());
        let state = Arc::new(state);
        let runtime = Builder::new_multi_thread()
            .worker_threads(API_THREADS)
            .thread_name("api")
            .enable_all()
            .build()
            .context(
                "cannot start the API's threads: is the limit of processes (ulimit -u) reached?",
            )?;
        let (stop, stopping) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        {
            let _inside = runtime.enter();
            let signals = (
                signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
                signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            );
            // Caught once, it ends nothing any more: the write fails, as on a full disk.
            drop(signal(SignalKind::from_raw(FILE_TOO_LARGE)));
            let hung_up = Arc::new(Notify::new());
            runtime.spawn(listen(
                signals,
                Arc::clone(&hung_up),
                Arc::clone(&stop),
                Arc::clone(&stopping),
            ));
            let running = Running {
                analysis: setup.analysis.clone(),
                counter: setup.counter.clone(),
                retention: storage.retention(),
                access,
                #[cfg(feature = "tls")]
                tls,
                log,
                reloads: metrics.reloads().clone(),
            };
            Reloader::count_from_zero(metrics.reloads());
            // Before the handler: it asks what was done with the signal so far.
            let terminal = Terminal::of_this_process();
            let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
            runtime.spawn(reload(hangup, reloader, running, terminal, hung_up));
        }
        let shutdown = Arc::clone(&stopping);
        let server = runtime
            .spawn(async move { api::serve(listener, state, shutdown.notified_owned()).await });
        Ok(Self {
            metrics,
            board,
            feed,
            capture,
            storage,
            totals,
            setup,
            redactions,
            counting,
            stop,
            stopping,
            runtime,
            server,
            scheme,
            address,
            #[cfg(feature = "otlp")]
            otlp,
        })
    }

    /// Tells people and `/ready` that everything works.
    pub(crate) fn ready(&self, capturing: Option<&str>) {
        if let Some(what) = capturing {
            self.capture.set(CaptureState::Capturing(what.to_owned()));
        }
        let (scheme, address) = (self.scheme, self.address);
        let what = capturing
            .map(|what| format!("{what}; "))
            .unwrap_or_default();
        tracing::info!(
            "ready: {what}metrics at {scheme}://{address}/metrics, the dashboard at {scheme}://{address}/"
        );
    }

    /// The same where files were read, and no more will come.
    pub(crate) fn replayed(&self, what: &str) {
        self.capture.set(CaptureState::Replayed(what.to_owned()));
        let (scheme, address) = (self.scheme, self.address);
        tracing::info!("ready: {what}; the dashboard is at {scheme}://{address}/ until Ctrl-C");
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Who is told of calls as they happen.
    pub(crate) const fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(crate) fn writer(&self) -> WriterHandle {
        self.storage.handle()
    }

    /// Hands calls to the export of spans; a build without it does nothing.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(clippy::unused_self, reason = "there is nobody to hand them to")
    )]
    pub(crate) fn exporting(&self) -> impl Fn(&Record) + use<> {
        #[cfg(feature = "otlp")]
        let queue = self.otlp.as_ref().and_then(Exporter::queue);
        move |record| {
            #[cfg(feature = "otlp")]
            if let Some(queue) = &queue {
                queue.submit(record);
            }
            #[cfg(not(feature = "otlp"))]
            let _: &Record = record;
        }
    }

    pub(crate) const fn redactions(&self) -> &Arc<Redactions> {
        &self.redactions
    }

    pub(crate) const fn counting(&self) -> &Arc<Counting> {
        &self.counting
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
        let stored = self.storage.close();
        if let Some(totals) = self.totals {
            totals.close();
        }
        // Last: its last metrics tell of the last rows.
        #[cfg(feature = "otlp")]
        if let Some(otlp) = self.otlp {
            otlp.close();
        }
        stored
    }
}

/// What somebody should know whose words are stored.
fn say_what_is_stored(db: &Path, bodies: Bodies, storing: &StorageArgs) {
    match bodies {
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
}

/// Lets the totals of the metrics go on from the last run. Without that llmtap works as well.
fn keep(metrics: &Metrics, path: &Path) -> Option<Kept> {
    match metrics.keep(path) {
        Ok((kept, found)) => {
            match found {
                Found::Nothing => {}
                Found::Totals { series, left_out } => tracing::debug!(
                    "{series} series of metrics go on from {}, {left_out} do not",
                    path.display()
                ),
                Found::Outdated => tracing::info!(
                    "the totals of the metrics begin at zero: the machine went down before llmtap had \
                     written the last ones"
                ),
                Found::Damaged(aside) => tracing::warn!(
                    "the totals of the metrics begin at zero: {} cannot be read, and was set aside as {}",
                    path.display(),
                    aside.display()
                ),
            }
            Some(kept)
        }
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
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
fn analyse(setup: &Setup, redactions: Arc<Redactions>, counting: Arc<Counting>) -> api::Analyse {
    let settings = setup.analysis.clone();
    let counter = setup.counter.clone();
    let reports = AtomicU64::new(0);
    Arc::new(move |report: Report| {
        let number = reports.fetch_add(1, Ordering::Relaxed);
        let (settings, counter) = (settings.current(), counter.current());
        let record = analyze_report(report, system_clock(), &settings, &counter, number);
        redactions.publish();
        counting.publish();
        record
    })
}

/// Each SIGHUP has the settings read again, but for the one of a terminal that is gone: that asks for the end.
async fn reload(
    mut hangup: Signal,
    mut reloader: Reloader,
    running: Running,
    terminal: Terminal,
    hung_up: Arc<Notify>,
) {
    let running = Arc::new(running);
    while hangup.recv().await.is_some() {
        if terminal.is_gone() {
            hung_up.notify_one();
            return;
        }
        let running = Arc::clone(&running);
        // Files are read, and expressions compiled.
        let done = tokio::task::spawn_blocking(move || {
            reloader.reload(&running);
            reloader
        });
        match done.await {
            Ok(back) => reloader = back,
            // The program is ending.
            Err(_) => return,
        }
    }
}

/// The first signal asks for an orderly end, the second ends at once.
async fn listen(
    (mut interrupt, mut terminate): (Signal, Signal),
    hung_up: Arc<Notify>,
    stop: Arc<AtomicBool>,
    stopping: Arc<Notify>,
) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = hung_up.notified() => {}
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
