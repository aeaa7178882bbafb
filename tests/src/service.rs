//! `reprieve start`, as an operator would run it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Connection, Outcome, Reply, Request, Sandbox};

/// A service that has not ended for so long after it was told to hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running service. It is killed when this is dropped.
pub struct Service {
    process: Option<Child>,
    announced: String,
    url: String,
    stdout: Option<JoinHandle<String>>,
    /// A file, which takes what the service writes without anybody having to read along.
    stderr: File,
    /// What goes away with it.
    sandbox: Option<Sandbox>,
}

/// How a service may be told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Sandbox {
    /// Writes the configuration file.
    pub fn configure(&self, toml: &str) {
        let folder = self.home().join(".config/reprieve");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("reprieve.toml"), toml).unwrap();
    }
}

/// Everything that is still to come, read so that the other side never waits.
fn read_on(stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // Whoever was killed may have been writing.
        let _ = BufReader::new(stream).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

impl Service {
    /// Starts it at a port that is free, in this sandbox.
    #[must_use]
    pub fn start(sandbox: &Sandbox) -> Self {
        let started = Self::try_start(sandbox.command().arg("start"));
        started.unwrap_or_else(|outcome| panic!("{outcome:?}"))
    }

    /// Writes the configuration file of the sandbox, then starts.
    #[must_use]
    pub fn configured(sandbox: &Sandbox, toml: &str) -> Self {
        sandbox.configure(toml);
        Self::start(sandbox)
    }

    /// The same in a sandbox that is the service's own.
    #[must_use]
    pub fn alone(sandbox: Sandbox, toml: &str) -> Self {
        let mut service = Self::configured(&sandbox, toml);
        service.sandbox = Some(sandbox);
        service
    }

    /// Runs a command that is to become a service, at a port that is free.
    ///
    /// # Errors
    /// What became of it, if it does not listen.
    pub fn try_start(command: &mut Command) -> Result<Self, Outcome> {
        Self::try_start_as_configured(command.env("REPRIEVE__HTTP__LISTEN", "127.0.0.1:0"))
    }

    /// Runs a command that is to become a service, where it is configured to listen.
    ///
    /// # Errors
    /// What became of it, if it does not listen.
    pub fn try_start_as_configured(command: &mut Command) -> Result<Self, Outcome> {
        let stderr = tempfile::tempfile().unwrap();
        command.stdout(Stdio::piped()).stderr(stderr.try_clone().unwrap());
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut announced = String::new();
        stdout.read_line(&mut announced).unwrap();
        let url = announced.trim_end().rsplit(' ').next().unwrap().to_owned();
        let mut service =
            Self { process: Some(process), announced, url, stdout: None, stderr, sandbox: None };
        if service.announced.is_empty() {
            return Err(service.wait());
        }
        service.stdout = Some(read_on(stdout));
        Ok(service)
    }

    /// The URL that it has printed.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").and_then(|address| address.parse().ok()).unwrap()
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// How much memory it has, in bytes: what the operating system counts as resident.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// A new connection to it.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address()).unwrap()
    }

    /// Sends a request over a connection of its own.
    #[must_use]
    pub fn send(&self, request: &Request) -> Reply {
        self.connect().send(request).unwrap()
    }

    /// Waits until it has this many requests at hand, the question for it included.
    pub fn wait_for_requests(&self, count: u32) {
        let mut connection = self.connect();
        let line = format!("reprieve_http_requests_in_flight {}", count + 1);
        while !connection.send(&Request::get("/metrics")).unwrap().body.lines().any(|known| known == line) {}
    }

    /// Sends it a signal that is not to end it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.process.as_ref().unwrap()), signal).unwrap();
    }

    /// Tells it to end.
    pub fn tell(&self, stop: Stop) {
        let signal = match stop {
            Stop::Terminate => Signal::TERM,
            Stop::Interrupt => Signal::INT,
        };
        kill_process(Pid::from_child(self.process.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until nobody can connect any more.
    pub fn wait_until_closed(&self) {
        while Connection::open(self.address()).is_ok() {}
    }

    /// Waits until it has ended; returns all that it has said.
    #[must_use]
    pub fn wait(mut self) -> Outcome {
        let mut process = self.process.take().unwrap();
        let start = Instant::now();
        let status = loop {
            match process.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => {
                    process.kill().unwrap();
                    panic!("the service does not end");
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let stdout = self.stdout.take().map(|reader| reader.join().unwrap()).unwrap_or_default();
        Outcome {
            code: status.code().unwrap_or(-1),
            stdout: format!("{}{stdout}", self.announced),
            stderr: self.logged(),
        }
    }

    /// What it has written to standard error so far.
    fn logged(&mut self) -> String {
        let mut text = Vec::new();
        self.stderr.rewind().unwrap();
        self.stderr.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Ends it with SIGTERM; returns all that it has said.
    #[must_use]
    pub fn stop(self) -> Outcome {
        self.tell(Stop::Terminate);
        self.wait()
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill_now();
        if std::thread::panicking() {
            println!("the service said:\n{}", self.logged());
        }
    }
}
