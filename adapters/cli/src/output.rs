//! The one place that writes to standard output and standard error.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use reprieve_application::ErrorCode;
use serde::Serialize;
use serde_json::json;

use crate::{Failure, OutputFormat, printable};

/// Writes results and failures in the chosen format.
pub struct Output<'a> {
    format: OutputFormat,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    /// Writes results to `out` and failures to `err`.
    pub fn new(format: OutputFormat, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { format, out, err }
    }

    /// Calls `write` with an output to the standard streams. Colours are for terminals that were not told `NO_COLOR`.
    pub fn standard<R>(format: OutputFormat, write: impl FnOnce(&mut Output<'_>) -> R) -> R {
        let stdout = io::stdout();
        let choice = AutoStream::choice(&stdout);
        let choice = if format == OutputFormat::Json { ColorChoice::Never } else { choice };
        let (mut out, mut err) = (AutoStream::new(stdout, choice), io::stderr());
        write(&mut Output::new(format, &mut out, &mut err))
    }

    /// Writes the result of a command: `text` for people, or `json` as one document.
    ///
    /// # Errors
    /// If it cannot be written. That the reader went away is no error: it wanted no more.
    pub(crate) fn result(&mut self, json: &impl Serialize, text: &str) -> Result<(), Failure> {
        let written = match self.format {
            OutputFormat::Text => self.out.write_all(printable::lines(text).as_bytes()),
            OutputFormat::Json => serde_json::to_string_pretty(json)
                .map_err(io::Error::from)
                .and_then(|json| writeln!(self.out, "{}", printable::documents(&json))),
        };
        self.is_read(written).map(drop)
    }

    /// Writes a part of a result that has no end: `text` for people, or `json`, lines with a document each. Says whether
    /// somebody still reads.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn lines(
        &mut self,
        json: impl FnOnce() -> String,
        text: impl FnOnce() -> String,
    ) -> Result<bool, Failure> {
        let lines = match self.format {
            OutputFormat::Text => printable::lines(&text()).into_owned(),
            OutputFormat::Json => printable::documents(&json()).into_owned(),
        };
        let written = self.out.write_all(lines.as_bytes());
        self.is_read(written)
    }

    fn is_read(&mut self, written: io::Result<()>) -> Result<bool, Failure> {
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::new(
                ErrorCode::OutputFailed,
                format!("done, but the result cannot be written to standard output: {error}"),
            )),
        }
    }

    /// Writes what a person should know beside the result, to standard error: scripts read the Connector's exact words from
    /// standard output. In JSON, the result has it.
    pub(crate) fn notice(&mut self, text: &str) {
        if self.format == OutputFormat::Text {
            // A reader that went away wanted no more.
            let _ = self.err.write_all(printable::lines(text).as_bytes());
        }
    }

    /// Writes why a command failed.
    pub fn failure(&mut self, failure: &Failure) {
        let Failure { code, message } = failure;
        let line = match self.format {
            OutputFormat::Text => {
                let message = printable::value(message);
                format!("This command failed with the code '{code}' and the message '{message}'.")
            }
            OutputFormat::Json => {
                let json = json!({"error": {"code": code.as_str(), "message": message}}).to_string();
                printable::documents(&json).into_owned()
            }
        };
        // If standard error is closed as well, the exit code has to say it.
        let _ = writeln!(self.err, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_behind_standard_output_is_reported_and_a_closed_pipe_is_not() {
        for (kind, failed) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::BrokenPipe, false)] {
            let (mut out, mut err) = (Failing(kind), Vec::new());
            let mut output = Output::new(OutputFormat::Json, &mut out, &mut err);
            assert_eq!(output.result(&json!({}), "").is_err(), failed);
            let lines = output.lines(|| "{}\n".to_owned(), String::new);
            assert_eq!(lines.ok(), (!failed).then_some(false));
        }
    }

    #[test]
    fn a_failure_has_the_words_of_the_connector() {
        let failure = Failure::new(ErrorCode::RecordNotFound, "nothing here");
        for (format, expected) in [
            (
                OutputFormat::Text,
                "This command failed with the code 'error.runtime.recordNotFound' and the message 'nothing here'.\n",
            ),
            (
                OutputFormat::Json,
                "{\"error\":{\"code\":\"error.runtime.recordNotFound\",\"message\":\"nothing here\"}}\n",
            ),
        ] {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            Output::new(format, &mut out, &mut err).failure(&failure);
            assert_eq!(String::from_utf8(err).unwrap(), expected);
            assert!(out.is_empty());
        }
    }
}
