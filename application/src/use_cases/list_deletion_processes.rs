//! The processes of all identities, page by page.

use std::sync::Arc;

use reprieve_domain::DeletionProcess;

use crate::StoreError;
use crate::ports::{DeletionProcesses, Page};

/// Reads a page of the processes of all identities, for whoever runs the service.
pub struct ListDeletionProcesses {
    processes: Arc<dyn DeletionProcesses>,
}

impl ListDeletionProcesses {
    /// With its port.
    #[must_use]
    pub fn new(processes: Arc<dyn DeletionProcesses>) -> Self {
        Self { processes }
    }

    /// The page, and whether there is more behind it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self, page: Page) -> Result<(Vec<DeletionProcess>, bool), StoreError> {
        let limit = page.limit;
        // One more than is shown tells whether there is a next page.
        let mut processes = self.processes.page(&Page { limit: limit.saturating_add(1), ..page }).await?;
        let is_more = processes.len() > limit as usize;
        processes.truncate(limit as usize);
        Ok((processes, is_more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockDeletionProcesses;
    use crate::use_cases::test_data::active;

    #[tokio::test]
    async fn a_full_page_says_whether_there_is_another() {
        for (stored, is_more) in [(2, false), (3, true)] {
            let mut processes = MockDeletionProcesses::new();
            processes
                .expect_page()
                .withf(|page| page.limit == 3)
                .returning(move |_| Ok(vec![active(); stored]));
            let use_case = ListDeletionProcesses::new(Arc::new(processes));
            let (page, more) = use_case.execute(Page { limit: 2, ..Page::default() }).await.unwrap();
            assert_eq!((page.len(), more), (2, is_more));
        }
    }
}
