//! Message brokers that a test may stop, with everything in them that survives it.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// How long a broker may take to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server of the test's own, of the installed programs. It is killed, and its data removed, when this is dropped.
struct Server {
    folder: TempDir,
    port: u16,
    command: Box<dyn Fn(&Self) -> Command + Send>,
    running: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(prefix: &str, command: impl Fn(&Self) -> Command + Send + 'static) -> Self {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap();
        let mut server = Self { folder, port: free_port(), command: Box::new(command), running: None };
        server.start_again();
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_again(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("said")).unwrap();
        let mut command = (self.command)(self);
        // A group of its own, which is killed as a whole: a script starts the server and waits for it.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let running = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: use tests/run"));
        self.running = Some(running);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let has_ended = self.running.as_mut().unwrap().try_wait().unwrap().is_some();
            let said = || std::fs::read_to_string(self.path("said")).unwrap_or_default();
            assert!(!has_ended && start.elapsed() < PATIENCE, "{command:?} does not start: {}", said());
            sleep(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let group = Pid::from_child(&running);
            // Whoever is gone already need not be killed.
            let _ = kill_process_group(group, Signal::KILL);
            running.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server of NATS with `JetStream`, whose streams survive.
pub struct PrivateNats(Server);

impl PrivateNats {
    /// Starts it on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self(Server::start("reprieve-nats.", |server| {
            let mut command = Command::new("nats-server");
            // Debian has it where only root looks.
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{path}:/usr/sbin"));
            command.args(["-a", "127.0.0.1", "-p", &server.port.to_string(), "-js", "-sd"]);
            command.arg(server.path("streams"));
            command
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.0.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it after it was killed, and waits until it listens.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// A `RabbitMQ`, whose durable queues survive.
pub struct PrivateRabbitMq {
    server: Server,
    /// The port of the daemon that Erlang starts beside it, and that is not a part of its group.
    epmd: u16,
}

impl PrivateRabbitMq {
    /// Starts it on free ports.
    #[must_use]
    pub fn start() -> Self {
        let (distribution, epmd) = (free_port(), free_port());
        let server = Server::start("reprieve-rabbitmq.", move |server| {
            let (port, folder) = (server.port, server.folder.path());
            std::fs::write(server.path("plugins"), "[].").unwrap();
            // Not the script of the same name on the path, which wants to be root and becomes another user.
            let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
            command.env("HOME", folder).env("RABBITMQ_NODENAME", format!("reprieve{port}@localhost"));
            command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", port.to_string());
            command
                .env("RABBITMQ_DIST_PORT", distribution.to_string())
                .env("ERL_EPMD_PORT", epmd.to_string());
            command.env("RABBITMQ_MNESIA_BASE", server.path("data"));
            command.env("RABBITMQ_LOG_BASE", server.path("log"));
            command.env("RABBITMQ_ENABLED_PLUGINS_FILE", server.path("plugins"));
            command.env("RABBITMQ_CONFIG_FILE", server.path("none"));
            command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
            command
        });
        Self { server, epmd }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.server.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it after it was killed, and waits until it listens.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }
}

impl Drop for PrivateRabbitMq {
    fn drop(&mut self) {
        self.server.kill();
        // It ends only if no node is registered any more, which it notices by their connections.
        for _ in 0..50 {
            let ended = Command::new("epmd").args(["-port", &self.epmd.to_string(), "-kill"]).output();
            if ended.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Killed")) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
    }
}
