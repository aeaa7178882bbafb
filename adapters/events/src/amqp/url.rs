//! Where a broker is, and who we are to it.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

/// A text that is no URL of a broker. It does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a broker is amqps://[USER[:PASSWORD]@]HOST[:PORT][/VIRTUAL-HOST], or amqp://… as well")]
pub struct InvalidAmqpUrl;

/// Where a broker is, and who we are to it. Without a user, we are `guest`, as the broker's own clients are.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) is_encrypted: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_on_this_machine: bool,
    pub(super) user: SecretString,
    pub(super) password: SecretString,
    pub(super) virtual_host: String,
}

impl Broker {
    pub(super) fn parse(url: &SecretString) -> Result<Self, InvalidAmqpUrl> {
        let url = Url::parse(url.expose_secret()).map_err(|_| InvalidAmqpUrl)?;
        let (is_encrypted, default_port) = match url.scheme() {
            "amqp" => (false, 5672),
            "amqps" => (true, 5671),
            _ => return Err(InvalidAmqpUrl),
        };
        // Some clients have options there. What would not be heeded is better not written.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidAmqpUrl);
        }
        // Of a scheme that it does not know, the parser leaves the host as it is.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidAmqpUrl)?;
        let host = decode(host)?;
        let parsed = Host::parse(&host).map_err(|_| InvalidAmqpUrl)?;
        let is_on_this_machine = is_on_this_machine(&parsed);
        let path = url.path().strip_prefix('/').unwrap_or_default();
        if path.contains('/') {
            return Err(InvalidAmqpUrl);
        }
        let virtual_host = if path.is_empty() { "/".to_owned() } else { decode(path)? };
        let (user, password) = match (url.username(), url.password()) {
            ("", None) => ("guest".to_owned(), "guest".to_owned()),
            (user, password) => (decode(user)?, decode(password.unwrap_or_default())?),
        };
        if virtual_host.len() > 255 || user.contains('\0') {
            return Err(InvalidAmqpUrl);
        }
        Ok(Self {
            is_encrypted,
            // Where a name is looked up and certificates are compared, an address of IPv6 has no brackets.
            host: match parsed {
                Host::Ipv6(address) => address.to_string(),
                Host::Ipv4(address) => address.to_string(),
                Host::Domain(name) => name,
            },
            port: url.port().unwrap_or(default_port),
            is_on_this_machine,
            user: user.into(),
            password: password.into(),
            virtual_host,
        })
    }
}

/// Whether nobody is on the way there.
pub(crate) fn is_on_this_machine(host: &Host<impl AsRef<str>>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn decode(text: &str) -> Result<String, InvalidAmqpUrl> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| InvalidAmqpUrl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(url: &str) -> Result<Broker, InvalidAmqpUrl> {
        Broker::parse(&url.to_owned().into())
    }

    #[test]
    fn what_is_left_out_is_as_with_other_clients() {
        for (url, host, port, user, password, virtual_host) in [
            ("amqp://a.example", "a.example", 5672, "guest", "guest", "/"),
            ("amqps://a.example/", "a.example", 5671, "guest", "guest", "/"),
            ("amqp://u@a.example:1/%2f", "a.example", 1, "u", "", "/"),
            ("amqps://u%40x:p%3a%2F@[::1]:2/v", "::1", 2, "u@x", "p:/", "v"),
            ("amqp://:p@127.0.0.1/a%20b", "127.0.0.1", 5672, "", "p", "a b"),
        ] {
            let broker = parse(url).unwrap();
            assert_eq!((broker.host.as_str(), broker.port), (host, port), "{url}");
            assert_eq!(broker.user.expose_secret(), user, "{url}");
            assert_eq!(broker.password.expose_secret(), password, "{url}");
            assert_eq!(broker.virtual_host, virtual_host, "{url}");
            assert_eq!(broker.is_encrypted, url.starts_with("amqps"), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_broker_is_refused() {
        for url in [
            "",
            "a.example",
            "http://a.example",
            "amqp:a.example",
            "amqp://",
            "amqp:///v",
            "amqp://a.example/a/b",
            "amqp://a.example?heartbeat=1",
            "amqp://a.example#x",
            "amqp://%00@a.example",
            "amqp://%ff@a.example",
            "amqp://a example",
            "amqp://a.example:65536",
        ] {
            assert_eq!(parse(url).unwrap_err(), InvalidAmqpUrl, "{url}");
        }
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for (url, expected) in [
            ("amqp://localhost", true),
            ("amqp://127.1.2.3", true),
            ("amqp://[::1]", true),
            ("amqp://localhost.example", false),
            ("amqp://10.0.0.1", false),
            ("amqp://0.0.0.0", false),
        ] {
            assert_eq!(parse(url).unwrap().is_on_this_machine, expected, "{url}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let shown = format!("{:?}", parse("amqp://somebody:secret@a.example").unwrap());
        assert!(!shown.contains("secret") && !shown.contains("somebody"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(url in r"(amqps?://)?[ -~\u{e9}]{0,30}") {
            let _ = parse(&url);
        }
    }
}
