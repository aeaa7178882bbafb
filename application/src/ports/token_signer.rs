//! Making a token out of what it is to say.

use crate::{IdentityTokenClaims, KeyPair};

/// Writes tokens in the form that services read.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait TokenSigner: Send + Sync {
    /// The token that says this, signed with the secret key and carrying the public one.
    fn sign(&self, claims: &IdentityTokenClaims, keys: &KeyPair) -> String;
}
