//! Who calls: identities, by a token.
//!
//! A token is a JWT of a configured issuer, or one that the identity signed with the key its address is derived from.
//! [`TokenRules`] decides which are accepted, without any input or output.

mod claims;
mod json;
mod jwk;
mod key_set;
mod refused;
mod settings;
mod signed_token;
mod token_rules;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use key_set::{InvalidKeySet, KeySet};
pub use refused::TokenRefused;
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
