//! Content digests and the ids built from them.
//!
//! Source: OCI image-spec, `descriptor.md` (digests) and `config.md` (DiffID, ChainID).

use sha2::Digest as _;

use crate::as_string;
use crate::id::{SHORT_LENGTH, hex, is_lower_hex};

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:hex`.
    #[error("invalid checksum digest format")]
    Format,
    /// The algorithm is none of sha256, sha384, sha512.
    #[error("unsupported digest algorithm")]
    Algorithm,
    /// The hexadecimal part has the wrong length for its algorithm.
    #[error("invalid checksum digest length")]
    Length,
}

/// `algorithm:hex`; made here always with sha256, read also with sha384 and sha512.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// Reads `sha256:<64 lowercase hex digits>` (or sha384, sha512 with their lengths).
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return Err(DigestError::Algorithm),
        };
        if hex.len() != length {
            return Err(DigestError::Length);
        }
        if !is_lower_hex(hex) {
            return Err(DigestError::Format);
        }
        Ok(Self(text.to_owned()))
    }

    /// The sha256 digest with these 64 hexadecimal digits.
    pub fn from_sha256_hex(hex: &str) -> Result<Self, DigestError> {
        Self::parse(&format!("sha256:{hex}"))
    }

    /// Digest of bytes at hand; for streams see [`Hasher`].
    pub fn sha256_of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon.
    pub fn algorithm(&self) -> &str {
        self.split().0
    }

    /// The part after the colon.
    pub fn hex(&self) -> &str {
        self.split().1
    }

    /// The first twelve hexadecimal digits.
    pub fn short(&self) -> &str {
        &self.hex()[..SHORT_LENGTH]
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once(':').expect("a digest holds a colon by construction")
    }
}
as_string!(Digest, DigestError);

/// Streaming sha256.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        Digest(format!("sha256:{}", hex(&self.0.finalize())))
    }
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Digest);

        impl $name {
            /// Reads the digest's text.
            pub fn parse(text: &str) -> Result<Self, DigestError> {
                Digest::parse(text).map(Self)
            }

            /// The digest's whole text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The hexadecimal part.
            pub fn hex(&self) -> &str {
                self.0.hex()
            }

            /// The first twelve hexadecimal digits.
            pub fn short(&self) -> &str {
                self.0.short()
            }
        }
        as_string!($name, DigestError);
    };
}

digest_id!(
    /// An image's identity: the digest of its config document.
    ImageId
);
digest_id!(
    /// The digest of one layer's uncompressed tar.
    DiffId
);
digest_id!(
    /// The identity of a stack of layers: what a snapshot of them is named by.
    ChainId
);

impl ChainId {
    /// The chain of these layers, lowest first; `None` for no layer.
    pub fn of(layers: &[DiffId]) -> Option<ChainId> {
        layers.iter().fold(None, |parent, layer| Some(ChainId::extend(parent.as_ref(), layer)))
    }

    /// `layer` on top of `parent`.
    pub fn extend(parent: Option<&ChainId>, layer: &DiffId) -> ChainId {
        match parent {
            None => ChainId(layer.0.clone()),
            Some(parent) => ChainId(Digest::sha256_of(format!("{parent} {layer}").as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(
            Digest::sha256_of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn malformed_digests_are_refused_with_the_reason() {
        assert_eq!(Digest::parse("sha256"), Err(DigestError::Format));
        assert_eq!(Digest::parse("md5:abc"), Err(DigestError::Algorithm));
        assert_eq!(Digest::parse("sha256:abc"), Err(DigestError::Length));
        assert_eq!(Digest::parse(&format!("sha256:{}", "G".repeat(64))), Err(DigestError::Format));
        assert!(Digest::parse(&format!("sha512:{}", "0".repeat(128))).is_ok());
    }

    #[test]
    fn a_chain_of_one_is_its_layer_and_order_matters() {
        let layer = |c: &str| DiffId(Digest::sha256_of(c.as_bytes()));
        assert_eq!(ChainId::of(&[]), None);
        assert_eq!(ChainId::of(&[layer("a")]).unwrap().0, layer("a").0);
        assert_ne!(ChainId::of(&[layer("a"), layer("b")]), ChainId::of(&[layer("b"), layer("a")]));
    }
}
