//! A way to a server that a test can break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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
    way: watch::Sender<Way>,
    /// How often everything was cut.
    cuts: watch::Sender<usize>,
    connections: AtomicUsize,
    open_connections: AtomicUsize,
}

impl Proxy {
    /// To the server at `HOST:PORT`.
    pub async fn to(server: impl Into<String>) -> Self {
        let server = server.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            way: watch::Sender::new(Way::Open),
            cuts: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            open_connections: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&state)));
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

async fn accept(listener: TcpListener, server: String, state: Arc<State>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        state.connections.fetch_add(1, Ordering::Relaxed);
        if *state.way.borrow() == Way::Closed {
            continue;
        }
        let (server, state) = (server.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let mut cuts = state.cuts.subscribe();
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            state.open_connections.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = hand_on(from_client, to_server, &state, &[Way::Silent]) => {}
                () = hand_on(from_server, to_client, &state, &[Way::Silent, Way::Deaf]) => {}
                _ = cuts.changed() => {}
            }
            state.open_connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn hand_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    held_back: &[Way],
) {
    let mut way = state.way.subscribe();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let passed = way.wait_for(|way| !held_back.contains(way)).await.is_ok();
        if !passed || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
