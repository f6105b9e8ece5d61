//! The shapes of API 1.12 to 1.23, for tools of that time. Served only where the engine is told to
//! (`DOCKER_MIN_API_VERSION`); everything here is of JSON, so that today's types need not know it.

use gantry_api::version::ApiVersion;
use gantry_engine::record::{ContainerRecord, MountPointKind};
use gantry_engine::spec::ReadOnly;
use serde_json::{Map, Value, json};

/// Limits that were settings of the container before 1.18, and what they are called since.
const LIMITS: [(&str, &str); 4] = [
    ("Memory", "Memory"),
    ("MemorySwap", "MemorySwap"),
    ("CpuShares", "CpuShares"),
    ("Cpuset", "CpusetCpus"),
];

/// A body of `create`: limits go where they are looked for today. What stands there already is not changed.
pub(crate) fn create(body: &mut Value, version: ApiVersion) {
    let Some(config) = body.as_object_mut().filter(|_| version.before(18)) else { return };
    let found = LIMITS.map(|(old, new)| (new, config.remove(old)));
    let host = config.entry("HostConfig").or_insert(Value::Null);
    if host.is_null() {
        *host = json!({});
    }
    let Some(host) = host.as_object_mut() else { return };
    for (name, value) in found {
        if let Some(value) = value.filter(|value| *value != json!(0) && *value != json!("")) {
            host.entry(name).or_insert(value);
        }
    }
}

/// An answer of `inspect`: before 1.20, mounts were two maps, and limits the container's own settings.
pub(crate) fn inspect(answer: &mut Value, record: &ContainerRecord, version: ApiVersion) {
    let Some(answer) = answer.as_object_mut().filter(|_| version.before(20)) else { return };
    let mounts = record
        .mounts
        .iter()
        .filter(|point| matches!(point.kind, MountPointKind::Bind | MountPointKind::Volume));
    let (sources, writable): (Map<_, _>, Map<_, _>) = mounts
        .map(|point| {
            let may_write = point.read_only == ReadOnly::No;
            ((point.target.clone(), json!(point.source)), (point.target.clone(), json!(may_write)))
        })
        .unzip();
    answer.insert("Volumes".to_owned(), Value::Object(sources));
    answer.insert("VolumesRW".to_owned(), Value::Object(writable));
    answer.remove("Mounts");
    let limits = LIMITS.map(|(old, new)| (old, answer["HostConfig"][new].clone()));
    if let Some(config) = answer.get_mut("Config").and_then(Value::as_object_mut) {
        config.extend(limits.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// A sample: before 1.21 there was one network, the sum of all.
pub(crate) fn stats(sample: &mut Value, version: ApiVersion) {
    let Some(sample) = sample.as_object_mut().filter(|_| version.before(21)) else { return };
    let mut sum: Map<String, Value> = Map::new();
    let networks = sample.remove("networks");
    for network in networks.iter().filter_map(Value::as_object).flat_map(Map::values) {
        for (name, count) in network.as_object().into_iter().flatten() {
            let before = sum.get(name).and_then(Value::as_u64).unwrap_or(0);
            sum.insert(name.clone(), json!(before + count.as_u64().unwrap_or(0)));
        }
    }
    sample.insert("network".to_owned(), Value::Object(sum));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_move_to_where_they_are_today() {
        let mut body =
            json!({"Image": "a", "Memory": 5, "CpuShares": 0, "Cpuset": "0", "HostConfig": {"Memory": 7}});
        create(&mut body, ApiVersion::new(1, 17));
        assert_eq!(body, json!({"Image": "a", "HostConfig": {"Memory": 7, "CpusetCpus": "0"}}));
        let mut without = json!({"Image": "a", "Memory": 5});
        create(&mut without, ApiVersion::new(1, 12));
        assert_eq!(without["HostConfig"]["Memory"], 5);
        let mut new = json!({"Image": "a", "Memory": 5});
        create(&mut new, ApiVersion::new(1, 24));
        assert_eq!(new, json!({"Image": "a", "Memory": 5}));
    }

    #[test]
    fn one_network_is_the_sum_of_all() {
        let mut sample = json!({"networks": {"eth0": {"rx_bytes": 1}, "eth1": {"rx_bytes": 2}}});
        stats(&mut sample, ApiVersion::new(1, 20));
        assert_eq!(sample, json!({"network": {"rx_bytes": 3}}));
    }
}
