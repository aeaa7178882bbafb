//! Accepting connections, and ending in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::util::MapRequest;

use crate::Service;
use crate::router::router;

/// How many requests one connection of HTTP/2 may have under way; further ones wait at the client, which is told. So a
/// client with much to ask is served in turn, and does not by itself make the service turn others away as overloaded.
/// RFC 9113, section 6.5.2, advises against less than 100.
const STREAMS: u32 = 128;

/// Whether every request that ran was answered when the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// They were.
    Drained,
    /// Some took longer than the configured time and were cut off.
    CutOff,
}

/// Serves until `shutdown` completes; then accepts nothing more and lets what runs finish, within the configured time.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let router = router(&service);
    let settings = &service.settings;
    let mut builder = Builder::new(TokioExecutor::new());
    // A client that sends its head slowly, or not at all, must not hold a connection for ever.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(settings.header_timeout))
        .keep_alive_timeout(settings.header_timeout);
    let connections = Arc::new(Semaphore::new(settings.connections));
    // Ends with this function, and so do the connections that are left.
    let mut tasks = JoinSet::new();
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // Taken first: whoever is not accepted waits in the operating system's queue. It is never closed.
            let permit = connections.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or a connection that is gone already: neither ends a service.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let asked = Arc::new(AtomicBool::new(false));
        let service = TowerToHyperService::new(MapRequest::new(router.clone(), note(asked.clone())));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        let silence = silence(settings.header_timeout, asked);
        tasks.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = silence => tracing::debug!("a connection on which nothing was asked is closed"),
            }
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    tracing::info!("shutting down");
    match tokio::time::timeout(settings.shutdown_timeout, graceful.shutdown()).await {
        Ok(()) => Ended::Drained,
        Err(_) => Ended::CutOff,
    }
}

/// Notes that a request has come.
fn note<B>(asked: Arc<AtomicBool>) -> impl FnMut(Request<B>) -> Request<B> + Clone {
    move |request| {
        asked.store(true, Ordering::Relaxed);
        request
    }
}

/// Over when a connection is old enough for a request and none has come. The time-outs above begin only once the first
/// bytes have told HTTP/1 from HTTP/2.
async fn silence(patience: Duration, asked: Arc<AtomicBool>) {
    tokio::time::sleep(patience).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
