//! Proof of completed deletions.

use async_trait::async_trait;
use reprieve_domain::DeletionProcessId;

use crate::{Receipt, StoreError};

/// Signs receipts with the deployment's key.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait ReceiptSigner: Send + Sync {
    /// The receipt, signed, in a form that others can verify.
    fn sign(&self, receipt: &Receipt) -> String;
}

/// Checks receipts against the audit trail.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait ReceiptChecker: Send + Sync {
    /// Whether a signed receipt says this and nothing else, and is signed with the deployment's key.
    fn is_receipt(&self, signed: &str, receipt: &Receipt) -> bool;
}

/// Reads the receipts that are kept.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Receipts: Send + Sync {
    /// The signed receipt of a process whose deletion is complete.
    ///
    /// # Errors
    /// If the store fails.
    async fn find(&self, process: &DeletionProcessId) -> Result<Option<String>, StoreError>;
}
