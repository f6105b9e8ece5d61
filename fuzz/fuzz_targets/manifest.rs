#![no_main]
//! No manifest or index of a registry makes its reader or the choice of a platform panic.

use gantry_distribution::manifest::{Document, Manifest, choose};
use gantry_names::Platform;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for kind in [None, Some("application/vnd.docker.distribution.manifest.list.v2+json"), Some("text/plain")]
    {
        let Ok(manifest) = Manifest::parse(data.to_vec(), kind, "example") else { continue };
        if let Document::Index(entries) = &manifest.document {
            let _ = choose(entries, &Platform::host());
        }
        let _ = manifest.descriptor();
    }
});
