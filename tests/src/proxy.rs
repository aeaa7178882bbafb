//! A way to a server that a test can break.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing arrives, and no connection is closed.
    Silent,
    /// The server hears us, and we do not hear it.
    Deaf,
    /// Whoever connects is thrown out.
    Closed,
}

/// Listens on this machine and hands on whatever comes, in both directions. It is gone when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    server: Mutex<String>,
    /// The connections with smaller numbers carry nothing any more.
    abandoned: AtomicUsize,
    way: watch::Sender<Way>,
    /// How often everything was cut.
    cuts: watch::Sender<usize>,
    connections: AtomicUsize,
    open_connections: AtomicUsize,
}

impl Proxy {
    /// To the server at `HOST:PORT`, or at a socket with this path.
    pub async fn to(server: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            server: Mutex::new(server.into()),
            abandoned: AtomicUsize::new(0),
            way: watch::Sender::new(Way::Open),
            cuts: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            open_connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// How many connections there are now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.state.open_connections.load(Ordering::Relaxed)
    }

    /// Closes every connection; new ones are taken.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing arrives, and no connection is closed.
    pub fn silence(&self) {
        self.state.way.send_replace(Way::Silent);
    }

    /// The connections that there are carry nothing any more, what is sent is taken, and none of them is ever closed, as if
    /// the host had vanished; new ones are as before.
    pub fn abandon(&self) {
        self.state.abandoned.store(self.connections() + 1, Ordering::Relaxed);
    }

    /// New connections are to this server.
    pub fn lead_to(&self, server: impl Into<String>) {
        *self.state.server.lock().unwrap() = server.into();
    }

    /// From now on what the server says does not arrive.
    pub fn deafen(&self) {
        self.state.way.send_replace(Way::Deaf);
    }

    /// Closes every connection, and throws out whoever connects.
    pub fn close(&self) {
        self.state.way.send_replace(Way::Closed);
        self.cut();
    }

    /// From now on everything arrives again, what was held back as well.
    pub fn open(&self) {
        self.state.way.send_replace(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if *state.way.borrow() == Way::Closed {
            continue;
        }
        let (server, state) = (state.server.lock().unwrap().clone(), Arc::clone(&state));
        tokio::spawn(async move {
            if server.starts_with('/') {
                if let Ok(server) = UnixStream::connect(server).await {
                    let (from_server, to_server) = server.into_split();
                    connect(client, from_server, to_server, number, &state).await;
                }
            } else if let Ok(server) = TcpStream::connect(server).await {
                let (from_server, to_server) = server.into_split();
                connect(client, from_server, to_server, number, &state).await;
            }
        });
    }
}

async fn connect(
    client: TcpStream,
    from_server: impl AsyncRead + Unpin,
    to_server: impl AsyncWrite + Unpin,
    number: usize,
    state: &State,
) {
    let mut cuts = state.cuts.subscribe();
    let (from_client, to_client) = client.into_split();
    state.open_connections.fetch_add(1, Ordering::Relaxed);
    let from_server = async {
        hand_on(from_server, to_client, number, state, &[Way::Silent, Way::Deaf]).await;
        // A host that has vanished does not say goodbye.
        if state.has_abandoned(number) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = hand_on(from_client, to_server, number, state, &[Way::Silent]) => {}
        () = from_server => {}
        _ = cuts.changed() => {}
    }
    state.open_connections.fetch_sub(1, Ordering::Relaxed);
}

async fn hand_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: usize,
    state: &State,
    held_back: &[Way],
) {
    let mut way = state.way.subscribe();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let passed = way.wait_for(|way| !held_back.contains(way)).await.is_ok();
        if state.has_abandoned(number) {
            continue;
        }
        if !passed || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

impl State {
    fn has_abandoned(&self, number: usize) -> bool {
        number < self.abandoned.load(Ordering::Relaxed)
    }
}
