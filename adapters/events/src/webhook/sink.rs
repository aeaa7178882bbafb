//! Telling another service.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{Clock, EventSink, SendError};
use reprieve_application::{OutgoingEvent, SinkName};
use reprieve_domain::FailureCode;
use reprieve_outbound::{reach_at, tls_configuration};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Client, Response, redirect, retry};
use tokio::time::{Instant, timeout};
use url::Host;

use super::headers::header_map;
use super::resolver::{GuardedResolver, Names, PrivateTarget, SystemNames};
use super::{WebhookSinkError, WebhookSinkOptions};
use crate::{Format, Message};

/// How often an answer may ask for the same request elsewhere.
const MOST_REDIRECTS: u32 = 3;
/// How much of the body of an answer is read, so that the connection can be used again. What it says counts for nothing.
const LONGEST_ANSWER: usize = 64 << 10;
/// For how long it is read.
const LONGEST_READING: Duration = Duration::from_secs(1);
/// How long a connection is kept for the next event. Some servers close theirs after five seconds, and what is sent at that
/// very moment is lost.
const LONGEST_IDLENESS: Duration = Duration::from_secs(4);

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Tells a service of events. Neither a URL nor a log ever contains the address of an identity.
pub struct WebhookSink {
    client: Client,
    options: WebhookSinkOptions,
    headers: HeaderMap,
    clock: Arc<dyn Clock>,
    names: Arc<dyn Names>,
    tls: Arc<rustls::ClientConfig>,
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebhookSink").field("options", &self.options).finish_non_exhaustive()
    }
}

impl WebhookSink {
    /// With these options; the clock dates the signatures.
    ///
    /// # Errors
    /// If the service is told without encryption over a network and that is not allowed, if it is in a private network and
    /// not allowed by name, if there is no secret and the format needs one, or if headers or certificates cannot be used.
    pub fn new(options: WebhookSinkOptions, clock: Arc<dyn Clock>) -> Result<Self, WebhookSinkError> {
        Self::with_names(options, clock, Arc::new(SystemNames))
    }

    pub(super) fn with_names(
        options: WebhookSinkOptions,
        clock: Arc<dyn Clock>,
        names: Arc<dyn Names>,
    ) -> Result<Self, WebhookSinkError> {
        check(&options)?;
        let headers = header_map(&options.headers)?;
        let tls = tls_configuration(options.certificate_authorities.as_deref())?;
        let resolver = GuardedResolver::new(Arc::clone(&names), options.allowed_hosts.clone());
        let client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(Arc::new(resolver))
            // It would connect to where it likes, whoever may be called.
            .no_proxy()
            // Is counted as nobody being there; later, as this message not being answered.
            .connect_timeout(options.timeout / 2)
            .pool_idle_timeout(LONGEST_IDLENESS)
            .pool_max_idle_per_host(options.concurrency.get())
            .user_agent(concat!("reprieve/", env!("CARGO_PKG_VERSION")))
            // Those that are followed are followed below.
            .redirect(redirect::Policy::none())
            // Telling again is the worker's part.
            .retry(retry::never())
            .build()
            .map_err(|error| WebhookSinkError::Client(error.into()))?;
        Ok(Self { client, options, headers, clock, names, tls: Arc::new(tls) })
    }

    /// Connects as the client would, and asks nothing.
    async fn try_reach(&self) -> Result<(), FailureCode> {
        let (url, hosts) = (self.options.url.as_url(), &self.options.allowed_hosts);
        let addresses = match url.host() {
            Some(Host::Domain(name)) => {
                let found = self.names.addresses(name).await.map_err(|_| FailureCode::unreachable())?;
                let (allowed, private): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|address| hosts.may_connect(name, *address));
                if allowed.is_empty() && !private.is_empty() {
                    return Err(FailureCode::private_target());
                }
                allowed
            }
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            None => vec![],
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        reach_at(url, &addresses, &self.tls).await.map_err(|error| {
            tracing::info!(sink = %self.options.name, %error, "a webhook is not reached");
            FailureCode::unreachable()
        })
    }

    /// Sends one message.
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let began = Instant::now();
        let answered = timeout(self.options.timeout, self.post(message)).await;
        let response = answered.map_err(|_| SendError::Refused(FailureCode::timed_out()))??;
        let status = response.status();
        // Somebody counts on it that a message takes no longer than this.
        read(response, self.options.timeout.saturating_sub(began.elapsed())).await;
        if status.is_success() {
            Ok(())
        } else {
            Err(SendError::Refused(FailureCode::http_status(status.as_u16())))
        }
    }

    /// The last answer, after redirects that may be followed.
    async fn post(&self, message: &Message) -> Result<Response, SendError> {
        let seconds = self.clock.now().unix_micros().div_euclid(1_000_000);
        let signature =
            self.options.secret.as_ref().map(|secret| secret.sign(&message.id, seconds, &message.body));
        let mut url = self.options.url.as_url().clone();
        let mut redirects = 0;
        loop {
            let mut request = self
                .client
                .post(url.clone())
                .headers(self.headers.clone())
                .header(CONTENT_TYPE, message.content_type)
                .header(WEBHOOK_ID, &message.id)
                .header(WEBHOOK_TIMESTAMP, seconds);
            if let Some(signature) = &signature {
                request = request.header(WEBHOOK_SIGNATURE, signature);
            }
            let response =
                request.body(message.body.clone()).send().await.map_err(|error| self.failed(error))?;
            match self.options.url.redirect(&url, response.status(), response.headers()) {
                Some(next) if redirects < MOST_REDIRECTS => {
                    redirects += 1;
                    read(response, LONGEST_READING).await;
                    url = next;
                }
                _ => return Ok(response),
            }
        }
    }

    /// The code alone is kept, so that what is behind it is logged here.
    fn failed(&self, error: reqwest::Error) -> SendError {
        let error = error.without_url();
        tracing::info!(sink = %self.options.name, error = &error as &dyn Error, "a webhook gave no answer");
        if is_private_target(&error) {
            SendError::Unreachable(FailureCode::private_target())
        } else if error.is_connect() {
            SendError::Unreachable(FailureCode::unreachable())
        } else {
            SendError::Refused(FailureCode::unexpected_answer())
        }
    }
}

fn check(options: &WebhookSinkOptions) -> Result<(), WebhookSinkError> {
    let url = &options.url;
    if !url.is_encrypted() && !url.is_on_this_machine() && !options.allow_plaintext {
        return Err(WebhookSinkError::PlainHttp);
    }
    // An address in a URL is connected to without anybody looking it up.
    if let Some(host) = url.host().filter(|host| !options.allowed_hosts.may_call(host)) {
        return Err(WebhookSinkError::PrivateTarget { host: host.to_string() });
    }
    if options.secret.is_none() && options.messages.format() == Format::CloudEvents {
        return Err(WebhookSinkError::SecretMissing);
    }
    Ok(())
}

/// Reads what is left of an answer, within bounds. What breaks off here has been answered before.
async fn read(mut response: Response, longest: Duration) {
    let reading = async {
        let mut length = 0;
        while let Ok(Some(part)) = response.chunk().await {
            length += part.len();
            if length > LONGEST_ANSWER {
                return;
            }
        }
    };
    let _ = timeout(longest.min(LONGEST_READING), reading).await;
}

fn is_private_target(error: &(dyn Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(this) = error {
        if this.is::<PrivateTarget>() {
            return true;
        }
        error = this.source();
    }
    false
}

#[async_trait]
impl EventSink for WebhookSink {
    fn name(&self) -> &SinkName {
        &self.options.name
    }

    fn wants(&self, event: &OutgoingEvent) -> bool {
        self.options.messages.are_any_about(event)
    }

    fn concurrency(&self) -> usize {
        self.options.concurrency.get()
    }

    async fn send(&self, event: &OutgoingEvent) -> Result<(), SendError> {
        for message in self.options.messages.about(event) {
            self.deliver(&message).await?;
        }
        Ok(())
    }

    async fn reach(&self) -> Result<(), FailureCode> {
        // As with a message.
        let reached = timeout(self.options.timeout / 2, self.try_reach()).await;
        reached.unwrap_or_else(|_| Err(FailureCode::timed_out()))
    }
}
