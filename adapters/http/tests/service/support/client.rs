//! A client that says what it does: `server.post(PATH).by(&alice).once("key").await`.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::{ADMIN_KEY, CORE_KEY, Person, Reply, Server, contract, soon};

pub(crate) struct Request<'a> {
    server: &'a Server,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(server: &'a Server, method: Method, path: &str) -> Self {
        Self { server, method, path: path.to_owned(), headers: HeaderMap::new(), body: None }
    }

    /// One header more.
    pub(crate) fn header(mut self, name: impl TryInto<HeaderName>, value: impl AsRef<[u8]>) -> Self {
        let Ok(name) = name.try_into() else { panic!("no name of a header") };
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// With a token of this identity.
    pub(crate) fn by(self, person: &Person) -> Self {
        let token = person.authorization(self.server.clock.now());
        self.header(AUTHORIZATION, token)
    }

    pub(crate) fn with_key(self, api_key: &str) -> Self {
        self.header("x-api-key", api_key)
    }

    /// For the own identity.
    pub(crate) fn with_core_key(self) -> Self {
        self.with_key(CORE_KEY)
    }

    pub(crate) fn with_admin_key(self) -> Self {
        self.with_key(ADMIN_KEY)
    }

    /// With an idempotency key.
    pub(crate) fn once(self, key: &str) -> Self {
        self.header("idempotency-key", format!("\"{key}\""))
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    async fn send(self) -> Reply {
        let Self { server, method, path, headers, body } = self;
        let url = format!("http://{}{path}", server.address);
        let mut request = server.client.request(method.clone(), url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = soon(request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = soon(response.bytes()).await.unwrap().to_vec();
        let reply = Reply { status, headers, body: String::from_utf8(body).unwrap() };
        contract::check(method.as_str(), &path, &reply);
        reply
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A client with a new connection for every request, so that none meets one that is just being closed.
pub(crate) fn new() -> reqwest::Client {
    builder().pool_max_idle_per_host(0).build().unwrap()
}

/// A client that speaks HTTP/2 from its first byte, over one connection.
pub(crate) fn http2() -> reqwest::Client {
    builder().http2_prior_knowledge().build().unwrap()
}

/// Without TLS, for which nobody has chosen a provider.
fn builder() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy()
}
