//! What builds keep on disk, listed and removed in BuildKit's words.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gantry_build::prune::{Filter, Policy, Row, RowKind};
use gantry_build::upkeep::UpkeepError;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{GcPolicy, PruneRequest, UsageRecord};

use crate::Inner;
use crate::kept::Shelf;
use crate::story::refused;

/// Digits of an id, as BuildKit shows them.
const ID_DIGITS: usize = 25;

/// BuildKit's word for a client's folder.
const SOURCE: &str = "source.local";

/// What is thrown away without being asked.
pub(crate) fn policy(inner: &Inner) -> Vec<GcPolicy> {
    let disk = inner.builder.disk().map_or(0, |(size, _)| size);
    let rules = inner.builder.gc.rules(disk).into_iter().map(|rule| GcPolicy {
        all: rule.all,
        keep_duration: rule.unused_for.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)),
        reserved_space: number(rule.reserved),
        max_used_space: number(rule.max_used),
        min_free_space: number(rule.min_free),
        filters: rule.only.iter().map(|filter| format!("{filter:?}").to_lowercase()).collect(),
    });
    rules.collect()
}

/// Brings the cache within its bounds, behind the client's back.
pub(crate) fn tidy(inner: &Inner) {
    let builder = inner.builder.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = builder.collect() {
            tracing::warn!(%error, "tidy up the build cache");
        }
    });
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Every record that the filters let through.
pub(crate) async fn list(inner: &Inner, filters: &[String]) -> Result<Vec<UsageRecord>, Status> {
    let (kept, builder) = (Arc::clone(&inner.kept), inner.builder.clone());
    let listed = tokio::task::spawn_blocking(move || {
        let mut records = folders(&kept);
        // Steps that only describe weigh nothing and go with those they stand on.
        records.extend(builder.usage()?.into_iter().filter(|row| row.size > 0).map(record));
        Ok::<_, UpkeepError>(records)
    });
    let listed = listed.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let mut records = listed.map_err(|error| refused(&error))?;
    records.retain(|record| filters.iter().all(|filter| passes(record, filter)));
    Ok(records)
}

fn record(row: Row) -> UsageRecord {
    UsageRecord {
        id: row.id.hex()[..ID_DIGITS].to_owned(),
        mutable: row.kind == RowKind::CacheMount,
        in_use: row.in_use,
        size: number(row.size),
        created_at: Some(Timestamp::of_ns(row.created_ns)),
        last_used_at: Some(Timestamp::of_ns(row.used_ns)),
        usage_count: number(row.uses),
        description: row.description,
        record_type: row.kind.as_str().to_owned(),
        shared: row.shared,
        parents: row.parent.iter().map(|parent| parent.hex()[..ID_DIGITS].to_owned()).collect(),
    }
}

fn folders(kept: &Shelf) -> Vec<UsageRecord> {
    let record = |(path, used): (PathBuf, SystemTime)| UsageRecord {
        id: id_of(&path).unwrap_or_default(),
        mutable: true,
        size: number(size_of(&path)),
        created_at: Some(Timestamp::of(used)),
        last_used_at: Some(Timestamp::of(used)),
        usage_count: 1,
        description: "local source for context".into(),
        record_type: SOURCE.into(),
        ..UsageRecord::default()
    };
    kept.idle().into_iter().map(record).collect()
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
    let before = list(inner, &request.filter).await?;
    let natural = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    let since =
        (request.keep_duration > 0).then(|| Timestamp::now().ns().saturating_sub(request.keep_duration));
    let old = |record: &UsageRecord| {
        since.is_none_or(|since| record.last_used_at.is_none_or(|used| used.ns() < since))
    };
    // What the filters let through is named one by one: they were read here.
    let named = before.iter().filter(|record| record.record_type != SOURCE).map(|record| record.id.clone());
    let only = if request.filter.is_empty() { Vec::new() } else { vec![Filter::Id(named.collect())] };
    let policy = Policy {
        all: request.all,
        unused_since_ns: since,
        max_used: natural(request.max_used_space),
        reserved: natural(request.reserved_space),
        min_free: natural(request.min_free_space),
        only,
    };
    let everything = (policy.max_used, policy.reserved, policy.min_free) == (0, 0, 0);
    let builder = inner.builder.clone();
    let pruned = tokio::task::spawn_blocking(move || builder.prune(&policy)).await;
    let pruned = pruned.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let pruned = pruned.map_err(|error| refused(&error))?;
    let mut gone: HashSet<String> = pruned.ids.iter().map(|id| id.hex()[..ID_DIGITS].to_owned()).collect();
    if everything {
        for (path, _) in inner.kept.idle() {
            let id = id_of(&path).unwrap_or_default();
            if before.iter().any(|record| record.id == id && old(record)) {
                inner.kept.remove(&path);
                gone.insert(id);
            }
        }
    }
    Ok(before.into_iter().filter(|record| gone.contains(&record.id)).collect())
}

/// The id of a kept folder: the beginning of its name.
fn id_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.chars().filter(char::is_ascii_alphanumeric).take(ID_DIGITS).collect())
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
}
