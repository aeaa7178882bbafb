//! Whether the clocks are believed.

use std::sync::Arc;

use crate::ports::{ClockDoubt, ClockGuard, ClockReadings};
use crate::{Area, Finding, StoreError};

/// Compares the clocks of the machine and of the database, and the newest instant that was noted.
pub struct CheckClocks {
    clocks: Arc<dyn ClockGuard>,
    has_noted: bool,
}

impl CheckClocks {
    /// With its port, and whether any instant was noted before: it is done by the first command on a new database.
    #[must_use]
    pub fn new(clocks: Arc<dyn ClockGuard>, has_noted: bool) -> Self {
        Self { clocks, has_noted }
    }

    /// What was found.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<Finding, StoreError> {
        let ClockReadings { deciding, machine, noted, doubt } = self.clocks.compare().await?;
        let error = match (doubt, noted) {
            (Some(ClockDoubt::Disagree), _) => StoreError::ClocksDisagree { machine, database: deciding },
            (Some(ClockDoubt::Ahead), noted) if self.has_noted => {
                StoreError::ClockAhead { now: deciding, noted }
            }
            (Some(ClockDoubt::Behind), Some(noted)) => StoreError::ClockBehind { now: deciding, noted },
            _ => return Ok(Finding::ok(Area::Clocks, format!("they are believed; it is {deciding}"))),
        };
        Ok(Finding::failed(Area::Clocks, error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::ports::MockClockGuard;
    use crate::use_cases::test_data::at;

    async fn found(doubt: Option<ClockDoubt>, noted: Option<i64>, has_noted: bool) -> Option<ErrorCode> {
        let mut clocks = MockClockGuard::new();
        let readings = ClockReadings { deciding: at(20), machine: at(10), noted: noted.map(at), doubt };
        clocks.expect_compare().returning(move || Ok(readings.clone()));
        clocks.expect_check().never();
        CheckClocks::new(Arc::new(clocks), has_noted).execute().await.unwrap().code
    }

    #[tokio::test]
    async fn each_doubt_has_its_code_and_a_database_that_is_new_has_none() {
        assert_eq!(found(None, Some(1), true).await, None);
        assert_eq!(found(Some(ClockDoubt::Disagree), None, false).await, Some(ErrorCode::ClocksDisagree));
        assert_eq!(found(Some(ClockDoubt::Ahead), Some(1), true).await, Some(ErrorCode::ClockAhead));
        assert_eq!(found(Some(ClockDoubt::Ahead), None, true).await, Some(ErrorCode::ClockAhead));
        assert_eq!(found(Some(ClockDoubt::Ahead), None, false).await, None);
        assert_eq!(found(Some(ClockDoubt::Behind), Some(99), true).await, Some(ErrorCode::ClockBehind));
    }
}
