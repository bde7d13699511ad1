//! The HTTP side: reports in, metrics, health and the status page out.
//!
//! [`bind`] first, so that a port in use is known before anything else starts; then [`serve`].

pub mod access;
mod answers;
mod board;
mod calls;
mod counted;
mod endpoints;
mod error;
mod inflight;
mod live;
mod openapi;
mod parameters;
mod pieces;
mod python;
mod queries;
mod record;
pub mod reference;
mod report;
mod routes;
mod scrape;
mod state;
#[cfg(feature = "tls")]
pub mod tls;

use std::{
    future::Future,
    net::{IpAddr, SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

pub use board::Board;
pub use error::ApiError;
pub use report::Analyse;
pub use state::{ApiState, CaptureState, CaptureStatus, OnStored};

#[cfg(feature = "tls")]
use crate::live::Live;
use crate::report::Report;

/// Connections at a time; further ones wait in the system's queue. Scrapers and reporters are few.
const CONNECTIONS: usize = 512;

/// How long a request's head may take, and an idle connection may stay.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Bytes of a request's head; a larger one gets 431.
const HEAD_CAP: usize = 64 * 1024;

/// How long requests that are under way may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Wait after a failed accept: out of file descriptors, most often, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

/// Reads a report as `POST /api/report` does, for fuzzing; `None` where it is refused.
#[doc(hidden)]
pub fn read_report(body: &[u8]) -> Option<Report> {
    report::parse(body, None).ok()
}

/// Takes the address.
///
/// # Errors
/// Where that is not possible; the text says what to do.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address).map_err(|cause| ApiError::listen(address, cause))
}

/// Serves until `shutdown` is there, and then to the end of the requests that are under way.
///
/// # Errors
/// Where the socket cannot be used.
pub async fn serve(
    listener: TcpListener,
    state: Arc<ApiState>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ApiError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = TowerToHyperService::new(routes::router(Arc::clone(&state)));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (stream, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let peer = Peer(peer.ip().to_canonical());
        let (router, watcher) = (router.clone(), graceful.watcher());
        #[cfg(feature = "tls")]
        let tls = state.tls.as_ref().map(Live::current);
        tokio::spawn(async move {
            let _place = place;
            #[cfg(feature = "tls")]
            if let Some(tls) = tls {
                if let Some(stream) = tls.accept(stream).await {
                    answer(stream, peer, router, watcher).await;
                }
                return;
            }
            answer(stream, peer, router, watcher).await;
        });
    }
    drop(listener);
    state.ending.send_replace(true);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}

/// Answers the requests of one connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: TowerToHyperService<axum::Router>,
    watcher: Watcher,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_CAP)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the other end's affair.
    let _ = watcher.watch(connection).await;
}

#[cfg(test)]
mod tests;
