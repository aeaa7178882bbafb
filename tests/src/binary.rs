//! The binary `reprieve`, run as a stranger would: with nothing in its environment and a home folder of its own.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::{Sql, TestDatabase};

/// The environment variable with the folder of the binaries; `tests/run`, which has built them, sets it.
const BINARIES: &str = "REPRIEVE_TEST_BINARIES";

/// The binary, built in the profile of the tests. Cargo builds a package's binary for the tests of that package only,
/// so it is asked for here, once, unless somebody says where it is.
pub fn reprieve_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(folder) = std::env::var_os(BINARIES) {
            return Path::new(&folder).join("reprieve");
        }
        // …/target/<profile>/deps/<test>
        let own = std::env::current_exe().unwrap();
        let folder = own.ancestors().nth(2).unwrap();
        let profile = folder.file_name().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // Examples have dependencies of tests: with them no dependency is built again, with fewer features.
        cargo.args(["build", "--quiet", "--locked", "--workspace", "--bins", "--examples"]);
        if profile != "debug" {
            cargo.arg("--release");
        }
        // What Cargo tells a test about its package makes ring's build script run again, and half of the graph with it.
        for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the binary does not build");
        folder.join("reprieve")
    })
}

/// A home folder in which the binary runs, and the database it uses. They go away with the test.
pub struct Sandbox {
    home: PathBuf,
    environment: Vec<(OsString, OsString)>,
    /// The default one, if there is none.
    database_url: Option<String>,
    /// What is to go away with this sandbox.
    owned: Vec<Box<dyn Any + Send + Sync>>,
}

/// Every file and folder below a folder; of a file its length and a hash of its content.
pub type Files = BTreeMap<PathBuf, Option<(usize, u64)>>;

fn content(file: &Path) -> Option<(usize, u64)> {
    // A link to nowhere has no content.
    let bytes = std::fs::read(file).ok()?;
    Some((bytes.len(), BuildHasherDefault::<DefaultHasher>::default().hash_one(bytes)))
}

impl Sandbox {
    /// An empty home folder; the database will be the default one in it.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Self::at(folder.path());
        Self { owned: vec![Box::new(folder)], ..sandbox }
    }

    /// A home folder that is there already.
    #[must_use]
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), environment: Vec::new(), database_url: None, owned: Vec::new() }
    }

    /// An empty home folder and a migrated database on the PostgreSQL server of the tests.
    #[must_use]
    pub fn postgres() -> Self {
        let sandbox = Self::unmigrated_postgres();
        let migrated = sandbox.run(["database", "migrate"]);
        assert_eq!(migrated.code, 0, "{migrated:?}");
        sandbox
    }

    /// An empty home folder and an empty database on the PostgreSQL server of the tests.
    #[must_use]
    pub fn unmigrated_postgres() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(TestDatabase::postgres());
        let mut sandbox = Self::new().on(database.url());
        sandbox.owned.push(Box::new(database));
        sandbox
    }

    /// The same home folder, database and environment once more, to be varied. It is gone when the first one is.
    #[must_use]
    pub fn variant(&self) -> Self {
        Self {
            home: self.home.clone(),
            environment: self.environment.clone(),
            database_url: self.database_url.clone(),
            owned: Vec::new(),
        }
    }

    /// With this database.
    #[must_use]
    pub fn on(mut self, database_url: impl Into<String>) -> Self {
        self.database_url = Some(database_url.into());
        self
    }

    /// With an environment variable that the binary sees.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The default database.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.home().join(".local/share/reprieve/reprieve.db")
    }

    /// The URL of the database that the binary uses.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database_url.clone().unwrap_or_else(|| format!("sqlite:{}", self.database_file().display()))
    }

    /// A connection of the test's own to that database.
    #[must_use]
    pub fn sql(&self) -> Sql {
        Sql::open(&self.database_url())
    }

    /// The binary with nothing in its environment but this home folder and, if it is not the default one, the database.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(reprieve_binary());
        command.env_clear().env("HOME", self.home()).current_dir(self.home());
        command.envs(self.database_url.iter().map(|url| ("DATABASE_URL", url)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        Outcome::of(self.command().args(arguments))
    }

    /// Runs a command line that is one text: words between spaces.
    #[must_use]
    pub fn line(&self, line: &str) -> Outcome {
        self.run(line.split(' '))
    }

    /// What the command line prints as its one JSON document.
    #[must_use]
    pub fn json(&self, line: &str) -> serde_json::Value {
        let outcome = self.run(line.split(' ').chain(["--output", "json"])).succeeded();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// Everything in the home folder.
    #[must_use]
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let mut folders = vec![self.home.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    files.insert(entry.path(), None);
                    folders.push(entry.path());
                } else {
                    files.insert(entry.path(), content(&entry.path()));
                }
            }
        }
        files
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; -1 if it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// The same, if it succeeded and wrote nothing on standard error.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    /// The same, if it failed with this exit code and error code, said so in exactly one line on standard error, and
    /// wrote nothing on standard output.
    #[must_use]
    pub fn failed(self, exit_code: i32, error_code: &str) -> Self {
        assert_eq!(self.code, exit_code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let start = format!("This command failed with the code '{error_code}' and the message '");
        assert!(self.stderr.starts_with(&start) && self.stderr.ends_with("'.\n"), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
