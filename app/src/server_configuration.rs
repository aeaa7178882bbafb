//! The section `server` of the configuration: which service to ask instead of the own database, and how.

use std::path::PathBuf;
use std::time::Duration;

use reprieve_remote::{RemoteOptions, ServerUrl};
use serde::{Deserialize, Serialize};

/// The section `server`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawServer {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    timeout_in_seconds: f64,
    /// Certificates (PEM) of the authorities to trust instead of the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
}

impl Default for RawServer {
    fn default() -> Self {
        Self { url: None, timeout_in_seconds: 10.0, ca_file: None }
    }
}

impl RawServer {
    /// Validates the section; an error names its key. Without a server there is nothing; an empty URL is none, so that an
    /// option can take back what a file says.
    pub(crate) fn validate(&mut self) -> Result<Option<RemoteOptions>, String> {
        self.url = self.url.take().filter(|url| !url.is_empty());
        let timeout = Duration::try_from_secs_f64(self.timeout_in_seconds)
            .ok()
            .filter(|timeout| (Duration::from_millis(1)..=Duration::from_hours(1)).contains(timeout))
            .ok_or("key server.timeout_in_seconds: must be between 0.001 and 3600")?;
        let Some(url) = &mut self.url else { return Ok(None) };
        let server: ServerUrl = url.parse().map_err(|error| format!("key server.url: {error}"))?;
        *url = server.to_string();
        Ok(Some(RemoteOptions { server, timeout, certificate_authorities: self.ca_file.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> RawServer {
        RawServer { url: Some(url.to_owned()), ..RawServer::default() }
    }

    #[test]
    fn without_a_url_or_with_an_empty_one_there_is_no_server() {
        assert!(RawServer::default().validate().unwrap().is_none());
        assert!(server("").validate().unwrap().is_none());
    }

    #[test]
    fn a_server_is_given_ten_seconds() {
        let options = server("https://REPRIEVE.example/").validate().unwrap().unwrap();
        assert_eq!(options.server.to_string(), "https://reprieve.example");
        assert_eq!(options.timeout, Duration::from_secs(10));
    }

    #[test]
    fn a_mistake_is_named_by_its_key_and_not_quoted() {
        let error = server("https://somebody:secret@reprieve.example").validate().unwrap_err();
        assert!(error.starts_with("key server.url: ") && !error.contains("secret"), "{error}");
        for timeout_in_seconds in [0.0, -1.0, f64::NAN, 3601.0] {
            let error = RawServer { timeout_in_seconds, ..RawServer::default() }.validate().unwrap_err();
            assert!(error.starts_with("key server.timeout_in_seconds: "), "{error}");
        }
    }
}
