//! Logs, on standard error, and traces. They carry ids of requests and processes, never an address.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use reprieve_application::ErrorCode;
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
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if settings.is_some_and(|settings| settings.log_format == LogFormat::Json) {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
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
