//! What operators ask about deletions that are under way, and the one thing they can do about them.

use std::sync::Arc;

use reprieve_domain::{DeletionProcessId, EraserName};

use crate::ports::{
    Clock, DeletionsSwitch, ErasureTasks, Pause, Quarantined, RetriedTasks, TaskStatus, Waiver,
};
use crate::{Coded, ErrorCode, StoreError};

/// How many tasks are shown at most.
const SHOWN: u32 = 1000;

/// Deletions that are under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasuresShown {
    /// The pause that keeps all of it from being done, if one is in force.
    pub pause: Option<Pause>,
    /// What is still to be done.
    pub tasks: Vec<TaskStatus>,
    /// What is not done any more.
    pub waivers: Vec<Waiver>,
    /// What nothing is done about, because it does not verify.
    pub quarantined: Vec<Quarantined>,
}

/// Shows the tasks of deletions that are under way.
pub struct ShowErasures {
    tasks: Arc<dyn ErasureTasks>,
    switch: Arc<dyn DeletionsSwitch>,
}

impl ShowErasures {
    /// With its ports.
    #[must_use]
    pub fn new(tasks: Arc<dyn ErasureTasks>, switch: Arc<dyn DeletionsSwitch>) -> Self {
        Self { tasks, switch }
    }

    /// The tasks of one process, or of all: the first thousand, the stuck ones before all others; and as many
    /// waivers and quarantined processes.
    ///
    /// # Errors
    /// If the process has no task and is not quarantined, or if the store fails.
    pub async fn execute(
        &self,
        process: Option<&DeletionProcessId>,
    ) -> Result<ErasuresShown, ManageErasuresError> {
        let tasks = self.tasks.list(process, SHOWN).await?;
        let quarantined = self.tasks.quarantined(process, SHOWN).await?;
        if process.is_some() && tasks.is_empty() && quarantined.is_empty() {
            return Err(ManageErasuresError::NotFound);
        }
        let waivers = self.tasks.waivers(process, SHOWN).await?;
        let pause = match self.switch.pause_in_force().await {
            // What the database says is shown all the same.
            Err(StoreError::Journal(_)) => None,
            pause => pause?,
        };
        Ok(ErasuresShown { pause, tasks, waivers, quarantined })
    }
}

/// Has erasers asked again at once, stuck or not.
pub struct RetryErasures {
    tasks: Arc<dyn ErasureTasks>,
    clock: Arc<dyn Clock>,
}

/// Why nothing was shown or done.
#[derive(Debug, thiserror::Error)]
pub enum ManageErasuresError {
    /// Nothing of this process is under way.
    #[error("no deletion with this id is under way")]
    NotFound,
    /// The process has no such erasure that is still to be done.
    #[error("this deletion has no such erasure that is still to be done")]
    NoOpenErasure,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for ManageErasuresError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound | Self::NoOpenErasure => ErrorCode::RecordNotFound,
            Self::Store(error) => error.code(),
        }
    }
}

impl RetryErasures {
    /// With its ports.
    #[must_use]
    pub fn new(tasks: Arc<dyn ErasureTasks>, clock: Arc<dyn Clock>) -> Self {
        Self { tasks, clock }
    }

    /// Has the erasers of a process asked by the next pass, all or one, except those that are being asked at this moment.
    ///
    /// # Errors
    /// If there are neither, or if the store fails.
    pub async fn execute(
        &self,
        process: &DeletionProcessId,
        eraser: Option<&EraserName>,
    ) -> Result<RetriedTasks, ManageErasuresError> {
        let retried = self.tasks.retry(process, eraser, self.clock.now()).await?;
        if retried == RetriedTasks::default() {
            return Err(ManageErasuresError::NoOpenErasure);
        }
        Ok(retried)
    }
}
