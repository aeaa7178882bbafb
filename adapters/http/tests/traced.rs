//! The service with a tracer. There is one tracer a process, so that these tests have one of their own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, in helpers as well as in test functions"
)]

#[path = "service/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests of the interfaces need more of it")]
mod support;

use std::sync::LazyLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reprieve_application::TraceContext;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use support::{CONNECTOR, Deployment, Noting, OWN_PROCESSES, Person};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A tracer that tells nobody.
static TRACER: LazyLock<SdkTracerProvider> = LazyLock::new(|| {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    tracing_subscriber::registry().with(layer).init();
    provider
});

/// Trace, span and flags.
fn parts(trace: &TraceContext) -> (String, String, String) {
    let parts: Vec<&str> = trace.parent.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{trace:?}");
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

#[tokio::test]
async fn a_step_comes_after_the_span_of_its_request() {
    LazyLock::force(&TRACER);
    let deployment = Deployment::sqlite().await;
    let (noting, server) = Noting::behind_a_service(&deployment).await;
    let request = server.post(OWN_PROCESSES).by(&Person::new());
    let request = request.header("traceparent", format!("00-{TRACE}-{SPAN}-01")).header("tracestate", "a=b");
    let _ = request.await.result(201);
    let noted = noting.noted().unwrap();
    let (trace, span, flags) = parts(&noted);
    assert_eq!((trace.as_str(), flags.as_str(), noted.state.as_deref()), (TRACE, "01", Some("a=b")));
    assert_ne!(span, SPAN);
}

#[tokio::test]
async fn without_a_client_that_traces_each_request_is_a_trace_of_its_own() {
    LazyLock::force(&TRACER);
    let deployment = Deployment::sqlite().await;
    let (noting, server) = Noting::behind_a_service(&deployment).await;
    let _ = server.post(CONNECTOR).with_core_key().await.result(200);
    let first = noting.noted().unwrap();
    let _ = server.delete(CONNECTOR).with_core_key().header("traceparent", "no trace").await.result(200);
    let second = noting.noted().unwrap();
    assert_ne!(parts(&first).0, parts(&second).0);
    assert_eq!((first.state, second.state), (None, None));
}
