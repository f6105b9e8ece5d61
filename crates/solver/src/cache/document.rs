//! The document that lists steps: BuildKit's `cache/remotecache/v1`, with what we need beside it.

use std::collections::HashMap;

use gantry_build::shared::Shared;
use gantry_images::{HistoryEntry, Layer};
use gantry_names::{DiffId, Digest};
use serde::{Deserialize, Serialize};

/// Layers, and the steps that made them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    layers: Vec<CacheLayer>,
    #[serde(default)]
    records: Vec<Record>,
}

/// A layer, by its blob.
#[derive(Debug, Serialize, Deserialize)]
struct CacheLayer {
    blob: Digest,
    /// The layer below; -1: none.
    #[serde(default)]
    parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    media_type: String,
    #[serde(rename = "diffID")]
    diff_id: DiffId,
    size: u64,
}

/// A step.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    digest: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Vec<Link>>,
    #[serde(default, rename = "layers", skip_serializing_if = "Vec::is_empty")]
    results: Vec<Made>,
    /// Ours. A record without it is somebody else's: its digest is no key of ours.
    #[serde(default, rename = "gantry.step.v1", skip_serializing_if = "Option::is_none")]
    step: Option<Step>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    link: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    layer: usize,
    #[serde(default)]
    created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Digest>,
    history: HistoryEntry,
}

/// What [`Made::created_at`] is where nobody knows: Go reads no empty time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

impl Document {
    /// Lists steps, each of which stands behind its parent.
    pub(super) fn of(steps: &[Shared]) -> Document {
        let mut document = Document::default();
        let mut numbers: HashMap<&Digest, usize> = HashMap::new();
        // The topmost layer that a step and those before it have made.
        let mut tops: Vec<Option<usize>> = Vec::new();
        for Shared { key, parent, history, layer } in steps {
            let before = parent.as_ref().and_then(|parent| numbers.get(parent).copied());
            let below = before.and_then(|before| tops.get(before).copied().flatten());
            let made = layer.as_ref().map(|layer| document.layer(layer, below));
            let created_at = history.created.clone().unwrap_or_else(|| NO_TIME.to_owned());
            numbers.insert(key, document.records.len());
            tops.push(made.or(below));
            document.records.push(Record {
                digest: key.clone(),
                inputs: before.map(|link| vec![Link { link }]).into_iter().collect(),
                results: made.map(|layer| Made { layer, created_at }).into_iter().collect(),
                step: Some(Step { parent: parent.clone(), history: history.clone() }),
            });
        }
        document
    }

    fn layer(&mut self, layer: &Layer, below: Option<usize>) -> usize {
        let parent = below.and_then(|below| i64::try_from(below).ok()).unwrap_or(-1);
        self.layers.push(CacheLayer {
            blob: layer.blob.clone(),
            parent,
            annotations: Some(Annotations {
                media_type: layer.media_type.clone(),
                diff_id: layer.diff_id.clone(),
                size: layer.blob_size,
            }),
        });
        self.layers.len() - 1
    }

    /// The steps it lists that are ours.
    pub(super) fn steps(&self) -> Vec<Shared> {
        self.records.iter().filter_map(|record| self.step(record)).collect()
    }

    fn step(&self, record: &Record) -> Option<Shared> {
        let Step { parent, history } = record.step.as_ref()?;
        let made = record.results.first().and_then(|made| self.layers.get(made.layer));
        let layer = match (history.empty_layer, made) {
            (true, _) => None,
            (false, made) => {
                let CacheLayer { blob, annotations, .. } = made?;
                let Annotations { media_type, diff_id, size } = annotations.as_ref()?;
                Some(Layer {
                    diff_id: diff_id.clone(),
                    blob: blob.clone(),
                    media_type: media_type.clone(),
                    blob_size: *size,
                    // Known when it is unpacked.
                    size: 0,
                })
            }
        };
        Some(Shared { key: record.digest.clone(), parent: parent.clone(), history: history.clone(), layer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, parent: Option<&str>, empty: bool) -> Shared {
        let digest = |text: &str| Digest::sha256_of(text.as_bytes());
        let layer = Layer {
            diff_id: DiffId(digest(&format!("diff {name}"))),
            blob: digest(&format!("blob {name}")),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            blob_size: 7,
            size: 0,
        };
        Shared {
            key: digest(name),
            parent: parent.map(digest),
            history: HistoryEntry { created_by: name.into(), empty_layer: empty, ..HistoryEntry::default() },
            layer: (!empty).then_some(layer),
        }
    }

    #[test]
    fn steps_survive_the_document_and_layers_know_what_they_stand_on() {
        let steps = [step("a", Some("base"), false), step("b", Some("a"), true), step("c", Some("b"), false)];
        let text = serde_json::to_string(&Document::of(&steps)).unwrap();
        let read: Document = serde_json::from_str(&text).unwrap();
        assert_eq!(read.steps(), steps);
        assert_eq!(read.layers.iter().map(|layer| layer.parent).collect::<Vec<_>>(), [-1, 0]);
        assert_eq!(read.records[2].inputs[0][0].link, 1);
    }

    #[test]
    fn what_is_not_ours_or_not_whole_is_passed_by() {
        let foreign = r#"{"layers":[{"blob":"sha256:0000000000000000000000000000000000000000000000000000000000000000","parent":-1}],
            "records":[{"digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","layers":[{"layer":0,"createdAt":"2024-01-01T00:00:00Z"}]},
            {"digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","layers":[{"layer":9,"createdAt":""}],"gantry.step.v1":{"history":{}}}]}"#;
        assert!(serde_json::from_str::<Document>(foreign).unwrap().steps().is_empty());
        assert!(serde_json::from_str::<Document>("{}").unwrap().steps().is_empty());
    }
}
