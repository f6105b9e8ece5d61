//! Identifiers, image references, digests, platforms and container names: parsed once, at the door.
//!
//! Everything here is a word with a grammar. A value of one of these types is valid by construction, so no
//! other crate checks again. There is no I/O here but the random bytes of a fresh id.
//!
//! Start reading at [`reference::Reference`], the richest grammar; [`id`] shows the plainest.

pub mod digest;
pub mod generated;
pub mod id;
pub mod name;
pub mod platform;
pub mod reference;

pub use digest::{ChainId, DiffId, Digest, DigestError, Hasher, ImageId};
pub use generated::generated_name;
pub use id::{ContainerId, EndpointId, ExecId, IdError, NetworkId};
pub use name::{ContainerName, NameError};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};

/// Display, FromStr, TryFrom and serde as a string for a newtype that has `parse(&str)` and `as_str()`.
macro_rules! as_string {
    ($type:ty, $error:ty) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $type {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                <$type>::parse(text)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize<'de>>::deserialize(from)?;
                <$type>::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_string;
