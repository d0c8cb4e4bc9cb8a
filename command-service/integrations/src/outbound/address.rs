//! Which addresses belong to the public internet, by the registries of special addresses (RFC 6890 and what came since).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks that are nobody's on the public internet.
const SPECIAL_V4: [(u32, u32); 16] = [
    (block([0, 0, 0, 0]), 8),
    (block([10, 0, 0, 0]), 8),
    (block([100, 64, 0, 0]), 10),
    (block([127, 0, 0, 0]), 8),
    (block([169, 254, 0, 0]), 16),
    (block([172, 16, 0, 0]), 12),
    (block([192, 0, 0, 0]), 24),
    (block([192, 0, 2, 0]), 24),
    (block([192, 88, 99, 0]), 24),
    (block([192, 168, 0, 0]), 16),
    (block([198, 18, 0, 0]), 15),
    (block([198, 51, 100, 0]), 24),
    (block([203, 0, 113, 0]), 24),
    (block([224, 0, 0, 0]), 4),
    (block([240, 0, 0, 0]), 4),
    (block([255, 255, 255, 255]), 32),
];

const fn block(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// Whether anybody on the internet may be meant.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !SPECIAL_V4.iter().any(|(block, length)| (bits ^ block) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // An IPv4 address in IPv6's clothes is where the packets go in the end.
    let [.., a, b, c, d] = address.octets();
    let embedded = Ipv4Addr::new(a, b, c, d);
    match (first, second) {
        // Mapped, ::ffff:0:0/96
        _ if address.to_ipv4_mapped().is_some() => is_public_v4(embedded),
        // NAT64 by its well-known prefix, 64:ff9b::/96
        (0x64, 0xff9b) => address.to_bits() >> 32 == 0x64_ff9b << 64 && is_public_v4(embedded),
        // Protocol assignments with Teredo, 6to4, and documentation
        (0x2001, second) if second < 0x200 => false,
        (0x2001, 0xdb8) | (0x2002, _) => false,
        (0x3fff, second) if second < 0x1000 => false,
        // Everything that was ever given to anybody is in 2000::/3.
        (first, _) => first >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_and_their_neighbours_are() {
        let public = |text: &str| is_public(text.parse().expect(text));
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::808:808",
            "64:ff9b:0:1::808:808",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!public(bad), "{bad}");
        }
        for good in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.1.1.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(public(good), "{good}");
        }
    }
}
