//! How layers are compressed when they leave: `compression`, `compression-level`, `force-compression`.

use std::collections::BTreeMap;

use gantry_archive::Packing;
use gantry_buildkit::grpc::Status;
use gantry_images::{GZIP_LEVEL, ImageStore, Layer};

use super::{invalid, says};

/// zstd's own middle way.
const ZSTD_LEVEL: i32 = 3;

/// What an exporter's attributes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    packing: Option<Packing>,
    /// Also layers that are compressed in another way.
    force: bool,
}

impl Packed {
    /// Reads the attributes; gzip where they say nothing.
    pub(crate) fn read(attrs: &BTreeMap<String, String>) -> Result<Packed, Status> {
        let level = match attrs.get("compression-level").filter(|level| !level.is_empty()) {
            None => None,
            Some(text) => {
                let wrong = || invalid(format!("non-int value {text:?} specified for compression-level"));
                Some(text.parse::<i32>().map_err(|_| wrong())?)
            }
        };
        let packing = match attrs.get("compression").map(String::as_str) {
            None | Some("" | "gzip") => {
                let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(GZIP_LEVEL);
                Some(Packing::Gzip(level.min(9)))
            }
            Some("zstd") => Some(Packing::Zstd(level.unwrap_or(ZSTD_LEVEL).clamp(0, 22))),
            Some("uncompressed") => None,
            Some("estargz") => {
                let text = "compression type estargz is not made here: gzip, zstd and uncompressed are";
                return Err(invalid(text));
            }
            Some(other) => return Err(invalid(format!("unsupported compression type {other}"))),
        };
        Ok(Packed { packing, force: says(attrs, "force-compression") })
    }

    /// The layer as it is to leave. Blocking; a lease of the caller's keeps a blob that is made.
    pub(crate) fn layer(&self, images: &ImageStore, layer: &Layer) -> gantry_images::Result<Layer> {
        images.pack_layer(layer, self.packing, self.force)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_read_as_buildkit_reads_them() {
        let read = |pairs: &[(&str, &str)]| {
            let attrs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            Packed::read(&attrs).map_err(|status| status.message)
        };
        assert_eq!(read(&[]).unwrap().packing, Some(Packing::Gzip(GZIP_LEVEL)));
        let zstd =
            read(&[("compression", "zstd"), ("compression-level", "19"), ("force-compression", "true")]);
        assert_eq!(zstd.unwrap(), Packed { packing: Some(Packing::Zstd(19)), force: true });
        assert_eq!(read(&[("compression", "uncompressed")]).unwrap().packing, None);
        assert!(read(&[("compression", "estargz")]).is_err() && read(&[("compression", "rar")]).is_err());
        assert!(read(&[("compression-level", "high")]).unwrap_err().contains("non-int"));
    }
}
