//! An eraser that is another service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{Clock, EraseAnswer, ErasePlan, EraseRequest, Eraser};
use reprieve_domain::{Address, EraserName, FailureCode, Timestamp};
use reprieve_outbound::{reach, tls_configuration};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect, retry};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use url::Url;

use crate::{EraserUrl, HttpEraserError, SigningSecret};

/// The most that an answer may contain. The one that means something has about 15 bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// Nobody is asked more often, whatever he wishes.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Nobody is asked less often, whatever he wishes.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPRIEVE_ADDRESS: HeaderName = HeaderName::from_static("reprieve-address");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What has to be known of a service that erases.
#[derive(Debug, Clone)]
pub struct HttpEraserOptions {
    /// What it is called.
    pub name: EraserName,
    /// Where it is.
    pub url: EraserUrl,
    /// Proves to it that we ask.
    pub secret: SigningSecret,
    /// How long one whole answer may take.
    pub timeout: Duration,
    /// Whether it can say in advance what it would erase.
    pub asks_plan: bool,
    /// Whether the URL may be `http://` on another machine, for networks that encrypt by themselves.
    pub allow_plaintext: bool,
    /// A file with the certificates of the authorities to trust, instead of the public ones.
    pub certificate_authorities: Option<PathBuf>,
}

/// Asks a service to erase. Neither a URL nor a log ever contains the address of an identity.
#[derive(Debug)]
pub struct HttpEraser {
    client: Client,
    name: EraserName,
    url: EraserUrl,
    secret: SigningSecret,
    asks_plan: bool,
    clock: Clocked,
    tls: Arc<rustls::ClientConfig>,
    timeout: Duration,
}

/// Which clock it is says nothing.
struct Clocked(Arc<dyn Clock>);

impl std::fmt::Debug for Clocked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Clock")
    }
}

impl HttpEraser {
    /// With these options; the clock dates the signatures.
    ///
    /// # Errors
    /// If the service is asked without encryption over a network and that is not allowed, or if the certificates cannot
    /// be used.
    pub fn new(options: HttpEraserOptions, clock: Arc<dyn Clock>) -> Result<Self, HttpEraserError> {
        let HttpEraserOptions { name, url, secret, asks_plan, .. } = options;
        let tls = tls_configuration(options.certificate_authorities.as_deref())?;
        let timeout = options.timeout;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .timeout(timeout)
            .user_agent(concat!("reprieve/", env!("CARGO_PKG_VERSION")))
            // What is asked is for the eraser that was configured, and nobody else.
            .redirect(redirect::Policy::none())
            // Asking again is the worker's part.
            .retry(retry::never());
        if !url.is_encrypted() {
            if !url.is_on_this_machine() && !options.allow_plaintext {
                return Err(HttpEraserError::PlainHttp);
            }
            // It would read what was to stay on this machine.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| HttpEraserError::Client(error.into()))?;
        let (tls, clock) = (Arc::new(tls), Clocked(clock));
        Ok(Self { client, name, url, secret, asks_plan, clock, tls, timeout })
    }

    async fn try_erase(&self, request: &EraseRequest) -> Result<EraseAnswer, FailureCode> {
        let (asked, response) = match &request.poll {
            None => {
                let url = self.url.as_url().clone();
                (url.clone(), self.send_erase(url, request).await?)
            }
            Some(poll) => {
                // It comes from a database; others may have written there.
                let url = self
                    .url
                    .poll(self.url.as_url(), poll, &request.address)
                    .ok_or_else(FailureCode::unexpected_answer)?;
                let id = format!("poll_{}_{}", request.process_id, self.clock.0.now().unix_micros());
                let asking = self.signed(self.client.get(url.clone()), &id, "");
                (url, self.send(asking).await?)
            }
        };
        if response.status() != StatusCode::ACCEPTED {
            return match self.stated(response).await? {
                Stated::Nothing => Ok(EraseAnswer::Erased { count: 0 }),
                Stated::Members(Members { count: Some(count) }) => Ok(EraseAnswer::Erased { count }),
                Stated::Members(Members { count: None }) => Err(FailureCode::unexpected_answer()),
            };
        }
        let ask_in = wait(response.headers());
        let poll = match response.headers().get(LOCATION) {
            None => request.poll.clone(),
            Some(location) => {
                let location = location.to_str().ok();
                let url = location.and_then(|location| self.url.poll(&asked, location, &request.address));
                Some(url.ok_or_else(FailureCode::unexpected_answer)?.into())
            }
        };
        Ok(EraseAnswer::Working { poll, ask_in })
    }

    async fn send_erase(&self, url: Url, request: &EraseRequest) -> Result<Response, FailureCode> {
        let process = request.process_id.as_str();
        let body = json!({"processId": process, "address": request.address.as_str()}).to_string();
        let asking = self
            .signed(self.client.post(url), process, &body)
            .header(IDEMPOTENCY_KEY, process)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        self.send(asking).await
    }

    async fn try_plan(&self, address: &Address) -> Result<ErasePlan, FailureCode> {
        let mut value =
            HeaderValue::from_str(address.as_str()).map_err(|_| FailureCode::unexpected_answer())?;
        // Keeps it out of what libraries log.
        value.set_sensitive(true);
        let id = format!("plan_{}", self.clock.0.now().unix_micros());
        let asking = self.signed(self.client.get(self.url.as_url().clone()), &id, "");
        let response = self.send(asking.header(REPRIEVE_ADDRESS, value)).await?;
        if response.status() == StatusCode::ACCEPTED {
            return Err(FailureCode::unexpected_answer());
        }
        match self.stated(response).await? {
            Stated::Nothing => Ok(ErasePlan::Unknown),
            Stated::Members(Members { count }) => Ok(count.map_or(ErasePlan::Unknown, ErasePlan::Count)),
        }
    }

    /// Signs, with an id that begins like this and ends with the name of the eraser.
    fn signed(&self, request: RequestBuilder, id: &str, body: &str) -> RequestBuilder {
        // The parts of what is signed are separated by full stops, which a name may contain; a tilde it may not.
        let id = format!("{id}_{}", self.name.as_str().replace('.', "~"));
        let seconds = seconds(self.clock.0.now());
        request
            .header(ACCEPT, "application/json")
            .header(WEBHOOK_SIGNATURE, self.secret.sign(&id, seconds, body.as_bytes()))
            .header(WEBHOOK_TIMESTAMP, seconds)
            .header(WEBHOOK_ID, id)
    }

    /// The answer, if it is a good one.
    async fn send(&self, request: RequestBuilder) -> Result<Response, FailureCode> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(FailureCode::http_status(response.status().as_u16()))
        }
    }

    /// What an answer states, if it states that and nothing else: a sign-in page or the errors of a gateway would
    /// otherwise stand in the audit trail and in the receipt for good. A 204 states nothing beyond its status.
    async fn stated(&self, mut response: Response) -> Result<Stated, FailureCode> {
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Stated::Nothing);
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + part.len() > LONGEST_ANSWER {
                return Err(FailureCode::unexpected_answer());
            }
            body.extend_from_slice(&part);
        }
        // An array would do for a struct as well.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let members: Option<Members> = serde_json::from_slice(&body).ok().filter(|_| is_object);
        members.map(Stated::Members).ok_or_else(FailureCode::unexpected_answer)
    }

    /// The code alone is kept, so that what is behind it is logged here.
    fn failed(&self, error: reqwest::Error) -> FailureCode {
        let error = error.without_url();
        tracing::info!(eraser = %self.name, error = &error as &dyn std::error::Error, "an eraser gave no answer");
        if error.is_timeout() {
            FailureCode::timed_out()
        } else if error.is_connect() {
            FailureCode::unreachable()
        } else {
            FailureCode::unexpected_answer()
        }
    }
}

#[async_trait]
impl Eraser for HttpEraser {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        self.try_erase(request).await.unwrap_or_else(EraseAnswer::Failed)
    }

    async fn plan(&self, address: &Address) -> ErasePlan {
        if !self.asks_plan {
            return ErasePlan::Unknown;
        }
        self.try_plan(address).await.unwrap_or_else(ErasePlan::Failed)
    }

    async fn reach(&self) -> Result<(), FailureCode> {
        if self.url.is_encrypted() && is_a_proxy_configured() {
            // It may be the only way there.
            return Ok(());
        }
        match tokio::time::timeout(self.timeout, reach(self.url.as_url(), &self.tls)).await {
            Ok(reached) => reached.map_err(|error| {
                tracing::info!(eraser = %self.name, %error, "an eraser is not reached");
                FailureCode::unreachable()
            }),
            Err(_) => Err(FailureCode::timed_out()),
        }
    }
}

/// Whether the environment has requests sent through a proxy, as HTTP clients heed it.
fn is_a_proxy_configured() -> bool {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// What a good answer states.
enum Stated {
    /// It is a 204.
    Nothing,
    /// It has a body.
    Members(Members),
}

/// Every member that the body of a good answer may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(default, deserialize_with = "number")]
    count: Option<u64>,
}

/// A member that is there has to be a number; null is not one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// Unix time.
fn seconds(instant: Timestamp) -> i64 {
    instant.unix_micros().div_euclid(1_000_000)
}

/// In how many seconds the eraser wishes to be asked again, within reason.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(SHORTEST_WAIT, LONGEST_WAIT))
}
