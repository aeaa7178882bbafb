//! What commands are given to read: checked texts, and files of a bounded size.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::str::FromStr;

use reprieve_application::ErrorCode;

use crate::Failure;

/// The longest line that is kept, in bytes. No address is as long.
const MAX_LINE: u64 = 4096;

/// What was typed, as an id, an address or a name.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: T::Err| Failure::new(ErrorCode::InvalidPropertyValue, format!("{text:?}: {error}")))
}

/// The whole of a text file, or of standard input for `-`, without space around it.
///
/// # Errors
/// If it cannot be read, is longer than `limit` bytes, or is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: usize) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let length = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    open(path)?.take(length).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let invalid = |problem: String| Failure::new(ErrorCode::InvalidPropertyValue, problem);
    if bytes.len() > limit {
        return Err(invalid(format!("{} has more than {limit} bytes", name(path))));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid(format!("{} is not text", name(path))))?;
    Ok(text.trim().to_owned())
}

/// The lines of a text file, or of standard input for `-`, however large it is. Lines with nothing in them are left out.
/// One that is too long, or not UTF-8, has a character in it that is in no address.
pub(crate) struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<Box<dyn Read + Send>>,
    is_first: bool,
    /// Why the lines ended early, if they did.
    pub(crate) failure: Option<Failure>,
}

impl<'a> Lines<'a> {
    /// Opens the file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(path: &'a Path) -> Result<Self, Failure> {
        Ok(Self { path, reader: BufReader::new(open(path)?), is_first: true, failure: None })
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if bytes.last() != Some(&b'\n') && self.reader.skip_until(b'\n')? > 0 {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        // Some editors begin a file with a byte order mark.
        let mark = if std::mem::take(&mut self.is_first) { "\u{feff}" } else { "" };
        Ok(Some(text.strip_prefix(mark).unwrap_or(&text).trim().to_owned()))
    }
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.failure.is_none() {
            match self.read() {
                Ok(Some(line)) if line.is_empty() => {}
                Ok(line) => return line,
                Err(error) => self.failure = Some(unreadable(self.path, &error)),
            }
        }
        None
    }
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if is_standard_input(path) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path).map_err(|error| unreadable(path, &error))?))
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied => ErrorCode::InvalidPropertyValue,
        _ => ErrorCode::SystemFailed,
    };
    Failure::new(code, format!("{} cannot be read: {error}", name(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reprieve_domain::Address;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_text_is_read_up_to_its_limit_and_no_further() {
        assert_eq!(read_text(file(b" abc\n").path(), 5).unwrap(), "abc");
        let too_long = file(b" abc\n");
        let failure = read_text(too_long.path(), 4).unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
        assert!(failure.message.ends_with("has more than 4 bytes"), "{}", failure.message);
        let failure = read_text(file(b"\xff").path(), 4).unwrap_err();
        assert!(failure.message.ends_with("is not text"), "{}", failure.message);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        for path in ["/no/such/file", "/"] {
            let failure = read_text(Path::new(path), 1).unwrap_err();
            assert_eq!(failure.code, ErrorCode::InvalidPropertyValue);
            assert!(failure.message.starts_with(&format!("{path} cannot be read: ")), "{}", failure.message);
        }
    }

    #[test]
    fn lines_are_trimmed_and_empty_ones_left_out() {
        let file = file(b"\xef\xbb\xbfone\r\n\n  two \n \nthree");
        let lines: Vec<String> = Lines::open(file.path()).unwrap().collect();
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_line_that_is_too_long_or_not_text_is_no_address_and_hides_no_other() {
        let long = format!("did:web:a{}b\n", " ".repeat(5000));
        let content = [long.as_bytes(), b"did:web:\xff\n", b"did:web:a\n"].concat();
        let file = file(&content);
        let is_address: Vec<bool> =
            Lines::open(file.path()).unwrap().map(|line| line.parse::<Address>().is_ok()).collect();
        assert_eq!(is_address, [false, false, true]);
    }

    #[test]
    fn lines_that_end_early_say_why() {
        let mut lines = Lines::open(Path::new("/")).unwrap();
        assert_eq!(lines.next(), None);
        assert_eq!(lines.failure.unwrap().code, ErrorCode::InvalidPropertyValue);
    }
}
