//! Which routes there are: those of the OpenAPI document, and the documentation itself.

use std::collections::BTreeSet;

use crate::support::{DOCUMENT, Deployment};

const NOT_ALLOWED: &str = "error.connector.http.methodNotAllowed";
const NOWHERE: &str = "error.connector.http.routeDoesNotExist";
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"];

/// A path of the document as somebody asks for it.
fn asked(path: &str) -> String {
    path.replace("{id}", "IDP0123456789abcdefg").replace("{address}", "did:web:example.org")
}

fn paths() -> impl Iterator<Item = (&'static str, BTreeSet<String>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths.map(|(path, item)| {
        (path.as_str(), item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect())
    })
}

#[tokio::test]
async fn every_documented_operation_is_there_and_no_other() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let documentation = ["/docs", "/openapi.json"].map(|path| (path, BTreeSet::from(["GET".to_owned()])));
    for (path, methods) in paths().chain(documentation).filter(|(path, _)| *path != "/metrics") {
        for method in METHODS {
            let reply = server.request(method, &asked(path)).await;
            if methods.contains(method) {
                assert_ne!(reply.status, 405, "{method} {path}");
                assert_ne!(reply.status, 404, "{method} {path}");
                continue;
            }
            let reply = reply.refused(405, NOT_ALLOWED);
            let allowed: BTreeSet<_> = reply.header("allow").unwrap().split(',').map(str::to_owned).collect();
            // Whoever may GET may also ask for the head alone.
            let expected = methods.iter().cloned().chain(methods.contains("GET").then(|| "HEAD".to_owned()));
            assert_eq!(allowed, expected.collect(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn beside_and_above_the_routes_there_is_nothing() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    let mut nowhere: BTreeSet<String> =
        BTreeSet::from(["/", "/favicon.ico", "/openapi.yaml"].map(str::to_owned));
    for (path, _) in paths() {
        let path = asked(path);
        nowhere.extend([
            format!("{path}/"),
            format!("{path}/more/and/more"),
            path.to_uppercase(),
            format!("/{path}"),
        ]);
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            nowhere.extend((!parent.is_empty()).then(|| parent.to_owned()));
            above = parent;
        }
    }
    for (path, _) in paths() {
        nowhere.remove(&asked(path));
    }
    for path in nowhere {
        for request in
            [server.get(&path), server.get(&path).with_admin_key(), server.post(&path).with_core_key()]
        {
            request.await.refused(404, NOWHERE);
        }
    }
}

#[tokio::test]
async fn a_head_alone_is_that_of_the_whole_answer() {
    let deployment = Deployment::sqlite().await;
    let server = deployment.start().await;
    for path in ["/health/live", "/docs", "/api/core/v1/IdentityDeletionProcess", "/nowhere"] {
        let (whole, head) = (server.get(path).await, server.request("HEAD", path).await);
        assert_eq!((head.status, head.body.as_str()), (whole.status, ""));
        assert_eq!(head.header("content-type"), whole.header("content-type"));
    }
}
