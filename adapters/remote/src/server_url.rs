//! Where the service is.

use std::fmt;
use std::str::FromStr;

use reprieve_domain::DeletionProcessId;
use url::{Host, Url};

/// The address of a service: `https://HOST[:PORT][/PATH]`, or `http://…` on this machine. In its normal form, which has
/// no slash at the end, it is also the audience of the tokens that the service is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// A text that is not the address of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerUrl {
    /// No URL, or one of something else.
    #[error("the URL of a server is https://HOST[:PORT][/PATH]")]
    NotHttp,
    /// Over a network, whoever listens could act as the identity.
    #[error(
        "http:// is for servers on this machine only, because anybody on the way could read it: use https://"
    )]
    PlainHttp,
    /// The identity proves who it is with its key.
    #[error("the URL of a server must not contain a user name or password")]
    UserInfo,
    /// It would get lost.
    #[error("the URL of a server ends with its path")]
    QueryOrFragment,
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url = Url::parse(text).map_err(|_| InvalidServerUrl::NotHttp)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(InvalidServerUrl::PlainHttp),
            _ => return Err(InvalidServerUrl::NotHttp),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidServerUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidServerUrl::QueryOrFragment);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl ServerUrl {
    /// Whether what is sent is encrypted on the way.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The identity's processes.
    pub(crate) fn processes(&self) -> Url {
        self.join("/api/v2/Identities/Self/DeletionProcesses")
    }

    /// One of them.
    pub(crate) fn process(&self, id: &DeletionProcessId) -> Url {
        self.join(&format!("/api/v2/Identities/Self/DeletionProcesses/{id}"))
    }

    /// Cancelling it.
    pub(crate) fn cancel(&self, id: &DeletionProcessId) -> Url {
        self.join(&format!("/api/v2/Identities/Self/DeletionProcesses/{id}/Cancel"))
    }

    fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_normal_form_has_no_slash_at_the_end() {
        for (text, normal) in [
            ("https://reprieve.example", "https://reprieve.example"),
            ("https://REPRIEVE.example:443//", "https://reprieve.example"),
            ("https://reprieve.example:8443/deletion/", "https://reprieve.example:8443/deletion"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://127.0.0.2", "http://127.0.0.2"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), normal);
        }
    }

    #[test]
    fn the_path_of_the_server_comes_before_that_of_the_interface() {
        let id = "IDP0123456789abcdefg".parse().unwrap();
        for (server, url) in [
            (
                "https://a.example",
                "https://a.example/api/v2/Identities/Self/DeletionProcesses/IDP0123456789abcdefg/Cancel",
            ),
            (
                "https://a.example/x/",
                "https://a.example/x/api/v2/Identities/Self/DeletionProcesses/IDP0123456789abcdefg/Cancel",
            ),
        ] {
            assert_eq!(server.parse::<ServerUrl>().unwrap().cancel(&id).as_str(), url);
        }
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear_over_a_network() {
        for text in ["http://reprieve.example", "http://10.0.0.1", "http://localhost.example", "http://[::2]"]
        {
            assert_eq!(text.parse::<ServerUrl>(), Err(InvalidServerUrl::PlainHttp), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_service_is_refused() {
        for (text, error) in [
            ("", InvalidServerUrl::NotHttp),
            ("reprieve.example", InvalidServerUrl::NotHttp),
            ("https://", InvalidServerUrl::NotHttp),
            ("ftp://reprieve.example", InvalidServerUrl::NotHttp),
            ("localhost:8080", InvalidServerUrl::NotHttp),
            ("https://somebody@reprieve.example", InvalidServerUrl::UserInfo),
            ("https://:secret@reprieve.example", InvalidServerUrl::UserInfo),
            ("https://reprieve.example?a=b", InvalidServerUrl::QueryOrFragment),
            ("https://reprieve.example/#a", InvalidServerUrl::QueryOrFragment),
        ] {
            assert_eq!(text.parse::<ServerUrl>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic_and_the_normal_form_is_its_own(text in "(https?://)?[ -~\u{e9}]{0,30}") {
            if let Ok(url) = text.parse::<ServerUrl>() {
                prop_assert_eq!(&url.to_string().parse::<ServerUrl>().unwrap(), &url);
            }
        }
    }
}
