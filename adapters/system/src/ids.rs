//! The port `Ids`: everything that is drawn at random.

use ed25519_dalek::SigningKey;
use reprieve_application::ports::{Ids, RandomSourceFailed};
use reprieve_application::{KeyPair, SecretKey};
use reprieve_domain::{DeletionProcessId, DeviceId};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The operating system's cryptographic random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn deletion_process_id(&self) -> Result<DeletionProcessId, RandomSourceFailed> {
        id(DeletionProcessId::PREFIX, DeletionProcessId::RANDOM_LENGTH)
    }

    fn device_id(&self) -> Result<DeviceId, RandomSourceFailed> {
        id(DeviceId::PREFIX, DeviceId::RANDOM_LENGTH)
    }

    fn name(&self, prefix: &str) -> Result<String, RandomSourceFailed> {
        id(prefix, DeviceId::RANDOM_LENGTH)
    }

    fn key_pair(&self) -> Result<KeyPair, RandomSourceFailed> {
        let secret = SecretKey::new(random_bytes()?);
        let public = SigningKey::from_bytes(secret.expose()).verifying_key().to_bytes();
        Ok(KeyPair { secret, public })
    }

    fn random_bytes(&self) -> Result<[u8; 32], RandomSourceFailed> {
        random_bytes()
    }
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], RandomSourceFailed> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| RandomSourceFailed(error.into()))?;
    Ok(bytes)
}

fn id<T>(prefix: &str, length: usize) -> Result<T, RandomSourceFailed>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let mut text = prefix.to_owned();
    while text.len() < prefix.len() + length {
        let missing = prefix.len() + length - text.len();
        text.extend(random_bytes::<32>()?.into_iter().filter_map(letter).take(missing));
    }
    text.parse().map_err(|error: T::Err| RandomSourceFailed(error.into()))
}

/// The letter for a random byte. The 8 bytes beyond the last whole multiple of 62 have none, so that all letters are
/// equally likely.
fn letter(byte: u8) -> Option<char> {
    const FAIR: u8 = 62 * 4;
    (byte < FAIR).then(|| ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().map(char::from)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn every_letter_is_equally_likely() {
        let mut counts: HashMap<char, u32> = HashMap::new();
        for letter in (0..=u8::MAX).filter_map(letter) {
            *counts.entry(letter).or_default() += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn nothing_is_drawn_twice() {
        let ids: HashSet<_> = (0..1000).map(|_| SystemIds.deletion_process_id().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        let keys: HashSet<_> = (0..10).map(|_| SystemIds.key_pair().unwrap().public).collect();
        assert_eq!(keys.len(), 10);
        let bytes: HashSet<_> = (0..10).map(|_| SystemIds.random_bytes().unwrap()).collect();
        assert_eq!(bytes.len(), 10);
        assert!(SystemIds.device_id().is_ok());
    }

    #[test]
    fn a_public_key_belongs_to_its_secret_key_as_rfc_8032_says() {
        // RFC 8032, section 7.1, test 1.
        let secret = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
        assert_eq!(public[..4], [0xd7, 0x5a, 0x98, 0x01]);
    }
}
