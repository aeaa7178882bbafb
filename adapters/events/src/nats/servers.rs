//! Where servers are, and who we are to them.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::amqp::is_on_this_machine;

/// A text that is no URL of a server. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a server is tls://[USER:PASSWORD@|TOKEN@]HOST[:PORT], or nats://… as well")]
pub struct InvalidNatsUrl;

/// Who we are to a server.
#[derive(Debug, Clone, Default)]
pub enum NatsCredentials {
    /// Nobody in particular, or whoever the URL says.
    #[default]
    None,
    /// Somebody with a password.
    Password {
        /// Who.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// Whoever has the token.
    Token(SecretString),
}

/// A server, without what is secret.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: ServerAddr,
    pub(super) is_on_this_machine: bool,
    pub(super) credentials: NatsCredentials,
}

impl Server {
    pub(super) fn parse(url: &SecretString) -> Result<Self, InvalidNatsUrl> {
        let mut url = Url::parse(url.expose_secret()).map_err(|_| InvalidNatsUrl)?;
        let has_path = !matches!(url.path(), "" | "/");
        if !matches!(url.scheme(), "nats" | "tls")
            || has_path
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(InvalidNatsUrl);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidNatsUrl)?;
        let is_on_this_machine = is_on_this_machine(&Host::parse(host).map_err(|_| InvalidNatsUrl)?);
        let credentials = match (url.username(), url.password()) {
            ("", None) => NatsCredentials::None,
            (token, None) => NatsCredentials::Token(decode(token)?.into()),
            (user, Some(password)) => {
                NatsCredentials::Password { user: decode(user)?, password: decode(password)?.into() }
            }
        };
        // The library shows URLs in what it logs.
        url.set_username("").map_err(|()| InvalidNatsUrl)?;
        url.set_password(None).map_err(|()| InvalidNatsUrl)?;
        let address = ServerAddr::from_url(url).map_err(|_| InvalidNatsUrl)?;
        Ok(Self { address, is_on_this_machine, credentials })
    }
}

impl NatsCredentials {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Password { user, password }, Self::Password { user: other, password: others }) => {
                user == other && password.expose_secret() == others.expose_secret()
            }
            (Self::Token(token), Self::Token(other)) => token.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

fn decode(text: &str) -> Result<String, InvalidNatsUrl> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| InvalidNatsUrl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(url: &str) -> Result<Server, InvalidNatsUrl> {
        Server::parse(&url.to_owned().into())
    }

    #[test]
    fn a_url_says_where_and_who() {
        let server = parse("tls://u%40x:p%3A%2f@a.example:1").unwrap();
        let NatsCredentials::Password { user, password } = &server.credentials else { panic!("{server:?}") };
        assert_eq!((user.as_str(), password.expose_secret()), ("u@x", "p:/"));
        assert_eq!((server.address.host(), server.address.port()), ("a.example", 1));
        assert!(server.address.tls_required() && !server.is_on_this_machine);
        assert!(!server.address.has_user_pass());

        let server = parse("nats://t@[::1]").unwrap();
        let NatsCredentials::Token(token) = &server.credentials else { panic!("{server:?}") };
        assert_eq!(token.expose_secret(), "t");
        assert_eq!((server.address.host(), server.address.port()), ("::1", 4222));
        assert!(!server.address.tls_required() && server.is_on_this_machine);

        assert!(parse("nats://localhost/").unwrap().credentials.is_none());
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for url in [
            "",
            "a.example",
            "ws://a.example",
            "nats://",
            "nats:a",
            "nats://a.example/b",
            "nats://a.example?c",
            "nats://a.example#d",
            "nats://%ff@a.example",
            "nats://a example",
        ] {
            assert_eq!(parse(url).unwrap_err(), InvalidNatsUrl, "{url}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for url in ["nats://somebody:secret@a.example", "nats://secret@a.example"] {
            let shown = format!("{:?}", parse(url).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(url in r"((nats|tls)://)?[ -~\u{e9}]{0,30}") {
            let _ = parse(&url);
        }
    }
}
