//! Random identifiers: 64 lowercase hexadecimal digits, shown short as the first twelve.

use crate::as_string;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid id {0:?}: 64 lowercase hexadecimal digits expected")]
pub struct IdError(String);

/// Length of a full id in digits.
pub const ID_LENGTH: usize = 64;
/// Length of the short form people read and type.
pub const SHORT_LENGTH: usize = 12;

pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn random_hex() -> String {
    let mut bytes = [0u8; ID_LENGTH / 2];
    loop {
        getrandom::fill(&mut bytes).expect("the kernel's random source is there on every supported Linux");
        let text = hex(&bytes);
        // A short id made of digits only would be read as a number (as a host name, for one), so it is drawn again.
        if text[..SHORT_LENGTH].bytes().any(|b| b.is_ascii_alphabetic()) {
            return text;
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A fresh id from the kernel's random source.
            pub fn random() -> Self {
                Self(random_hex())
            }

            /// Reads a full id; prefixes are resolved where the things are kept, not here.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.len() == ID_LENGTH && is_lower_hex(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError(text.to_owned()))
                }
            }

            /// All 64 digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits.
            pub fn short(&self) -> &str {
                &self.0[..SHORT_LENGTH]
            }
        }
        as_string!($name, IdError);
    };
}

id!(
    /// A container's identity, for its whole life.
    ContainerId
);
id!(
    /// One exec session in a container.
    ExecId
);
id!(
    /// A network.
    NetworkId
);
id!(
    /// One container's attachment to one network.
    EndpointId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_parse_and_differ() {
        let (a, b) = (ContainerId::random(), ContainerId::random());
        assert_ne!(a, b);
        assert_eq!(ContainerId::parse(a.as_str()), Ok(a.clone()));
        assert_eq!(a.short().len(), 12);
        assert_eq!(serde_json::from_str::<ContainerId>(&serde_json::to_string(&a).unwrap()).unwrap(), a);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "abc", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert!(ContainerId::parse(text).is_err(), "{text}");
        }
    }
}
