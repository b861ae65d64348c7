//! Addresses and prefixes as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::violation::quoted;

/// Reads an address that one host can have.
///
/// # Errors
/// A sentence that says what would be right.
pub fn unicast(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| {
        if text.contains('/') {
            format!("{} is a prefix; give an address, without /", quoted(text))
        } else {
            format!("{} is not an IPv4 or IPv6 address, e.g. 10.0.0.10", quoted(text))
        }
    })?;
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
        return Err(format!("{address} is not an address that one host on a network can have"));
    }
    Ok(address)
}

/// Reads the address of a tunnel's end: unicast, and one that routers know.
///
/// # Errors
/// A sentence that says what would be right.
pub fn underlay(text: &str) -> Result<IpAddr, String> {
    let address = unicast(text)?;
    if let IpAddr::V6(v6) = address {
        if let Some(v4) = v6.to_ipv4_mapped() {
            return Err(format!("{v6} never stands in an IPv6 header; did you mean {v4}?"));
        }
        if v6.is_unicast_link_local() {
            return Err(format!("{v6} means another host on every link; give an address that is routed"));
        }
    }
    Ok(address)
}

/// Reads a prefix without host bits.
///
/// # Errors
/// A sentence that says what would be right.
pub fn prefix(text: &str) -> Result<IpNet, String> {
    let net: IpNet = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(address) => format!("{address} has no prefix length; did you mean {}?", IpNet::from(address)),
        Err(_) => format!("{} is not a prefix, e.g. 10.0.0.0/24", quoted(text)),
    })?;
    if net != net.trunc() {
        return Err(format!("{net} has host bits set; did you mean {}?", net.trunc()));
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::{prefix, underlay, unicast};

    #[test]
    fn wrong_prefixes_are_told_what_would_be_right() {
        assert_eq!(prefix("10.0.0.0/24").unwrap().to_string(), "10.0.0.0/24");
        for (text, expected) in [
            ("10.0.0.5/24", "10.0.0.5/24 has host bits set; did you mean 10.0.0.0/24?"),
            ("fd00::1/64", "fd00::1/64 has host bits set; did you mean fd00::/64?"),
            ("10.0.0.0", "10.0.0.0 has no prefix length; did you mean 10.0.0.0/32?"),
            ("10.0.0.0/33", "\"10.0.0.0/33\" is not a prefix, e.g. 10.0.0.0/24"),
            ("", "\"\" is not a prefix, e.g. 10.0.0.0/24"),
        ] {
            assert_eq!(prefix(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn wrong_addresses_are_told_what_would_be_right() {
        for (text, expected) in [
            ("10.0.0.256", "\"10.0.0.256\" is not an IPv4 or IPv6 address, e.g. 10.0.0.10"),
            ("10.0.0.1/24", "\"10.0.0.1/24\" is a prefix; give an address, without /"),
            ("224.0.0.1", "224.0.0.1 is not an address that one host on a network can have"),
            ("::", ":: is not an address that one host on a network can have"),
        ] {
            assert_eq!(unicast(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn tunnels_end_at_addresses_that_are_routed() {
        for text in ["192.0.2.10", "2001:db8::1", "fd00::1"] {
            assert_eq!(underlay(text).unwrap().to_string(), text);
        }
        for (text, expected) in [
            ("fe80::1", "fe80::1 means another host on every link; give an address that is routed"),
            (
                "::ffff:192.0.2.10",
                "::ffff:192.0.2.10 never stands in an IPv6 header; did you mean 192.0.2.10?",
            ),
            ("ff02::1", "ff02::1 is not an address that one host on a network can have"),
        ] {
            assert_eq!(underlay(text).unwrap_err(), expected);
        }
    }
}
