//! What of the builder's cache goes: decided here, done by [`crate::Builder`].
//!
//! Source: BuildKit's prune options and the Engine API's `POST /build/prune`.

use gantry_names::Digest;

/// What kind of thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A step's result.
    Regular,
    /// A cache mount's folder.
    CacheMount,
}

impl RowKind {
    /// BuildKit's word.
    pub fn as_str(self) -> &'static str {
        match self {
            RowKind::Regular => "regular",
            RowKind::CacheMount => "exec.cachemount",
        }
    }
}

/// One line of `docker buildx du`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub id: Digest,
    /// What it is.
    pub kind: RowKind,
    /// For people.
    pub description: String,
    /// The step before.
    pub parent: Option<Digest>,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// Nanoseconds since 1970.
    pub used_ns: i64,
    /// How often.
    pub uses: u64,
    /// Bytes.
    pub size: u64,
    /// An image has the same layer: removing the row frees nothing.
    pub shared: bool,
    /// A step has it now.
    pub in_use: bool,
}

/// What a prune removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Also what images share.
    pub all: bool,
    /// Only what was not used since then; nanoseconds since 1970.
    pub unused_since_ns: Option<i64>,
    /// Keep at most this many bytes; zero: no such limit.
    pub max_used: u64,
    /// Never go below this many bytes.
    pub reserved: u64,
    /// Remove until this many bytes are free on the disk.
    pub min_free: u64,
    /// Only rows for which all of these hold.
    pub only: Vec<Filter>,
}

/// A filter of a prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// The id's beginning is one of these.
    Id(Vec<String>),
    /// The parent's id's beginning is one of these.
    Parent(Vec<String>),
    /// The kind is one of these.
    Kind(Vec<String>),
    /// The description contains one of these.
    Description(Vec<String>),
    /// In use or not.
    InUse(bool),
    /// Shared with an image or not.
    Shared(bool),
    /// The opposite.
    Private(bool),
}

impl Filter {
    fn takes(&self, row: &Row) -> bool {
        let begins = |id: &Digest, with: &[String]| {
            with.iter()
                .any(|text| id.hex().starts_with(text.as_str()) || id.as_str().starts_with(text.as_str()))
        };
        match self {
            Filter::Id(ids) => begins(&row.id, ids),
            Filter::Parent(ids) => row.parent.as_ref().is_some_and(|parent| begins(parent, ids)),
            Filter::Kind(kinds) => kinds.iter().any(|kind| kind == row.kind.as_str()),
            Filter::Description(texts) => texts.iter().any(|text| row.description.contains(text.as_str())),
            Filter::InUse(wanted) => row.in_use == *wanted,
            Filter::Shared(wanted) => row.shared == *wanted,
            Filter::Private(wanted) => row.shared != *wanted,
        }
    }
}

/// The rows to remove, longest unused first. `free` is what the disk has free.
pub fn decide(rows: &[Row], policy: &Policy, free: u64) -> Vec<Digest> {
    let total: u64 = rows.iter().map(|row| row.size).sum();
    let limit = limit(total, policy, free);
    let mut candidates: Vec<&Row> = rows
        .iter()
        .filter(|row| !row.in_use && (policy.all || !row.shared))
        .filter(|row| policy.unused_since_ns.is_none_or(|since| row.used_ns < since))
        .filter(|row| policy.only.iter().all(|filter| filter.takes(row)))
        .collect();
    candidates.sort_by_key(|row| row.used_ns);
    let mut left = total;
    let mut doomed = Vec::new();
    for row in candidates {
        if limit.is_some_and(|limit| left <= limit) {
            break;
        }
        left -= row.size;
        doomed.push(row.id.clone());
    }
    doomed
}

/// How much may stay; `None` where everything that can go goes.
fn limit(total: u64, policy: &Policy, free: u64) -> Option<u64> {
    let Policy { max_used, reserved, min_free, .. } = *policy;
    if (max_used, reserved, min_free) == (0, 0, 0) {
        return None;
    }
    let missing = min_free.saturating_sub(free);
    let below = if max_used == 0 { u64::MAX } else { max_used };
    let below = if missing > 0 { below.min(total.saturating_sub(missing)) } else { below };
    // Only a reserve was named: that is what stays.
    let below = if below == u64::MAX && min_free == 0 { 0 } else { below };
    Some(below.max(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(name: &str, used_ns: i64, size: u64) -> Row {
        Row {
            id: Digest::sha256_of(name.as_bytes()),
            kind: RowKind::Regular,
            description: name.into(),
            parent: None,
            created_ns: 0,
            used_ns,
            uses: 0,
            size,
            shared: false,
            in_use: false,
        }
    }

    fn names(rows: &[Row], policy: &Policy, free: u64) -> Vec<String> {
        let doomed = decide(rows, policy, free);
        doomed.iter().map(|id| rows.iter().find(|row| row.id == *id).unwrap().description.clone()).collect()
    }

    #[test]
    fn the_longest_unused_go_first_until_the_rest_fits() {
        let rows = [row("new", 3, 10), row("old", 1, 10), row("middle", 2, 10)];
        let policy =
            |max_used, reserved, min_free| Policy { max_used, reserved, min_free, ..Policy::default() };
        assert_eq!(names(&rows, &policy(0, 0, 0), 0), ["old", "middle", "new"]);
        assert_eq!(names(&rows, &policy(20, 0, 0), 0), ["old"]);
        assert_eq!(names(&rows, &policy(15, 0, 0), 0), ["old", "middle"]);
        assert_eq!(names(&rows, &policy(5, 20, 0), 0), ["old"], "the reserve wins");
        assert_eq!(names(&rows, &policy(0, 0, 100), 95), ["old"]);
        assert_eq!(names(&rows, &policy(0, 0, 100), 200), Vec::<String>::new());
        assert_eq!(names(&rows, &policy(0, 20, 0), 0), ["old"], "a reserve alone is what stays");
    }

    #[test]
    fn what_is_shared_in_use_or_young_stays() {
        let shared = Row { shared: true, ..row("shared", 1, 1) };
        let used = Row { in_use: true, ..row("used", 1, 1) };
        let rows = [shared, used, row("young", 9, 1), row("plain", 1, 1)];
        let policy = Policy { unused_since_ns: Some(5), ..Policy::default() };
        assert_eq!(names(&rows, &policy, 0), ["plain"]);
        assert_eq!(names(&rows, &Policy { all: true, ..policy.clone() }, 0), ["shared", "plain"]);
        let only = vec![Filter::Description(vec!["you".into()])];
        assert_eq!(names(&rows, &Policy { only, ..Policy::default() }, 0), ["young"]);
        let only = vec![Filter::Kind(vec!["exec.cachemount".into()])];
        assert_eq!(names(&rows, &Policy { only, ..Policy::default() }, 0), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn a_bounded_cache_ends_within_its_bound(
            sizes in prop::collection::vec((0i64..100, 0u64..50), 0..20), max_used in 1u64..200,
        ) {
            let rows: Vec<Row> =
                sizes.iter().enumerate().map(|(n, (used, size))| row(&n.to_string(), *used, *size)).collect();
            let doomed = decide(&rows, &Policy { max_used, ..Policy::default() }, 0);
            let left: u64 = rows.iter().filter(|row| !doomed.contains(&row.id)).map(|row| row.size).sum();
            prop_assert!(left <= max_used);
        }
    }
}
