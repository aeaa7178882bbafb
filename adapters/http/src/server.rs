//! Accepting connections, and ending in good order.
//!
//! What lives here: which connections there may be, how long each may do nothing or leave an answer unread, and whose requests
//! come over it. What does not: how much of what a request asks is done at once, which `permits` says.

mod places;
mod pulse;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service as _;

use self::places::{NoPlace, Place, Places};
pub(crate) use self::pulse::{Handling, Pulse};
use self::pulse::{Over, PIECE, Patience, Written};
use crate::peer::{Network, Peer, peer_of};
use crate::permits::{Kept, Permit};
use crate::router::{operations_router, router};
use crate::{Service, Settings};

/// How many requests one connection of HTTP/2 may have under way; further ones wait at the client, which is told. RFC 9113,
/// section 6.5.2, advises against less than 100, for the sake of those that load pages: what is asked here is small, and each
/// stream holds memory for as long as its client likes.
const STREAMS: u32 = 32;
/// How many streams beyond that a connection may open, and make other mistakes, until it is closed: a client that has not been
/// told yet opens a hundred.
const MISTAKES: usize = 256;
/// How much of a body may be on its way over one stream, and over all of a connection, before it is read.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// How much of an answer waits for its client beside what has been handed over.
const SEND_BUFFER: usize = PIECE;
/// The largest head of a request: a token, and what proxies add.
const HEAD: u32 = 16 * 1024;
const HEAD_BUFFER: usize = 64 * 1024;
/// How long a client may take to take note that its connection is closed.
const FAREWELL: Duration = Duration::from_millis(500);
/// How many connections a listener has that is for operations only.
const OPERATIONS: usize = 128;

/// Whether every request that ran was answered when the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// They were.
    Drained,
    /// Some took longer than the configured time and were cut off.
    CutOff,
}

/// Where a request comes from. Every request has it.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) peer: Peer,
    pub(crate) pulse: Arc<Pulse>,
    /// The cancellations of one connection, one after the other; none behind a proxy, whose connections are everybody's.
    pub(crate) turns: Option<Arc<Semaphore>>,
}

/// Serves until `shutdown` completes; then accepts nothing more and lets what runs finish, within the configured time.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let router = router(&service);
    let settings = &service.settings;
    let places = Places::new(settings.connections, settings.connections_per_peer);
    accept(listener, router, settings, places, shutdown).await
}

/// The same for health and metrics alone, on a listener of their own that no client of the service fills.
pub async fn serve_operations(
    listener: TcpListener,
    service: Arc<Service>,
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let router = operations_router(&service);
    let places = Places::new(OPERATIONS, OPERATIONS / 2);
    accept(listener, router, &service.settings, places, shutdown).await
}

async fn accept(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    places: Arc<Places>,
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let serving = Arc::new(Serving::new(router, settings));
    // Ends with this function, and so do the connections that are left.
    let mut tasks = JoinSet::new();
    let (stop, stopping) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                // Out of file descriptors, or a connection that is gone already: neither ends a service.
                tracing::warn!(%error, "a connection cannot be accepted");
                places.make_room();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (peer, pulse) = (Peer::of(address), Pulse::new());
        let has_share = !settings.trusted_proxies.iter().any(|network| network.contains(address));
        let place = loop {
            match places.take(peer, has_share, &pulse) {
                Ok(place) => break Some(place),
                Err(NoPlace::Share) => break None,
                // Who comes next waits in the operating system's queue.
                Err(NoPlace::Full) => tokio::select! {
                    () = &mut shutdown => break None,
                    () = places.left() => {}
                },
            }
        };
        let Some(place) = place else {
            metrics::counter!("reprieve_http_connections_closed_total", "reason" => "share").increment(1);
            continue;
        };
        let serving = Arc::clone(&serving);
        tasks.spawn(serving.connection(stream, address, pulse, place, stopping.clone()));
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    tracing::info!("shutting down");
    stop.send_replace(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    match tokio::time::timeout(settings.shutdown_timeout, drained).await {
        Ok(()) => Ended::Drained,
        Err(_) => Ended::CutOff,
    }
}

/// What all connections of a listener share.
struct Serving {
    router: Router,
    builder: Builder<TokioExecutor>,
    patience: Patience,
    proxies: Arc<[Network]>,
}

impl Serving {
    fn new(router: Router, settings: &Settings) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).max_buf_size(HEAD_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_local_error_reset_streams(MISTAKES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEAD);
        Self {
            router,
            builder,
            patience: Patience { idle: settings.header_timeout, writing: settings.write_timeout },
            proxies: settings.trusted_proxies.clone().into(),
        }
    }

    /// Serves one connection until its client closes it, it is over, or the service stops.
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: IpAddr,
        pulse: Arc<Pulse>,
        place: Place,
        mut stopping: watch::Receiver<bool>,
    ) {
        let _place = place;
        // Answers are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(self.answering(address, &pulse));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut over = std::pin::pin!(pulse.over(self.patience));
        let mut is_stopping = false;
        let over = loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                over = over.as_mut() => break over,
                stop = stopping.wait_for(|stop| *stop), if !is_stopping => {
                    drop(stop);
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        metrics::counter!("reprieve_http_connections_closed_total", "reason" => over.as_str()).increment(1);
        if over == Over::Idle {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(FAREWELL, connection).await;
        }
    }

    /// The router, for the requests of one connection.
    fn answering(
        &self,
        address: IpAddr,
        pulse: &Arc<Pulse>,
    ) -> impl tower::Service<
        Request<hyper::body::Incoming>,
        Response = Response<Written<Permit>>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Written<Permit>>, Infallible>> + Send + use<>,
    > + Clone
    + use<> {
        let (mut router, proxies) = (self.router.clone(), Arc::clone(&self.proxies));
        let (pulse, turns) = (Arc::clone(pulse), Arc::new(Semaphore::new(1)));
        tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let mut exchange = pulse.begin();
            let peer = peer_of(address, request.headers(), &proxies);
            let turns = (peer == Peer::of(address)).then(|| Arc::clone(&turns));
            let origin = Origin { peer, pulse: Arc::clone(&pulse), turns };
            request.extensions_mut().insert(origin);
            let answer = router.call(request);
            async move {
                let mut answer = answer.await?;
                // What is long is few.
                let kept = answer.extensions_mut().remove::<Kept>().and_then(Kept::take);
                let kept = kept.filter(|_| answer.body().size_hint().lower() > PIECE as u64);
                exchange.answering();
                Ok(answer.map(|body: Body| Written::new(body, exchange, kept)))
            }
        })
    }
}
