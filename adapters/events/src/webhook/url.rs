//! Where a receiver is, and where it may send us.

use std::fmt;
use std::str::FromStr;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use url::{Host, Url};

/// The longest URL that is taken. Nobody has a longer one.
const LONGEST: usize = 2048;

/// The URL of a receiver of events: `https://…`, or `http://…`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// A text that is not the URL of a receiver. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// No URL, or one of something else.
    #[error("the URL of a webhook is https://HOST[:PORT][/PATH][?QUERY]")]
    NotHttp,
    /// Requests are signed; whoever wants a password as well is sent it in a header.
    #[error("the URL of a webhook must not contain a user name or password")]
    UserInfo,
    /// It would not be sent.
    #[error("the URL of a webhook must not contain a fragment")]
    Fragment,
    /// Nobody has such a URL.
    #[error("the URL of a webhook has at most {LONGEST} characters")]
    TooLong,
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidWebhookUrl::NotHttp)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidWebhookUrl::NotHttp);
        }
        if has_user_info(&url) {
            return Err(InvalidWebhookUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::Fragment);
        }
        if url.as_str().len() > LONGEST {
            return Err(InvalidWebhookUrl::TooLong);
        }
        Ok(Self(url))
    }
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl WebhookUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    pub(super) fn host(&self) -> Option<Host<&str>> {
        self.0.host()
    }

    /// Whether what is sent is encrypted on the way.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn is_on_this_machine(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Where an answer of `base` asks for the same request again: only if it says that the request is to stay what it is,
    /// and at the same server. Another one has no business with what is sent.
    pub(super) fn redirect(&self, base: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
        if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return None;
        }
        let url = base.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
        let is_ours = url.origin() == self.0.origin() && !has_user_info(&url);
        (is_ours && url.as_str().len() <= LONGEST).then_some(url)
    }
}

impl fmt::Debug for WebhookUrl {
    /// Without the path and the query: with many receivers, whoever knows them may tell them anything.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    fn redirect(status: u16, location: &[u8]) -> Option<String> {
        let url: WebhookUrl = "https://a.example/hooks/1?key=2".parse().unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location).unwrap())]);
        url.redirect(url.as_url(), StatusCode::from_u16(status).unwrap(), &headers).map(Into::into)
    }

    #[test]
    fn what_is_no_url_of_a_receiver_is_refused() {
        let long = format!("https://a.example/{}", "a".repeat(LONGEST));
        for (text, error) in [
            ("", InvalidWebhookUrl::NotHttp),
            ("a.example", InvalidWebhookUrl::NotHttp),
            ("https://", InvalidWebhookUrl::NotHttp),
            ("ftp://a.example", InvalidWebhookUrl::NotHttp),
            ("https://somebody@a.example", InvalidWebhookUrl::UserInfo),
            ("https://:secret@a.example", InvalidWebhookUrl::UserInfo),
            ("https://a.example/#a", InvalidWebhookUrl::Fragment),
            (&long, InvalidWebhookUrl::TooLong),
        ] {
            assert_eq!(text.parse::<WebhookUrl>(), Err(error), "{text}");
        }
        assert!(long[..LONGEST].parse::<WebhookUrl>().is_ok());
    }

    #[test]
    fn a_redirect_leads_to_the_same_server_only() {
        for (location, expected) in [
            ("/b", "https://a.example/b"),
            ("b", "https://a.example/hooks/b"),
            ("?c", "https://a.example/hooks/1?c"),
            ("https://A.example:443/b", "https://a.example/b"),
        ] {
            for status in [307, 308] {
                assert_eq!(redirect(status, location.as_bytes()).as_deref(), Some(expected));
            }
            for status in [200, 201, 300, 301, 302, 303, 304, 305, 306, 309, 400] {
                assert_eq!(redirect(status, location.as_bytes()), None, "{status}");
            }
        }
        let long = "a".repeat(LONGEST);
        for location in [
            "http://a.example/b",
            "https://b.example/",
            "//b.example/",
            "\\\\b.example/",
            "/\\b.example/",
            "https://a.example:8443/",
            "https://a.example./",
            "https://a.example@b.example/",
            "https://b@a.example/",
            "https://a.example.b.example/",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "https://",
            "\u{e9}",
            &long,
        ] {
            assert_eq!(redirect(307, location.as_bytes()), None, "{location}");
        }
        assert_eq!(redirect(307, b"/\xff"), None);
    }

    #[test]
    fn what_is_shown_of_a_url_is_its_server() {
        for (text, shown) in [
            ("https://a.example/hidden?hidden", "https://a.example"),
            ("http://[::1]:8080/hidden", "http://[::1]:8080"),
        ] {
            assert_eq!(format!("{:?}", text.parse::<WebhookUrl>().unwrap()), shown);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in "(https?://)?\\PC{0,40}") {
            let _ = text.parse::<WebhookUrl>();
        }

        #[test]
        fn no_location_leads_to_another_server(location in "(https?:)?[/\\\\]{0,3}[a-z0-9.:@%\\[\\]#?/\\\\]{0,30}") {
            if let Some(url) = redirect(307, location.as_bytes()) {
                prop_assert!(url.starts_with("https://a.example/"), "{}", url);
            }
        }
    }
}
