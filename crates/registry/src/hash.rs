//! Streaming hashes of every algorithm a digest may name; `gantry_names::Hasher` knows sha256 only.

use gantry_names::Digest;
use sha2::Digest as _;

/// A hash in progress.
#[derive(Clone)]
pub enum Hash {
    /// Everybody's.
    Sha256(sha2::Sha256),
    /// Rare, allowed by `gantry-names`.
    Sha384(sha2::Sha384),
    /// The spec's other registered algorithm.
    Sha512(sha2::Sha512),
}

impl Hash {
    /// The hash of this algorithm that has seen nothing; `None` for an unknown algorithm.
    pub fn named(algorithm: &str) -> Option<Self> {
        match algorithm {
            "sha256" => Some(Self::Sha256(sha2::Sha256::new())),
            "sha384" => Some(Self::Sha384(sha2::Sha384::new())),
            "sha512" => Some(Self::Sha512(sha2::Sha512::new())),
            _ => None,
        }
    }

    /// The hash that will end as a digest like this one.
    pub fn like(digest: &Digest) -> Self {
        Self::named(digest.algorithm()).expect("a digest's algorithm is one of the three by construction")
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha384(_) => "sha384",
            Self::Sha512(_) => "sha512",
        }
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let text = match self {
            Self::Sha256(hash) => format!("sha256:{}", hex(&hash.finalize())),
            Self::Sha384(hash) => format!("sha384:{}", hex(&hash.finalize())),
            Self::Sha512(hash) => format!("sha512:{}", hex(&hash.finalize())),
        };
        Digest::parse(&text).expect("the text is an algorithm and its full length of hex")
    }

    /// The digest of bytes at hand, by the algorithm `like` uses.
    pub fn of(bytes: &[u8], like: &Digest) -> Digest {
        let mut hash = Self::like(like);
        hash.update(bytes);
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_ends_in_its_own_digest() {
        for algorithm in ["sha256", "sha384", "sha512"] {
            let hash = Hash::named(algorithm).unwrap();
            assert_eq!(hash.algorithm(), algorithm);
            assert_eq!(hash.finish().algorithm(), algorithm);
        }
        assert!(Hash::named("md5").is_none());
    }
}
