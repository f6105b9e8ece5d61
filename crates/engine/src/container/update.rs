//! `update`: limits and restart policy of a container, live when it runs.

use super::{start, validate};
use crate::admission::Verb;
use crate::bundle::resources;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::host;
use crate::spec::{Resources, RestartPolicy};

impl Engine {
    /// Changes what is not zero in `asked`, and the policy when there is one.
    pub async fn container_update(
        &self,
        name: &str,
        asked: Resources,
        restart: Option<RestartPolicy>,
    ) -> Result<Vec<String>> {
        let container = self.find(name)?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Update)?;
        if record.spec.auto_remove && restart.is_some_and(|policy| policy != RestartPolicy::No) {
            return Err(cannot(
                &container.id,
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        let mut asked = asked;
        let warnings = self.inner.host.limits.discard(&mut asked);
        let merged = over(&record.spec.resources, &asked);
        if asked.memory > 0
            && asked.memory_swap == 0
            && record.spec.resources.memory_swap > 0
            && asked.memory > record.spec.resources.memory_swap
        {
            return Err(cannot(
                &container.id,
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            ));
        }
        validate::resources(&merged, host::cpus())?;
        if record.state.is_alive() {
            let limits = resources::limits(&merged, &start::device_numbers)
                .map_err(|err| Error::Invalid(format!("error gathering device information: {err}")))?;
            let json = serde_json::to_value(limits).map_err(|err| Error::Invalid(err.to_string()))?;
            container.living_shim()?.update(json).await.map_err(|err| cannot(&container.id, err))?;
        }
        self.change(&container, |record| {
            record.spec.resources = merged;
            if let Some(policy) = restart {
                record.spec.restart = policy;
            }
        })
        .await?;
        self.container_event(&container.record(), "update", &[]);
        Ok(warnings)
    }
}

fn cannot(id: &gantry_names::ContainerId, why: impl std::fmt::Display) -> Error {
    Error::Conflict(format!("Cannot update container {id}: {why}"))
}

/// `asked` over `old`, where it asks for anything.
fn over(old: &Resources, asked: &Resources) -> Resources {
    let number = |old: i64, asked: i64| if asked == 0 { old } else { asked };
    let text = |old: &String, asked: &String| if asked.is_empty() { old.clone() } else { asked.clone() };
    let mut merged = old.clone();
    // A share of CPUs replaces a quota and the other way round: they are two words for one limit.
    if asked.nano_cpus > 0 {
        (merged.cpu_period, merged.cpu_quota) = (0, 0);
    }
    if asked.cpu_period > 0 || asked.cpu_quota != 0 {
        merged.nano_cpus = 0;
    }
    merged.memory = number(merged.memory, asked.memory);
    merged.memory_swap = number(merged.memory_swap, asked.memory_swap);
    merged.memory_reservation = number(merged.memory_reservation, asked.memory_reservation);
    merged.kernel_memory = number(merged.kernel_memory, asked.kernel_memory);
    merged.cpu_shares = number(merged.cpu_shares, asked.cpu_shares);
    merged.nano_cpus = number(merged.nano_cpus, asked.nano_cpus);
    merged.cpu_period = number(merged.cpu_period, asked.cpu_period);
    merged.cpu_quota = number(merged.cpu_quota, asked.cpu_quota);
    merged.cpu_realtime_period = number(merged.cpu_realtime_period, asked.cpu_realtime_period);
    merged.cpu_realtime_runtime = number(merged.cpu_realtime_runtime, asked.cpu_realtime_runtime);
    merged.cpuset_cpus = text(&merged.cpuset_cpus, &asked.cpuset_cpus);
    merged.cpuset_mems = text(&merged.cpuset_mems, &asked.cpuset_mems);
    if asked.blkio_weight != 0 {
        merged.blkio_weight = asked.blkio_weight;
    }
    if asked.pids_limit.is_some() {
        merged.pids_limit = asked.pids_limit;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_changes() {
        let old = Resources { memory: 1 << 30, cpu_quota: 50_000, ..Resources::default() };
        let merged = over(&old, &Resources { nano_cpus: 1_000_000_000, ..Resources::default() });
        assert_eq!((merged.memory, merged.cpu_quota, merged.nano_cpus), (1 << 30, 0, 1_000_000_000));
    }
}
