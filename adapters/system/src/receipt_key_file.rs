//! The deployment's key for receipts, in a file.

use std::io;
use std::path::{Path, PathBuf};

use reprieve_application::ports::RandomSourceFailed;
use reprieve_application::{Coded, ErrorCode, SecretKey};

use crate::secret_file::{self, SecretFile, SecretFileError};

/// A file that holds the Ed25519 key which receipts are signed with, if the configuration does not give one: 64
/// hexadecimal digits, which are the secret key of RFC 8032.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptKeyFile(SecretFile);

/// Why there is no key in the file.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptKeyFileError {
    /// The operating system says no.
    #[error("the receipt key file {path} cannot be used: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the receipt key file {path} does not hold 64 hexadecimal digits", path = .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// No key could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
}

impl Coded for ReceiptKeyFileError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ReceiptKeyUnusable
    }
}

/// Not 64 hexadecimal digits, or one byte repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a receipt key is 32 random bytes")]
pub struct InvalidReceiptKey;

/// The key that 64 hexadecimal digits are.
///
/// # Errors
/// If the text, without white space around it, is anything else, or the key is one byte repeated.
pub fn parse_receipt_key(text: &str) -> Result<SecretKey, InvalidReceiptKey> {
    secret_file::parse(text).ok_or(InvalidReceiptKey)
}

impl ReceiptKeyFile {
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
    pub fn read(&self) -> Result<Option<SecretKey>, ReceiptKeyFileError> {
        self.0.read().map_err(|error| self.failed(error))
    }

    /// Draws a key and keeps it in the file, as [`AuditKeyFile::create`](crate::AuditKeyFile::create) does.
    ///
    /// # Errors
    /// If the file cannot be written or holds no key.
    pub fn create(&self) -> Result<SecretKey, ReceiptKeyFileError> {
        self.0.create().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: SecretFileError) -> ReceiptKeyFileError {
        let path = self.path().to_owned();
        match error {
            SecretFileError::Io(source) => ReceiptKeyFileError::Io { path, source },
            SecretFileError::NotASecret => ReceiptKeyFileError::NotAKey { path },
            SecretFileError::Random(error) => ReceiptKeyFileError::Random(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_created_key_is_read_again_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = ReceiptKeyFile::new(folder.path().join("a/b/receipt-key"));
        assert!(file.read().unwrap().is_none());
        let key = file.create().unwrap();
        assert_eq!(file.read().unwrap().unwrap().expose(), key.expose());
        assert_eq!(file.create().unwrap().expose(), key.expose(), "a key that is there stays");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt-key");
        for content in ["", "00", &"00".repeat(32), &"0g".repeat(32)] {
            std::fs::write(&path, content).unwrap();
            let error = ReceiptKeyFile::new(&path).read().unwrap_err();
            assert_eq!(error.code(), ErrorCode::ReceiptKeyUnusable);
            assert!(matches!(error, ReceiptKeyFileError::NotAKey { .. }));
            assert!(parse_receipt_key(content).is_err());
        }
        assert!(matches!(ReceiptKeyFile::new(folder.path()).read(), Err(ReceiptKeyFileError::Io { .. })));
    }
}
