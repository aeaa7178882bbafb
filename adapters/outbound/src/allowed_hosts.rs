//! Whom to call although he is not on the internet.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Host;

use crate::is_public;

/// A host that may be called although it is in a private network: a name or an address, as in a URL, without a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHost(Host);

/// A text that is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is one name or one address, without a scheme, a port or a path")]
pub struct InvalidHost;

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        // An IPv6 address stands in brackets in a URL; whoever leaves them out means the same.
        let host = match text.parse() {
            Ok(address) => Host::Ipv6(address),
            Err(_) => Host::parse(text).map_err(|_| InvalidHost)?,
        };
        match normal(host) {
            // Whoever writes an asterisk expects it to stand for something.
            Host::Domain(name) if name.is_empty() || name.ends_with('.') || name.contains('*') => {
                Err(InvalidHost)
            }
            host => Ok(Self(host)),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The full stop that says that a name is complete makes it no other name.
fn normal(host: Host) -> Host {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    }
}

/// Decides to which addresses a connection may be made: to public ones, and to whatever is allowed by name or by address.
///
/// Whoever chooses where a message is sent could otherwise make this machine ask others that only it can reach: itself, its
/// neighbours, the metadata of its cloud. What counts is the address to which the connection is made, at that moment: a
/// name that was harmless when it was looked at may lead elsewhere later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(BTreeSet<AllowedHost>);

impl FromIterator<AllowedHost> for AllowedHosts {
    fn from_iter<Hosts: IntoIterator<Item = AllowedHost>>(hosts: Hosts) -> Self {
        Self(hosts.into_iter().collect())
    }
}

impl AllowedHosts {
    /// Whether a connection may be made to this address, to which this name has led.
    #[must_use]
    pub fn may_connect(&self, name: &str, address: IpAddr) -> bool {
        self.contains(Host::Domain(name.to_ascii_lowercase())) || self.may_connect_to(address)
    }

    /// Whether a connection may be made to this address.
    #[must_use]
    pub fn may_connect_to(&self, address: IpAddr) -> bool {
        let host = match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        };
        is_public(address) || self.contains(host)
    }

    /// Whether a URL with this host may be called, as far as that can be said without asking for its addresses.
    #[must_use]
    pub fn may_call(&self, host: &Host<&str>) -> bool {
        match host {
            Host::Domain(name) => !is_this_machine(name) || self.contains(Host::Domain((*name).to_owned())),
            Host::Ipv4(address) => self.may_connect_to((*address).into()),
            Host::Ipv6(address) => self.may_connect_to((*address).into()),
        }
    }

    fn contains(&self, host: Host) -> bool {
        self.0.contains(&AllowedHost(normal(host)))
    }
}

/// By RFC 6761 these names lead nowhere else.
fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    fn allowed(hosts: &[&str]) -> AllowedHosts {
        hosts.iter().map(|host| host.parse::<AllowedHost>().unwrap()).collect()
    }

    fn may_call(hosts: &AllowedHosts, url: &str) -> bool {
        hosts.may_call(&Url::parse(url).unwrap().host().unwrap())
    }

    #[test]
    fn however_an_address_is_written_it_is_that_address() {
        let nobody = AllowedHosts::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "\u{ff11}27.0.0.1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "0",
            "10.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "loc\u{ad}alhost",
        ] {
            assert!(!may_call(&nobody, &format!("https://{host}/")), "{host}");
        }
        for host in ["a.example", "localhost.example", "9.9.9.9", "[2606:4700::1111]"] {
            assert!(may_call(&nobody, &format!("https://{host}/")), "{host}");
        }
    }

    #[test]
    fn whoever_is_allowed_may_be_called_and_nobody_else() {
        let hosts =
            allowed(&["Receiver.Internal", "localhost", "10.0.0.1", "fd00::1", "[fd00::2]", "0x7f.1"]);
        for url in [
            "https://receiver.internal",
            "http://localhost:80",
            "http://localhost.",
            "http://10.0.0.1:9",
            "https://[fd00::1]",
            "https://[fd00:0::2]",
            "https://127.0.0.1",
        ] {
            assert!(may_call(&hosts, url), "{url}");
        }
        for url in
            ["http://10.0.0.2", "https://[fd00::3]", "http://127.0.0.2", "http://a.localhost", "http://[::1]"]
        {
            assert!(!may_call(&hosts, url), "{url}");
        }
    }

    #[test]
    fn a_name_that_is_allowed_may_lead_anywhere_and_another_one_to_allowed_addresses() {
        let hosts = allowed(&["receiver.internal", "10.0.0.1"]);
        let may = |name: &str, address: &str| hosts.may_connect(name, address.parse().unwrap());
        assert!(may("receiver.internal", "192.168.0.1") && may("RECEIVER.internal.", "::1"));
        assert!(may("other.internal", "10.0.0.1") && may("other.internal", "9.9.9.9"));
        for (name, address) in [
            ("other.internal", "192.168.0.1"),
            ("a.receiver.internal", "192.168.0.1"),
            ("internal", "192.168.0.1"),
            ("receiver.internal..", "192.168.0.1"),
            ("10.0.0.1", "10.0.0.2"),
            ("other.internal", "::ffff:10.0.0.2"),
            ("", "::1"),
        ] {
            assert!(!may(name, address), "{name} {address}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "a..",
            "http://a",
            "a:80",
            "a/b",
            "a b",
            "10.0.0.0/8",
            "1.2.3.4.5",
            "[::1",
            "*",
            "*.a.example",
            "a@b",
        ] {
            assert_eq!(text.parse::<AllowedHost>(), Err(InvalidHost), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic_and_what_is_shown_is_the_same_host(text in "(\\[?[0-9a-f:.x]{0,40}\\]?|\\PC{0,30})") {
            if let Ok(host) = text.parse::<AllowedHost>() {
                prop_assert_eq!(host.to_string().parse::<AllowedHost>().unwrap(), host);
            }
        }

        #[test]
        fn no_name_makes_deciding_panic(name in "\\PC{0,30}", address: std::net::Ipv4Addr) {
            let hosts = allowed(&["receiver.internal"]);
            prop_assert_eq!(hosts.may_connect(&name, address.into()), is_public(address.into()));
        }
    }
}
