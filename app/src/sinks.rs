//! Makes sinks of their configuration.

use std::sync::Arc;

use reprieve_application::ErrorCode;
use reprieve_application::ports::{Clock, EventSink};
use reprieve_cli::Failure;

use crate::event_configuration::{EventConfiguration, SinkConfiguration, SinkTarget};

fn invalid(sink: &SinkConfiguration, error: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::ConfigurationInvalid, format!("key events.sinks ({}): {error}", sink.name))
}

/// Makes a sink, without calling it.
pub(crate) fn sink(
    sink: &SinkConfiguration,
    all: &EventConfiguration,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn EventSink>, Failure> {
    let _ = (all, clock, &sink.target);
    match &sink.target {
        SinkTarget::Webhook { .. }
        | SinkTarget::Amqp { .. }
        | SinkTarget::Nats { .. }
        | SinkTarget::Stdout => Err(invalid(sink, "not there")),
    }
}
