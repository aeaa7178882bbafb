//! The binary `reprieve`, run as a stranger would: with nothing in its environment and a home folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The binary, built in the profile of the tests. Cargo builds a package's binary for the tests of that package only,
/// so it is asked for here, once.
pub fn reprieve_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // …/target/<profile>/deps/<test>
        let own = std::env::current_exe().unwrap();
        let folder = own.ancestors().nth(2).unwrap();
        let profile = folder.file_name().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--workspace", "--bins"]);
        if profile != "debug" {
            cargo.arg("--release");
        }
        // What cargo says to this test about its package would be taken for a change by build scripts that look at it:
        // half of the dependencies would be built anew, here and again by whoever comes next.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_MANIFEST") || name.starts_with("CARGO_PKG"))
            {
                cargo.env_remove(name);
            }
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the binary does not build");
        folder.join("reprieve")
    })
}

/// A home folder in which the binary runs. It goes away with the test.
pub struct Sandbox {
    home: TempDir,
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

impl Sandbox {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The default database.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.home().join(".local/share/reprieve/reprieve.db")
    }

    /// The binary with nothing in its environment but this home folder.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(reprieve_binary());
        command.env_clear().env("HOME", self.home()).current_dir(self.home());
        command
    }

    /// Runs a command line to its end.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        Outcome::of(self.command().args(arguments))
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outcome {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The same, if it succeeded and wrote nothing on standard error.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    /// The same, if it failed with this exit code and error code and wrote nothing on standard output.
    #[must_use]
    pub fn failed(self, exit_code: i32, error_code: &str) -> Self {
        assert_eq!(self.code, exit_code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.contains(&format!("code '{error_code}' and the message '")), "{self:?}");
        self
    }
}
