//! Proof of one deletion.

use std::sync::Arc;

use reprieve_domain::DeletionProcessId;

use crate::ports::Receipts;
use crate::{Coded, ErrorCode, StoreError};

/// Shows the receipt of a deletion.
pub struct ShowReceipt {
    receipts: Arc<dyn Receipts>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ShowReceiptError {
    /// No deletion with this id is complete, or its receipt's time was over.
    #[error("there is no receipt for this deletion process")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for ShowReceiptError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

impl ShowReceipt {
    /// With its port.
    #[must_use]
    pub fn new(receipts: Arc<dyn Receipts>) -> Self {
        Self { receipts }
    }

    /// The signed receipt.
    ///
    /// # Errors
    /// If there is none, or if the store fails.
    pub async fn execute(&self, process: &DeletionProcessId) -> Result<String, ShowReceiptError> {
        self.receipts.find(process).await?.ok_or(ShowReceiptError::NotFound)
    }
}
