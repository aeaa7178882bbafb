//! Where the keys of an issuer come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use url::{Host, Url};

use super::key_set::InvalidKeySet;
use super::{InvalidAuthenticationSettings, KeySet, KeysLocation};

/// How much is read, in bytes. A set of keys has a few thousand.
const MAXIMUM_LENGTH: usize = 1024 * 1024;
/// How long it may take. Callers whose key is not known yet wait for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A place that is asked for the keys again and again.
#[derive(Debug)]
pub(super) enum KeySource {
    File(PathBuf),
    Url { client: Client, url: Url },
}

/// Why the keys of the issuer are not there.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnavailable {
    /// The file cannot be read.
    #[error("the file {path} cannot be read", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The issuer is not reached, or is not to be trusted.
    #[error("the issuer cannot be asked")]
    Request(#[source] reqwest::Error),
    /// The issuer has no keys there.
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    /// The issuer does not answer in time.
    #[error("it takes longer than {} seconds", TIMEOUT.as_secs())]
    TimedOut,
    /// More than a set of keys has.
    #[error("the keys are longer than {MAXIMUM_LENGTH} bytes")]
    TooLong,
    /// What is there is no set of keys.
    #[error(transparent)]
    Invalid(#[from] InvalidKeySet),
}

impl KeySource {
    pub(super) fn new(location: &KeysLocation) -> Result<Self, InvalidAuthenticationSettings> {
        Ok(match location {
            KeysLocation::File(path) => Self::File(path.clone()),
            KeysLocation::Url(url) => Self::Url { client: client(url)?, url: url.clone() },
        })
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
        let text = async {
            match self {
                Self::File(path) => read(path).await,
                Self::Url { client, url } => download(client, url.clone()).await,
            }
        };
        let text = tokio::time::timeout(TIMEOUT, text).await.map_err(|_| KeysUnavailable::TimedOut)??;
        Ok(KeySet::parse(&text)?)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, KeysUnavailable> {
    let failed = |source| KeysUnavailable::File { path: path.to_owned(), source };
    let file = File::open(path).await.map_err(failed)?;
    let mut text = Vec::new();
    // One byte more than allowed tells a text that is too long; a device that never ends is no trouble.
    let limit = u64::try_from(MAXIMUM_LENGTH).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut text).await.map_err(failed)?;
    if text.len() > MAXIMUM_LENGTH { Err(KeysUnavailable::TooLong) } else { Ok(text) }
}

async fn download(client: &Client, url: Url) -> Result<Vec<u8>, KeysUnavailable> {
    // Whoever put a secret into the address does not expect it in logs.
    let failed = |error: reqwest::Error| KeysUnavailable::Request(error.without_url());
    let mut response = client.get(url).send().await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(KeysUnavailable::Status(response.status()));
    }
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if text.len() + chunk.len() > MAXIMUM_LENGTH {
            return Err(KeysUnavailable::TooLong);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// A client for this address alone: it follows no redirect, so nothing can send it to another host.
fn client(url: &Url) -> Result<Client, InvalidAuthenticationSettings> {
    let secure = is_encrypted(url)?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls(secure).map_err(failed)?)
        .https_only(secure)
        .redirect(redirect::Policy::none());
    // A proxy would carry what is meant to stay on this machine away from it.
    let builder = if secure { builder } else { builder.no_proxy() };
    builder.build().map_err(failed)
}

/// Whether what comes from there is encrypted, as it has to be unless it comes from this machine.
pub(super) fn is_encrypted(url: &Url) -> Result<bool, InvalidAuthenticationSettings> {
    match url.scheme() {
        "https" => Ok(true),
        "http" if is_this_machine(url) => Ok(false),
        _ => Err(InvalidAuthenticationSettings::InsecureKeysUrl),
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> InvalidAuthenticationSettings {
    InvalidAuthenticationSettings::Client(Box::new(error))
}

/// TLS by ring, with the certificate authorities of the operating system; none where they are not needed.
fn tls(secure: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = if secure {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
