//! One request, one answer.

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use reprieve_application::IdentityToken;
use reprieve_domain::Timestamp;
use reprieve_outbound::tls_configuration;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, redirect, retry};

use crate::answer::Answer;
use crate::question::Question;
use crate::{RemoteError, ServerUrl};

/// The most that an answer may contain. A process has about 300 bytes.
const LONGEST_ANSWER: usize = 1 << 20;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A client for one server.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    server: ServerUrl,
}

impl Connection {
    /// `timeout` is how long a whole answer may take.
    pub(crate) fn new(
        server: ServerUrl,
        timeout: Duration,
        authorities: Option<&Path>,
    ) -> Result<Self, RemoteError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls_configuration(authorities)?)
            .timeout(timeout)
            .user_agent(concat!("reprieve/", env!("CARGO_PKG_VERSION")))
            // A token is for the server it names, and nobody else.
            .redirect(redirect::Policy::none())
            // Who asks again has to know about it.
            .retry(retry::never());
        if !server.is_encrypted() {
            // It would read what was to stay on this machine.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| RemoteError::Client(error.into()))?;
        Ok(Self { client, server })
    }

    pub(crate) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Sends a request and reads the whole answer, whatever it says.
    pub(crate) async fn ask(
        &self,
        question: Question<'_>,
        token: &IdentityToken,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, RemoteError> {
        let mut request = self
            .client
            .request(question.method(), question.url(&self.server))
            .header(ACCEPT, "application/json")
            .bearer_auth(token.expose());
        if let Some(body) = question.body() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        if let Some(key) = idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, format!("\"{key}\""));
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let date = date(response.headers());
        let mut answer = Answer {
            status: response.status(),
            date,
            retry_after: retry_after(response.headers(), date),
            body: Vec::new(),
        };
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
            if answer.body.len() + part.len() > LONGEST_ANSWER {
                return Err(RemoteError::unexpected(format!("more than {LONGEST_ANSWER} bytes")));
            }
            answer.body.extend_from_slice(&part);
        }
        Ok(answer)
    }

    fn failed(&self, error: reqwest::Error) -> RemoteError {
        let source = error.without_url();
        if source.is_connect() || source.is_builder() {
            RemoteError::Unreachable { server: self.server.clone(), source }
        } else {
            RemoteError::Unanswered(source)
        }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(DATE).and_then(http_date)
}

/// The form that every server writes (RFC 9110, section 5.6.7).
fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(value.to_str().ok()?).ok()?.to_utc().try_into().ok()
}

/// A number of seconds, or an instant by the server's clock.
fn retry_after(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    if let Some(seconds) = value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_secs(seconds));
    }
    let micros = http_date(value)?.micros_since(now?);
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(date: &str, retry: &str) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        HeaderMap::from_iter([(DATE, value(date)), (RETRY_AFTER, value(retry))])
    }

    #[test]
    fn how_long_to_wait_is_a_number_of_seconds_or_an_instant() {
        const DATE: &str = "Mon, 07 Dec 2026 20:03:07 GMT";
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Mon, 07 Dec 2026 20:03:37 GMT", Some(30)),
            ("Mon, 07 Dec 2026 20:03:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("99999999999999999999999", None),
        ] {
            let headers = headers(DATE, text);
            let waits = retry_after(&headers, date(&headers));
            assert_eq!(waits, seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&headers("never", "Mon, 07 Dec 2026 20:03:37 GMT"), None), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_it_panic(first in "[ -~]{0,40}", second in "[A-Z][a-z]{2}, [0-9]{2} Dec [0-9]{1,6} [0-9:]{8} (GMT|[+-][0-9]{4})") {
            for (one, other) in [(&first, &second), (&second, &first), (&second, &second)] {
                let headers = headers(one, other);
                let _ = retry_after(&headers, date(&headers));
            }
        }
    }
}
