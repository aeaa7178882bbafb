//! Makes sinks of their configuration.

use std::num::NonZeroUsize;
use std::sync::Arc;

use reprieve_application::ports::{Clock, EventSink};
use reprieve_application::{Coded, ErrorCode};
use reprieve_cli::Failure;
use reprieve_events::{
    AmqpSink, AmqpSinkOptions, NatsCredentials, NatsSink, NatsSinkOptions, NatsStream, StdoutSink,
    WebhookSink, WebhookSinkOptions,
};
use secrecy::ExposeSecret as _;

use crate::event_configuration::{EventConfiguration, SinkConfiguration, SinkTarget};

/// Makes a sink, without calling it.
pub(crate) fn sink(
    sink: &SinkConfiguration,
    all: &EventConfiguration,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn EventSink>, Failure> {
    let failed = |code, error: &dyn std::fmt::Display| {
        Failure::new(code, format!("key events.sinks ({}): {error}", sink.name))
    };
    let invalid = |member: &str, error: &dyn std::fmt::Display| {
        let code = ErrorCode::ConfigurationInvalid;
        Failure::new(code, format!("key events.sinks ({}), {member}: {error}", sink.name))
    };
    let concurrency = sink.concurrency.and_then(NonZeroUsize::new);
    let (name, messages) = (sink.name.clone(), sink.messages.clone());
    Ok(match &sink.target {
        SinkTarget::Webhook { url, secret, headers, allow_plaintext } => {
            let secret = secret.as_ref().map(|secret| secret.expose_secret().parse()).transpose();
            let options = WebhookSinkOptions {
                name,
                url: url.expose_secret().parse().map_err(|error| invalid("url", &error))?,
                secret: secret.map_err(|error| invalid("secret", &error))?,
                timeout: sink.timeout,
                concurrency: concurrency.unwrap_or(WebhookSinkOptions::DEFAULT_CONCURRENCY),
                messages,
                certificate_authorities: sink.ca_file.clone(),
                allow_plaintext: *allow_plaintext,
                allowed_hosts: all.allowed_hosts.clone(),
                headers: headers.clone(),
            };
            Arc::new(WebhookSink::new(options, clock.clone()).map_err(|error| failed(error.code(), &error))?)
        }
        SinkTarget::Amqp { url, exchange, routing_key, allow_plaintext } => {
            let options = AmqpSinkOptions {
                name,
                url: url.clone(),
                exchange: exchange.clone(),
                routing_key: routing_key.clone(),
                timeout: sink.timeout,
                concurrency: concurrency.map_or(AmqpSinkOptions::DEFAULT_CONCURRENCY, NonZeroUsize::get),
                messages,
                allow_plaintext: *allow_plaintext,
                certificate_authorities: sink.ca_file.clone(),
            };
            Arc::new(AmqpSink::new(options).map_err(|error| failed(error.code(), &error))?)
        }
        SinkTarget::Nats { urls, subject_prefix, stream, duplicate_window, allow_plaintext } => {
            let options = NatsSinkOptions {
                name,
                urls: urls.clone(),
                credentials: NatsCredentials::None,
                subject_prefix: subject_prefix.clone(),
                stream: stream
                    .as_ref()
                    .map(|name| NatsStream { name: name.clone(), duplicate_window: *duplicate_window }),
                timeout: sink.timeout,
                concurrency: concurrency.map_or(NatsSinkOptions::DEFAULT_CONCURRENCY, NonZeroUsize::get),
                messages,
                allow_plaintext: *allow_plaintext,
                certificate_authorities: sink.ca_file.clone(),
            };
            Arc::new(NatsSink::new(options).map_err(|error| failed(error.code(), &error))?)
        }
        SinkTarget::Stdout => {
            let stdout = StdoutSink::new(name, messages);
            let stdout = stdout.map_err(|error| failed(ErrorCode::SystemFailed, &error))?;
            // However short the lease is, it comes to an end within half of it.
            Arc::new(stdout.with_timeout(sink.timeout))
        }
    })
}
