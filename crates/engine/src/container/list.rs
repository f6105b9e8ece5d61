//! `ps`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gantry_names::{ContainerId, ImageId, Reference};

use super::Container;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::filters::{self, Filters};
use crate::record::{ContainerRecord, MountPointKind, State};
use crate::spec::PortSpec;

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many of the newest, whatever their state; 0 or less is no bound.
    pub limit: i64,
    /// With sizes.
    pub size: bool,
    /// Made after this one.
    pub since: String,
    /// Made before this one.
    pub before: String,
    /// Docker's filters.
    pub filters: Filters,
}

/// One row.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The record.
    pub record: Arc<ContainerRecord>,
    /// The image as shown: its name as asked for, or its id when the name has moved on.
    pub image: String,
    /// Further names by links.
    pub names: Vec<String>,
    /// Bytes of its own and of all, when asked.
    pub size: Option<(u64, u64)>,
}

/// The filters of `ps`, checked.
struct Wanted<'a> {
    filters: &'a Filters,
    since: Option<Arc<ContainerRecord>>,
    before: Option<Arc<ContainerRecord>>,
    /// Images by the `ancestor` filter, with everything that stands on them.
    ancestors: Option<BTreeSet<ImageId>>,
    /// Exit codes by the `exited` filter.
    codes: Vec<i32>,
    volumes: Vec<&'a String>,
    networks: Vec<&'a String>,
}

const KEYS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

impl Engine {
    /// Lists containers, the newest first.
    pub async fn container_list(&self, request: ListRequest) -> Result<Vec<Listed>> {
        filters::check(&request.filters, KEYS)?;
        let engine = self.clone();
        blocking(move || engine.list(&request)).await
    }

    fn list(&self, request: &ListRequest) -> Result<Vec<Listed>> {
        let wanted = self.wanted(request)?;
        let mut all: Vec<Arc<Container>> = self.registry().all();
        let links = Links::of(&all);
        all.sort_by_cached_key(|container| std::cmp::Reverse(container.record().created));
        // A filter on the state or the exit is about those that do not run, too.
        let any_state = request.all
            || request.limit > 0
            || ["status", "exited"].iter().any(|key| request.filters.contains_key(*key))
            || wanted.since.is_some()
            || wanted.before.is_some();
        let mut rows = Vec::new();
        let names = self.image_names()?;
        for container in all {
            let plain = container.record();
            let up = plain.state.is_alive() || matches!(plain.state, State::Restarting { .. });
            if !any_state && !up || matches!(plain.state, State::Creating) {
                continue;
            }
            let record = Arc::new(self.shown(&container));
            if !wanted.takes(&record) {
                continue;
            }
            let size = if request.size {
                let own =
                    self.inner.images.snapshots().usage(record.id.as_str()).map_or(0, |usage| usage.bytes);
                let below = self.inner.images.get(&record.image).map_or(0, |image| image.size());
                Some((own, own + below))
            } else {
                None
            };
            rows.push(Listed {
                image: shown_image(&record, &names),
                names: links.names_of(&record),
                record,
                size,
            });
            if request.limit > 0 && rows.len() >= usize::try_from(request.limit).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(rows)
    }

    /// Where every name points now.
    fn image_names(&self) -> Result<BTreeMap<String, ImageId>> {
        let list = self.inner.images.list(&gantry_images::ListOptions { all: true, ..Default::default() })?;
        let mut names = BTreeMap::new();
        for summary in list {
            for name in summary.repo_tags.into_iter().chain(summary.repo_digests) {
                names.insert(name, summary.id.clone());
            }
        }
        Ok(names)
    }

    fn wanted<'a>(&self, request: &'a ListRequest) -> Result<Wanted<'a>> {
        let one = |key: &str, field: &str| -> Result<Option<Arc<ContainerRecord>>> {
            let named = filters::values(&request.filters, key).next().map(String::as_str);
            match named.or((!field.is_empty()).then_some(field)) {
                Some(who) => Ok(Some(self.find(who)?.record())),
                None => Ok(None),
            }
        };
        let ancestors = if request.filters.contains_key("ancestor") {
            let named = filters::values(&request.filters, "ancestor")
                .filter_map(|name| self.inner.images.resolve(name).ok());
            Some(self.with_descendants(named.collect())?)
        } else {
            None
        };
        known_states(&request.filters)?;
        known_health(&request.filters)?;
        filters::truth(&request.filters, "is-task")?;
        ["publish", "expose"].iter().try_for_each(|key| ports(&request.filters, key))?;
        let codes = filters::values(&request.filters, "exited")
            .map(|code| code.parse().map_err(|_| invalid_code(code)));
        Ok(Wanted {
            codes: codes.collect::<Result<_>>()?,
            since: one("since", &request.since)?,
            before: one("before", &request.before)?,
            ancestors,
            volumes: filters::values(&request.filters, "volume").collect(),
            networks: filters::values(&request.filters, "network").collect(),
            filters: &request.filters,
        })
    }

    /// Images and all that stand on them: whose layers begin with theirs.
    fn with_descendants(&self, roots: BTreeSet<ImageId>) -> Result<BTreeSet<ImageId>> {
        let mut all = roots.clone();
        let bases: Vec<_> = roots.iter().filter_map(|id| self.inner.images.get(id).ok()).collect();
        for summary in
            self.inner.images.list(&gantry_images::ListOptions { all: true, ..Default::default() })?
        {
            let Ok(image) = self.inner.images.get(&summary.id) else { continue };
            let stands = bases.iter().any(|base| {
                !base.config.diff_ids().is_empty()
                    && image.config.diff_ids().starts_with(base.config.diff_ids())
            });
            if stands {
                all.insert(summary.id);
            }
        }
        Ok(all)
    }

    /// Ids of containers made from an image or mounting it, with whether each runs.
    pub(crate) fn users_of(&self, image: &ImageId) -> Vec<(ContainerId, bool)> {
        let mounts = |record: &ContainerRecord| {
            let mut images = record.mounts.iter().filter(|point| point.kind == MountPointKind::Image);
            images.any(|point| point.source == image.as_str())
        };
        let mine = self.registry().all().into_iter().map(|container| container.record());
        mine.filter(|record| record.image == *image || mounts(record))
            .map(|record| (record.id.clone(), record.state.is_alive()))
            .collect()
    }
}

/// Refuses a state that no container can have.
fn known_states(filters: &Filters) -> Result<()> {
    const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
    match filters::values(filters, "status").find(|status| !STATES.contains(&status.as_str())) {
        Some(status) => Err(Error::Invalid(format!(
            "invalid filter 'status={status}': invalid value for state ({status}): must be one of {}",
            STATES.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Refuses a state of health that there is not.
fn known_health(filters: &Filters) -> Result<()> {
    const STATES: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
    match filters::values(filters, "health").find(|health| !STATES.contains(&health.as_str())) {
        Some(health) => Err(Error::Invalid(format!(
            "invalid filter 'health={health}': invalid value for health ({health}): must be one of {}",
            STATES.join(", ")
        ))),
        None => Ok(()),
    }
}

fn invalid_code(code: &str) -> Error {
    Error::Invalid(format!(
        "invalid filter 'exited={code}': strconv.Atoi: parsing \"{code}\": invalid syntax"
    ))
}

/// Refuses ports that are none: a number, or a range, before its protocol.
fn ports(filters: &Filters, key: &str) -> Result<()> {
    let number = |text: &str| {
        text.parse::<u16>().map_err(|err| {
            let why = match err.kind() {
                std::num::IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.ParseUint: parsing \"{text}\": {why}")
        })
    };
    let range = |text: &str| -> std::result::Result<(), String> {
        let ports = text.split_once('/').map_or(text, |(ports, _)| ports);
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        if number(first)? > number(last)? {
            return Err(format!("Invalid range specified for the Port: {ports}"));
        }
        Ok(())
    };
    filters::values(filters, key).try_for_each(|value| {
        range(value).map_err(|why| Error::Invalid(format!("error while looking up for {key} {value}: {why}")))
    })
}

fn shown_image(record: &ContainerRecord, names: &BTreeMap<String, ImageId>) -> String {
    let asked = &record.spec.image;
    let Ok(reference) = Reference::parse(asked) else { return asked.clone() };
    let familiar =
        if reference.digest().is_some() { reference.familiar() } else { reference.or_latest().familiar() };
    match names.get(&familiar) {
        Some(id) if *id == record.image => asked.clone(),
        // The id itself, or its beginning, never moves.
        _ if record
            .image
            .to_string()
            .trim_start_matches("sha256:")
            .starts_with(asked.trim_start_matches("sha256:")) =>
        {
            asked.clone()
        }
        _ => record.image.to_string(),
    }
}

/// The further names that links give: `/OTHER/ALIAS`, by what the link calls its target.
struct Links(HashMap<String, Vec<String>>);

impl Links {
    /// Read once for a whole list: each container may link to any other.
    fn of(all: &[Arc<Container>]) -> Links {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for container in all {
            let other = container.record();
            for link in &other.spec.links {
                let (target, alias) = link.split_once(':').unwrap_or((link, link));
                let alias = alias.rsplit('/').next().unwrap_or(alias);
                let target = target.trim_start_matches('/').to_owned();
                names.entry(target).or_default().push(format!("/{}/{alias}", other.name));
            }
        }
        Links(names)
    }

    fn names_of(&self, record: &ContainerRecord) -> Vec<String> {
        let called = [record.name.as_str(), record.id.as_str()];
        called.iter().filter_map(|name| self.0.get(*name)).flatten().cloned().collect()
    }
}

impl Wanted<'_> {
    fn takes(&self, record: &ContainerRecord) -> bool {
        let values = |key: &str| filters::values(self.filters, key);
        let any = |key: &str, hit: &dyn Fn(&str) -> bool| {
            !self.filters.contains_key(key) || values(key).any(|value| hit(value))
        };
        let health = match (&record.spec.healthcheck, &record.health) {
            (_, Some(health)) => health.status.as_str(),
            _ => "none",
        };
        let labels = filters::labels_match(self.filters, &record.spec.labels);
        let place = |volume: &&String| {
            record
                .mounts
                .iter()
                .any(|point| point.name == **volume || point.target == **volume || point.source == **volume)
        };
        let network = |wanted: &&String| {
            let mode = record.spec.network_mode.to_string();
            mode == **wanted
                || record.network.endpoints.iter().any(|(name, endpoint)| {
                    name == *wanted || endpoint.network.as_str().starts_with(wanted.as_str())
                })
        };
        let name = |pattern: &str| {
            let name = record.name.as_str();
            filters::name_matches(pattern, name) || filters::name_matches(pattern, &format!("/{name}"))
        };
        labels
            && any("id", &|id| record.id.as_str().starts_with(id))
            && any("name", &name)
            && any("status", &|status| record.state.status() == status)
            && any("health", &|wanted| health == wanted)
            && (self.codes.is_empty()
                || !record.state.is_alive()
                    && record.state.exit().is_some()
                    && self.codes.contains(&record.state.exit_code()))
            && self.since.as_ref().is_none_or(|since| record.created > since.created)
            && self.before.as_ref().is_none_or(|before| record.created < before.created)
            && self.ancestors.as_ref().is_none_or(|images| images.contains(&record.image))
            && (self.volumes.is_empty() || self.volumes.iter().any(place))
            && (self.networks.is_empty() || self.networks.iter().any(network))
            && any("expose", &|port| {
                in_range(port, |port| {
                    record.spec.exposed_ports.contains(&port) || record.spec.port_bindings.contains_key(&port)
                })
            })
            && any("publish", &|port| in_range(port, |port| record.network.ports.contains_key(&port)))
            && any("is-task", &|task| task == "false")
    }
}

/// `80`, `80/udp`, `80-90/tcp`.
fn in_range(text: &str, hit: impl Fn(PortSpec) -> bool) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { return false };
    (first..=last).any(|port| format!("{port}/{protocol}").parse().is_ok_and(&hit))
}
