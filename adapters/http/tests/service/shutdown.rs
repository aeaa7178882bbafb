//! Ending: what runs is finished, and nothing new begins.

use std::time::Duration;

use reprieve_http::{Ended, Settings};
use tokio::net::TcpStream;

use crate::support::{Deployment, OWN_PROCESSES, Person, Wire, settings, until};

#[tokio::test]
async fn a_request_that_runs_is_answered_and_no_other_is_taken_on() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let alice = Person::new();
    let mut idle = Wire::connect(&server).await;
    idle.send("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.reply("GET", "/health/live").await.unwrap().status, 200);
    let mut silent = Wire::connect(&server).await;
    let mut running = Wire::begun(&server, &alice, OWN_PROCESSES).await;

    server.stop();
    assert!(idle.is_closed().await);
    assert!(silent.is_closed().await);
    let address = server.address;
    until(async || TcpStream::connect(address).await.is_err()).await;
    assert!(!server.has_ended());

    running.send("{}").await;
    running.reply("POST", OWN_PROCESSES).await.unwrap().result(201);
    assert!(running.is_closed().await);
    assert_eq!(server.ended().await, Ended::Drained);
    assert_eq!(deployment.stored(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_shutdown_may_is_cut_off() {
    let deployment = Deployment::sqlite().await;
    let limits = Settings { shutdown_timeout: Duration::from_millis(100), ..settings() };
    let server = deployment.start_with(limits).await;
    let alice = Person::new();
    let mut running = Wire::begun(&server, &alice, OWN_PROCESSES).await;
    server.stop();
    assert_eq!(server.ended().await, Ended::CutOff);
    assert!(running.is_closed().await);
    assert_eq!(deployment.stored(&alice).await, []);
}

#[tokio::test]
async fn a_service_that_nobody_uses_ends_at_once() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start_with(Settings { connections: 1, ..settings() }).await;
    server.stop();
    assert_eq!(server.ended().await, Ended::Drained);
}
