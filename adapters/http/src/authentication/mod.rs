//! Who calls: identities by a token, others by an API key.
//!
//! A token is a JWT of a configured issuer, or one that the identity signed with the key its address is derived from.
//! [`TokenRules`] decides which are accepted, without any input or output; [`Authentication`] brings the issuer's keys and
//! the time.

mod api_key;
mod bearer;
mod claims;
mod issuer_keys;
mod json;
mod jwk;
mod key_set;
mod key_source;
mod refused;
mod settings;
mod signed_token;
mod token_rules;
mod verified_tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use reprieve_application::Caller;
use reprieve_application::ports::Clock;

use api_key::ApiKeys;
use issuer_keys::IssuerKeys;
use key_source::KeySource;
use signed_token::SignedToken;
use token_rules::Keys;

pub use api_key::{API_KEY_HEADER, ApiKey, ApiKeyDigest, InvalidApiKeyDigest, Scope};
pub use key_set::{InvalidKeySet, KeySet};
pub use key_source::KeysUnavailable;
pub use refused::{ApiKeyRefused, TokenRefused};
pub use settings::{
    AuthenticationSettings, InvalidAuthenticationSettings, IssuerSettings, KeysLocation, SelfSignedSettings,
};
pub use token_rules::TokenRules;

/// The longest token that is looked at, in bytes.
pub const MAXIMUM_TOKEN_LENGTH: usize = 8 * 1024;
/// The longest time, from `iat` to `exp`, for which an identity may sign a token. Nobody can withdraw such a token.
pub const MAXIMUM_LIFETIME: Duration = Duration::from_mins(5);
/// The longest leeway that can be configured.
pub const MAXIMUM_LEEWAY: Duration = Duration::from_mins(5);

/// Finds out who calls. Cheap to clone.
#[derive(Clone)]
pub struct Authentication {
    rules: Arc<TokenRules>,
    issuer_keys: Option<Arc<IssuerKeys>>,
    /// For tokens that bring their own.
    no_keys: Arc<Keys>,
    api_keys: Arc<ApiKeys>,
    clock: Arc<dyn Clock>,
}

impl Authentication {
    /// Authentication as these settings say. Reads no keys yet.
    ///
    /// # Errors
    /// If somebody could be let in who should not be.
    pub fn new(
        settings: AuthenticationSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidAuthenticationSettings> {
        let rules = TokenRules::new(&settings)?;
        let issuer_keys = settings.issuer.map(|IssuerSettings { keys, keys_trusted_for, .. }| {
            let source = KeySource::new(&keys)?;
            Ok::<_, InvalidAuthenticationSettings>(IssuerKeys::new(
                source,
                keys_trusted_for,
                Arc::clone(&clock),
            ))
        });
        Ok(Self {
            rules: Arc::new(rules),
            issuer_keys: issuer_keys.transpose()?,
            no_keys: Arc::default(),
            api_keys: Arc::new(ApiKeys::new(settings.api_keys)?),
            clock,
        })
    }

    /// Whether anybody can be let in at all.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.rules.accept_any() || !self.api_keys.is_empty()
    }

    /// Whether everybody who is configured can be let in: not while an issuer's keys are missing. Asks for them if there
    /// are none yet, at most once a minute.
    pub async fn is_ready(&self) -> bool {
        match &self.issuer_keys {
            Some(keys) => keys.are_available().await,
            None => true,
        }
    }

    /// How long ago the issuer's keys were fetched, in seconds; none if there is no issuer, or no keys of it.
    #[must_use]
    pub fn issuer_keys_age(&self) -> Option<f64> {
        self.issuer_keys.as_ref()?.age()
    }

    /// Fetches the issuer's keys once, if an issuer is configured, and says whether it is.
    ///
    /// # Errors
    /// If there are none: then its tokens are not accepted, unless keys were fetched before.
    pub async fn check_issuer(&self) -> Result<bool, KeysUnavailable> {
        let Some(keys) = &self.issuer_keys else { return Ok(false) };
        keys.fetch().await.map(|_| true)
    }

    /// The identity that calls, by the token in the headers of its request.
    ///
    /// # Errors
    /// Whatever is wrong with the token.
    pub async fn identity(&self, headers: &HeaderMap) -> Result<Caller, TokenRefused> {
        let token = SignedToken::parse(bearer::bearer_token(headers)?)?;
        let keys = match &self.issuer_keys {
            Some(keys) if token.header.jwk.is_none() => keys.for_token(&token.header).await?,
            _ => Arc::clone(&self.no_keys),
        };
        self.rules.check_again(&token, &keys, self.clock.moment())
    }

    /// The API key in the headers of a request that needs `scope`.
    ///
    /// # Errors
    /// If there is no known key, or it lacks the scope.
    pub fn api_key(&self, headers: &HeaderMap, scope: Scope) -> Result<&ApiKey, ApiKeyRefused> {
        self.api_keys.check(headers, scope, self.clock.now())
    }
}
