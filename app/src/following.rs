//! `reprieve events follow`: how events are shown, and until when.

use std::time::Duration;

use async_trait::async_trait;
use reprieve_cli::{EventLines, Failure, UntilToldToStop};
use reprieve_events::{EventType, Format, Messages, schema};
use tokio::sync::watch;

use crate::event_configuration::EventConfiguration;
use crate::serve;

/// How long somebody may take to read what is just being shown when it is time to stop. A pipe can be full for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the types of events look like, by their names.
pub(crate) fn schemas() -> Vec<(&'static str, &'static str)> {
    EventType::ALL.map(|event_type| (event_type.name(), schema(event_type))).to_vec()
}

/// Events as any sink would be told of them.
pub(crate) fn lines(configuration: &EventConfiguration) -> EventLines {
    let messages = Messages::new(configuration.source.clone(), None, Format::CloudEvents);
    Box::new(move |event| {
        let text = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
        messages.about(event).map(|message| text(message.body)).collect()
    })
}

/// Goes on until the first signal.
struct UntilSignal(watch::Receiver<bool>);

#[async_trait]
impl UntilToldToStop for UntilSignal {
    async fn pause(&mut self, pause: Duration) -> bool {
        // It is never closed before it says so.
        tokio::time::timeout(pause, self.0.wait_for(|stop| *stop)).await.is_err()
    }
}

/// From now on a signal ends nothing by itself. Needs a runtime with a thread beside the one that shows events: while nobody
/// reads what is shown, that one waits for nothing else.
pub(crate) fn until_told_to_stop() -> Result<Box<dyn UntilToldToStop>, Failure> {
    let stopped = serve::shutdown_signal()?;
    let mut stopping = stopped.clone();
    tokio::spawn(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(PATIENCE).await;
        // What nobody reads is nobody's loss.
        std::process::exit(0);
    });
    Ok(Box::new(UntilSignal(stopped)))
}
