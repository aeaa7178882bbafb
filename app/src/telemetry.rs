//! Logs, on standard error, and traces. They carry ids of requests and processes, never an address.

use std::borrow::Cow;
use std::io::{self, Write};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use reprieve_application::ErrorCode;
use reprieve_cli::printable::{documents, lines};
use reprieve_cli::{Arguments, Failure};
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::http_configuration::{LogFormat, RawTelemetry};

/// Ends with what it has not sent yet.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

/// Starts logging: for a command warnings, for the service also what it does; more with `verbose`. If an endpoint is
/// configured, the service's traces are sent there.
///
/// # Errors
/// If the endpoint is none.
pub(crate) fn start(arguments: &Arguments, settings: Option<&RawTelemetry>) -> Result<Telemetry, Failure> {
    let is_service = arguments.command.is_service();
    let own = match arguments.options.verbose + u8::from(is_service) {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Libraries below log statements and values; they are not let through, however verbose.
    let filter = Targets::new()
        .with_target("reprieve", own)
        // It shows a line of the file of passwords that it cannot read.
        .with_target("sqlx_postgres::options::pgpass", LevelFilter::OFF)
        .with_default(Level::WARN);
    let settings = settings.filter(|_| is_service);
    let layer = tracing_subscriber::fmt::layer();
    let layer = if settings.is_some_and(|settings| settings.log_format == LogFormat::Json) {
        layer.with_writer(|| Lines(documents)).json().flatten_event(true).boxed()
    } else {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        layer.with_writer(|| Lines(one_line)).with_ansi(is_terminal).boxed()
    };
    let exported = settings.and_then(|settings| settings.otlp_endpoint.as_deref()).map(tracer).transpose()?;
    let (provider, tracer) = exported.unzip();
    let tracing = tracer.map(|tracer| {
        let spans = Targets::new().with_target("reprieve", Level::INFO);
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(spans)
    });
    // Fails only if somebody else started logging, and then it is started.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).with(tracing).try_init();
    Ok(Telemetry(provider))
}

/// Standard error, to which every event is written at once. What is logged may quote what comes from databases and peers: it stays
/// within its line.
struct Lines(for<'a> fn(&'a str) -> Cow<'a, str>);

fn one_line(event: &str) -> Cow<'_, str> {
    match event.strip_suffix('\n') {
        Some(line) if line.contains('\n') => {
            lines(&(line.replace('\n', "\\u{a}") + "\n")).into_owned().into()
        }
        _ => lines(event),
    }
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().write_all((self.0)(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn tracer(endpoint: &str) -> Result<(SdkTracerProvider, Tracer), Failure> {
    // Fails only if there is a provider already. Without one, the exporter's client would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().map_err(|error| {
        Failure::new(ErrorCode::ConfigurationInvalid, format!("key telemetry.otlp_endpoint: {error}"))
    })?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("reprieve").build())
        .with_batch_exporter(exporter)
        .build();
    let tracer = provider.tracer("reprieve");
    Ok((provider, tracer))
}

impl Telemetry {
    /// Sends what is left.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_within_its_line() {
        let event = "WARN reprieve: error=gone\n\u{1b}[2KINFO reprieve: all is well\u{9b}\n";
        assert_eq!(
            one_line(event),
            "WARN reprieve: error=gone\\u{a}\\u{1b}[2KINFO reprieve: all is well\\u{9b}\n"
        );
        let coloured = "\u{1b}[2m2026\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m\n";
        assert!(matches!(one_line(coloured), Cow::Owned(line) if line == coloured));
        assert!(matches!(one_line("plain\n"), Cow::Borrowed("plain\n")));
    }
}
