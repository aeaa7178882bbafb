//! Which tokens are accepted. Pure: the keys and the time are given.

use std::time::Duration;

use reprieve_application::Caller;
use reprieve_domain::Moment;
use serde_json::value::RawValue;

use super::claims::{Claims, Validity};
use super::jwk::PublicKey;
use super::signed_token::{Header, SignedToken};
use super::verified_tokens::{TokenDigest, VerifiedTokens};
use super::{
    AuthenticationSettings, InvalidAuthenticationSettings, KeySet, MAXIMUM_LEEWAY, MAXIMUM_LIFETIME,
    TokenRefused,
};

/// Which tokens are accepted: those of the issuer, and those that identities signed themselves.
///
/// A token that brings a key is only ever one of the second kind, so that no token can choose to be checked with its
/// own key instead of the issuer's.
#[derive(Debug, Clone)]
pub struct TokenRules {
    issuer: Option<Issuer>,
    /// The audiences of tokens that identities signed.
    self_signed: Option<Vec<String>>,
    leeway: i64,
}

#[derive(Debug, Clone)]
struct Issuer {
    name: String,
    audiences: Vec<String>,
}

/// Keys, and the tokens that were verified with them, which are forgotten with them.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) set: KeySet,
    pub(super) verified: VerifiedTokens,
}

/// What a token says that keeps all rules but those of time.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    caller: Caller,
    validity: Validity,
}

impl TokenRules {
    /// The rules that these settings make.
    ///
    /// # Errors
    /// If an issuer has no name, if there is no audience, or if the leeway is too long.
    pub fn new(settings: &AuthenticationSettings) -> Result<Self, InvalidAuthenticationSettings> {
        let issuer = settings
            .issuer
            .as_ref()
            .map(|issuer| match issuer.issuer.as_str() {
                "" => Err(InvalidAuthenticationSettings::Issuer),
                name => Ok(Issuer { name: name.to_owned(), audiences: audiences(&issuer.audiences)? }),
            })
            .transpose()?;
        let self_signed =
            settings.self_signed.as_ref().map(|settings| audiences(&settings.audiences)).transpose()?;
        if settings.leeway > MAXIMUM_LEEWAY {
            return Err(InvalidAuthenticationSettings::Leeway);
        }
        Ok(Self { issuer, self_signed, leeway: micros(settings.leeway) })
    }

    /// Who calls, by a token that is presented at `now`, where the issuer's keys are `keys`.
    ///
    /// # Errors
    /// Whatever is wrong with the token.
    pub fn check(&self, token: &[u8], keys: &KeySet, at: impl Into<Moment>) -> Result<Caller, TokenRefused> {
        self.check_time(self.verify(&SignedToken::parse(token)?, keys)?, at.into())
    }

    /// The same, where a token that these keys have verified before is not verified again.
    pub(super) fn check_again(
        &self,
        token: &SignedToken<'_>,
        keys: &Keys,
        at: Moment,
    ) -> Result<Caller, TokenRefused> {
        let digest = TokenDigest::of(token.text);
        if let Some(verified) = keys.verified.get(digest) {
            return self.check_time(verified, at);
        }
        let verified = self.verify(token, &keys.set)?;
        let caller = self.check_time(verified.clone(), at)?;
        keys.verified.remember(digest, verified);
        Ok(caller)
    }

    /// Whether any token is accepted.
    pub(super) fn accept_any(&self) -> bool {
        self.issuer.is_some() || self.self_signed.is_some()
    }

    /// All rules but those of time.
    pub(super) fn verify(&self, token: &SignedToken<'_>, keys: &KeySet) -> Result<Verified, TokenRefused> {
        match &token.header.jwk {
            Some(jwk) => self.verify_self_signed(token, jwk),
            None => self.verify_issued(token, keys),
        }
    }

    fn check_time(&self, verified: Verified, at: Moment) -> Result<Caller, TokenRefused> {
        verified.validity.check(at, self.leeway)?;
        Ok(verified.caller)
    }

    fn verify_issued(&self, token: &SignedToken<'_>, keys: &KeySet) -> Result<Verified, TokenRefused> {
        let issuer = self.issuer.as_ref().ok_or(TokenRefused::IssuedNotAccepted)?;
        if !is_access_token(&token.header) {
            return Err(TokenRefused::Type);
        }
        let mut candidates = keys.candidates(&token.header).peekable();
        candidates.peek().ok_or(TokenRefused::UnknownKey)?;
        if !candidates.any(|key| key.verifies(token)) {
            return Err(TokenRefused::Signature);
        }
        let claims = Claims::parse(&token.claims)?;
        claims.check_issuer(&issuer.name)?;
        if !claims.audiences()?.iter().any(|audience| issuer.audiences.contains(audience)) {
            return Err(TokenRefused::Audience);
        }
        Ok(Verified { validity: claims.validity()?, caller: claims.caller()? })
    }

    /// An address is derived from a public key, so a token that is signed with that key needs nobody to vouch for it.
    fn verify_self_signed(&self, token: &SignedToken<'_>, jwk: &RawValue) -> Result<Verified, TokenRefused> {
        let own_audiences = self.self_signed.as_ref().ok_or(TokenRefused::SelfSignedNotAccepted)?;
        if token.header.typ.as_deref() != Some("JWT") {
            return Err(TokenRefused::Type);
        }
        let key = PublicKey::parse(jwk.get()).ok_or(TokenRefused::Key)?;
        let public_key = key.ed25519().ok_or(TokenRefused::Key)?;
        if !key.verifies(token) {
            return Err(TokenRefused::Signature);
        }
        let claims = Claims::parse(&token.claims)?;
        // For this service alone: of two that a token is meant for, one could use it with the other.
        match claims.audiences()? {
            [audience] if own_audiences.contains(audience) => {}
            _ => return Err(TokenRefused::Audience),
        }
        let validity = claims.validity()?;
        if claims.lifetime()? > micros(MAXIMUM_LIFETIME) {
            return Err(TokenRefused::Lifetime);
        }
        let caller = claims.caller()?;
        if !caller.address.belongs_to(public_key) {
            return Err(TokenRefused::ForeignAddress);
        }
        Ok(Verified { caller, validity })
    }
}

/// Issuers sign other things with the same key, and say so (RFC 8725, section 3.11). An access token is `at+jwt`
/// (RFC 9068), and from older issuers just any token.
fn is_access_token(header: &Header) -> bool {
    header.typ.as_ref().is_none_or(|typ| {
        let typ = typ.to_ascii_lowercase();
        matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
    })
}

fn audiences(audiences: &[String]) -> Result<Vec<String>, InvalidAuthenticationSettings> {
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        return Err(InvalidAuthenticationSettings::Audience);
    }
    Ok(audiences.to_vec())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
