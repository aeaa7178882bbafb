//! Receipts and public keys: whatever is shown, nothing verifies that nobody has signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reprieve_application::SecretKey;
use reprieve_system::{JwsReceiptSigner, verify_receipt};

fuzz_target!(|input: (&str, &str)| {
    let (receipt, key) = input;
    let own = JwsReceiptSigner::new(SecretKey::new([7; 32])).public_key_jwk();
    let refused = verify_receipt(receipt, &own).expect_err("a receipt that nobody has signed");
    assert!(!refused.to_string().is_empty());
    let _ = verify_receipt(receipt, key);
});
