//! Without authentication: programs on this machine, and no page in a browser.

use reprieve_http::Settings;

use crate::support::{CONNECTOR, Deployment, OWN_PROCESSES, Person, Server, Wire, processes_of, settings};

const HOST: &str = "localhost:8080";

async fn started(deployment: &Deployment) -> Server {
    let open_hosts = vec![HOST.to_owned(), "[::1]:8080".to_owned()];
    deployment.start_with(Settings { open_hosts, ..settings() }).await
}

#[tokio::test]
async fn whoever_names_the_host_may_call_without_a_key() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment).await;
    let own = &deployment.own;
    for host in [HOST, "[::1]:8080"] {
        server.post(CONNECTOR).header("host", host).await.result(200);
        server.get(CONNECTOR).header("host", host).await.result(200);
        server.delete(CONNECTOR).header("host", host).await.result(200);
        server.get(&processes_of(own)).header("host", host).await.result(200);
        server.get("/api/v1/DeletionProcesses").header("host", host).await.result(200);
    }
    // An identity still has to prove that it is one.
    let anybody = server.get(OWN_PROCESSES).header("host", HOST).await;
    anybody.refused(401, "error.platform.unauthorized");
    server.get(OWN_PROCESSES).by(&Person::new()).header("host", HOST).await.result(200);
}

#[tokio::test]
async fn a_page_in_a_browser_may_not() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment).await;
    let admin = processes_of(&deployment.own);
    for (host, origin) in [
        // A name that somebody has made lead to this machine.
        ("evil.example", None),
        ("evil.example:8080", None),
        ("localhost.evil.example:8080", None),
        ("localhost", None),
        ("localhost:8081", None),
        ("127.0.0.1:8080", None),
        // A page that sends a form, from wherever.
        (HOST, Some("https://evil.example")),
        (HOST, Some("http://localhost:8080")),
        (HOST, Some("null")),
        (HOST, Some("")),
    ] {
        for method in ["POST", "GET", "DELETE"] {
            for (path, code) in
                [(CONNECTOR, "error.connector.forbidden"), (admin.as_str(), "error.platform.forbidden")]
            {
                if path == admin && method != "GET" {
                    continue;
                }
                let mut request = server.request(method, path).header("host", host);
                if let Some(origin) = origin {
                    request = request.header("origin", origin);
                }
                request.await.refused(403, code);
            }
        }
    }
    assert_eq!(deployment.stored(&deployment.own).await, []);
}

#[tokio::test]
async fn a_request_that_names_no_host_or_two_is_refused() {
    let deployment = Deployment::sqlite().await;
    let server = started(&deployment).await;
    for hosts in [String::new(), format!("host: {HOST}\r\nhost: {HOST}\r\n"), "host:\r\n".to_owned()] {
        let mut wire = Wire::connect(&server).await;
        wire.send(format!("POST {CONNECTOR} HTTP/1.1\r\n{hosts}content-length: 0\r\n\r\n")).await;
        let reply = wire.reply("POST", CONNECTOR).await.unwrap();
        reply.refused(403, "error.connector.forbidden");
    }
    assert_eq!(deployment.stored(&deployment.own).await, []);
}
