//! Which addresses are those of anybody on the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Not for everybody, by the registry of special-purpose addresses (RFC 6890, as of 2025): the address and the length of
/// the prefix. Relays and services that merely stand there and answer nobody are left out with their blocks.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // this network, this host
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // between a provider and its customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local; cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays to 6to4, given up
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved; broadcast
];

/// The only part of the address space in which there are hosts of the internet.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of it is not for everybody.
const SPECIAL_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Where an IPv4 address is inside, and after how many bits.
const EMBEDDING: [(Ipv6Addr, u32, u32); 3] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96), // mapped: is sent as IPv4
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96), // a gateway translates it (NAT64)
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16), // a relay unpacks it (6to4)
];

/// Whether an address may be that of anybody on the internet. All others are those of this machine, of the networks it is
/// in, of the cloud it runs in, or of nobody. An IPv6 address with an IPv4 address inside, to which it leads, is what that is.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(network, length)| have_same(address.to_bits(), network.to_bits(), *length))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_in = |(network, length): &(Ipv6Addr, u32)| same_v6(address, *network, *length);
    match EMBEDDING.iter().find(|(network, length, _)| same_v6(address, *network, *length)) {
        Some((_, _, position)) => is_public_v4(embedded(address, *position)),
        None => is_in(&GLOBAL_UNICAST) && !SPECIAL_V6.iter().any(is_in),
    }
}

/// The 32 bits after that many.
fn embedded(address: Ipv6Addr, position: u32) -> Ipv4Addr {
    let [.., a, b, c, d] = (address.to_bits() >> (96 - position)).to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// Whether the first `length` bits are the same; there is at least one.
fn have_same(one: u32, other: u32, length: u32) -> bool {
    (one ^ other) >> (u32::BITS - length) == 0
}

fn same_v6(one: Ipv6Addr, other: Ipv6Addr, length: u32) -> bool {
    (one.to_bits() ^ other.to_bits()) >> (Ipv6Addr::BITS - length) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each special network: its first and its last address, and the neighbours on both sides with whether they are public.
    type Network = (&'static str, &'static str, Option<(&'static str, bool)>, Option<(&'static str, bool)>);

    const NETWORKS: [Network; 35] = [
        ("0.0.0.0", "0.255.255.255", None, Some(("1.0.0.0", true))),
        ("10.0.0.0", "10.255.255.255", Some(("9.255.255.255", true)), Some(("11.0.0.0", true))),
        ("100.64.0.0", "100.127.255.255", Some(("100.63.255.255", true)), Some(("100.128.0.0", true))),
        ("127.0.0.0", "127.255.255.255", Some(("126.255.255.255", true)), Some(("128.0.0.0", true))),
        ("169.254.0.0", "169.254.255.255", Some(("169.253.255.255", true)), Some(("169.255.0.0", true))),
        ("172.16.0.0", "172.31.255.255", Some(("172.15.255.255", true)), Some(("172.32.0.0", true))),
        ("192.0.0.0", "192.0.0.255", Some(("191.255.255.255", true)), Some(("192.0.1.0", true))),
        ("192.0.2.0", "192.0.2.255", Some(("192.0.1.255", true)), Some(("192.0.3.0", true))),
        ("192.88.99.0", "192.88.99.255", Some(("192.88.98.255", true)), Some(("192.88.100.0", true))),
        ("192.168.0.0", "192.168.255.255", Some(("192.167.255.255", true)), Some(("192.169.0.0", true))),
        ("198.18.0.0", "198.19.255.255", Some(("198.17.255.255", true)), Some(("198.20.0.0", true))),
        ("198.51.100.0", "198.51.100.255", Some(("198.51.99.255", true)), Some(("198.51.101.0", true))),
        ("203.0.113.0", "203.0.113.255", Some(("203.0.112.255", true)), Some(("203.0.114.0", true))),
        ("224.0.0.0", "239.255.255.255", Some(("223.255.255.255", true)), Some(("240.0.0.0", false))),
        ("240.0.0.0", "255.255.255.255", Some(("239.255.255.255", false)), None),
        // Unspecified, loopback, and what was once compatible with IPv4.
        ("::", "::ffff:ffff", None, Some(("::1:0:0", false))),
        (
            "::ffff:10.0.0.0",
            "::ffff:10.255.255.255",
            Some(("::ffff:9.255.255.255", true)),
            Some(("::ffff:11.0.0.0", true)),
        ),
        ("::fffe:ffff:ffff", "::fffe:ffff:ffff", None, Some(("::ffff:0.0.0.0", false))),
        // Translated, in the form that has never left a machine.
        ("::ffff:0:0:0", "::ffff:0:ffff:ffff", Some(("::fffe:ffff:ffff:ffff", false)), None),
        (
            "64:ff9b::127.0.0.0",
            "64:ff9b::127.255.255.255",
            Some(("64:ff9b::126.255.255.255", true)),
            Some(("64:ff9b::128.0.0.0", true)),
        ),
        ("64:ff9b::1:0:0", "64:ff9b::ffff:ffff:ffff:ffff", Some(("64:ff9b::240.0.0.0", false)), None),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", None, Some(("64:ff9b:2::", false))),
        ("100::", "100::ffff:ffff:ffff:ffff", None, None),
        ("100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some(("2000::", true))),
        (
            "2001::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("2001:200::", true)),
        ),
        ("2001:2::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
        (
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("2001:db9::", true)),
        ),
        (
            "2002::",
            "2002:ff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("2002:100::", true)),
        ),
        (
            "2002:a9fe::",
            "2002:a9fe:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("2002:a9fd:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("2002:a9ff::", true)),
        ),
        (
            "2002:e000::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("2002:dfff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("2003::", true)),
        ),
        (
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            Some(("3fff:1000::", true)),
        ),
        (
            "4000::",
            "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some(("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true)),
            None,
        ),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some(("fe00::", false))),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some(("fec0::", false))),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
    ];

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn every_special_network_ends_where_it_ends() {
        for (first, last, before, after) in NETWORKS {
            assert!(!public(first) && !public(last), "{first} to {last}");
            for (neighbour, expected) in before.into_iter().chain(after) {
                assert_eq!(public(neighbour), expected, "{neighbour}");
            }
        }
    }

    #[test]
    fn known_hosts_are_what_they_are() {
        for text in [
            "1.1.1.1",
            "9.9.9.9",
            "93.184.215.14",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "2001:4860::8888",
        ] {
            assert!(public(text), "{text}");
        }
        // The metadata of clouds, by whichever way, and this machine.
        for text in [
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "127.0.0.1",
            "::1",
            "0.0.0.0",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:0:0",
            "255.255.255.255",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    /// All of a network, from its text, by another way than that of the code.
    fn within() -> impl Strategy<Value = IpAddr> {
        let between = |(first, last, ..): Network| match (first.parse().unwrap(), last.parse().unwrap()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits()..=last.to_bits())
                .prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)))
                .boxed(),
            (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits()..=last.to_bits())
                .prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits)))
                .boxed(),
            _ => unreachable!("both ends are of one kind"),
        };
        prop::sample::select(&NETWORKS[..]).prop_flat_map(between)
    }

    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        let special = within().prop_filter_map("is IPv6", |address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        prop_oneof![any::<Ipv4Addr>(), special]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn nothing_in_a_special_network_is_public(address in within()) {
            prop_assert!(!is_public(address));
        }

        #[test]
        fn all_else_is_public(address in v4()) {
            let is_within = |(first, last, ..): &Network| {
                let ends = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>());
                matches!(ends, (Ok(first), Ok(last)) if (first..=last).contains(&address))
            };
            prop_assert_eq!(is_public(address.into()), !NETWORKS.iter().any(is_within));
        }

        #[test]
        fn what_the_standard_library_knows_is_not_public(v4 in v4(), v6: Ipv6Addr) {
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
            prop_assert!(!(special && is_public(v4.into())));
            let special = v6.is_loopback() || v6.is_multicast() || v6.is_unicast_link_local()
                || v6.is_unique_local() || v6.is_unspecified();
            prop_assert!(!(special && is_public(v6.into())));
        }

        #[test]
        fn an_address_inside_another_is_what_it_is_outside(v4 in v4(), rest: u128) {
            let expected = is_public(v4.into());
            let bits = u128::from(v4.to_bits());
            prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), expected);
            let translated = Ipv6Addr::from_bits((0x64_ff9b << 96) | bits);
            prop_assert_eq!(is_public(translated.into()), expected);
            let packed = Ipv6Addr::from_bits((0x2002 << 112) | (bits << 80) | (rest >> 48));
            prop_assert_eq!(is_public(packed.into()), expected);
        }
    }
}
