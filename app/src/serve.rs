//! `reprieve start`: the service, from the socket to the last answer.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use reprieve_application::ErrorCode;
use reprieve_application::ports::Ids;
use reprieve_application::use_cases::ProvideOwnIdentity;
use reprieve_cli::{Command, Failure, Listening, Server};
use reprieve_http::authentication::Authentication;
use reprieve_http::{Ended, Metrics, Service, UseCases};
use reprieve_persistence::Store;
use reprieve_system::SystemIds;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::checks::{self, Checks, Stored};
use crate::configuration::Configuration;
use crate::journal::OpenJournal;
use crate::workers::Workers;

/// A service that listens, and has not begun to answer.
pub(crate) struct Bound {
    listener: TcpListener,
    operations: Option<TcpListener>,
    listening: Listening,
    service: Arc<Service>,
    workers: Option<Arc<Workers>>,
    store: Arc<Store>,
    checks: Checks,
    shutdown: watch::Receiver<bool>,
}

/// A file that would grow beyond the limit of the process fails to be written, as on a full disk, instead of ending the
/// process at once.
pub(crate) fn survive_large_files() -> Result<(), Failure> {
    /// `SIGXFSZ` has this number on every system that this program runs on.
    const FILE_SIZE_EXCEEDED: i32 = 25;
    let kind = SignalKind::from_raw(FILE_SIZE_EXCEEDED);
    signal(kind).map(drop).map_err(|error| system_failed("cannot listen for signals", error))
}

/// A terminal that is closed, and signals by which other programs are told to read their configuration or rotate their logs, end
/// nothing that is to go on.
pub(crate) fn outlive_terminals(command: &Command) -> Result<(), Failure> {
    if matches!(command, Command::Start | Command::Worker(_)) {
        for kind in [SignalKind::hangup(), SignalKind::user_defined1(), SignalKind::user_defined2()] {
            signal(kind).map(drop).map_err(|error| system_failed("cannot listen for signals", error))?;
        }
    }
    Ok(())
}

fn system_failed(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::SystemFailed, format!("{what}: {error}"))
}

/// Listens where the configuration says.
pub(crate) async fn bind(
    configuration: &Configuration,
    store: Arc<Store>,
    journal: &OpenJournal,
) -> Result<Bound, Failure> {
    let http = &configuration.http;
    let clock = store.clock();
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let domain = configuration.identity_domain.clone();
    let own = ProvideOwnIdentity::new(store.clone(), ids.clone(), domain).execute().await?.caller();
    let workers = configuration.workers.enabled;
    let workers = workers.then(|| Workers::new(store.clone(), journal.clone(), configuration));
    let listener = listen_on(http.listen).await?;
    let address = listener.local_addr().map_err(|error| system_failed("cannot listen", error))?;
    let operations = match http.operations_listen {
        None => None,
        Some(listen) => Some(bind_operations(listen).await?),
    };
    let (mut authentication, mut settings) = (http.authentication.clone(), http.settings.clone());
    if let (true, Some(self_signed)) = (http.audience_from_address, &mut authentication.self_signed) {
        self_signed.audiences = hosts(address).iter().map(|host| format!("http://{host}")).collect();
    }
    if http.is_open {
        settings.open_hosts = hosts(address);
    }
    let authentication = Authentication::new(authentication, clock.clone())
        .map_err(|error| Failure::new(ErrorCode::ConfigurationInvalid, format!("section http: {error}")))?;
    let metrics = Metrics::install().map_err(|error| system_failed("cannot measure", error))?;
    let reserve = Arc::new(store.reserved());
    let use_cases = UseCases::new(&store, &clock, &ids, configuration.grace_period)
        .with_reserve(&reserve, &reserve.clock());
    let mut service = Service::new(use_cases, own, authentication, clock.clone(), ids, settings, metrics);
    if let Some(workers) = &workers {
        let workers = workers.clone();
        let limited = workers.clone();
        service =
            service.with_workers(move || workers.problems()).with_over_limit(move || limited.over_limit());
    }
    let checks = Checks::new(configuration, Stored::Open(store.clone(), journal.clone()));
    let of_workers = async {
        if let Some(workers) = &workers {
            workers.check_all().await;
        }
    };
    let (stored, here, ()) = futures_util::join!(checks.store(), checks.here(), of_workers);
    checks::log(&stored);
    checks::log(&here);
    // Before anybody is told that the service listens: from then on a signal must not cut a request off.
    let shutdown = shutdown_signal()?;
    Ok(Bound {
        listener,
        operations,
        listening: Listening { url: format!("http://{address}"), is_open: http.is_open },
        service: Arc::new(service),
        workers,
        store,
        checks,
        shutdown,
    })
}

async fn listen_on(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| system_failed(&format!("cannot listen on {address}"), error))
}

/// Where health and metrics are to be had, which the log says because the port may be a free one.
async fn bind_operations(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = listen_on(address).await?;
    let address = listener.local_addr().map_err(|error| system_failed("cannot listen", error))?;
    tracing::info!(%address, "health and metrics are served");
    Ok(listener)
}

/// What programs on this machine may call the service, if it listens on loopback.
fn hosts(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    vec![
        address.to_string(),
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ]
}

#[async_trait]
impl Server for Bound {
    fn listening(&self) -> &Listening {
        &self.listening
    }

    async fn run(self: Box<Self>) -> Result<(), Failure> {
        let Self { listener, operations, service, workers, store, checks, mut shutdown, .. } = *self;
        // In the background, so that no cancellation waits for others. What is not known at the shutdown is left.
        let mut checking = JoinSet::new();
        checking.spawn(async move { checks::log(&checks.elsewhere().await) });
        // To the last commit, which may be work for another instance.
        let _sharing = store.share_wake_ups(workers.is_some());
        let mut working = workers.map_or_else(JoinSet::new, |workers| workers.spawn_all(&shutdown));
        // The workers stop while the last requests are answered.
        let stopping = async {
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        // Probes are answered until the last request is.
        let mut operating = JoinSet::new();
        if let Some(operations) = operations {
            let service = service.clone();
            operating.spawn(reprieve_http::serve_operations(operations, service, std::future::pending()));
        }
        let ended = reprieve_http::serve(listener, service, stopping).await;
        while working.join_next().await.is_some() {}
        match ended {
            Ended::Drained => Ok(()),
            Ended::CutOff => {
                let message = "requests were still running when http.shutdown_timeout_in_seconds was over";
                Err(Failure::new(ErrorCode::TimedOut, message))
            }
        }
    }
}

/// True from the first signal on that asks the program to stop. From now on, a signal ends nothing by itself.
pub(crate) fn shutdown_signal() -> Result<watch::Receiver<bool>, Failure> {
    let listen_for = |kind| signal(kind).map_err(|error| system_failed("cannot listen for signals", error));
    let (mut terminate, mut interrupt) =
        (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    });
    Ok(shutdown)
}
