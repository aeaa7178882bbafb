//! The identity that this installation acts for.

use std::fmt;

use reprieve_domain::{Address, DeviceId};
use secrecy::{ExposeSecret, SecretBox};

use crate::Caller;

/// The own identity: its address, its one device, and the key its address is derived from.
#[derive(Debug, Clone)]
pub struct OwnIdentity {
    /// The address, derived from the public key.
    pub address: Address,
    /// The device.
    pub device: DeviceId,
    /// The Ed25519 key pair.
    pub keys: KeyPair,
}

/// An Ed25519 key pair as RFC 8032 lays it out.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The secret key: 32 bytes.
    pub secret: SecretKey,
    /// The public key: 32 bytes.
    pub public: [u8; 32],
}

/// A secret key of 32 bytes, wiped from memory when dropped and never printed.
pub struct SecretKey(SecretBox<[u8; 32]>);

impl SecretKey {
    /// The key that these bytes are.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes, for whoever signs with them or stores them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self::new(*self.expose())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey")
    }
}

impl OwnIdentity {
    /// The identity as the one that calls a use case.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller { address: self.address.clone(), device: self.device.clone() }
    }
}
