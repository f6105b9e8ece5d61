//! One row's bytes: a checksum and JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

const CHECKSUM_BYTES: usize = 4;

pub(crate) fn encode<V: Serialize>(value: &V) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![0; CHECKSUM_BYTES];
    serde_json::to_writer(&mut bytes, value)?;
    let sum = crc32fast::hash(&bytes[CHECKSUM_BYTES..]);
    bytes[..CHECKSUM_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

pub(crate) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    let (sum, json) = bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or("shorter than its checksum")?;
    if crc32fast::hash(json) != u32::from_le_bytes(*sum) {
        return Err("the checksum does not fit".to_owned());
    }
    serde_json::from_slice(json).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_byte_is_noticed(text in ".{0,40}", at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = encode(&text).unwrap();
            prop_assert_eq!(decode::<String>(&bytes).unwrap(), text);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode::<String>(&bytes).is_err());
        }
    }
}
