//! HTTP/2 without TLS, as a reverse proxy may speak it: the same service.

use std::future::IntoFuture as _;

use futures_util::future::{join, join_all};
use reprieve_http::{Ended, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{CONNECTOR, Deployment, OWN_PROCESSES, Person, after, cancel_of, settings, until};

#[tokio::test]
async fn the_interfaces_are_the_same() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await.over_http2();
    let alice = Person::new();
    let id = server.initiated(&alice).await;
    let refused = server.post(OWN_PROCESSES).by(&alice).body(r#"{"lengthOfGracePeriodInDays": 0}"#).await;
    refused.refused(400, "error.platform.validation.invalidPropertyValue");
    server.put(&cancel_of(&id)).by(&alice).await.result(200);
    assert_eq!(server.get(CONNECTOR).await.status, 401);
    server.delete(OWN_PROCESSES).await.refused(405, "error.connector.http.methodNotAllowed");
    server.get("/nowhere").await.refused(404, "error.connector.http.routeDoesNotExist");
}

#[tokio::test]
async fn many_requests_share_a_connection_and_one_process_comes_of_them() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { connections: 1, ..settings() }).await.over_http2();
    let alice = Person::new();
    let replies =
        join_all((0..32).map(|_| server.post(OWN_PROCESSES).by(&alice).once("key").into_future())).await;
    assert!(replies.iter().all(|reply| reply.repeated() == replies[0].repeated()));
    assert_eq!(server.listed(&alice).await, json!([replies[0].result(201)]));
}

#[tokio::test]
async fn a_client_is_told_how_many_requests_may_share_a_connection() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // What a client begins with: the preface, and settings which are all the default ones.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // The service's settings: length, type, flags and stream, then an id and a value each (RFC 9113, section 6.5).
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0]);
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let (settings, _) = settings.as_chunks::<6>();
    let streams = settings.iter().find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(streams[2..], 32_u32.to_be_bytes());
}

#[tokio::test]
async fn a_request_that_runs_when_the_service_ends_is_answered() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await.over_http2();
    let lock = deployment.lock().await;
    let asked = deployment.clock.asked();
    let running = server.post(OWN_PROCESSES).header("authorization", Person::new().authorization(after(0)));
    let ending = async {
        // The token is being looked at, and then nothing but the database is in the way.
        until(async || deployment.clock.asked() > asked).await;
        server.stop();
        until(async || TcpStream::connect(server.address).await.is_err()).await;
        drop(lock);
    };
    join(running.into_future(), ending).await.0.result(201);
    assert_eq!(server.ended().await, Ended::Drained);
}

#[tokio::test]
async fn a_program_on_this_machine_names_its_host_in_another_place() {
    let deployment = Deployment::sqlite().await;
    let start = |host: fn(String) -> String| {
        deployment
            .start_at(move |address| Settings { open_hosts: vec![host(address.to_string())], ..settings() })
    };
    let server = start(|address| address).await.over_http2();
    server.post(CONNECTOR).await.result(200);
    let of_a_page = server.post(CONNECTOR).header("origin", "http://localhost").await;
    of_a_page.refused(403, "error.connector.forbidden");
    let another = start(|address| format!("{address}0")).await.over_http2();
    another.delete(CONNECTOR).await.refused(403, "error.connector.forbidden");
}
