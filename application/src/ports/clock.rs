//! What time it is.

use reprieve_domain::Timestamp;

/// The one source of the current time.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current instant, whole microseconds.
    fn now(&self) -> Timestamp;
}
