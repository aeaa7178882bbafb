//! Addresses: what is accepted prints as it was read, and what is derived from a key is accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_domain::Address;

fuzz_target!(|text: &str| {
    // Anything is a key.
    let key = text.as_bytes();
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string(), text);
        assert!(text.is_ascii() && text.starts_with("did:"));
        let longest =
            if text.starts_with("did:e:") { Address::MAX_LENGTH_ENMESHED } else { Address::MAX_LENGTH };
        assert!(text.len() <= longest);
        let _ = address.belongs_to(key);
    }
    if let Ok(address) = Address::for_public_key(text, key) {
        assert_eq!(address.as_str().parse::<Address>().as_ref(), Ok(&address));
        assert!(address.belongs_to(key));
    }
});
