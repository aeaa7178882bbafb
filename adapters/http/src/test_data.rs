//! What the tests of this crate share.

use reprieve_domain::{DeletionProcess, GracePeriod, GracePeriodBounds, Identity, Timestamp};

/// An Active process.
pub(crate) fn active() -> DeletionProcess {
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    let now: Timestamp = "2026-11-23T20:03:07.123456Z".parse().unwrap();
    let identity = Identity::new("did:web:example.org".parse().unwrap());
    let (id, device) = ("IDP0123456789abcdefg".parse().unwrap(), "DVC0123456789abcdefg".parse().unwrap());
    identity.initiate(id, device, length, now).unwrap().into_process()
}
