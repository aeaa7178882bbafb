//! Who is let in.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::api_key::ApiKeys;
use super::{ApiKey, MAXIMUM_LEEWAY, TokenRules, key_source};

/// Who is let in; by default nobody.
#[derive(Debug, Clone)]
pub struct AuthenticationSettings {
    /// Whose tokens identities may present.
    pub issuer: Option<IssuerSettings>,
    /// Whether identities may present tokens they signed themselves.
    pub self_signed: Option<SelfSignedSettings>,
    /// The keys for who does not call as an identity.
    pub api_keys: Vec<ApiKey>,
    /// By how much the clocks of those who make tokens may differ from this one.
    pub leeway: Duration,
}

impl AuthenticationSettings {
    /// The leeway where nothing else is said.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

    /// Whether [`Authentication`](super::Authentication) accepts these settings, as far as that can be told without making
    /// anything.
    ///
    /// # Errors
    /// If somebody could be let in who should not be.
    pub fn check(&self) -> Result<(), InvalidAuthenticationSettings> {
        TokenRules::new(self)?;
        ApiKeys::new(self.api_keys.clone())?;
        if let Some(IssuerSettings { keys: KeysLocation::Url(url), .. }) = &self.issuer {
            key_source::is_encrypted(url)?;
        }
        Ok(())
    }
}

impl Default for AuthenticationSettings {
    fn default() -> Self {
        Self { issuer: None, self_signed: None, api_keys: Vec::new(), leeway: Self::DEFAULT_LEEWAY }
    }
}

/// An issuer of tokens.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Its name: the claim `iss`, compared exactly.
    pub issuer: String,
    /// What this service is called in its tokens: one of them has to be in the claim `aud`, compared exactly.
    pub audiences: Vec<String>,
    /// Where its public keys are.
    pub keys: KeysLocation,
    /// How long after they were fetched its keys are used if they cannot be renewed.
    pub keys_trusted_for: Duration,
}

impl IssuerSettings {
    /// How long keys are used that cannot be renewed, where nothing else is said.
    pub const KEYS_TRUSTED_FOR: Duration = Duration::from_hours(1);
}

/// Where the public keys of an issuer are, as a JWK set (RFC 7517).
#[derive(Debug, Clone)]
pub enum KeysLocation {
    /// A file.
    File(PathBuf),
    /// An address on the web: `https`, or `http` on this machine.
    Url(Url),
}

/// Tokens that identities sign with the key that their address is derived from.
#[derive(Debug, Clone)]
pub struct SelfSignedSettings {
    /// What this service is called in tokens, its public URLs: one of them has to be the claim `aud`, compared exactly.
    pub audiences: Vec<String>,
}

/// Why nobody can be let in like that.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAuthenticationSettings {
    /// An issuer without a name.
    #[error("the issuer has no name")]
    Issuer,
    /// Without an audience, a token for any other service would do here.
    #[error("there is no audience, or an empty one")]
    Audience,
    /// A leeway that makes expired tokens useful.
    #[error("the leeway is longer than {} seconds", MAXIMUM_LEEWAY.as_secs())]
    Leeway,
    /// Keys from a place where others could replace them on the way.
    #[error("the issuer's keys must come through https, or through http from this machine")]
    InsecureKeysUrl,
    /// The client for the issuer's keys cannot be made.
    #[error("the client for the issuer's keys cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Two API keys with one name: logs could not tell them apart.
    #[error("there are two API keys with the name {0:?}")]
    ApiKeyName(String),
    /// The same API key under two names, so that which of the two it is depended on their order.
    #[error("the API keys {0:?} and {1:?} are the same")]
    SameApiKey(String, String),
}
