//! The one worker: this engine.

use std::collections::BTreeMap;

use gantry_buildkit::proto::control::{BuildkitVersion, WorkerRecord};
use gantry_buildkit::proto::ops;
use gantry_names::{Digest, Platform};

use crate::Inner;

/// Who answers.
pub(super) fn version(inner: &Inner) -> BuildkitVersion {
    BuildkitVersion {
        package: "gantry".into(),
        version: format!("v{}", inner.facts.version),
        revision: String::new(),
        dockerfile_version: String::new(),
    }
}

/// The worker's record. That it names a snapshotter tells clients that it exports every format.
pub(super) async fn record(inner: &Inner) -> WorkerRecord {
    let facts = &inner.facts;
    let gateway = inner.host.host_gateway().await.map(|address| address.to_string()).unwrap_or_default();
    let labels = [
        ("org.mobyproject.buildkit.worker.moby.host-gateway-ip", gateway.as_str()),
        ("org.mobyproject.buildkit.worker.executor", "oci"),
        ("org.mobyproject.buildkit.worker.hostname", facts.host_name.as_str()),
        ("org.mobyproject.buildkit.worker.network", "bridge"),
        ("org.mobyproject.buildkit.worker.snapshotter", inner.builder.images.snapshots().driver()),
    ];
    let labels: BTreeMap<String, String> = labels
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let host = Platform::host();
    WorkerRecord {
        id: Digest::sha256_of(inner.builder.folder.as_os_str().as_encoded_bytes()).hex()[..25].to_owned(),
        labels,
        platforms: vec![platform(&host)],
        gc_policy: crate::usage::policy(inner),
        buildkit_version: Some(version(inner)),
    }
}

/// A platform for the wire.
pub(super) fn platform(platform: &Platform) -> ops::Platform {
    ops::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone().unwrap_or_default(),
    }
}
