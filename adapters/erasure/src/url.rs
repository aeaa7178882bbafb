//! Where an eraser is, and where it may send us.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reprieve_domain::Address;
use url::{Host, Url};

/// The longest URL to ask at how far an eraser is. It is stored.
const LONGEST: usize = 2048;

/// The URL of an eraser: `https://…`, or `http://…`.
#[derive(Clone, PartialEq, Eq)]
pub struct EraserUrl(Url);

/// A text that is not the URL of an eraser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEraserUrl {
    /// No URL, or one of something else.
    #[error("the URL of an eraser is https://HOST[:PORT][/PATH][?QUERY]")]
    NotHttp,
    /// Requests are signed; nobody asks for a password.
    #[error("the URL of an eraser must not contain a user name or password")]
    UserInfo,
    /// It would not be sent.
    #[error("the URL of an eraser must not contain a fragment")]
    Fragment,
}

impl FromStr for EraserUrl {
    type Err = InvalidEraserUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidEraserUrl::NotHttp)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidEraserUrl::NotHttp);
        }
        if has_user_info(&url) {
            return Err(InvalidEraserUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidEraserUrl::Fragment);
        }
        Ok(Self(url))
    }
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl EraserUrl {
    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether what is sent is encrypted on the way.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn is_on_this_machine(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Where to ask how far it is, as said in an answer of `base`. Nothing if that is another server, which has no
    /// business with our signature, or if the URL is one that nobody should see: with this address in it.
    pub(crate) fn poll(&self, base: &Url, location: &str, address: &Address) -> Option<Url> {
        let mut url = base.join(location).ok()?;
        url.set_fragment(None);
        let text = url.as_str();
        let names_somebody = percent_decode_str(text).decode_utf8_lossy().contains(address.as_str())
            || text.contains(address.as_str());
        let is_ours = url.origin() == self.0.origin() && !has_user_info(&url);
        (is_ours && !names_somebody && text.len() <= LONGEST).then_some(url)
    }
}

impl fmt::Debug for EraserUrl {
    /// Without the query, which may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_query(None);
        formatter.write_str(url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> Address {
        "did:web:example.org".parse().unwrap()
    }

    fn poll(location: &str) -> Option<String> {
        let url: EraserUrl = "https://a.example/erase/it?key=1".parse().unwrap();
        url.poll(url.as_url(), location, &address()).map(Into::into)
    }

    #[test]
    fn what_is_no_url_of_an_eraser_is_refused() {
        for (text, error) in [
            ("", InvalidEraserUrl::NotHttp),
            ("a.example", InvalidEraserUrl::NotHttp),
            ("https://", InvalidEraserUrl::NotHttp),
            ("ftp://a.example", InvalidEraserUrl::NotHttp),
            ("https://somebody@a.example", InvalidEraserUrl::UserInfo),
            ("https://:secret@a.example", InvalidEraserUrl::UserInfo),
            ("https://a.example/#a", InvalidEraserUrl::Fragment),
        ] {
            assert_eq!(text.parse::<EraserUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_place_to_ask_at_is_on_the_same_server() {
        for (location, url) in [
            ("/jobs/1", "https://a.example/jobs/1"),
            ("jobs/1", "https://a.example/erase/jobs/1"),
            ("?job=1", "https://a.example/erase/it?job=1"),
            ("", "https://a.example/erase/it?key=1"),
            ("#x", "https://a.example/erase/it?key=1"),
            ("https://A.example:443/1", "https://a.example/1"),
        ] {
            assert_eq!(poll(location).as_deref(), Some(url), "{location}");
        }
        for location in [
            "//b.example/1",
            "https://b.example/1",
            "http://a.example/1",
            "https://a.example:444/1",
            "https://a.example.b.example/1",
            "https://somebody@a.example/1",
            "https://a.example@b.example/1",
            "\\\\b.example/1",
            "data:,a",
            "https://",
            "/jobs/did:web:example.org",
            "/jobs/did%3aweb%3Aexample.org",
            &"a".repeat(2048),
        ] {
            assert_eq!(poll(location), None, "{location}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let url: EraserUrl = "https://a.example/b?key=secret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://a.example/b");
    }

    proptest! {
        #[test]
        fn wherever_an_eraser_sends_us_it_is_its_own_server(location in r"(https?:|/|\\|@|\?)?[ -~\u{e9}]{0,30}") {
            if let Some(url) = poll(&location) {
                prop_assert!(url.starts_with("https://a.example/"), "{url}");
            }
            let _ = location.parse::<EraserUrl>();
        }
    }
}
