//! A PostgreSQL server that a test may stop.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{FakeClock, Sql};

/// A server of the test's own, of the installed programs. It is stopped, and its data removed, when this is dropped.
pub struct PrivatePostgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    environment: Vec<(&'static str, String)>,
}

/// Where `pg_ctl` is: the newest in the folders of Debian, or else where the shell finds it.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    folders.filter(|folder| folder.join("initdb").is_file()).max().unwrap_or_default()
}

/// Lets the user in whom the servers of the tests run as; that is somebody else only if we are root.
pub(crate) fn give_to_its_user(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        let owned = Command::new("chown").arg("postgres").arg(folder).status().unwrap();
        assert!(owned.success());
    }
}

/// A command that runs a program as that user.
pub(crate) fn as_its_user(program: &Path) -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

impl PrivatePostgres {
    /// Starts it on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::start_seeing(Vec::new())
    }

    /// Starts it with a clock of its own.
    #[must_use]
    pub fn with_clock(clock: &FakeClock) -> Self {
        Self::start_seeing(clock.environment())
    }

    fn start_seeing(environment: Vec<(&'static str, String)>) -> Self {
        let server = Self::unborn(environment);
        server.run("initdb", &["-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"]);
        server.start_again();
        server
    }

    /// Starts a hot standby of this one, which follows it and can only be read.
    #[must_use]
    pub fn standby(&self) -> Self {
        self.standby_seeing(Vec::new())
    }

    /// The same, with a clock of its own.
    #[must_use]
    pub fn standby_with_clock(&self, clock: &FakeClock) -> Self {
        self.standby_seeing(clock.environment())
    }

    fn standby_seeing(&self, environment: Vec<(&'static str, String)>) -> Self {
        let standby = Self::unborn(environment);
        let port = self.port.to_string();
        standby.run(
            "pg_basebackup",
            &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-R", "-X", "stream", "-c", "fast"],
        );
        standby.start_again();
        standby
    }

    /// A port and a folder without data.
    fn unborn(environment: Vec<(&'static str, String)>) -> Self {
        // A socket's path has to be short, and the server's user must be let in.
        let folder = tempfile::Builder::new().prefix("reprieve-postgres.").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, programs: programs(), port, environment };
        give_to_its_user(server.folder.path());
        server
    }

    /// A new folder on another disk, for a tablespace.
    #[must_use]
    pub fn folder_on(&self, disk: &Path) -> PathBuf {
        let folder = disk.join(format!("tablespace-{}", self.port));
        std::fs::create_dir(&folder).unwrap();
        give_to_its_user(&folder);
        folder
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The socket that it listens at as well.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// Has a standby lose what its primary does from now on.
    pub fn stop_following(&self) {
        let url = self.url();
        let stopped = std::thread::spawn(move || {
            let mut sql = Sql::open(&url);
            sql.execute("ALTER SYSTEM SET primary_conninfo = ''");
            let _ = sql.text("SELECT pg_reload_conf()::text");
            while sql.count("pg_stat_wal_receiver") > 0 {}
        });
        stopped.join().unwrap();
    }

    /// Waits until a standby has everything that its primary has now.
    pub fn catch_up_with(&self, primary: &Self) {
        let (primary, standby) = (primary.url(), self.url());
        let caught_up = std::thread::spawn(move || {
            let written = Sql::open(&primary).text("SELECT pg_current_wal_flush_lsn()::text");
            let mut standby = Sql::open(&standby);
            let has = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}'::pg_lsn)::text");
            while standby.text(&has) != "true" {}
        });
        caught_up.join().unwrap();
    }

    /// Makes a standby a server of its own.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-s", "-w"]);
    }

    /// The URL of its database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it as a power failure would.
    pub fn stop_at_once(&self) {
        self.run("pg_ctl", &["stop", "-s", "-m", "immediate"]);
    }

    /// Starts it after it was stopped, and waits until it has recovered.
    pub fn start_again(&self) {
        let folder = self.folder.path();
        let log = folder.join("log").display().to_string();
        let options =
            format!("-h 127.0.0.1,::1 -p {} -k {} -c max_connections=200", self.port, folder.display());
        self.run("pg_ctl", &["start", "-s", "-w", "-l", &log, "-o", &options]);
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// As its user, because the server refuses to run as root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = as_its_user(&program);
        command.arg("-D").arg(self.data()).args(arguments).env("LC_ALL", "C").envs(self.environment.clone());
        // Into a file: the server keeps what it inherits open.
        let said = tempfile::NamedTempFile::new().unwrap();
        command.stdout(said.reopen().unwrap()).stderr(said.reopen().unwrap());
        let status = command.current_dir(Path::new("/")).status().unwrap();
        assert!(status.success(), "{command:?}: {}", std::fs::read_to_string(said.path()).unwrap());
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop_at_once();
        } else if let Ok(pid) = std::fs::read_to_string(self.data().join("postmaster.pid")) {
            // Whether it runs or not.
            let _ = Command::new("kill").args(["-QUIT", pid.lines().next().unwrap_or_default()]).status();
        }
    }
}
