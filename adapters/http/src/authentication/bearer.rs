//! The token in a request.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::TokenRefused;

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
///
/// Two such headers are refused: whoever stands before this service may have looked at the other one.
pub(super) fn bearer_token(headers: &HeaderMap) -> Result<&[u8], TokenRefused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenRefused::NoToken)?.as_bytes();
    if values.next().is_some() {
        return Err(TokenRefused::NotBearer);
    }
    // The name of a scheme is in any case, and any number of spaces separates it (RFC 9110, section 11).
    match value.split_at_checked(b"Bearer".len()) {
        Some((scheme, [b' ', token @ ..])) if scheme.eq_ignore_ascii_case(b"Bearer") => {
            let spaces = token.iter().take_while(|byte| **byte == b' ').count();
            token.get(spaces..).ok_or(TokenRefused::NotBearer)
        }
        _ => Err(TokenRefused::NotBearer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_is_in_any_case_and_any_number_of_spaces_follows() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "bEaReR    a.b.c"] {
            assert_eq!(bearer_token(&headers(&[value.as_bytes()])), Ok(&b"a.b.c"[..]), "{value}");
        }
    }

    #[test]
    fn what_is_not_one_bearer_token_is_refused() {
        assert_eq!(bearer_token(&HeaderMap::new()), Err(TokenRefused::NoToken));
        for values in [
            &[&b""[..]][..],
            &[b"Bearer"],
            &[b"Bearer\ta.b.c"],
            &[b"Bearera.b.c"],
            &[b"Basic YTpi"],
            &[b"a.b.c"],
            &[b" Bearer a.b.c"],
            &[b"\xffearer a.b.c"],
            &[b"Bearer a.b.c", b"Bearer a.b.c"],
            &[b"Bearer a.b.c", b""],
            &[b"Basic YTpi", b"Bearer a.b.c"],
        ] {
            assert_eq!(bearer_token(&headers(values)), Err(TokenRefused::NotBearer), "{values:?}");
        }
    }
}
