//! What builds keep on disk, listed and removed in BuildKit's words.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{GcPolicy, PruneRequest, UsageRecord};

use crate::Inner;
use crate::kept::Shelf;

/// Bytes of the cache that stay when nothing else is said; the same bound the cache keeps by itself.
const KEEP_BYTES: i64 = 20 << 30;

/// What is thrown away without being asked.
pub(crate) fn policy() -> GcPolicy {
    GcPolicy { all: true, max_used_space: KEEP_BYTES, ..GcPolicy::default() }
}

/// Every record that the filters let through.
pub(crate) async fn list(inner: &Inner, filters: &[String]) -> Result<Vec<UsageRecord>, Status> {
    let mut records = steps(inner)?;
    let (kept, mounts) = (Arc::clone(&inner.kept), inner.builder.folder.join("mounts"));
    let on_disk = tokio::task::spawn_blocking(move || folders(&kept, &mounts)).await;
    records.extend(on_disk.map_err(|error| Status::new(Code::Internal, error.to_string()))?);
    records.retain(|record| filters.iter().all(|filter| passes(record, filter)));
    Ok(records)
}

fn steps(inner: &Inner) -> Result<Vec<UsageRecord>, Status> {
    let entries =
        inner.builder.cache.entries().map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    // Steps that only describe weigh nothing and go with those they stand on.
    let weighty = entries.into_iter().filter(|(_, entry)| entry.size > 0);
    Ok(weighty
        .map(|(key, entry)| UsageRecord {
            id: key.hex()[..25].to_owned(),
            size: i64::try_from(entry.size).unwrap_or(i64::MAX),
            created_at: Some(Timestamp::of_ns(entry.created_ns)),
            last_used_at: Some(Timestamp::of_ns(entry.used_ns)),
            usage_count: i64::try_from(entry.uses).unwrap_or(i64::MAX),
            description: entry.text,
            record_type: "regular".into(),
            shared: false,
            parents: entry.inputs.parent.iter().map(|parent| parent.hex()[..25].to_owned()).collect(),
            ..UsageRecord::default()
        })
        .collect())
}

fn folders(kept: &Shelf, mounts: &Path) -> Vec<UsageRecord> {
    let record = |path: &Path, used: SystemTime, kind: &str, description: &str| UsageRecord {
        id: path
            .file_name()
            .map(|name| name.to_string_lossy().chars().take(25).collect())
            .unwrap_or_default(),
        mutable: true,
        size: i64::try_from(size_of(path)).unwrap_or(i64::MAX),
        created_at: Some(Timestamp::of(used)),
        last_used_at: Some(Timestamp::of(used)),
        usage_count: 1,
        description: description.into(),
        record_type: kind.into(),
        ..UsageRecord::default()
    };
    let mut records: Vec<_> = kept
        .idle()
        .iter()
        .map(|(path, used)| record(path, *used, "source.local", "local source of a client"))
        .collect();
    let entries = std::fs::read_dir(mounts).into_iter().flatten().filter_map(Result::ok);
    records.extend(entries.filter_map(|entry| {
        let used = entry.metadata().ok()?.modified().ok()?;
        Some(record(&entry.path(), used, "exec.cachemount", "cached mount of RUN --mount=type=cache"))
    }));
    records
}

/// Bytes of all files below, as the disk counts them.
fn size_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut open = vec![path.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    bytes
}

/// One filter: `id=x`, `id~=x`, `type==regular`, `shared`, `inuse`, ...; several with commas must all hold.
fn passes(record: &UsageRecord, filter: &str) -> bool {
    filter.split(',').filter(|one| !one.is_empty()).all(|one| {
        let field = |name: &str| match name {
            "id" => record.id.clone(),
            "type" => record.record_type.clone(),
            "description" => record.description.clone(),
            "inuse" => record.in_use.to_string(),
            "mutable" => record.mutable.to_string(),
            "immutable" => (!record.mutable).to_string(),
            "shared" => record.shared.to_string(),
            "private" => (!record.shared).to_string(),
            "parents" => record.parents.join(";"),
            _ => String::new(),
        };
        let bare = |value: &str| value.trim_matches('"').to_owned();
        match one
            .split_once("~=")
            .or_else(|| one.split_once("!="))
            .or_else(|| one.split_once("=="))
            .or_else(|| one.split_once('='))
        {
            Some((name, value)) if one.contains("~=") => field(name).contains(&bare(value)),
            Some((name, value)) if one.contains("!=") => field(name) != bare(value),
            Some((name, value)) => field(name) == bare(value),
            None => field(one) == "true",
        }
    })
}

/// Removes what a client wants gone, and gives what went.
pub(crate) async fn prune(inner: &Inner, request: &PruneRequest) -> Result<Vec<UsageRecord>, Status> {
    let keep = Duration::from_nanos(u64::try_from(request.keep_duration).unwrap_or_default());
    let old = |record: &UsageRecord| {
        let used = record.last_used_at.map_or(0, |time| time.ns());
        let age = Timestamp::now().ns().saturating_sub(used);
        keep.is_zero() || u64::try_from(age).unwrap_or_default() >= keep.as_nanos() as u64
    };
    let before = list(inner, &request.filter).await?;
    let doomed: Vec<UsageRecord> = before.into_iter().filter(old).collect();
    // A bound of bytes keeps what was used last.
    let limit = [request.max_used_space, request.reserved_space].into_iter().filter(|bytes| *bytes > 0).min();
    let doomed = match limit {
        None => doomed,
        Some(limit) => beyond(doomed, limit),
    };
    let ids: std::collections::HashSet<&str> = doomed.iter().map(|record| record.id.as_str()).collect();
    let everything = request.filter.is_empty() && keep.is_zero() && limit.is_none();
    let named = |key: &gantry_names::Digest| ids.contains(&key.hex()[..25]);
    let steps: Vec<_> =
        inner.builder.cache.entries().map_err(|e| Status::new(Code::Internal, e.to_string()))?;
    let texts: std::collections::HashSet<_> = steps
        .into_iter()
        .filter(|(key, _)| everything || named(key))
        .map(|(_, entry)| entry.inputs.key())
        .collect();
    inner
        .builder
        .cache
        .prune(u64::MAX, |entry| texts.contains(&entry.inputs.key()))
        .map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    for (path, _) in inner.kept.idle() {
        if path.file_name().is_some_and(|name| ids.contains(id_of(&name.to_string_lossy()))) {
            inner.kept.remove(&path);
        }
    }
    let mounts = inner.builder.folder.join("mounts");
    for entry in std::fs::read_dir(mounts).into_iter().flatten().filter_map(Result::ok) {
        if ids.contains(id_of(&entry.file_name().to_string_lossy())) {
            std::fs::remove_dir_all(entry.path())
                .map_err(|error| Status::new(Code::Unknown, error.to_string()))?;
        }
    }
    Ok(doomed)
}

fn id_of(name: &str) -> &str {
    name.get(..25).unwrap_or(name)
}

/// The records, oldest use first, that are more than `limit` bytes together.
fn beyond(mut records: Vec<UsageRecord>, limit: i64) -> Vec<UsageRecord> {
    records.sort_by_key(|record| std::cmp::Reverse(record.last_used_at.map_or(0, |time| time.ns())));
    let mut total = 0_i64;
    records
        .into_iter()
        .filter(|record| {
            total = total.saturating_add(record.size);
            total > limit
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_buildkit_reads_them() {
        let record = UsageRecord {
            id: "abc".into(),
            record_type: "source.local".into(),
            mutable: true,
            ..UsageRecord::default()
        };
        for yes in [
            "",
            "id=abc",
            "id~=b",
            "type==source.local",
            "mutable",
            "private",
            "type!=regular,id=abc",
            "id==\"abc\"",
        ] {
            assert!(passes(&record, yes), "{yes}");
        }
        for no in ["id=b", "type==regular", "shared", "immutable", "id=abc,shared"] {
            assert!(!passes(&record, no), "{no}");
        }
    }

    #[test]
    fn a_bound_keeps_what_was_used_last() {
        let record = |id: &str, used, size| UsageRecord {
            id: id.into(),
            size,
            last_used_at: Some(Timestamp::of_ns(used)),
            ..UsageRecord::default()
        };
        let gone = beyond(vec![record("old", 1, 5), record("new", 3, 5), record("mid", 2, 5)], 10);
        assert_eq!(gone.into_iter().map(|record| record.id).collect::<Vec<_>>(), ["old"]);
    }
}
