//! The own identity, created when it is needed first.

use std::sync::Arc;

use reprieve_domain::{Address, InvalidAddress};

use crate::ports::{Ids, OwnIdentities, RandomSourceFailed};
use crate::{Coded, ErrorCode, OwnIdentity, StoreError};

/// Provides the identity this installation acts for.
pub struct ProvideOwnIdentity {
    own_identities: Arc<dyn OwnIdentities>,
    ids: Arc<dyn Ids>,
    domain: String,
}

/// Why there is no own identity.
#[derive(Debug, thiserror::Error)]
pub enum ProvideOwnIdentityError {
    /// The configured domain makes no address.
    #[error("identity.domain: {0}")]
    Domain(InvalidAddress),
    /// No key or id could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProvideOwnIdentity {
    /// With its ports, and the host name that a new address is to contain.
    #[must_use]
    pub fn new(own_identities: Arc<dyn OwnIdentities>, ids: Arc<dyn Ids>, domain: String) -> Self {
        Self { own_identities, ids, domain }
    }

    /// The own identity: the one that is kept, or a new one. Of several that are made at the same time one is kept, and
    /// everybody gets that one.
    ///
    /// # Errors
    /// If there is none and none can be made, or if the store fails.
    pub async fn execute(&self) -> Result<OwnIdentity, ProvideOwnIdentityError> {
        if let Some(identity) = self.own_identities.load().await? {
            return Ok(identity);
        }
        let keys = self.ids.key_pair()?;
        let address =
            Address::for_public_key(&self.domain, &keys.public).map_err(ProvideOwnIdentityError::Domain)?;
        let identity = OwnIdentity { address, device: self.ids.device_id()?, keys };
        Ok(self.own_identities.keep(&identity).await?)
    }
}

impl Coded for ProvideOwnIdentityError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Domain(_) => ErrorCode::ConfigurationInvalid,
            Self::Random(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockIds, MockOwnIdentities};
    use crate::{KeyPair, SecretKey};

    fn ids() -> MockIds {
        let mut ids = MockIds::new();
        ids.expect_key_pair().returning(|| Ok(KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] }));
        ids.expect_device_id().returning(|| Ok("DVC0123456789abcdefg".parse().unwrap()));
        ids
    }

    #[tokio::test]
    async fn the_first_time_an_identity_is_made_whose_address_belongs_to_its_key() {
        let mut own = MockOwnIdentities::new();
        own.expect_load().returning(|| Ok(None));
        own.expect_keep().once().returning(|identity| Ok(identity.clone()));
        let use_case = ProvideOwnIdentity::new(Arc::new(own), Arc::new(ids()), "example.org".to_owned());
        let identity = use_case.execute().await.unwrap();
        assert!(identity.address.belongs_to(&[9; 32]));
        assert!(identity.address.as_str().starts_with("did:e:example.org:dids:"));
        assert!(!format!("{identity:?}").contains("7, 7"), "the secret key must not be printed");
    }

    #[tokio::test]
    async fn afterwards_none_is_made() {
        let mut own = MockOwnIdentities::new();
        let known = OwnIdentity {
            address: Address::for_public_key("example.org", &[9; 32]).unwrap(),
            device: "DVC0123456789abcdefg".parse().unwrap(),
            keys: KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] },
        };
        own.expect_load().returning(move || Ok(Some(known.clone())));
        own.expect_keep().never();
        let use_case =
            ProvideOwnIdentity::new(Arc::new(own), Arc::new(MockIds::new()), "other.org".to_owned());
        assert!(use_case.execute().await.unwrap().address.as_str().contains("example.org"));
    }

    #[tokio::test]
    async fn a_domain_that_makes_no_address_is_a_mistake_in_the_configuration() {
        let mut own = MockOwnIdentities::new();
        own.expect_load().returning(|| Ok(None));
        own.expect_keep().never();
        let use_case = ProvideOwnIdentity::new(Arc::new(own), Arc::new(ids()), "Not A Host".to_owned());
        assert_eq!(use_case.execute().await.unwrap_err().code(), ErrorCode::ConfigurationInvalid);
    }
}
