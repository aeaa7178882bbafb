//! A token that an identity signs itself, to prove to a service who it is.

use std::fmt;

use reprieve_domain::{Address, DeviceId, Timestamp};
use secrecy::{ExposeSecret, SecretString};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityTokenClaims {
    /// The identity.
    pub address: Address,
    /// The device.
    pub device: DeviceId,
    /// The one service it is for.
    pub audience: String,
    /// From when it holds, in whole seconds.
    pub issued_at: Timestamp,
    /// Until when it holds, in whole seconds.
    pub expires_at: Timestamp,
    /// No two tokens have the same.
    pub id: [u8; 32],
}

/// A signed token. Whoever has it can act as the identity, at its audience and until it expires, so it is never printed
/// by accident.
#[derive(Clone)]
pub struct IdentityToken {
    text: SecretString,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl IdentityToken {
    /// From its text.
    #[must_use]
    pub fn new(text: String, expires_at: Timestamp) -> Self {
        Self { text: text.into(), expires_at }
    }

    /// The text, for whoever sends it or was asked to print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IdentityToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
