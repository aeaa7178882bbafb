//! What the tests of the use cases and of what is made of them share.

use std::collections::HashMap;
use std::sync::Arc;

use reprieve_domain::audit::{Fault, FaultKind};
use reprieve_domain::{
    DeletionProcess, DeletionProcessId, GracePeriod, GracePeriodBounds, Identity, Timestamp,
};

use crate::Caller;
use crate::ports::{
    Clock, ClockGuard, Holds, Loaded, MockAuditTrail, MockClock, MockClockGuard, MockHolds, Version,
};

pub(crate) const DAY: i64 = 86_400_000_000;
pub(crate) const ENDS_AT: i64 = 14 * DAY;

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_800_000_000_000_000 + micros).unwrap()
}

pub(crate) fn clock_at(micros: i64) -> Arc<dyn Clock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(move || at(micros));
    clock.expect_moment().returning(move || at(micros).into());
    Arc::new(clock)
}

/// No identity is held, and nothing is suspended.
pub(crate) fn no_holds() -> Arc<dyn Holds> {
    let mut holds = MockHolds::new();
    holds.expect_of().returning(|_| Ok(HashMap::new()));
    holds.expect_suspended_until().returning(|_| Ok(None));
    Arc::new(holds)
}

/// Nothing speaks against the clocks.
pub(crate) fn sound_clocks() -> Arc<dyn ClockGuard> {
    let mut clocks = MockClockGuard::new();
    clocks.expect_check().returning(|| Ok(()));
    Arc::new(clocks)
}

pub(crate) fn caller() -> Caller {
    Caller {
        address: "did:web:example.org".parse().unwrap(),
        device: "DVC0123456789abcdefg".parse().unwrap(),
    }
}

/// Created at 0, to be deleted at [`ENDS_AT`].
pub(crate) fn active() -> DeletionProcess {
    let Caller { address, device } = caller();
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let id = "IDP0123456789abcdefg".parse().unwrap();
    Identity::new(address).initiate(id, device, length, at(0)).unwrap().into_process()
}

pub(crate) fn deleting() -> DeletionProcess {
    deleting_with(&[])
}

pub(crate) fn deleting_with(erasers: &[&str]) -> DeletionProcess {
    let erasers = erasers.iter().map(|name| name.parse().unwrap()).collect();
    let identity = loaded(active()).value;
    identity.start_deletion(active().id(), erasers, at(ENDS_AT)).unwrap().into_process()
}

pub(crate) fn cancelled() -> DeletionProcess {
    loaded(active()).value.cancel(caller().device, at(0)).unwrap().into_process()
}

pub(crate) fn version() -> Version {
    Version { length: 1, hash: [1; 32].into() }
}

/// A trail in which this process verifies, whatever is asked for.
pub(crate) fn trail_of(process: DeletionProcess) -> MockAuditTrail {
    let mut audit_trail = MockAuditTrail::new();
    audit_trail.expect_verified().returning(move |ids| {
        let loaded = || Loaded { value: process.clone(), version: version() };
        Ok(ids.iter().map(|id| (id.clone(), Ok(loaded()))).collect())
    });
    audit_trail
}

/// A trail in which nothing verifies.
pub(crate) fn broken_trail() -> MockAuditTrail {
    let mut audit_trail = MockAuditTrail::new();
    audit_trail
        .expect_verified()
        .returning(|ids| Ok(ids.iter().map(|id| (id.clone(), Err(fault(id)))).collect()));
    audit_trail
}

fn fault(id: &DeletionProcessId) -> Fault {
    Fault { process_id: id.to_string(), sequence: 1, kind: FaultKind::ProcessDiffers }
}

pub(crate) fn loaded(process: DeletionProcess) -> Loaded<Identity> {
    Loaded { value: Identity::with_open_process(process).unwrap(), version: version() }
}
