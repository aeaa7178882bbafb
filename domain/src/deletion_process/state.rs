//! The states, each with what exists in it only.

use crate::erasure::Erasures;
use crate::{DeviceId, EraserName, Erasure, Status, Timestamp};

/// Where a deletion process stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The grace period runs, or is over and the deletion has not started.
    Active(Active),
    /// Cancelled within the grace period. Final.
    Cancelled(Cancelled),
    /// The data is being erased.
    Deleting(Deleting),
    /// Every eraser has acknowledged. Final.
    Deleted(Deleted),
}

/// Nothing but the passing of time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Active {}

/// Who cancelled, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    pub(super) at: Timestamp,
    pub(super) by_device: DeviceId,
}

/// Since when data is being erased, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleting {
    pub(super) started_at: Timestamp,
    pub(super) erasures: Erasures,
}

/// When the deletion started and ended, and who erased what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    pub(super) started_at: Timestamp,
    pub(super) completed_at: Timestamp,
    pub(super) erasures: Erasures,
}

impl State {
    /// The state's name.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Active(_) => Status::Active,
            Self::Cancelled(_) => Status::Cancelled,
            Self::Deleting(_) => Status::Deleting,
            Self::Deleted(_) => Status::Deleted,
        }
    }
}

impl Cancelled {
    /// When it was cancelled.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The device that cancelled.
    #[must_use]
    pub fn by_device(&self) -> &DeviceId {
        &self.by_device
    }
}

impl Deleting {
    /// When the deletion started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Every eraser, by name.
    pub fn erasures(&self) -> impl Iterator<Item = (&EraserName, &Erasure)> {
        self.erasures.iter()
    }
}

impl Deleted {
    /// When the deletion started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When the last eraser had acknowledged and the process ended.
    #[must_use]
    pub fn completed_at(&self) -> Timestamp {
        self.completed_at
    }

    /// Every eraser, by name.
    pub fn erasures(&self) -> impl Iterator<Item = (&EraserName, &Erasure)> {
        self.erasures.iter()
    }
}
