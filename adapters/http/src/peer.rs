//! Which peer a request comes from: the address at the other end of the connection or, behind proxies that are named, the one
//! that they say.
//!
//! What lives here: reading `Forwarded` and `X-Forwarded-For`, and who is believed. What does not: how much a peer may ask.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What counts as one peer: an address of IPv4, or a network of IPv6 with 64 bits, which is the least that anybody is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(IpAddr);

impl Peer {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Addresses that begin alike, such as `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an IP address, or a network such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Whether it has this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, bits: u32| {
            (one ^ other).checked_shr(bits - self.prefix).unwrap_or(0) == 0
        };
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(other)) => {
                same(first.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(first), IpAddr::V6(other)) => same(first.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (first, prefix) =
            text.split_once('/').map_or((text, None), |(first, prefix)| (first, Some(prefix)));
        let first: IpAddr = first.parse().map_err(|_| InvalidNetwork)?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or(InvalidNetwork)?,
        };
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix)
    }
}

/// The peer of a request that has come over a connection from this address. Each proxy adds, on the right, the address that it
/// has seen; so they are read from there, for as long as a proxy that is named has written them. Nothing else is believed.
pub(crate) fn peer_of(connection: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> Peer {
    let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let seen = |hops: Vec<Option<IpAddr>>| {
        let mut peer = connection;
        for hop in hops.into_iter().rev() {
            // What cannot be read hides who was behind it.
            let Some(address) = hop.filter(|_| is_proxy(peer)) else { break };
            peer = address;
        }
        peer
    };
    if !is_proxy(connection) {
        return Peer::of(connection);
    }
    let by_name = |name: HeaderName, of: fn(&str) -> Option<IpAddr>| {
        let lists = headers.get_all(name);
        let hops: Vec<_> = lists
            .iter()
            .flat_map(|list| list.to_str().unwrap_or("?").split(','))
            .map(|hop| of(hop.trim_matches([' ', '\t'])))
            .collect();
        (!hops.is_empty()).then(|| seen(hops))
    };
    let standard = by_name(header::FORWARDED, forwarded_for);
    let common = by_name(X_FORWARDED_FOR, address);
    Peer::of(match (standard, common) {
        (Some(peer), None) | (None, Some(peer)) => peer,
        (Some(peer), Some(same)) if peer == same => peer,
        // A proxy writes one of the two, and the client may have written the other: nobody can say which.
        (Some(_), Some(_)) | (None, None) => connection,
    })
}

/// The address in one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut named = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    address(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(in_brackets).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(connection: &str, headers: &[(&'static str, &str)]) -> Peer {
        let proxies: Vec<Network> =
            ["10.0.0.0/8", "fd00::/8", "192.0.2.1"].map(|network| network.parse().unwrap()).into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        peer_of(ip(connection), &map, &proxies)
    }

    #[test]
    fn a_network_of_64_bits_is_one_peer_and_so_is_an_address_of_ipv4() {
        assert_eq!(Peer::of(ip("2001:db8:1:2:3::1")), Peer::of(ip("2001:db8:1:2:ffff::")));
        assert_ne!(Peer::of(ip("2001:db8:1:2::1")), Peer::of(ip("2001:db8:1:3::1")));
        assert_ne!(Peer::of(ip("192.0.2.1")), Peer::of(ip("192.0.2.2")));
        assert_eq!(Peer::of(ip("::ffff:192.0.2.1")), Peer::of(ip("192.0.2.1")));
    }

    #[test]
    fn only_proxies_that_are_named_are_believed_and_from_right_to_left() {
        let forwarded = "x-forwarded-for";
        for (connection, headers, expected) in [
            ("198.51.100.7", &[(forwarded, "203.0.113.1")][..], "198.51.100.7"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1")], "203.0.113.1"),
            ("::ffff:10.1.2.3", &[(forwarded, "203.0.113.1")], "203.0.113.1"),
            // What stands further left was written by others.
            ("10.1.2.3", &[(forwarded, "198.51.100.9, 203.0.113.1")], "203.0.113.1"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1, 192.0.2.1,10.9.9.9")], "203.0.113.1"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1"), (forwarded, "192.0.2.1")], "203.0.113.1"),
            ("10.1.2.3", &[(forwarded, "10.0.0.1, 10.0.0.2")], "10.0.0.1"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1, unknown")], "10.1.2.3"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1,")], "10.1.2.3"),
            ("10.1.2.3", &[(forwarded, "203.0.113.1:4711")], "203.0.113.1"),
            (
                "fd00::1",
                &[("forwarded", r#"for=203.0.113.1;proto=https, For="[2001:db8::1]:47";by=fd00::1"#)],
                "2001:db8::2",
            ),
            ("10.1.2.3", &[("forwarded", "for=_hidden")], "10.1.2.3"),
            ("10.1.2.3", &[("forwarded", "proto=https")], "10.1.2.3"),
            // A client has added the header that its proxy does not write.
            ("10.1.2.3", &[("forwarded", "for=198.51.100.9"), (forwarded, "203.0.113.1")], "10.1.2.3"),
            ("10.1.2.3", &[("forwarded", "for=203.0.113.1"), (forwarded, "203.0.113.1")], "203.0.113.1"),
        ] {
            assert_eq!(peer(connection, headers), Peer::of(ip(expected)), "{connection} {headers:?}");
        }
    }

    #[test]
    fn a_network_is_an_address_and_how_many_bits_of_it_count() {
        for (network, has, has_not) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("::/0", "::1", "1.1.1.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1/128", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(ip(has)) && !network.contains(ip(has_not)), "{network}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "localhost", "10.0.0/8"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }
}
