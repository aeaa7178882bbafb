//! Why a request is not let in. For logs and tests: an answer that told the reasons apart would help to guess.

/// Why a token does not tell who calls. Carries nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// There is no `Authorization` header.
    #[error("no token")]
    NoToken,
    /// There are several `Authorization` headers, or one that is not `Bearer` and a token.
    #[error("the header is not one bearer token")]
    NotBearer,
    /// Longer than [`MAXIMUM_TOKEN_LENGTH`](super::MAXIMUM_TOKEN_LENGTH).
    #[error("the token is too long")]
    TooLong,
    /// Not a signed token: three parts of base64url without padding, the first two of them JSON objects whose members
    /// are given once and have the right types.
    #[error("the token is malformed")]
    Malformed,
    /// Signed, or not signed, with another algorithm than RS256, ES256 and `EdDSA`.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// The token demands that extensions be understood (`crit`), and none are.
    #[error("the token has critical extensions")]
    Critical,
    /// The token is meant for another use, such as logging out.
    #[error("the type is not that of an access token")]
    Type,
    /// The token names a key of its own and identities may not sign their tokens here.
    #[error("tokens signed by identities are not accepted")]
    SelfSignedNotAccepted,
    /// The token names no key of its own and there is no issuer.
    #[error("tokens of an issuer are not accepted")]
    IssuedNotAccepted,
    /// The key in the token is no public Ed25519 key, or one of the few for which one signature fits any message.
    #[error("the key in the token cannot be used")]
    Key,
    /// The keys that the issuer has now are not known, so that this may be one of its tokens. Trying again may mend it.
    #[error("the issuer's keys cannot be fetched")]
    IssuerUnavailable,
    /// The issuer has no key of this id for this algorithm.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the signature does not match")]
    Signature,
    /// A claim is not there.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// Issued by somebody else.
    #[error("the issuer is another one")]
    Issuer,
    /// Meant for somebody else.
    #[error("the audience is another one")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Signed by an identity for longer than [`MAXIMUM_LIFETIME`](super::MAXIMUM_LIFETIME).
    #[error("the token is valid for too long")]
    Lifetime,
    /// The address is none.
    #[error("the address is malformed")]
    Address,
    /// The address is that of another key.
    #[error("the address does not belong to the key")]
    ForeignAddress,
    /// The device id is none.
    #[error("the device id is malformed")]
    Device,
}

/// Why an API key does not open something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyRefused {
    /// No key, several, an unknown one or one that has expired. Whoever calls is not known.
    #[error("no known API key")]
    Unknown,
    /// The key is known and may do other things.
    #[error("the API key lacks the scope")]
    LacksScope,
}
