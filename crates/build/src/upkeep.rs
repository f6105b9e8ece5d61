//! The builder's own order: what its cache holds, what goes, and by default how much may stay.

use std::collections::HashSet;
use std::time::Duration;

use gantry_names::Digest;
use gantry_store::StoreError;

use crate::builder::Builder;
use crate::cache::now_ns;
use crate::mounts::MountsError;
use crate::prune::{self, Policy, Row, RowKind};

/// Unused for so long, an entry goes whatever room there is.
const KEEP: Duration = Duration::from_secs(60 * 24 * 3600);
/// Of the disk, in parts of a hundred: what the cache may take by default.
const SHARE_PARTS: u64 = 10;
/// The cache may always take so much.
const SHARE_LEAST: u64 = 2 << 30;

/// What is thrown away without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gc {
    /// Nothing.
    Off,
    /// What nobody has used for long, and what is above a bound.
    Usual {
        /// Bytes; none: a part of the disk.
        max_used: Option<u64>,
        /// Bytes that are to stay free on the disk.
        min_free: u64,
    },
    /// What a person has written down, rule by rule.
    Rules(Vec<Rule>),
}

impl Default for Gc {
    fn default() -> Self {
        Gc::Usual { max_used: None, min_free: 0 }
    }
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Also what images share.
    pub all: bool,
    /// Only what nobody has used for so long.
    pub unused_for: Option<Duration>,
    /// Remove until this many bytes are left.
    pub max_used: u64,
    /// Never go below this many bytes.
    pub reserved: u64,
    /// Remove until this many bytes are free on the disk.
    pub min_free: u64,
    /// Only what all of these let through.
    pub only: Vec<prune::Filter>,
}

impl Gc {
    /// The rules on a disk of this size, in order.
    pub fn rules(&self, disk: u64) -> Vec<Rule> {
        match self {
            Gc::Off => Vec::new(),
            Gc::Rules(rules) => rules.clone(),
            Gc::Usual { max_used, min_free } => {
                let max_used = max_used.unwrap_or_else(|| (disk / 100 * SHARE_PARTS).max(SHARE_LEAST));
                vec![
                    Rule { all: true, unused_for: Some(KEEP), ..Rule::default() },
                    Rule { all: true, max_used, min_free: *min_free, ..Rule::default() },
                ]
            }
        }
    }
}

/// What a prune has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What is gone.
    pub ids: Vec<Digest>,
    /// Bytes that came free.
    pub bytes: u64,
}

/// Why the cache could not be put in order.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// Records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Cache mounts.
    #[error(transparent)]
    Mounts(#[from] MountsError),
    /// Images and layers.
    #[error(transparent)]
    Image(#[from] gantry_images::Error),
    /// The disk.
    #[error("look at the disk: {0}")]
    Disk(#[from] std::io::Error),
}

impl gantry_errdefs::Classified for UpkeepError {
    fn class(&self) -> gantry_errdefs::Class {
        match self {
            UpkeepError::Image(error) => error.class(),
            _ => gantry_errdefs::Class::Internal,
        }
    }
}

impl Builder {
    /// Everything the cache holds. Blocking.
    pub fn usage(&self) -> Result<Vec<Row>, UpkeepError> {
        let shared = self.shared_chains()?;
        let mut rows: Vec<Row> = Vec::new();
        for (id, entry) in self.cache.entries() {
            let chain = entry.point.chain().map(|chain| chain.to_string());
            rows.push(Row {
                kind: RowKind::Regular,
                description: entry.text.clone(),
                parent: entry.inputs.parent.clone(),
                created_ns: entry.created_ns,
                used_ns: entry.used_ns,
                uses: entry.uses,
                size: entry.size,
                shared: entry.size > 0 && chain.is_some_and(|chain| shared.contains(&chain)),
                in_use: false,
                id,
            });
        }
        for (id, (entry, size, in_use)) in self.mounts.list()? {
            rows.push(Row {
                kind: RowKind::CacheMount,
                description: format!("cached mount {}", entry.name),
                parent: None,
                created_ns: entry.created_ns,
                used_ns: entry.used_ns,
                uses: entry.uses,
                size,
                shared: false,
                in_use,
                id,
            });
        }
        Ok(rows)
    }

    /// The chains of images' layers.
    fn shared_chains(&self) -> Result<HashSet<String>, UpkeepError> {
        let images = self.images.list(&gantry_images::ListOptions { all: true, ..Default::default() })?;
        let mut chains = HashSet::new();
        for summary in images {
            let Ok(image) = self.images.get(&summary.id) else { continue };
            let mut chain = None;
            for diff_id in image.config.diff_ids() {
                let next = gantry_names::ChainId::extend(chain.as_ref(), diff_id);
                chains.insert(next.to_string());
                chain = Some(next);
            }
        }
        Ok(chains)
    }

    /// Removes what a policy names. Blocking.
    pub fn prune(&self, policy: &Policy) -> Result<Pruned, UpkeepError> {
        let rows = self.usage()?;
        let doomed = prune::decide(&rows, policy, self.disk()?.1);
        if doomed.is_empty() {
            return Ok(Pruned::default());
        }
        let mut pruned = Pruned::default();
        let mut steps = Vec::new();
        for row in rows.iter().filter(|row| doomed.contains(&row.id)) {
            let gone = match row.kind {
                RowKind::Regular => {
                    steps.push(row.id.clone());
                    true
                }
                RowKind::CacheMount => self.mounts.remove(&row.id)?,
            };
            if gone {
                pruned.ids.push(row.id.clone());
                pruned.bytes += if row.shared { 0 } else { row.size };
            }
        }
        self.cache.forget(&steps)?;
        self.images.sweep(Duration::ZERO)?;
        Ok(pruned)
    }

    /// Removes what is not worth its room. Blocking.
    pub fn collect(&self) -> Result<Pruned, UpkeepError> {
        let (size, _) = self.disk()?;
        let mut pruned = Pruned::default();
        for rule in self.gc.rules(size) {
            let policy = Policy {
                all: rule.all,
                unused_since_ns: rule
                    .unused_for
                    .map(|age| now_ns().saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))),
                max_used: rule.max_used,
                reserved: rule.reserved,
                min_free: rule.min_free,
                only: rule.only,
            };
            let gone = self.prune(&policy)?;
            pruned.ids.extend(gone.ids);
            pruned.bytes += gone.bytes;
        }
        Ok(pruned)
    }

    /// Size and free room of the disk.
    pub fn disk(&self) -> Result<(u64, u64), UpkeepError> {
        std::fs::create_dir_all(&self.folder)?;
        let stat = rustix::fs::statvfs(&self.folder).map_err(std::io::Error::from)?;
        Ok((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}
