//! New ids and keys: everything that is drawn at random.

use reprieve_domain::{DeletionProcessId, DeviceId};

use crate::{Coded, ErrorCode, KeyPair};

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomSourceFailed(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Coded for RandomSourceFailed {
    fn code(&self) -> ErrorCode {
        ErrorCode::SystemFailed
    }
}

/// Draws from a cryptographic random source.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait Ids: Send + Sync {
    /// A new id for a deletion process.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    fn deletion_process_id(&self) -> Result<DeletionProcessId, RandomSourceFailed>;

    /// A new id for a device.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    fn device_id(&self) -> Result<DeviceId, RandomSourceFailed>;

    /// A new name for something that is only logged or answered, such as an error: `prefix` and 17 characters of
    /// `[A-Za-z0-9]`.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    fn name(&self, prefix: &str) -> Result<String, RandomSourceFailed>;

    /// A new Ed25519 key pair.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    fn key_pair(&self) -> Result<KeyPair, RandomSourceFailed>;

    /// 32 bytes, for whatever nobody may guess or nothing else may be called.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    fn random_bytes(&self) -> Result<[u8; 32], RandomSourceFailed>;
}
