//! The audit key in a file: 64 hexadecimal digits, readable by its owner only.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use reprieve_application::ports::RandomSourceFailed;
use reprieve_application::{Coded, ErrorCode};
use reprieve_domain::audit::{AuditKey, InvalidAuditKey};

use crate::ids::random_bytes;

/// A file that holds the audit key of a deployment which was not given one by its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKeyFile {
    path: PathBuf,
}

/// Why there is no key in the file.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyFileError {
    /// The operating system says no.
    #[error("the audit key file {path} cannot be used: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the audit key file {path} does not hold 64 hexadecimal digits", path = .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// No key could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
}

impl Coded for AuditKeyFileError {
    fn code(&self) -> ErrorCode {
        ErrorCode::AuditKeyUnusable
    }
}

/// The key that 64 hexadecimal digits are.
///
/// # Errors
/// If the text, without white space around it, is anything else, or the key is one byte repeated.
pub fn parse_audit_key(text: &str) -> Result<AuditKey, InvalidAuditKey> {
    let digits = text.trim().as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(hexadecimal(*high)? << 4 | hexadecimal(*low)?)).collect();
    match bytes {
        Some(bytes) if rest.is_empty() => AuditKey::new(&bytes),
        _ => Err(InvalidAuditKey),
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl AuditKeyFile {
    /// The key file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key in the file, or nothing if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or holds no key.
    pub fn read(&self) -> Result<Option<AuditKey>, AuditKeyFileError> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
            Ok(content) => std::str::from_utf8(&content)
                .ok()
                .and_then(|text| parse_audit_key(text).ok())
                .map(Some)
                .ok_or_else(|| AuditKeyFileError::NotAKey { path: self.path.clone() }),
        }
    }

    /// Draws a key and keeps it in the file, durably; returns the key that is in the file, which is somebody else's if
    /// somebody else was faster. The file appears with its whole content or not at all, whatever is killed when.
    ///
    /// # Errors
    /// If the file cannot be written or holds no key.
    pub fn create(&self) -> Result<AuditKey, AuditKeyFileError> {
        let key = random_bytes::<{ AuditKey::LENGTH }>()?;
        let name = random_bytes::<8>()?;
        let temporary = self.path.with_extension(format!("{}.tmp", hexadecimal_text(&name)));
        let written = self
            .write_new(&temporary, &hexadecimal_text(&key))
            // Unlike renaming, linking does not replace a file that is there already.
            .and_then(|()| match fs::hard_link(&temporary, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            })
            .and_then(|()| self.sync_folder());
        // What is left behind if this fails is a key that nobody uses.
        let _ = fs::remove_file(&temporary);
        written.map_err(|error| self.failed(error))?;
        self.read()?.ok_or_else(|| self.failed(io::ErrorKind::NotFound.into()))
    }

    fn write_new(&self, path: &Path, text: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder())?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn failed(&self, source: io::Error) -> AuditKeyFileError {
        AuditKeyFileError::Io { path: self.path.clone(), source }
    }
}

fn hexadecimal_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_created_key_is_read_again_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = AuditKeyFile::new(folder.path().join("sub/audit-key"));
        assert!(file.read().unwrap().is_none());
        let key = file.create().unwrap();
        assert_eq!(file.read().unwrap().unwrap().fingerprint(), key.fingerprint());
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn of_many_that_create_it_at_once_all_get_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-key");
        let fingerprints: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| AuditKeyFile::new(&path).create().unwrap().fingerprint().to_string()))
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        assert_eq!(fingerprints.len(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        assert!(parse_audit_key(&format!(" {good}\n")).is_ok());
        for text in
            ["", "00", &good[1..], &good.replace('f', "g"), &format!("{good}00"), &"00".repeat(32), "\u{e9}"]
        {
            assert!(parse_audit_key(text).is_err(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-key");
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(AuditKeyFile::new(&path).read(), Err(AuditKeyFileError::NotAKey { .. })));
        assert!(matches!(AuditKeyFile::new(folder.path()).read(), Err(AuditKeyFileError::Io { .. })));
    }

    proptest! {
        #[test]
        fn upper_and_lower_case_are_the_same_key(text in "[0-9A-Fa-f]{64}") {
            let fingerprint = |text: String| parse_audit_key(&text).map(|key| key.fingerprint());
            prop_assert_eq!(fingerprint(text.to_lowercase()), fingerprint(text.to_uppercase()));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "[0-9a-f]{0,62}.{0,4}") {
            let _ = parse_audit_key(&text);
        }
    }
}
