//! Hardware addresses: parsed, printed, and derived from an IPv4 address as Docker did for a decade.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 48-bit hardware address, printed `02:42:ac:11:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// Why a text is not a hardware address (Go's text).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {0}: invalid MAC address")]
pub struct MacError(String);

impl Mac {
    /// `02:42` and the four bytes of the address: the same address has the same hardware address, so a neighbour's
    /// cache is still right when a container comes back.
    pub fn of_address(address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac([0x02, 0x42, a, b, c, d])
    }

    /// A locally administered address that is the same for the same text on every machine.
    pub fn of_text(text: &str) -> Mac {
        let digest = gantry_names::Digest::sha256_of(text.as_bytes());
        let octet =
            |at: usize| digest.hex().get(2 * at..2 * at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let mut bytes = [0x02; 6];
        for (at, byte) in bytes.iter_mut().enumerate().skip(1) {
            *byte = octet(at).expect("a digest has 64 hexadecimal digits");
        }
        Mac(bytes)
    }

    /// A locally administered unicast address from the kernel's random source.
    pub fn random() -> Mac {
        let mut bytes = [0u8; 6];
        getrandom::fill(&mut bytes).expect("the kernel's random source is there on every supported Linux");
        bytes[0] = bytes[0] & 0xfc | 0x02;
        Mac(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let bad = || MacError(text.to_owned());
        let mut bytes = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Mac(bytes)) }
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;
    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_derivation() {
        assert_eq!(Mac::of_address(Ipv4Addr::new(172, 17, 0, 2)).to_string(), "02:42:ac:11:00:02");
        assert_eq!("92-d0-c6-0a-29-33".parse::<Mac>().unwrap().to_string(), "92:d0:c6:0a:29:33");
        for text in ["", "02:42", "02:42:ac:11:00:zz", "02:42:ac:11:00:02:03", "2:42:ac:11:0:2"] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
        assert_eq!(Mac::random().0[0] & 3, 2);
        assert_eq!(Mac::of_text("web"), Mac::of_text("web"));
        assert_ne!(Mac::of_text("web"), Mac::of_text("db"));
        assert_eq!(Mac::of_text("web").0[0], 2);
    }
}
