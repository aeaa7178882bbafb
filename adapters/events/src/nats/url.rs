//! Where a server is, and who we are to it.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::amqp::is_on_this_machine;

/// A text that is no URL of a server. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a server is tls://[USER:PASSWORD@ or TOKEN@]HOST[:PORT], or nats://… as well")]
pub struct InvalidNatsUrl;

/// Where a server is, and who we are to it.
#[derive(Debug)]
pub(super) struct NatsServer {
    pub(super) is_encrypted: bool,
    pub(super) is_on_this_machine: bool,
    /// Without user, password and token.
    pub(super) url: String,
    pub(super) user: Option<SecretString>,
    pub(super) password: Option<SecretString>,
    pub(super) token: Option<SecretString>,
}

impl NatsServer {
    pub(super) fn parse(url: &SecretString) -> Result<Self, InvalidNatsUrl> {
        let url = Url::parse(url.expose_secret()).map_err(|_| InvalidNatsUrl)?;
        let is_encrypted = match url.scheme() {
            "nats" => false,
            "tls" => true,
            _ => return Err(InvalidNatsUrl),
        };
        // What would not be heeded is better not written.
        if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
            return Err(InvalidNatsUrl);
        }
        // Of a scheme that it does not know, the parser leaves the host as it is.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidNatsUrl)?;
        // Several servers are not understood, and no name has a comma in it.
        let host = Some(decode(host)?).filter(|host| !host.contains(',')).ok_or(InvalidNatsUrl)?;
        let host = Host::parse(&host).map_err(|_| InvalidNatsUrl)?;
        let port = url.port().unwrap_or(4222);
        let (user, password, token) = match (url.username(), url.password()) {
            ("", None) => (None, None, None),
            (token, None) => (None, None, Some(decode(token)?.into())),
            (user, Some(password)) => (Some(decode(user)?.into()), Some(decode(password)?.into()), None),
        };
        Ok(Self {
            is_encrypted,
            is_on_this_machine: is_on_this_machine(&host),
            url: format!("{}://{host}:{port}", url.scheme()),
            user,
            password,
            token,
        })
    }
}

fn decode(text: &str) -> Result<String, InvalidNatsUrl> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| InvalidNatsUrl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(url: &str) -> Result<NatsServer, InvalidNatsUrl> {
        NatsServer::parse(&url.to_owned().into())
    }

    #[test]
    fn who_we_are_is_taken_out_of_the_url() {
        let shown =
            |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        for (url, clean, user, password, token, is_here) in [
            ("nats://a.example", "nats://a.example:4222", None, None, None, false),
            ("tls://u:p%40@a.example:1/", "tls://a.example:1", Some("u"), Some("p@"), None, false),
            ("tls://t%2Fk@[::1]", "tls://[::1]:4222", None, None, Some("t/k"), true),
            ("nats://localhost", "nats://localhost:4222", None, None, None, true),
        ] {
            let server = parse(url).unwrap();
            assert_eq!((server.url.as_str(), server.is_on_this_machine), (clean, is_here));
            let who = (shown(&server.user), shown(&server.password), shown(&server.token));
            assert_eq!(who, (user.map(Into::into), password.map(Into::into), token.map(Into::into)));
            assert_eq!(server.is_encrypted, url.starts_with("tls"));
        }
        let shown = format!("{:?}", parse("tls://somebody:secret@a.example").unwrap());
        assert!(!shown.contains("secret") && !shown.contains("somebody"), "{shown}");
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for url in [
            "",
            "a.example",
            "ws://a.example",
            "nats:a.example",
            "nats://",
            "nats:///x",
            "nats://a.example/x",
            "nats://a.example?x",
            "nats://a.example#x",
            "nats://%ff@a.example",
            "nats://a.example:65536",
            "nats://a.example,b.example",
        ] {
            assert_eq!(parse(url).unwrap_err(), InvalidNatsUrl, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(url in r"((nats|tls)://)?[ -~\u{e9}]{0,30}") {
            let _ = parse(&url);
        }
    }
}
