//! What the calling identity is, with its open process.

use std::sync::Arc;

use reprieve_domain::Identity;

use crate::ports::Identities;
use crate::{Caller, StoreError};

/// Reads the calling identity.
pub struct GetIdentity {
    identities: Arc<dyn Identities>,
}

impl GetIdentity {
    /// With its port.
    #[must_use]
    pub fn new(identities: Arc<dyn Identities>) -> Self {
        Self { identities }
    }

    /// The identity with its open process, be it Active or Deleting.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Identity, StoreError> {
        Ok(self.identities.load(&caller.address).await?.value)
    }
}
