//! A key for who calls a service without being an identity.

use std::sync::Arc;

use reprieve_domain::Timestamp;

use crate::ports::{Clock, Ids, RandomSourceFailed};
use crate::{ApiKey, Coded, ErrorCode};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Generates API keys.
pub struct GenerateApiKey {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// A key that nobody has seen yet.
#[derive(Debug)]
pub struct GeneratedApiKey {
    /// The key.
    pub key: ApiKey,
    /// When it ends to open anything, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum GenerateApiKeyError {
    /// It would expire after the year 9999.
    #[error("the API key would expire beyond the calendar")]
    BeyondCalendar,
    /// No key could be drawn.
    #[error(transparent)]
    Random(#[from] RandomSourceFailed),
}

impl GenerateApiKey {
    /// With its ports.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { clock, ids }
    }

    /// A new key, which is kept nowhere.
    ///
    /// # Errors
    /// If it would expire beyond the calendar, or if there is no randomness to be had.
    pub fn execute(&self, expires_in_days: Option<u32>) -> Result<GeneratedApiKey, GenerateApiKeyError> {
        let expires_at = expires_in_days
            .map(|days| {
                self.clock
                    .now()
                    .checked_add_micros(i64::from(days).saturating_mul(MICROS_PER_DAY))
                    .ok_or(GenerateApiKeyError::BeyondCalendar)
            })
            .transpose()?;
        Ok(GeneratedApiKey { key: ApiKey::from_random(self.ids.random_bytes()?), expires_at })
    }
}

impl Coded for GenerateApiKeyError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::BeyondCalendar => ErrorCode::InvalidPropertyValue,
            Self::Random(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockIds;
    use crate::use_cases::test_data::{DAY, at, clock_at};

    fn use_case() -> GenerateApiKey {
        let mut ids = MockIds::new();
        ids.expect_random_bytes().returning(|| Ok([0xff; 32]));
        GenerateApiKey::new(clock_at(7), Arc::new(ids))
    }

    #[test]
    fn a_key_is_made_of_what_was_drawn_and_expires_only_if_asked() {
        let generated = use_case().execute(None).unwrap();
        assert_eq!(generated.key.expose(), "rpv___________________________________________8");
        assert_eq!(generated.expires_at, None);
        assert_eq!(use_case().execute(Some(30)).unwrap().expires_at, Some(at(7 + 30 * DAY)));
    }

    #[test]
    fn a_key_for_longer_than_the_calendar_is_refused() {
        let error = use_case().execute(Some(u32::MAX)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidPropertyValue);
    }
}
