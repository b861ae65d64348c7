//! IEEE 802 MAC addresses.

use std::{fmt, str::FromStr};

use super::violation::quoted;

/// A unicast or multicast MAC address, in transmission order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether one interface can have it: neither a group address nor all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

/// Text that is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a MAC address; write six bytes in hexadecimal, e.g. 02:00:00:00:00:10", quoted(.0))]
pub struct MacError(String);

impl FromStr for Mac {
    type Err = MacError;

    /// Six bytes of two hexadecimal digits, separated by `:` or by `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || MacError(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Mac;

    #[test]
    fn six_bytes_of_two_digits_are_a_mac() {
        assert_eq!("02:00:00:00:0a:FF".parse(), Ok(Mac([2, 0, 0, 0, 10, 255])));
        assert_eq!("02-00-00-00-00-10".parse::<Mac>().unwrap().to_string(), "02:00:00:00:00:10");
        for wrong in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:1",
            "02:00:00:00:00:10:11",
            "+2:00:00:00:00:10",
            "0x:00:00:00:00:10",
        ] {
            assert_eq!(
                wrong.parse::<Mac>().unwrap_err().to_string(),
                format!(
                    "{wrong:?} is not a MAC address; write six bytes in hexadecimal, e.g. 02:00:00:00:00:10"
                )
            );
        }
    }

    #[test]
    fn group_addresses_and_zero_belong_to_no_interface() {
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!Mac([1, 0, 0x5e, 0, 0, 1]).is_unicast());
        assert!(!Mac([0xff; 6]).is_unicast());
        assert!(!Mac([0; 6]).is_unicast());
    }
}
