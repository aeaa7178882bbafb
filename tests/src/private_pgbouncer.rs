//! A `PgBouncer` in front of a server of the tests.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::private_postgres::give_to_its_user;

/// How connections to the server are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Whoever connects has one until he leaves.
    Session,
    /// Whoever connects has one for each transaction.
    Transaction,
}

/// A pooler of the test's own, of the installed program, with its defaults. It ends when this is dropped.
pub struct PrivatePgBouncer {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl PrivatePgBouncer {
    /// Starts it in front of the server at `HOST:PORT`, with so many connections to each of its databases.
    #[must_use]
    pub fn start(server: &str, mode: PoolMode, connections: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("reprieve-pgbouncer.").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (host, server_port) = server.split_once(':').unwrap();
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let configuration = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {connections}\nmax_client_conn = 1000\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).unwrap();
        give_to_its_user(folder.path());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        command.arg(&file).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let process =
            process.unwrap_or_else(|error| panic!("pgbouncer: {error}: install it, or use tests/run"));
        let bouncer = Self { folder, process, port };
        let start = Instant::now();
        while TcpStream::connect(bouncer.address()).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "{}", bouncer.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        bouncer
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

impl Drop for PrivatePgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
