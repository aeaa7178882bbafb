//! Events on standard output, for whoever runs the program and pipes them on.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{EventSink, SendError};
use reprieve_application::{OutgoingEvent, SinkName};
use reprieve_domain::FailureCode;
use tokio::sync::{mpsc, oneshot};

use crate::Messages;

/// How long a write may take, unless said otherwise. Whoever reads a pipe takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Writes every message as one line of JSON.
///
/// It does so on a thread of its own: a pipe that nobody reads stops that thread and nothing else, not even the end of the
/// program.
#[derive(Debug)]
pub struct StdoutSink {
    name: SinkName,
    messages: Messages,
    timeout: Duration,
    lines: mpsc::Sender<Lines>,
}

/// What is to be written at once, and who waits for it.
struct Lines {
    text: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

impl StdoutSink {
    /// Writes to the standard output of the program.
    ///
    /// # Errors
    /// If there is none, or no thread can be started.
    pub fn new(name: SinkName, messages: Messages) -> io::Result<Self> {
        // Not `io::stdout()` itself: its buffer keeps what could not be written, and writing to a closed one counts as done.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Self::writing_to(Box::new(stdout), name, messages)
    }

    /// Writes to something else.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn writing_to(output: Box<dyn Write + Send>, name: SinkName, messages: Messages) -> io::Result<Self> {
        let (lines, to_write) = mpsc::channel(1);
        std::thread::Builder::new().name(format!("events to {name}")).spawn(|| write(output, to_write))?;
        Ok(Self { name, messages, timeout: TIMEOUT, lines })
    }

    /// How long a write may take.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn write(&self, text: Vec<u8>) -> Result<(), FailureCode> {
        let writing = async {
            let (written, is_written) = oneshot::channel();
            let lines = Lines { text, written };
            // Both fail only if the thread is gone.
            self.lines.send(lines).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            is_written.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
        };
        match tokio::time::timeout(self.timeout, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::info!(sink = %self.name, %error, "an event was not written");
                Err(FailureCode::unreachable())
            }
            Err(_) => Err(FailureCode::timed_out()),
        }
    }
}

#[async_trait]
impl EventSink for StdoutSink {
    fn name(&self) -> &SinkName {
        &self.name
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        self.messages.are_any_about(event)
    }

    /// One, so that events stand in their order.
    fn concurrency(&self) -> usize {
        1
    }

    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        let mut text = Vec::new();
        for message in self.messages.about(event) {
            // There is no line break in it: JSON escapes those in texts.
            text.extend_from_slice(&message.body);
            text.push(b'\n');
        }
        // Nothing here depends on the event, so that another one would fare no better.
        self.write(text).await.map_err(SendError::Unreachable)
    }
}

/// Writes until nobody sends any more.
fn write(mut output: Box<dyn Write + Send>, mut to_write: mpsc::Receiver<Lines>) {
    let mut is_cut = false;
    while let Some(Lines { text, written }) = to_write.blocking_recv() {
        // What nobody waits for any more counts as not delivered and is sent again.
        if !written.is_closed() {
            let _ = written.send(write_lines(&mut output, &text, &mut is_cut));
        }
    }
}

/// Writes lines and flushes. `is_cut`: whether the last one that was begun has no end.
fn write_lines(output: &mut impl Write, lines: &[u8], is_cut: &mut bool) -> io::Result<()> {
    if *is_cut {
        // What is cut off must not swallow what comes next.
        output.write_all(b"\n")?;
        *is_cut = false;
    }
    let mut rest = lines;
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                *is_cut = rest.get(count.saturating_sub(1)) != Some(&b'\n');
                rest = rest.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}
