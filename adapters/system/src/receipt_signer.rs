//! The port `ReceiptSigner`: receipts as JSON Web Signatures, and checking them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use reprieve_application::ports::{ReceiptChecker, ReceiptSigner};
use reprieve_application::{Coded, ErrorCode, Receipt, SecretKey, SettledErasure};
use serde_json::{Value, json};

use crate::jws::{compact, public_jwk, thumbprint};

const ALGORITHM: &str = "EdDSA";
/// Keeps a receipt from passing for anything else that is signed with the same key, and the other way round.
const TYPE: &str = "reprieve-receipt+jwt";

/// Signs receipts with the deployment's Ed25519 key.
#[derive(Debug, Clone)]
pub struct JwsReceiptSigner {
    key: SecretKey,
    public: [u8; 32],
}

impl JwsReceiptSigner {
    /// With this key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        let public = SigningKey::from_bytes(key.expose()).verifying_key().to_bytes();
        Self { key, public }
    }

    /// What tells the key from any other: the thumbprint of the public one (RFC 7638), which receipts name as `kid`.
    #[must_use]
    pub fn key_id(&self) -> String {
        thumbprint(&self.public)
    }

    /// The public key as a JWK, for whoever is to check receipts.
    #[must_use]
    pub fn public_key_jwk(&self) -> String {
        let mut jwk = public_jwk(&self.public);
        if let Some(members) = jwk.as_object_mut() {
            for (name, value) in
                [("kid", thumbprint(&self.public).as_str()), ("alg", ALGORITHM), ("use", "sig")]
            {
                members.insert(name.to_owned(), value.into());
            }
        }
        jwk.to_string()
    }
}

impl ReceiptSigner for JwsReceiptSigner {
    fn sign(&self, receipt: &Receipt) -> String {
        let header = json!({"alg": ALGORITHM, "typ": TYPE, "kid": thumbprint(&self.public)});
        compact(&header.to_string(), &payload(receipt).to_string(), &self.key)
    }
}

fn payload(receipt: &Receipt) -> Value {
    let erasure = |erasure: &SettledErasure| match erasure {
        SettledErasure::Acknowledged { eraser, at, count } => {
            json!({"eraser": eraser.as_str(), "acknowledgedAt": at.to_string(), "count": count})
        }
        SettledErasure::Waived { eraser, at, code } => {
            json!({"eraser": eraser.as_str(), "waivedAt": at.to_string(), "code": code.as_str()})
        }
    };
    json!({
        "processId": receipt.process_id.as_str(),
        "identityHash": receipt.identity_hash.to_string(),
        "createdAt": receipt.created_at.to_string(),
        "gracePeriodEndsAt": receipt.grace_period_ends_at.to_string(),
        "deletionStartedAt": receipt.deletion_started_at.to_string(),
        "deletionCompletedAt": receipt.deletion_completed_at.to_string(),
        "erasures": receipt.erasures.iter().map(erasure).collect::<Vec<_>>(),
        "auditTrail": {"entries": receipt.audit_head.length, "head": receipt.audit_head.hash.to_string()},
    })
}

/// Checks receipts against the audit trail.
#[derive(Debug, Clone)]
pub struct JwsReceiptChecker {
    public_key_jwk: Option<String>,
}

impl JwsReceiptChecker {
    /// With the key of the deployment. Without it, what receipts say is compared, but not who has signed them.
    #[must_use]
    pub fn new(signer: Option<&JwsReceiptSigner>) -> Self {
        Self { public_key_jwk: signer.map(JwsReceiptSigner::public_key_jwk) }
    }
}

impl ReceiptChecker for JwsReceiptChecker {
    fn is_receipt(&self, signed: &str, receipt: &Receipt) -> bool {
        let stated = match &self.public_key_jwk {
            Some(jwk) => verify_receipt(signed, jwk).ok(),
            None => signed.trim().split('.').nth(1).and_then(json_object),
        };
        stated == Some(payload(receipt))
    }
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no signed receipt at all.
    #[error("this is no receipt: {0}")]
    NotAReceipt(&'static str),
    /// The key is none that receipts are signed with.
    #[error("this is no public key for receipts: {0}")]
    NotAKey(&'static str),
    /// It says that it is signed with another key than the one it is checked against.
    #[error("the receipt is signed with another key")]
    OtherKey,
    /// It was changed, or somebody else made it.
    #[error("the signature of the receipt does not match: it was changed, or signed with another key")]
    WrongSignature,
}

impl Coded for ReceiptError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ReceiptInvalid
    }
}

/// What a signed receipt says, if this public key, a JWK, vouches for it. Needs nothing but the two texts; white space
/// around them does not count.
///
/// # Errors
/// If the receipt is malformed, was changed, is something else that was signed, or is signed with another key.
pub fn verify_receipt(signed: &str, public_key_jwk: &str) -> Result<Value, ReceiptError> {
    use ReceiptError::NotAReceipt;
    let key = public_key(public_key_jwk)?;

    let (content, signature) =
        signed.trim().rsplit_once('.').ok_or(NotAReceipt("it does not have three parts"))?;
    let (header, payload) = content.split_once('.').ok_or(NotAReceipt("it does not have three parts"))?;
    let header = json_object(header).ok_or(NotAReceipt("its header is not a JSON object in base64url"))?;
    // A signature that the header could choose the rules of would be worth nothing.
    if header.get("alg").and_then(Value::as_str) != Some(ALGORITHM) {
        return Err(NotAReceipt("its algorithm is not EdDSA"));
    }
    if header.get("typ").and_then(Value::as_str) != Some(TYPE) {
        return Err(NotAReceipt("it was signed as something else"));
    }
    if header.get("crit").is_some() {
        return Err(NotAReceipt("its header demands what is not understood here"));
    }
    if header.get("kid").is_some_and(|kid| *kid != thumbprint(key.as_bytes())) {
        return Err(ReceiptError::OtherKey);
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or(NotAReceipt("its signature is not 64 bytes in base64url"))?;
    key.verify_strict(content.as_bytes(), &signature).map_err(|_| ReceiptError::WrongSignature)?;
    json_object(payload).ok_or(NotAReceipt("its content is not a JSON object in base64url"))
}

fn public_key(jwk: &str) -> Result<VerifyingKey, ReceiptError> {
    use ReceiptError::NotAKey;
    let jwk: Value = serde_json::from_str(jwk).map_err(|_| NotAKey("it is not JSON"))?;
    let member = |name| jwk.get(name).and_then(Value::as_str);
    if (member("kty"), member("crv")) != (Some("OKP"), Some("Ed25519")) {
        return Err(NotAKey("it is not a JWK of an Ed25519 key"));
    }
    member("x")
        .and_then(|x| URL_SAFE_NO_PAD.decode(x).ok())
        .and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok())
        .ok_or(NotAKey("its x is not 32 bytes in base64url that are a key"))
}

fn json_object(part: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests;
