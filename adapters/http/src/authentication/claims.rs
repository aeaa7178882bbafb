//! What a token says, once its signature is verified (RFC 7519, section 4).

use reprieve_application::Caller;
use reprieve_domain::{Moment, Timestamp};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::{TokenRefused, json};

/// The claims that matter here.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "json::given")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "json::given")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "json::given")]
    exp: Option<Number>,
    #[serde(default, deserialize_with = "json::given")]
    nbf: Option<Number>,
    #[serde(default, deserialize_with = "json::given")]
    iat: Option<Number>,
    #[serde(default, deserialize_with = "json::given")]
    nmshd_address: Option<String>,
    /// What `nmshd_address` was called before. Elsewhere this is somebody's postal address, an object, which does no
    /// harm beside an `nmshd_address`.
    #[serde(default, deserialize_with = "json::given")]
    address: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "json::given")]
    device_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// When a token is valid, as it says itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    from: Option<Timestamp>,
    until: Timestamp,
}

impl Validity {
    /// Whether the moment is within it by one of the clocks that count, give or take `leeway` microseconds.
    pub(super) fn check(self, at: Moment, leeway: i64) -> Result<(), TokenRefused> {
        if at.earliest().micros_since(self.until) >= leeway {
            return Err(TokenRefused::Expired);
        }
        if self.from.is_some_and(|from| from.micros_since(at.latest()) > leeway) {
            return Err(TokenRefused::NotYetValid);
        }
        Ok(())
    }
}

impl Claims {
    /// Reads the claims of a token whose signature is verified.
    pub(super) fn parse(claims: &[u8]) -> Result<Self, TokenRefused> {
        json::object(claims).ok_or(TokenRefused::Malformed)
    }

    pub(super) fn check_issuer(&self, issuer: &str) -> Result<(), TokenRefused> {
        if self.iss.as_deref().ok_or(TokenRefused::MissingClaim("iss"))? == issuer {
            Ok(())
        } else {
            Err(TokenRefused::Issuer)
        }
    }

    /// Whom the token is meant for.
    pub(super) fn audiences(&self) -> Result<&[String], TokenRefused> {
        match &self.aud {
            None => Err(TokenRefused::MissingClaim("aud")),
            Some(Audience::One(audience)) => Ok(std::slice::from_ref(audience)),
            Some(Audience::Several(audiences)) => Ok(audiences),
        }
    }

    /// When the token is valid.
    pub(super) fn validity(&self) -> Result<Validity, TokenRefused> {
        let until = self.expires_at()?;
        let mut from = None;
        for not_before in [&self.nbf, &self.iat].into_iter().flatten() {
            from = from.max(Some(instant(not_before)?));
        }
        Ok(Validity { from, until })
    }

    /// For how long the token was made, in microseconds.
    pub(super) fn lifetime(&self) -> Result<i64, TokenRefused> {
        let issued_at = instant(self.iat.as_ref().ok_or(TokenRefused::MissingClaim("iat"))?)?;
        Ok(self.expires_at()?.micros_since(issued_at))
    }

    /// Who calls.
    pub(super) fn caller(&self) -> Result<Caller, TokenRefused> {
        let address = match (&self.nmshd_address, &self.address) {
            (Some(address), _) => address.parse(),
            (None, Some(address)) => {
                serde_json::from_str::<String>(address.get()).map_err(|_| TokenRefused::Address)?.parse()
            }
            (None, None) => return Err(TokenRefused::MissingClaim("nmshd_address")),
        };
        let device = self.device_id.as_ref().ok_or(TokenRefused::MissingClaim("device_id"))?;
        Ok(Caller {
            address: address.map_err(|_| TokenRefused::Address)?,
            device: device.parse().map_err(|_| TokenRefused::Device)?,
        })
    }

    fn expires_at(&self) -> Result<Timestamp, TokenRefused> {
        instant(self.exp.as_ref().ok_or(TokenRefused::MissingClaim("exp"))?)
    }
}

/// Seconds of Unix time, fractions allowed, within the calendar.
fn instant(seconds: &Number) -> Result<Timestamp, TokenRefused> {
    const MICROS: i64 = 1_000_000;
    let micros = match (seconds.as_i64(), seconds.as_f64()) {
        (Some(whole), _) => whole.checked_mul(MICROS),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit becomes a limit, far off the calendar"
        )]
        (None, Some(fraction)) => Some((fraction * 1e6) as i64),
        (None, None) => None,
    };
    micros.and_then(|micros| Timestamp::from_unix_micros(micros).ok()).ok_or(TokenRefused::Malformed)
}
