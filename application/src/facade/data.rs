//! Processes and identities as they are shown.

use reprieve_domain::{
    Address, Cancelled, DeletionProcess, DeletionProcessId, DeviceId, Identity, IdentityStatus, State,
    Status, Timestamp,
};

/// A deletion process as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessData {
    /// The id.
    pub id: DeletionProcessId,
    /// The status.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// By which device.
    pub created_by_device: DeviceId,
    /// When the grace period ends; absent once cancelled: there is no date of deletion any more.
    pub grace_period_ends_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// By which device.
    pub cancelled_by_device: Option<DeviceId>,
    /// Until when the deletion is suspended, if its owner is to see that and it is open.
    pub suspended_until: Option<Timestamp>,
}

impl From<&DeletionProcess> for ProcessData {
    fn from(process: &DeletionProcess) -> Self {
        let cancelled = match process.state() {
            State::Cancelled(cancelled) => Some(cancelled),
            State::Active(_) | State::Deleting(_) | State::Deleted(_) => None,
        };
        Self {
            id: process.id().clone(),
            status: process.status(),
            created_at: process.created_at(),
            created_by_device: process.created_by_device().clone(),
            grace_period_ends_at: cancelled.is_none().then(|| process.grace_period_ends_at()),
            cancelled_at: cancelled.map(Cancelled::at),
            cancelled_by_device: cancelled.map(|cancelled| cancelled.by_device().clone()),
            suspended_until: process
                .suspension()
                .filter(|_| process.status().is_open())
                .and_then(|suspension| suspension.shown_until),
        }
    }
}

/// The own identity, the device it is asked from, and its open process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityData {
    /// The address.
    pub address: Address,
    /// The device.
    pub device: DeviceId,
    /// The process that is Active or Deleting.
    pub open_process: Option<ProcessData>,
}

impl IdentityData {
    /// From the identity and one of its devices.
    #[must_use]
    pub fn new(identity: &Identity, device: DeviceId) -> Self {
        Self {
            address: identity.address().clone(),
            device,
            open_process: identity.open_process().map(ProcessData::from),
        }
    }

    /// What the identity is, which follows from its open process.
    #[must_use]
    pub fn status(&self) -> IdentityStatus {
        match self.open_process.as_ref().map(|process| process.status) {
            Some(Status::Active) => IdentityStatus::ToBeDeleted,
            Some(Status::Deleting) => IdentityStatus::Deleting,
            None | Some(Status::Cancelled | Status::Deleted) => IdentityStatus::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::use_cases::test_data::{ENDS_AT, active, at, caller, deleting, loaded};

    #[test]
    fn a_cancelled_process_has_no_date_of_deletion_but_says_who_cancelled_it_and_when() {
        let by: DeviceId = "DVCzzzzzzzzzzzzzzzzz".parse().unwrap();
        let process = loaded(active()).value.cancel(by.clone(), at(1)).unwrap().into_process();
        let data = ProcessData::from(&process);
        assert_eq!(data.grace_period_ends_at, None);
        assert_eq!((data.cancelled_at, data.cancelled_by_device), (Some(at(1)), Some(by)));
    }

    #[test]
    fn an_open_process_has_one() {
        for process in [active(), deleting()] {
            let data = ProcessData::from(&process);
            assert_eq!(data.grace_period_ends_at, Some(at(ENDS_AT)));
            assert_eq!((data.cancelled_at, data.cancelled_by_device), (None, None));
        }
    }

    #[test]
    fn the_status_is_the_domains() {
        for identity in [
            Identity::new(caller().address),
            Identity::with_open_process(active()).unwrap(),
            Identity::with_open_process(deleting()).unwrap(),
        ] {
            assert_eq!(IdentityData::new(&identity, caller().device).status(), identity.status());
        }
    }
}
