//! A clock that the programs of a test see and the test sets, by Debian's libfaketime.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A clock that is wrong by as much as the test says. What measures how long something takes is right.
pub struct FakeClock {
    folder: TempDir,
}

/// The library that makes a program see another time.
///
/// # Panics
/// If it is not installed.
#[must_use]
pub fn faketime() -> String {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let library = folders.iter().map(|folder| format!("{folder}/faketime/libfaketime.so.1"));
    library
        .into_iter()
        .find(|library| fs::exists(library).unwrap())
        .expect("libfaketime is not there: use tests/run")
}

impl FakeClock {
    /// One that is right.
    #[must_use]
    pub fn new() -> Self {
        // The user whom a server runs as has to be let in.
        let folder = tempfile::Builder::new().prefix("reprieve-clock.").tempdir_in("/tmp").unwrap();
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), everybody).unwrap();
        let clock = Self { folder };
        clock.set(0);
        clock
    }

    /// From now on it is ahead by so many seconds.
    pub fn set(&self, seconds: i64) {
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{seconds:+}\n")).unwrap();
        // At once: nobody must read half of it.
        fs::rename(next, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// What a program needs in its environment to see it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", faketime()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }

    /// Shows it to a program that is to be started.
    pub fn show_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.environment())
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}
