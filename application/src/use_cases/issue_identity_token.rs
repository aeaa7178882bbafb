//! A token to call a service with.

use std::sync::Arc;

use reprieve_domain::Timestamp;

use crate::ports::{Clock, Ids, RandomSourceFailed, TokenSigner};
use crate::{Coded, ErrorCode, IdentityToken, IdentityTokenClaims, OwnIdentity};

const SECOND: i64 = 1_000_000;

/// Issues tokens that the own identity signs.
pub struct IssueIdentityToken {
    identity: OwnIdentity,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    signer: Arc<dyn TokenSigner>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IssueIdentityTokenError {
    /// A token for nobody in particular would be good everywhere.
    #[error("the audience of a token must not be empty")]
    NoAudience,
    /// The clock shows a time with which no token can be made.
    #[error("the clock is at the end of the calendar")]
    BeyondCalendar,
    /// No id could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
}

impl IssueIdentityToken {
    /// How long a token holds, in microseconds: five minutes, the most that a service accepts.
    pub const LIFETIME: i64 = 300 * SECOND;

    /// For this identity, with its ports.
    #[must_use]
    pub fn new(
        identity: OwnIdentity,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        signer: Arc<dyn TokenSigner>,
    ) -> Self {
        Self { identity, clock, ids, signer }
    }

    /// A new token for the service that calls itself `audience`.
    ///
    /// # Errors
    /// If there is no audience, or no randomness to be had.
    pub fn execute(&self, audience: &str) -> Result<IdentityToken, IssueIdentityTokenError> {
        if audience.is_empty() {
            return Err(IssueIdentityTokenError::NoAudience);
        }
        let issued_at = whole_seconds(self.clock.now());
        let expires_at =
            issued_at.checked_add_micros(Self::LIFETIME).ok_or(IssueIdentityTokenError::BeyondCalendar)?;
        let claims = IdentityTokenClaims {
            address: self.identity.address.clone(),
            device: self.identity.device.clone(),
            audience: audience.to_owned(),
            issued_at,
            expires_at,
            id: self.ids.random_bytes()?,
        };
        Ok(IdentityToken::new(self.signer.sign(&claims, &self.identity.keys), expires_at))
    }
}

/// The second that an instant lies in, so that a token never begins in the future.
fn whole_seconds(instant: Timestamp) -> Timestamp {
    let beyond = instant.unix_micros().rem_euclid(SECOND);
    instant.checked_add_micros(-beyond).unwrap_or(instant)
}

impl Coded for IssueIdentityTokenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoAudience => ErrorCode::InvalidPropertyValue,
            Self::BeyondCalendar => ErrorCode::SystemFailed,
            Self::Random(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockClock, MockIds, MockTokenSigner};
    use crate::use_cases::test_data::{at, caller, clock_at};
    use crate::{KeyPair, SecretKey};
    use proptest::prelude::*;

    fn use_case(clock: Arc<dyn Clock>, signer: MockTokenSigner) -> IssueIdentityToken {
        let identity = OwnIdentity {
            address: caller().address,
            device: caller().device,
            keys: KeyPair { secret: SecretKey::new([7; 32]), public: [9; 32] },
        };
        let mut ids = MockIds::new();
        ids.expect_random_bytes().returning(|| Ok([5; 32]));
        IssueIdentityToken::new(identity, clock, Arc::new(ids), Arc::new(signer))
    }

    #[test]
    fn a_token_names_identity_device_and_audience_and_holds_for_five_minutes() {
        let mut signer = MockTokenSigner::new();
        signer
            .expect_sign()
            .withf(|claims, keys| {
                *claims
                    == IdentityTokenClaims {
                        address: caller().address,
                        device: caller().device,
                        audience: "https://reprieve.example".to_owned(),
                        issued_at: at(0),
                        expires_at: at(300_000_000),
                        id: [5; 32],
                    }
                    && keys.public == [9; 32]
            })
            .once()
            .returning(|_, _| "signed".to_owned());
        let token = use_case(clock_at(999_999), signer).execute("https://reprieve.example").unwrap();
        assert_eq!((token.expose(), token.expires_at), ("signed", at(300_000_000)));
        assert!(!format!("{token:?}").contains("signed"), "a token must not be printed by accident");
    }

    #[test]
    fn a_token_without_audience_is_not_signed() {
        let mut signer = MockTokenSigner::new();
        signer.expect_sign().never();
        let error = use_case(clock_at(0), signer).execute("").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidPropertyValue);
    }

    proptest! {
        #[test]
        fn whatever_the_clock_shows_a_token_has_begun_and_holds_for_five_minutes_at_most(
            micros in -62_135_596_800_000_000..=253_402_300_799_999_999_i64
        ) {
            let now = Timestamp::from_unix_micros(micros).unwrap();
            let mut clock = MockClock::new();
            clock.expect_now().return_const(now);
            let mut signer = MockTokenSigner::new();
            signer.expect_sign().returning(|claims, _| {
                assert_eq!(claims.issued_at.unix_micros().rem_euclid(SECOND), 0);
                assert_eq!(claims.expires_at.micros_since(claims.issued_at), 300 * SECOND);
                claims.issued_at.to_string()
            });
            match use_case(Arc::new(clock), signer).execute("a") {
                Ok(token) => {
                    let issued_at: Timestamp = token.expose().parse().unwrap();
                    prop_assert!((0..SECOND).contains(&now.micros_since(issued_at)));
                }
                Err(error) => {
                    prop_assert!(matches!(error, IssueIdentityTokenError::BeyondCalendar));
                    prop_assert!(now.checked_add_micros(IssueIdentityToken::LIFETIME).is_none());
                }
            }
        }
    }
}
