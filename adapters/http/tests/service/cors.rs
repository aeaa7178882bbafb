//! Pages of the origins that are configured may call, and those of no other.

use reprieve_http::Settings;

use crate::support::{CONNECTOR, Deployment, OWN_PROCESSES, Person, Reply, Server, settings};

const APP: &str = "https://app.example.org";
const ALLOWED_ORIGIN: &str = "access-control-allow-origin";

async fn started(deployment: &Deployment, origins: &[&str]) -> Server {
    let allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    deployment.start_with(Settings { allowed_origins, ..settings() }).await
}

/// What a browser asks before it sends a request that a form could not send.
async fn ask_before(server: &Server, path: &str, method: &str, origin: &str) -> Reply {
    let request = server.request("OPTIONS", path).header("origin", origin);
    let headers = "authorization,content-type,idempotency-key,x-api-key";
    request
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers)
        .await
}

#[tokio::test]
async fn a_configured_origin_may_send_every_request_that_the_interfaces_know() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment, &["https://other.example.org", APP]).await;
    for (path, method) in
        [(CONNECTOR, "POST"), (CONNECTOR, "DELETE"), (OWN_PROCESSES, "GET"), (OWN_PROCESSES, "PUT")]
    {
        let reply = ask_before(&server, path, method, APP).await;
        assert_eq!((reply.status, reply.header(ALLOWED_ORIGIN)), (200, Some(APP)));
        let methods = reply.header("access-control-allow-methods").unwrap().to_owned();
        assert!(methods.split(',').any(|allowed| allowed == method), "{methods}");
        let headers = reply.header("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "idempotency-key", "x-api-key"] {
            assert!(headers.split(',').any(|allowed| allowed == name), "{headers}");
        }
        // Cookies play no part, and must not begin to.
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    let begun = server.post(OWN_PROCESSES).by(&Person::new()).header("origin", APP).await;
    assert_eq!((begun.status, begun.header(ALLOWED_ORIGIN)), (201, Some(APP)));
    let refused = server.get(CONNECTOR).header("origin", APP).await;
    assert_eq!((refused.status, refused.header(ALLOWED_ORIGIN)), (401, Some(APP)));
}

#[tokio::test]
async fn no_other_origin_may_read_an_answer() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment, &[APP]).await;
    for origin in [
        "https://app.example.org.evil.example",
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://APP.example.org",
        "https://app.example.org/",
        "null",
        "*",
        "",
    ] {
        let before = ask_before(&server, CONNECTOR, "POST", origin).await;
        assert_eq!(before.header(ALLOWED_ORIGIN), None, "{origin}");
        let reply = server.get("/health/live").header("origin", origin).await;
        assert_eq!((reply.status, reply.header(ALLOWED_ORIGIN)), (200, None), "{origin}");
    }
}

#[tokio::test]
async fn what_is_no_origin_allows_none() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment, &["*", "", "a\nb"]).await;
    for origin in ["*", APP, "null", ""] {
        let reply = ask_before(&server, CONNECTOR, "POST", origin).await;
        assert_ne!(reply.header(ALLOWED_ORIGIN), Some(APP));
        let live = server.get("/health/live").header("origin", APP).await;
        assert_eq!((live.status, live.header(ALLOWED_ORIGIN)), (200, None));
    }
}
