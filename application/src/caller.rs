//! On whose behalf a use case runs.

use reprieve_domain::{Address, DeviceId};

/// The calling identity and the device it calls from. Whoever builds one has made sure that it is them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The identity.
    pub address: Address,
    /// The device.
    pub device: DeviceId,
}
