//! A result as the documents it travels as: a manifest a platform, its attestations, an index around several.

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{Exporter, SolveRequest};
use gantry_images::{Layer, LayoutParts, Lease};
use gantry_names::{Digest, Platform};
use serde_json::{Value, json};

use super::annotations::{Annotations, Level};
use super::attest::{self, Attests, Subject};
use super::{Packed, names};
use crate::Inner;
use crate::job::{Job, Outcome, Work};
use crate::story::refused;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// What a statement of in-toto is stored as.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// One image of it.
pub(super) struct Part {
    pub(super) platform: Platform,
    /// The config.
    pub(super) config: Vec<u8>,
    /// Its layers as they leave.
    pub(super) layers: Vec<Layer>,
    pub(super) manifest: Digest,
}

/// All of it.
pub(super) struct Bundle {
    pub(super) parts: Vec<Part>,
    /// Every document that is no layer.
    documents: Vec<Vec<u8>>,
    /// The descriptor of the index, or of the one manifest.
    pub(super) top: Value,
    /// Keeps what was compressed.
    _lease: Lease,
}

fn internal(error: &dyn std::fmt::Display) -> Status {
    Status::new(Code::Internal, error.to_string())
}

fn described(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::sha256_of(bytes), "size": bytes.len() })
}

impl Bundle {
    /// Makes the documents of a result.
    pub(super) async fn of(
        inner: &Inner,
        job: &Job,
        work: &Work<'_>,
        exporter: &Exporter,
        outcomes: &[Outcome],
        request: &SolveRequest,
    ) -> Result<Bundle, Status> {
        let packed = Packed::read(&exporter.attrs)?;
        let annotations = Annotations::read(&exporter.attrs);
        let attests = Attests::read(&request.frontend_attrs)?;
        let lease = inner.builder.images.lease();
        let (mut parts, mut documents, mut entries, mut statements) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        work.told("exporting layers");
        for outcome in outcomes {
            let layers = pack(inner, outcome, &packed).await?;
            let config = outcome.built.document.clone();
            let manifest = manifest(&outcome.platform, &config, &layers, &annotations)?;
            let digest = Digest::sha256_of(&manifest);
            work.told(&format!("exporting manifest {digest}"));
            work.told(&format!("exporting config {}", Digest::sha256_of(&config)));
            let mut entry = described(MANIFEST, &manifest);
            entry["platform"] = json!(outcome.platform);
            annotations.put(Level::ManifestDescriptor, Some(&outcome.platform), &mut entry);
            entries.push(entry);
            let subject = Subject {
                names: names(exporter)?,
                platform: outcome.platform.clone(),
                digest: digest.clone(),
            };
            let made = attest::statements(inner, job, &attests, request, outcome, &subject).await?;
            if !made.is_empty() {
                statements.push(attestation(&made, &digest, &mut documents)?);
            }
            documents.extend([config.clone(), manifest]);
            parts.push(Part { platform: outcome.platform.clone(), config, layers, manifest: digest });
        }
        for (entry, digest) in &statements {
            work.told(&format!("exporting attestation manifest {digest}"));
            entries.push(entry.clone());
        }
        let mut top = match entries.as_slice() {
            [one] if !annotations.has(Level::Index) => one.clone(),
            _ => {
                let mut index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
                annotations.put(Level::Index, None, &mut index);
                let bytes = serde_json::to_vec(&index).map_err(|error| internal(&error))?;
                let top = described(INDEX, &bytes);
                work.told(&format!("exporting manifest list {}", Digest::sha256_of(&bytes)));
                documents.push(bytes);
                top
            }
        };
        annotations.put(Level::IndexDescriptor, None, &mut top);
        Ok(Bundle { parts, documents, top, _lease: lease })
    }

    /// The digest of the whole.
    pub(super) fn digest(&self) -> Result<Digest, Status> {
        let text = self.top["digest"].as_str().unwrap_or_default();
        Digest::parse(text).map_err(|error| internal(&error))
    }

    /// Puts its documents into the content store, where a push finds them.
    pub(super) fn keep(&self, inner: &Inner) -> Result<(), Status> {
        for bytes in &self.documents {
            inner.builder.images.content().put(bytes).map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// What a layout holds of it.
    pub(super) fn layout(&self, exporter: &Exporter) -> Result<LayoutParts, Status> {
        let names = names(exporter)?;
        let named = names.iter().map(|name| {
            let mut entry = self.top.clone();
            entry["annotations"]["io.containerd.image.name"] = json!(name.to_string());
            entry["annotations"]["org.opencontainers.image.ref.name"] = json!(name.tag().unwrap_or_default());
            entry
        });
        let entries: Vec<Value> = if names.is_empty() { vec![self.top.clone()] } else { named.collect() };
        Ok(LayoutParts { layers: self.layers(), documents: self.documents.clone(), entries })
    }

    /// The layers of all its images.
    pub(super) fn layers(&self) -> Vec<Layer> {
        self.parts.iter().flat_map(|part| part.layers.clone()).collect()
    }

    /// Every blob of it.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let documents = self.documents.iter().map(|bytes| Digest::sha256_of(bytes));
        documents.chain(self.layers().into_iter().map(|layer| layer.blob)).collect()
    }

    /// Its documents.
    pub(super) fn documents(&self) -> &[Vec<u8>] {
        &self.documents
    }
}

async fn pack(inner: &Inner, outcome: &Outcome, packed: &Packed) -> Result<Vec<Layer>, Status> {
    let (images, layers, packed) =
        (inner.builder.images.clone(), outcome.built.layers.clone(), packed.clone());
    let work = move || layers.iter().map(|layer| packed.layer(&images, layer)).collect::<Result<Vec<_>, _>>();
    let made = tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))?;
    made.map_err(|error| refused(&error))
}

fn manifest(
    platform: &Platform,
    config: &[u8],
    layers: &[Layer],
    annotations: &Annotations,
) -> Result<Vec<u8>, Status> {
    let layer = |layer: &Layer| json!({ "mediaType": layer.media_type, "digest": layer.blob, "size": layer.blob_size });
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    annotations.put(Level::Manifest, Some(platform), &mut manifest);
    serde_json::to_vec(&manifest).map_err(|error| internal(&error))
}

/// The manifest that carries an image's statements; its entry in the index.
fn attestation(
    statements: &[Value],
    subject: &Digest,
    documents: &mut Vec<Vec<u8>>,
) -> Result<(Value, Digest), Status> {
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for statement in statements {
        let bytes = serde_json::to_vec(statement).map_err(|error| internal(&error))?;
        let mut layer = described(STATEMENT, &bytes);
        layer["annotations"] = json!({ "in-toto.io/predicate-type": statement["predicateType"] });
        diff_ids.push(Digest::sha256_of(&bytes));
        layers.push(layer);
        documents.push(bytes);
    }
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = serde_json::to_vec(&config).map_err(|error| internal(&error))?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": described(CONFIG, &config), "layers": layers,
    });
    let manifest = serde_json::to_vec(&manifest).map_err(|error| internal(&error))?;
    let mut entry = described(MANIFEST, &manifest);
    entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    entry["annotations"] = json!({
        "vnd.docker.reference.digest": subject, "vnd.docker.reference.type": "attestation-manifest",
    });
    let digest = Digest::sha256_of(&manifest);
    documents.extend([config, manifest]);
    Ok((entry, digest))
}
