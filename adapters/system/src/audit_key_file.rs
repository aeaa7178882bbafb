//! The audit key in a file.

use std::io;
use std::path::{Path, PathBuf};

use reprieve_application::ports::RandomSourceFailed;
use reprieve_application::{Coded, ErrorCode};
use reprieve_domain::audit::{AuditKey, InvalidAuditKey};

use crate::secret_file::{self, SecretFile, SecretFileError};

/// A file that holds the audit key of a deployment which was not given one by its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKeyFile(SecretFile);

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
    secret_file::parse(text).ok_or(InvalidAuditKey).and_then(|secret| AuditKey::new(secret.expose()))
}

impl AuditKeyFile {
    /// The key file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(SecretFile::new(path.into()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The key in the file, or nothing if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or holds no key.
    pub fn read(&self) -> Result<Option<AuditKey>, AuditKeyFileError> {
        let secret = self.0.read().map_err(|error| self.failed(error))?;
        secret
            .map(|secret| AuditKey::new(secret.expose()))
            .transpose()
            .map_err(|_| self.failed(SecretFileError::NotASecret))
    }

    /// Draws a key and keeps it in the file, durably; returns the key that is in the file, which is somebody else's if
    /// somebody else was faster. The file appears with its whole content or not at all, whatever is killed when.
    ///
    /// # Errors
    /// If the file cannot be written or holds no key.
    pub fn create(&self) -> Result<AuditKey, AuditKeyFileError> {
        let secret = self.0.create().map_err(|error| self.failed(error))?;
        AuditKey::new(secret.expose()).map_err(|_| self.failed(SecretFileError::NotASecret))
    }

    fn failed(&self, error: SecretFileError) -> AuditKeyFileError {
        let path = self.path().to_owned();
        match error {
            SecretFileError::Io(source) => AuditKeyFileError::Io { path, source },
            SecretFileError::NotASecret => AuditKeyFileError::NotAKey { path },
            SecretFileError::Random(error) => AuditKeyFileError::Random(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
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
