//! 32 secret bytes in a file: 64 hexadecimal digits, readable by its owner only.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use reprieve_application::SecretKey;
use reprieve_application::ports::RandomSourceFailed;

use crate::folder;
use crate::ids::random_bytes;

/// A file that holds a secret which the configuration does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretFile {
    path: PathBuf,
}

/// Why there is no secret in the file.
#[derive(Debug)]
pub(crate) enum SecretFileError {
    /// The operating system says no.
    Io(io::Error),
    /// The file holds something else.
    NotASecret,
    /// No secret could be drawn.
    Random(RandomSourceFailed),
}

/// The secret that 64 hexadecimal digits are, without white space around them. One byte repeated is none: nobody draws
/// that.
pub(crate) fn parse(text: &str) -> Option<SecretKey> {
    let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = hexadecimal(*high)? << 4 | hexadecimal(*low)?;
    }
    let is_one_byte_repeated = bytes.iter().all(|byte| Some(byte) == bytes.first());
    (!is_one_byte_repeated).then(|| SecretKey::new(bytes))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn hexadecimal_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl SecretFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The secret in the file, or nothing if there is no file.
    pub(crate) fn read(&self) -> Result<Option<SecretKey>, SecretFileError> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SecretFileError::Io(error)),
            Ok(content) => std::str::from_utf8(&content)
                .ok()
                .and_then(parse)
                .map(Some)
                .ok_or(SecretFileError::NotASecret),
        }
    }

    /// Draws a secret and keeps it in the file, durably; returns the secret that is in the file, which is somebody
    /// else's if somebody else was faster. The file appears with its whole content or not at all, whatever is killed
    /// when.
    pub(crate) fn create(&self) -> Result<SecretKey, SecretFileError> {
        let secret = SecretKey::new(random_bytes().map_err(SecretFileError::Random)?);
        let name = random_bytes::<8>().map_err(SecretFileError::Random)?;
        let temporary = self.path.with_extension(format!("{}.tmp", hexadecimal_text(&name)));
        let written = self
            .write_new(&temporary, &hexadecimal_text(secret.expose()))
            // Unlike renaming, linking does not replace a file that is there already.
            .and_then(|()| match fs::hard_link(&temporary, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            })
            .and_then(|()| folder::sync(folder::of(&self.path)));
        // What is left behind if this fails is a secret that nobody uses.
        let _ = fs::remove_file(&temporary);
        written.map_err(SecretFileError::Io)?;
        self.read()?.ok_or_else(|| SecretFileError::Io(io::ErrorKind::NotFound.into()))
    }

    fn write_new(&self, path: &Path, text: &str) -> io::Result<()> {
        folder::make(folder::of(&self.path))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    }
}
