//! The identifiers of processes and devices: a three-letter prefix and 17 characters of `[A-Za-z0-9]`.
//!
//! Ids are made elsewhere, from a cryptographic random source, and enter here as values.

use crate::text::checked_text;

const RANDOM_LENGTH: usize = 17;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of a {kind} is `{prefix}` followed by 17 characters of A-Z, a-z and 0-9")]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// How many characters of `[A-Za-z0-9]` follow the prefix.
            pub const RANDOM_LENGTH: usize = RANDOM_LENGTH;

            fn check(text: &str) -> Result<(), InvalidId> {
                match text.strip_prefix($prefix) {
                    Some(rest)
                        if rest.len() == RANDOM_LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
                    {
                        Ok(())
                    }
                    _ => Err(InvalidId { kind: $kind, prefix: $prefix }),
                }
            }
        }

        checked_text!($type, InvalidId);
    };
}

id! {
    /// Names one attempt to delete one identity: `IDP` and 17 characters of `[A-Za-z0-9]`.
    ///
    /// ```
    /// # use reprieve_domain::DeletionProcessId;
    /// assert!("IDP0123456789abcdefg".parse::<DeletionProcessId>().is_ok());
    /// assert!("IDP0123".parse::<DeletionProcessId>().is_err());
    /// ```
    DeletionProcessId, "IDP", "deletion process"
}

id! {
    /// Names a device of an identity: `DVC` and 17 characters of `[A-Za-z0-9]`.
    DeviceId, "DVC", "device"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_process_id_is_not_a_device_id() {
        assert!("IDP0123456789abcdefg".parse::<DeletionProcessId>().is_ok());
        assert!("IDP0123456789abcdefg".parse::<DeviceId>().is_err());
    }

    #[test]
    fn anything_but_prefix_and_17_alphanumerics_is_refused() {
        for text in [
            "",
            "IDP",
            "idp0123456789abcdefg",
            "IDP0123456789abcdef",
            "IDP0123456789abcdefgh",
            "IDP0123456789abcdef-",
            "IDP0123456789abcdef\u{e9}",
            " IDP0123456789abcdefg",
            "IDP0123456789abcdefg\n",
        ] {
            assert!(text.parse::<DeletionProcessId>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_well_formed_id_survives_printing_and_parsing(text in "IDP[A-Za-z0-9]{17}") {
            prop_assert_eq!(text.parse::<DeletionProcessId>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let accepted = text.parse::<DeletionProcessId>().is_ok();
            prop_assert_eq!(accepted, text.len() == 20 && text.starts_with("IDP") && text.is_ascii()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
}
