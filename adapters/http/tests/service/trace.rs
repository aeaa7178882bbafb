//! The trace of a request, as whoever stores its step sees it.

use std::future::IntoFuture as _;

use reprieve_application::TraceContext;

use crate::support::{CONNECTOR, Deployment, Noting, OWN_PROCESSES, Person, Request};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn trace(parent: &str, state: Option<&str>) -> TraceContext {
    TraceContext { parent: parent.to_owned(), state: state.map(ToOwned::to_owned) }
}

fn traced<'a>(request: Request<'a>, states: &[&str]) -> Request<'a> {
    states
        .iter()
        .fold(request.header("traceparent", PARENT), |request, state| request.header("tracestate", state))
}

#[tokio::test]
async fn a_step_is_a_part_of_the_trace_of_its_request() {
    let deployment = Deployment::sqlite().await;
    let (noting, server) = Noting::behind_a_service(&deployment).await;
    let own = || server.post(CONNECTOR).with_core_key();
    let _ = traced(own(), &[STATE]).await.result(200);
    assert_eq!(noting.noted(), Some(trace(PARENT, Some(STATE))));
    let _ = traced(server.delete(CONNECTOR).with_core_key(), &[]).await.result(200);
    assert_eq!(noting.noted(), Some(trace(PARENT, None)));
    // With a request that may come again as well.
    let once = server.post(OWN_PROCESSES).by(&Person::new()).once("a");
    let _ = traced(once, &["a=b", "c=d"]).await.result(201);
    assert_eq!(noting.noted(), Some(trace(PARENT, Some("a=b,c=d"))));
    let _ = own().await.result(200);
    assert_eq!(noting.noted(), None);
}

#[tokio::test]
async fn what_is_no_trace_is_carried_no_further_than_here() {
    let deployment = Deployment::sqlite().await;
    let (noting, server) = Noting::behind_a_service(&deployment).await;
    for parent in ["", "00", &PARENT.replace("00-4", "cc-4"), &PARENT.to_uppercase(), &format!("{PARENT}-01")]
    {
        let request = server.post(OWN_PROCESSES).by(&Person::new()).header("traceparent", parent);
        let _ = request.header("tracestate", STATE).await.result(201);
        assert_eq!(noting.noted(), None, "{parent}");
    }
    let request = server.post(OWN_PROCESSES).by(&Person::new());
    let _ = request.header("traceparent", PARENT).header("traceparent", PARENT).await.result(201);
    assert_eq!(noting.noted(), None);
    for state in [&b"a"[..], b"a=\xff", &[b'a'; 600], b"did:web:example.org"] {
        let request = server.post(OWN_PROCESSES).by(&Person::new()).header("traceparent", PARENT);
        let _ = request.header("tracestate", state).await.result(201);
        assert_eq!(noting.noted(), Some(trace(PARENT, None)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_handled_at_once_do_not_take_each_others_trace() {
    let deployment = Deployment::sqlite().await;
    let (noting, server) = Noting::behind_a_service(&deployment).await;
    let server = server.over_http2();
    let mut expected: Vec<String> =
        (1..=20).map(|number| format!("00-{number:032x}-00f067aa0ba902b7-01")).collect();
    let requests = expected.iter().map(|parent| {
        server.post(OWN_PROCESSES).by(&Person::new()).header("traceparent", parent).into_future()
    });
    for reply in futures_util::future::join_all(requests).await {
        let _ = reply.result(201);
    }
    let mut noted: Vec<String> = noting.all_noted().into_iter().map(|trace| trace.unwrap().parent).collect();
    noted.sort();
    expected.sort();
    assert_eq!(noted, expected);
}
