//! Whether the store can do its part.

use async_trait::async_trait;

use crate::StoreError;

/// The connections that a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// How many are open.
    pub open: u32,
    /// How many of them nobody uses.
    pub idle: u32,
}

/// Tells how the store is.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait StoreHealth: Send + Sync {
    /// Whether the store is reached and has the tables of this version.
    ///
    /// # Errors
    /// If it has not, or if it fails.
    async fn check(&self) -> Result<(), StoreError>;

    /// The connections right now.
    fn connections(&self) -> Connections;
}
