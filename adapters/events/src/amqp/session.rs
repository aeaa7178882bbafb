//! An open connection, on which messages are sent side by side and confirmed in whatever order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reprieve_application::SinkName;
use reprieve_application::ports::SendError;
use reprieve_domain::FailureCode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::decode::{Incoming, Received};
use super::encode::{Content, Publication, put_heartbeat, put_publication};
use super::handshake::Opened;
use super::unconfirmed::{Answer, Senseless, Unconfirmed};
use crate::failure;

/// How long the broker may take to hear that we go.
const FAREWELL: Duration = Duration::from_secs(1);
/// The code with which a connection is closed that is not needed any more.
const SUCCESS: u16 = 200;

/// An open connection. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Session(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or it is over.
    stirred: Notify,
    /// It is over.
    ended: Notify,
    longest_frame: usize,
}

#[derive(Debug)]
struct State {
    /// Frames that are to be written.
    outgoing: Vec<u8>,
    unconfirmed: Unconfirmed,
    /// When a message was last confirmed or refused.
    last_answer: Option<Instant>,
    /// Why it is over.
    over: Option<FailureCode>,
}

/// Why a connection is over.
enum Over {
    /// Nobody needs it any more.
    Unneeded,
    /// Nor does the broker take what is to be written.
    Abandoned,
    /// It broke off.
    Lost(std::io::Error),
    /// The broker does not show that it lives.
    Silent,
    /// The broker closes it, and why.
    Closed { code: u16, text: String },
    /// The broker says something that means nothing.
    Senseless,
}

impl From<Senseless> for Over {
    fn from(_: Senseless) -> Self {
        Self::Senseless
    }
}

impl Session {
    /// Begins to write and to read.
    pub(super) fn start(opened: Opened, sink: SinkName) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outgoing: Vec::new(),
                unconfirmed: Unconfirmed::new(),
                last_answer: None,
                over: None,
            }),
            stirred: Notify::new(),
            ended: Notify::new(),
            longest_frame: opened.longest_frame,
        });
        tokio::spawn(Arc::clone(&shared).run(opened, sink));
        Self(shared)
    }

    /// Sends a message, and waits until the broker has it.
    pub(super) async fn publish(&self, publication: &Publication<'_>) -> Result<(), SendError> {
        let (answer, answered) = oneshot::channel();
        self.0.put(publication, answer)?;
        // If nobody answers, the connection's task is gone with its runtime.
        answered.await.unwrap_or_else(|_| Err(SendError::Unreachable(failure::connection_lost())))
    }

    /// Ends the connection if nothing was answered since then: it is not worth waiting for.
    pub(super) fn give_up_if_silent_since(&self, since: Instant) {
        if self.0.state().last_answer.is_none_or(|answer| answer < since) {
            self.0.end(FailureCode::timed_out());
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.state().over.is_none()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.end(failure::connection_lost());
    }
}

impl State {
    /// Everybody who waits learns why.
    fn end(&mut self, why: FailureCode) {
        self.unconfirmed.fail_all(&why);
        self.over.get_or_insert(why);
    }

    fn answer(&mut self, tag: u64, multiple: bool, is_taken: bool) -> Result<(), Over> {
        self.unconfirmed.answer(tag, multiple, is_taken)?;
        self.last_answer = Some(Instant::now());
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, why: FailureCode) {
        self.state().end(why);
        self.stirred.notify_one();
        self.ended.notify_one();
    }

    fn put(&self, publication: &Publication<'_>, answer: Answer) -> Result<(), SendError> {
        let mut state = self.state();
        if let Some(why) = &state.over {
            return Err(SendError::Unreachable(why.clone()));
        }
        let was_idle = state.outgoing.is_empty();
        put_publication(&mut state.outgoing, publication, self.longest_frame)
            .map_err(|_| SendError::Refused(failure::too_long()))?;
        state.unconfirmed.push(publication.message_id, answer);
        drop(state);
        if was_idle {
            self.stirred.notify_one();
        }
        Ok(())
    }

    /// Until it is over.
    async fn run(self: Arc<Self>, opened: Opened, sink: SinkName) {
        let Opened { stream, incoming, heartbeat, .. } = opened;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let over = tokio::select! {
            over = self.read(&mut reader, incoming, heartbeat, &sink) => over,
            over = self.write(&mut writer, heartbeat) => over,
            () = self.abandoned() => Over::Abandoned,
        };
        let why = match &over {
            Over::Unneeded => {
                if let Ok(close) = Content::method(10, 50).u16(SUCCESS).short("") {
                    let close = close.u16(0).u16(0).into_frame(0);
                    let farewell = async {
                        writer.write_all(&close).await?;
                        writer.shutdown().await
                    };
                    // It is closed in any case.
                    let _ = timeout(FAREWELL, farewell).await;
                }
                failure::connection_lost()
            }
            Over::Abandoned => failure::connection_lost(),
            Over::Lost(error) => {
                tracing::info!(%sink, error = error as &dyn std::error::Error, "the connection to the broker is lost");
                failure::connection_lost()
            }
            Over::Silent => {
                tracing::info!(%sink, "the broker does not show that it lives");
                failure::connection_lost()
            }
            Over::Closed { code, text } => {
                tracing::info!(%sink, code, ?text, "the broker closes the connection");
                failure::amqp(*code)
            }
            Over::Senseless => {
                tracing::warn!(%sink, "the broker says something that means nothing");
                FailureCode::unexpected_answer()
            }
        };
        self.state().end(why);
    }

    /// It is over, and has been for so long that what is being written is not going to be.
    async fn abandoned(&self) {
        self.ended.notified().await;
        sleep(FAREWELL).await;
    }

    async fn read(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        mut incoming: Incoming,
        heartbeat: Option<Duration>,
        sink: &SinkName,
    ) -> Over {
        // Two may go missing, says the specification.
        let patience = heartbeat.map_or(Duration::MAX, |heartbeat| heartbeat * 2);
        loop {
            loop {
                match incoming.next() {
                    Err(_) => return Over::Senseless,
                    Ok(None) => break,
                    Ok(Some(received)) => {
                        if let Err(over) = self.handle(received, sink) {
                            return over;
                        }
                    }
                }
            }
            match timeout(patience, incoming.fill(reader)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Over::Lost(error),
                Err(_) => return Over::Silent,
            }
        }
    }

    fn handle(&self, received: Received, sink: &SinkName) -> Result<(), Over> {
        match received {
            Received::Ack { tag, multiple } => self.state().answer(tag, multiple, true),
            Received::Nack { tag, multiple } => self.state().answer(tag, multiple, false),
            Received::ReturnedHeader { message_id, .. } => {
                Ok(self.state().unconfirmed.mark_returned(message_id.as_deref())?)
            }
            Received::Heartbeat | Received::Return | Received::ReturnedBody(_) => Ok(()),
            Received::Blocked { reason } => {
                tracing::warn!(%sink, ?reason, "the broker takes no messages for now");
                Ok(())
            }
            Received::Unblocked => {
                tracing::info!(%sink, "the broker takes messages again");
                Ok(())
            }
            Received::Close { code, text } | Received::ChannelClose { code, text } => {
                Err(Over::Closed { code, text })
            }
            // Nothing else was asked for.
            _ => Err(Over::Senseless),
        }
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin), heartbeat: Option<Duration>) -> Over {
        let pause = heartbeat.map_or(Duration::MAX, |heartbeat| heartbeat / 2);
        // The two are exchanged, so that neither has to grow again.
        let mut frames = Vec::new();
        loop {
            {
                let mut state = self.state();
                if state.over.is_some() {
                    return Over::Unneeded;
                }
                std::mem::swap(&mut state.outgoing, &mut frames);
            }
            if frames.is_empty() && timeout(pause, self.stirred.notified()).await.is_ok() {
                continue;
            }
            if frames.is_empty() {
                put_heartbeat(&mut frames);
            }
            let written = async {
                writer.write_all(&frames).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                return Over::Lost(error);
            }
            frames.clear();
        }
    }
}
