//! Identities, instants and steps, from numbers.

use std::collections::BTreeSet;

use reprieve_application::{KeyPair, OwnIdentity, SecretKey};
use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, DeviceId, EraserName, GracePeriod, GracePeriodBounds,
    Identity, Step, Timestamp,
};

/// In microseconds.
pub(crate) const DAY: i64 = 86_400_000_000;
/// When the grace period of a process that was created at zero is over.
pub(crate) const ENDS_AT: i64 = 14 * DAY;

/// So many microseconds after an instant in 2027.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(unix_micros(micros)).unwrap()
}

/// The same as a column has it.
pub(crate) fn unix_micros(micros: i64) -> i64 {
    1_800_000_000_000_000 + micros
}

pub(crate) fn address(number: usize) -> Address {
    format!("did:web:example.org:users:{number}").parse().unwrap()
}

pub(crate) fn process_id(number: usize) -> DeletionProcessId {
    format!("IDP{number:017}").parse().unwrap()
}

pub(crate) fn device() -> DeviceId {
    "DVC0123456789abcdefg".parse().unwrap()
}

pub(crate) fn erasers(names: &[&str]) -> BTreeSet<EraserName> {
    names.iter().map(|name| eraser(name)).collect()
}

pub(crate) fn eraser(name: &str) -> EraserName {
    name.parse().unwrap()
}

pub(crate) fn initiate(identity: &Identity, id: usize, now: i64) -> Step {
    let length = GracePeriod::from_days(14.0, &GracePeriodBounds::default()).unwrap();
    identity.initiate(process_id(id), device(), length, at(now)).unwrap()
}

pub(crate) fn cancel(identity: &Identity, now: i64) -> Step {
    identity.cancel(device(), at(now)).unwrap()
}

/// Of the open process, with these erasers.
pub(crate) fn start(identity: &Identity, names: &[&str], now: i64) -> Step {
    identity.start_deletion(identity.open_process().unwrap().id(), erasers(names), at(now)).unwrap()
}

pub(crate) fn complete(identity: &Identity, now: i64) -> Step {
    identity.complete(identity.open_process().unwrap().id(), at(now)).unwrap()
}

/// With keys that are no key pair, but an address that belongs to the public one.
pub(crate) fn own_identity(number: u8) -> OwnIdentity {
    let public = [number; 32];
    OwnIdentity {
        address: Address::for_public_key("example.org", &public).unwrap(),
        device: device(),
        keys: KeyPair { secret: SecretKey::new([number ^ 0xff; 32]), public },
    }
}

/// The identity whose open process this is.
pub(crate) fn open(process: &DeletionProcess) -> Identity {
    Identity::with_open_process(process.clone()).unwrap()
}
