//! Export by OTLP, OpenTelemetry's protocol: calls as spans of the GenAI conventions, and the metrics of a scrape.
//!
//! It never stands in the way: [`SpanQueue::submit`] copies a call into a bounded queue and returns; a thread of its own
//! makes spans, sends them, and tries again what a receiver cannot take now. What is shed, refused or given up is
//! counted. Only this room makes requests of llmtap's own, and only where an endpoint is set.

mod client;
mod export;
mod metrics;
mod proto;
mod queue;
mod retry;
mod settings;
mod span;

use std::{sync::mpsc, thread, time::Duration};

use tokio::{sync::watch, time::Instant};

pub use client::ClientError;
pub use queue::SpanQueue;
pub use settings::{
    Compression, Content, Endpoint, Header, Protocol, SettingError, Settings, Signal, pairs,
};

use self::{client::Client, export::Export};
use crate::metrics::Metrics;

/// How long sending may go on once the end is asked for.
pub const FLUSH: Duration = Duration::from_secs(5);

/// What is waited for beyond that: the thread is left behind then.
const GRACE: Duration = Duration::from_secs(1);

/// Why the export cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No thread can be started.
    #[error("the thread of the OTLP export cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running export.
#[derive(Debug)]
pub struct Exporter {
    queue: Option<SpanQueue>,
    stop: watch::Sender<Option<Instant>>,
    done: mpsc::Receiver<()>,
}

impl Exporter {
    /// Starts the export's thread.
    ///
    /// # Errors
    /// Where the certificates cannot be read, or no thread can be started.
    pub fn start(settings: Settings, metrics: &Metrics) -> Result<Self, StartError> {
        let client = Client::new(&settings)?;
        let (queue, waiting) = queue::queue(settings.content, metrics.otlp());
        let (stop, stopped) = watch::channel(None);
        let (ended, done) = mpsc::channel();
        let (traces, metered) = (settings.traces.clone(), settings.metrics.clone());
        let queue = traces.is_some().then_some(queue);
        let export = Export {
            client,
            settings,
            metrics: metrics.clone(),
            stop: stopped,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = move || {
            runtime.block_on(async {
                let spans = async {
                    if let Some(endpoint) = &traces {
                        export.spans(endpoint, waiting).await;
                    }
                };
                let metrics = async {
                    if let Some(endpoint) = &metered {
                        export.metrics(endpoint).await;
                    }
                };
                tokio::join!(spans, metrics);
            });
            // A name's look-up may hang in the system; nobody waits for it.
            runtime.shutdown_background();
            let _ = ended.send(());
        };
        thread::Builder::new().name("otlp".to_owned()).spawn(run)?;
        Ok(Self { queue, stop, done })
    }

    /// The way in for calls; `None` where spans are not exported.
    pub fn queue(&self) -> Option<SpanQueue> {
        self.queue.clone()
    }

    /// Sends what waits, and the metrics once more; what is not taken within [`FLUSH`] is counted as given up.
    pub fn close(self) {
        self.ask_for_the_end(FLUSH);
        let _ = self.done.recv_timeout(FLUSH + GRACE);
    }

    fn ask_for_the_end(&self, within: Duration) {
        self.stop.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert(Instant::now() + within);
            first
        });
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ask_for_the_end(Duration::ZERO);
    }
}
