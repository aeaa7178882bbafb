//! Addresses of identities: W3C DIDs, with the full rule for the method `e`.

use sha2::{Digest, Sha256, Sha512};

use crate::text::checked_text;

/// Names an identity: a [W3C DID](https://www.w3.org/TR/did-core/#did-syntax).
///
/// For the method `e` the address is derived from the identity's public key and carries a checksum:
/// `did:e:<domain>:dids:<20 hex digits><2 hex digits>`, lower case, at most 80 characters. The 20 digits are the
/// first 10 bytes of SHA-256 of SHA-512 of the raw public key; the last 2 are the first byte of SHA-256 of all that
/// stands before them. Of other methods the syntax alone is checked, with at most 1,024 characters.
///
/// ```
/// # use reprieve_domain::Address;
/// assert!("did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77".parse::<Address>().is_ok());
/// assert!("did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f78".parse::<Address>().is_err());
/// assert!("did:web:example.org".parse::<Address>().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(String);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not `did:<method>:<id>` in the characters a DID allows.
    #[error("an address is a DID: `did:`, a method in lower case, and an id")]
    Syntax,
    /// Longer than the method allows.
    #[error("the address is longer than {maximum} characters")]
    TooLong {
        /// The longest allowed address, in characters.
        maximum: usize,
    },
    /// The method `e`, but not `did:e:<domain>:dids:<22 hex digits>` in lower case.
    #[error(
        "an address of the method `e` is `did:e:<domain>:dids:` and 22 hexadecimal digits, in lower case"
    )]
    NotEnmeshed,
    /// The last two digits do not belong to the rest.
    #[error("the checksum of the address does not match: it was mistyped or cut")]
    Checksum,
    /// A domain that cannot be part of an address: not a host name in lower case, or too long.
    #[error("the domain of an address is a host name in lower case")]
    Domain,
}

impl Address {
    /// The longest address of the method `e`, in characters.
    pub const MAX_LENGTH_ENMESHED: usize = 80;
    /// The longest address of any other method, in characters.
    pub const MAX_LENGTH: usize = 1024;

    const DIDS: &'static str = ":dids:";
    const KEY_DIGITS: usize = 20;
    const CHECKSUM_DIGITS: usize = 2;

    /// The address of the identity with this raw public key on a Backbone with this host name.
    ///
    /// # Errors
    /// If `domain` is not a host name in lower case, or makes the address longer than 80 characters.
    pub fn for_public_key(domain: &str, public_key: &[u8]) -> Result<Self, InvalidAddress> {
        if !is_host_name(domain) {
            return Err(InvalidAddress::Domain);
        }
        let digest = Sha256::digest(Sha512::digest(public_key));
        let mut address = format!("did:e:{domain}{}", Self::DIDS);
        for byte in digest.iter().take(Self::KEY_DIGITS / 2) {
            push_hex(&mut address, *byte);
        }
        let checksum = checksum(&address);
        push_hex(&mut address, checksum);
        if address.len() > Self::MAX_LENGTH_ENMESHED {
            return Err(InvalidAddress::Domain);
        }
        Ok(Self(address))
    }

    /// Whether this address is the one of this public key: only ever true for the method `e`.
    #[must_use]
    pub fn belongs_to(&self, public_key: &[u8]) -> bool {
        self.0
            .strip_prefix("did:e:")
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(domain, _)| Self::for_public_key(domain, public_key).ok())
            .is_some_and(|derived| derived == *self)
    }

    fn check(text: &str) -> Result<(), InvalidAddress> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidAddress::TooLong { maximum: Self::MAX_LENGTH });
        }
        let (method, id) =
            text.strip_prefix("did:").and_then(|rest| rest.split_once(':')).ok_or(InvalidAddress::Syntax)?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return Err(InvalidAddress::Syntax);
        }
        if method == "e" { Self::check_enmeshed(text, id) } else { check_method_specific_id(id) }
    }

    fn check_enmeshed(text: &str, id: &str) -> Result<(), InvalidAddress> {
        if text.len() > Self::MAX_LENGTH_ENMESHED {
            return Err(InvalidAddress::TooLong { maximum: Self::MAX_LENGTH_ENMESHED });
        }
        let (domain, digits) = id.split_once(Self::DIDS).ok_or(InvalidAddress::NotEnmeshed)?;
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !is_host_name(domain)
            || digits.len() != Self::KEY_DIGITS + Self::CHECKSUM_DIGITS
            || !digits.bytes().all(is_lower_hex)
        {
            return Err(InvalidAddress::NotEnmeshed);
        }
        let (content, digits) = text.split_at(text.len() - Self::CHECKSUM_DIGITS);
        let mut expected = String::with_capacity(Self::CHECKSUM_DIGITS);
        push_hex(&mut expected, checksum(content));
        if digits == expected { Ok(()) } else { Err(InvalidAddress::Checksum) }
    }
}

fn checksum(content: &str) -> u8 {
    let digest: [u8; 32] = Sha256::digest(content.as_bytes()).into();
    let [first, ..] = digest;
    first
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 0xf] {
        text.extend(char::from_digit(u32::from(digit), 16));
    }
}

fn is_host_name(domain: &str) -> bool {
    domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

/// `method-specific-id = *( *idchar ":" ) 1*idchar`, where an idchar is a letter, a digit, one of `.-_`, or `%` and
/// two hexadecimal digits.
fn check_method_specific_id(id: &str) -> Result<(), InvalidAddress> {
    let mut bytes = id.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => {
                bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())
                    && bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())
            }
            b'.' | b'-' | b'_' | b':' => true,
            other => other.is_ascii_alphanumeric(),
        };
        if !allowed {
            return Err(InvalidAddress::Syntax);
        }
    }
    if id.is_empty() || id.ends_with(':') { Err(InvalidAddress::Syntax) } else { Ok(()) }
}

checked_text!(Address, InvalidAddress);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Public keys (hexadecimal) and the addresses enmeshed derives from them.
    const VECTORS: [(&str, &str); 4] = [
        (
            "e3d7d603e93358d74215da3dda2993890e2f51426c3cf2cd95c07db9d0b8a281",
            "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77",
        ),
        (
            "7e3d28f5e3a23d1b304d92fa8fd944f5346fa430e73d1305d2025e6a1cff5b67",
            "did:e:prod.enmeshed.eu:dids:fef1992c5e529adc413288",
        ),
        (
            "1a5f174e8f2a16e50cfa4b178b1c29e20fe37f71ff854d45f044ee61a1c23392",
            "did:e:prod.enmeshed.eu:dids:01f4bab09d757578bb4994",
        ),
        (
            "b41f4a169fd8a87ae89b79b9a94b99b1dea5df40e468d8cdd784b1470ed866e2",
            "did:e:prod.enmeshed.eu:dids:56b3f2a0c202e27229aa87",
        ),
    ];

    #[test]
    fn addresses_derived_from_keys_are_the_ones_enmeshed_derives() {
        for (key, address) in VECTORS {
            let key: Vec<u8> = (0..key.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap())
                .collect();
            let derived = Address::for_public_key("prod.enmeshed.eu", &key).unwrap();
            assert_eq!(derived.as_str(), address);
            assert_eq!(address.parse::<Address>().unwrap(), derived);
            assert!(derived.belongs_to(&key));
        }
    }

    #[test]
    fn every_changed_digit_is_noticed() {
        let address = "did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f77";
        for position in address.len() - 22..address.len() {
            for digit in "0123456789abcdef".chars() {
                let mut changed = address.to_owned();
                changed.replace_range(position..=position, &digit.to_string());
                assert_eq!(changed.parse::<Address>().is_ok(), changed == address, "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_address_of_the_method_e_is_refused_with_the_reason() {
        for (text, reason) in [
            ("did:e:prod.enmeshed.eu:dids:06A391378E5DF5C1399F77", InvalidAddress::NotEnmeshed),
            ("did:e:Prod.enmeshed.eu:dids:06a391378e5df5c1399f77", InvalidAddress::NotEnmeshed),
            ("did:e::dids:06a391378e5df5c1399f77", InvalidAddress::NotEnmeshed),
            ("did:e:a..b:dids:06a391378e5df5c1399f77", InvalidAddress::NotEnmeshed),
            ("did:e:prod.enmeshed.eu:06a391378e5df5c1399f77", InvalidAddress::NotEnmeshed),
            ("did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f", InvalidAddress::NotEnmeshed),
            ("did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f7\u{e9}", InvalidAddress::NotEnmeshed),
            ("did:e:prod.enmeshed.eu:dids:06a391378e5df5c1399f00", InvalidAddress::Checksum),
        ] {
            assert_eq!(text.parse::<Address>(), Err(reason), "{text}");
        }
        let long = format!("did:e:{}:dids:06a391378e5df5c1399f77", "a".repeat(60));
        assert_eq!(long.parse::<Address>(), Err(InvalidAddress::TooLong { maximum: 80 }));
        assert_eq!(Address::for_public_key(&"a".repeat(60), b"key"), Err(InvalidAddress::Domain));
        assert_eq!(Address::for_public_key("Example.org", b"key"), Err(InvalidAddress::Domain));
    }

    #[test]
    fn other_methods_are_checked_for_the_syntax_of_a_did() {
        for text in
            ["did:web:example.org", "did:web:example.org%3A3000:users:ada", "did:key:z6MkhaXg", "did:a:::b"]
        {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
        for text in [
            "",
            "did",
            "did:",
            "did::a",
            "did:web",
            "did:web:",
            "did:web:a:",
            "did:Web:a",
            "did:web:a/b",
            "did:web:a#b",
            "did:web:a?b",
            "did:web:%4",
            "did:web:%4g",
            "did:web:a b",
            "DID:web:a",
            "did:web:\u{e9}",
            "did:web:a\n",
        ] {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress::Syntax), "{text:?}");
        }
        let long = format!("did:web:{}", "a".repeat(1024));
        assert_eq!(long.parse::<Address>(), Err(InvalidAddress::TooLong { maximum: 1024 }));
    }

    proptest! {
        #[test]
        fn a_derived_address_is_valid_and_belongs_to_its_key_alone(
            domain in "[a-z0-9]{1,10}(\\.[a-z]{2,10}){0,2}",
            key in prop::array::uniform32(any::<u8>()),
            other in prop::array::uniform32(any::<u8>()),
        ) {
            let address = Address::for_public_key(&domain, &key).unwrap();
            prop_assert_eq!(&address.to_string().parse::<Address>().unwrap(), &address);
            prop_assert!(address.belongs_to(&key));
            prop_assert_eq!(address.belongs_to(&other), key == other);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "(did:(e:)?)?.*") {
            let _ = text.parse::<Address>();
        }
    }
}
