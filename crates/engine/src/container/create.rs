//! `create`: everything is checked and decided first, then made; a failure undoes what was made.

use gantry_images::Image;
use gantry_names::{ContainerId, ContainerName, generated_name};
use gantry_snapshots::{PrepareOptions, Rootfs};
use jiff::Timestamp;

use super::{Container, validate};
use crate::bundle::apparmor::AppArmor;
use crate::bundle::security::Security;
use crate::engine::{CONTAINERS, Engine, blocking};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, State};
use crate::spec::{CgroupnsMode, ContainerSpec, IpcMode, NetworkMode, PidMode, UtsMode};
use crate::{bundle, host, merge};

/// A new container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// What will not be as asked.
    pub warnings: Vec<String>,
}

/// How often a generated name is drawn before an id is taken for a name.
const NAME_ATTEMPTS: u32 = 6;

impl Engine {
    /// Makes a container. Without a name, one is generated.
    pub async fn container_create(&self, spec: ContainerSpec, name: Option<&str>) -> Result<Created> {
        let name = name.filter(|name| !name.is_empty()).map(ContainerName::parse).transpose();
        let name = name.map_err(|err| Error::Invalid(err.to_string()))?;
        validate::spec(&spec, host::cpus())?;
        let (images, asked, platform) =
            (self.inner.images.clone(), spec.image.clone(), spec.platform.clone());
        let image = blocking(move || images.inspect(&asked, platform.as_ref())).await?;
        let id = ContainerId::random();
        let (spec, warnings) = self.resolve(spec, &id, &image)?;
        let name = self.reserve(name, &id)?;
        let made = self.make(&id, &name, spec, &image).await;
        let record = match made {
            Ok(record) => record,
            Err(err) => {
                self.registry_mut().release(&name);
                return Err(err);
            }
        };
        self.container_event(&record, "create", &[]);
        self.registry_mut().add(Container::new(record));
        Ok(Created { id, warnings })
    }

    fn reserve(&self, asked: Option<ContainerName>, id: &ContainerId) -> Result<ContainerName> {
        let mut registry = self.registry_mut();
        if let Some(name) = asked {
            registry.reserve(&name, id)?;
            return Ok(name);
        }
        for attempt in 0..NAME_ATTEMPTS {
            let parsed = ContainerName::parse(&generated_name(attempt));
            if let Some(name) = parsed.ok().filter(|name| registry.reserve(name, id).is_ok()) {
                return Ok(name);
            }
        }
        let name = ContainerName::parse(id.short()).expect("twelve digits are a name");
        registry.reserve(&name, id)?;
        Ok(name)
    }

    /// Merges the image in and fixes every default, so that the record says what will be.
    fn resolve(
        &self,
        spec: ContainerSpec,
        id: &ContainerId,
        image: &Image,
    ) -> Result<(ContainerSpec, Vec<String>)> {
        let mut spec = spec;
        if let Some(run) = &image.config.config {
            merge::merge(&mut spec, run)?;
        }
        let mut warnings = self.settle(&mut spec, id)?;
        let wanted = spec.platform.as_ref().map_or_else(gantry_names::Platform::host, Clone::clone);
        let found = image.config.platform();
        if !found.architecture.is_empty() && !found.matches(&wanted) && spec.platform.is_none() {
            warnings.push(format!(
                "The requested image's platform ({found}) does not match the detected host platform ({wanted}) and no \
                 specific platform was requested"
            ));
        }
        Ok((spec, warnings))
    }

    /// Fixes every default of a spec that no image has a say in any more. Gives warnings.
    pub(crate) fn settle(&self, spec: &mut ContainerSpec, id: &ContainerId) -> Result<Vec<String>> {
        let config = self.config();
        let mut warnings = Vec::new();
        if bundle::arguments(spec, false).is_empty() {
            return Err(Error::Invalid("no command specified".to_owned()));
        }
        if spec.network_mode == NetworkMode::Default {
            spec.network_mode = self.inner.network.default_mode();
        }
        validate::spec(spec, host::cpus())?;
        self.inner.network.settle(spec)?;
        let full = |who: &str| self.find(who).map(|container| container.id.to_string());
        // One that is not there is told at the start.
        if let NetworkMode::Container(who) = &spec.network_mode
            && let Ok(owner) = self.find(who)
        {
            let owner = owner.record();
            // One namespace, one name.
            spec.hostname.clone_from(&owner.spec.hostname);
            spec.domainname.clone_from(&owner.spec.domainname);
            spec.network_mode = NetworkMode::Container(owner.id.to_string());
        }
        self.check_links(spec)?;
        // What a container asks of others is a part of what is asked: without them it is wrong, not missing.
        let wrong = |err: Error| Error::Invalid(err.to_string());
        if let PidMode::Container(who) = &spec.pid_mode {
            spec.pid_mode = PidMode::Container(full(who).map_err(wrong)?);
        }
        match &spec.ipc_mode {
            IpcMode::Default => spec.ipc_mode = config.default_ipc_mode.clone(),
            IpcMode::Container(who) => {
                let owner = self.find(who).map_err(wrong)?.record();
                if !matches!(owner.spec.ipc_mode, IpcMode::Shareable) {
                    return Err(Error::Invalid(format!(
                        "can't join IPC of container {who}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                         container)"
                    )));
                }
                spec.ipc_mode = IpcMode::Container(owner.id.to_string());
            }
            _ => {}
        }
        if spec.cgroupns_mode == CgroupnsMode::Default {
            let private = self.inner.host.cgroup_v2 && !spec.privileged;
            spec.cgroupns_mode = if private { CgroupnsMode::Private } else { CgroupnsMode::Host };
        }
        if spec.hostname.is_empty() {
            let hosts = spec.network_mode == NetworkMode::Host || spec.uts_mode == UtsMode::Host;
            spec.hostname = if hosts { self.inner.host.hostname.clone() } else { id.short().to_owned() };
        }
        if spec.shm_size == 0 && !matches!(spec.ipc_mode, IpcMode::Host | IpcMode::Container(_)) {
            spec.shm_size = config.default_shm_size;
        }
        if spec.log.driver.is_empty() {
            spec.log.driver.clone_from(&config.log.driver);
        }
        if spec.log.driver == config.log.driver {
            for (key, value) in &config.log.options {
                spec.log.options.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        if !matches!(spec.log.driver.as_str(), "json-file" | "local" | "none") {
            return Err(Error::Invalid(format!(
                "error looking up logging plugin {name}: plugin \"{name}\" not found",
                name = spec.log.driver
            )));
        }
        gantry_logs::validate(&spec.log.driver, &spec.log.options)
            .map_err(|err| Error::Invalid(err.to_string()))?;
        if spec.runtime.is_empty() {
            spec.runtime.clone_from(&config.default_runtime);
        }
        if !config.runs_itself(&spec.runtime) && !config.runtimes.contains_key(&spec.runtime) {
            return Err(Error::Invalid(format!("unknown or invalid runtime name: {}", spec.runtime)));
        }
        if !spec.privileged && spec.masked_paths.is_none() {
            spec.masked_paths = Some(bundle::default_masked_paths());
        }
        if !spec.privileged && spec.readonly_paths.is_none() {
            spec.readonly_paths = Some(bundle::default_readonly_paths());
        }
        if matches!(spec.network_mode, NetworkMode::Host) && !spec.port_bindings.is_empty() {
            warnings.push("Published ports are discarded when using host network mode".to_owned());
        }
        warnings.extend(self.inner.host.limits.discard(&mut spec.resources));
        host::has_cpus(&spec.resources.cpuset_cpus)?;
        if self.inner.host.limits.oom_kill_disable {
            spec.resources.oom_kill_disable.get_or_insert(false);
        }
        let security = Security::parse(&spec.security_opts).map_err(bundle::BundleError::from)?;
        self.imply_labels(spec, &security)?;
        if let Some(profile) = security.apparmor.as_ref().filter(|profile| *profile != "unconfined")
            && self.inner.host.apparmor == AppArmor::Off
        {
            warnings.push(format!("This kernel has no AppArmor. The profile {profile} is not applied."));
        }
        warnings.extend(self.label_warning(&security));
        if spec.resources.memory > 0 && spec.resources.memory_swap == 0 {
            spec.resources.memory_swap = spec.resources.memory.saturating_mul(2);
        }
        if spec.resources.kernel_memory > 0 {
            warnings
                .push("Kernel memory limit is no longer supported by the kernel and is ignored".to_owned());
        }
        Ok(warnings)
    }

    /// Makes snapshot, mounts and folder; undoes them all when one fails.
    async fn make(
        &self,
        id: &ContainerId,
        name: &ContainerName,
        spec: ContainerSpec,
        image: &Image,
    ) -> Result<ContainerRecord> {
        let mut record = ContainerRecord {
            id: id.clone(),
            name: name.clone(),
            created: Timestamp::now(),
            image: image.id.clone(),
            platform: image.config.platform(),
            mounts: Vec::new(),
            snapshot_driver: self.inner.images.snapshots().driver().to_owned(),
            state: State::Created { failure: None },
            restart_count: 0,
            stopped_by_hand: false,
            health: None,
            network: Default::default(),
            selinux: self.draw_labels(&spec)?,
            spec,
        };
        let engine = self.clone();
        let image = image.clone();
        blocking(move || {
            let result = engine.make_blocking(&mut record, &image);
            if let Err(err) = result {
                engine.unmake_blocking(&record, true);
                return Err(err);
            }
            Ok(record)
        })
        .await
    }

    fn make_blocking(&self, record: &mut ContainerRecord, image: &Image) -> Result<()> {
        let plan = self.plan_mounts(&record.spec)?;
        record.mounts = plan.iter().map(|planned| planned.point.clone()).collect();
        // Anonymous volumes are named by an intent before they are made, so that neither a failure nor a crash loses track of one.
        if record.mounts.iter().any(|point| point.anonymous) {
            let intent = ContainerRecord { state: State::Creating, ..record.clone() };
            self.inner.store.write(|tx| tx.put(CONTAINERS, &intent.id, &intent))?;
        }
        // The image cannot go while it is leased; from the record's writing on, the record keeps it.
        let lease = self.inner.images.lease();
        let parent = self.inner.images.container_parent(&lease, &image.id)?;
        let rootfs = self.prepare_root(record, &parent)?;
        self.make_folder(&record.id)?;
        record.mounts = self.make_mounts(&record.id, plan, &rootfs)?;
        self.inner.store.write(|tx| tx.put(CONTAINERS, &record.id, record))?;
        drop(lease);
        Ok(())
    }

    /// The folder of what is written for a container: logs, and files that each start writes anew. It is not forced to the disk,
    /// so each start makes one that a power cut took.
    pub(super) fn make_folder(&self, id: &ContainerId) -> Result<()> {
        let dir = self.container_dir(id);
        if dir.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o710);
        std::fs::set_permissions(&dir, mode).map_err(Error::io(format!("protect {}", dir.display())))
    }

    fn prepare_root(&self, record: &ContainerRecord, parent: &str) -> Result<Rootfs> {
        let size = record.spec.storage_opts.get("size").map(|text| parse_size(text)).transpose()?;
        let options = PrepareOptions { size };
        Ok(self.inner.images.snapshots().prepare_with(record.id.as_str(), Some(parent), &options)?)
    }

    /// Takes away everything a container has on disk, and with `row` its record at last. What is not there is fine.
    /// Blocking.
    pub(crate) fn unmake_blocking(&self, record: &ContainerRecord, row: bool) {
        let told =
            |what: &str, err: &dyn std::fmt::Display| tracing::warn!(%err, container = %record.id, "{what}");
        match self.inner.images.snapshots().remove(record.id.as_str()) {
            Ok(()) | Err(gantry_snapshots::Error::NotFound(_)) => {}
            Err(err) => told("remove snapshot", &err),
        }
        match std::fs::remove_dir_all(self.container_dir(&record.id)) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => told("remove folder", &err),
            _ => {}
        }
        self.inner.volumes.release_all(&record.id);
        self.release_labels(record);
        for point in record.mounts.iter().filter(|point| point.anonymous) {
            if let Err(err) = self.inner.volumes.remove(&point.name, true) {
                told("remove anonymous volume", &err);
            }
        }
        if !row {
            return;
        }
        let id = record.id.clone();
        if let Err(err) = self.inner.store.write_freeing(|tx| tx.remove(CONTAINERS, &id)) {
            told("remove record", &err);
        }
    }
}

fn parse_size(text: &str) -> Result<u64> {
    let wrong = || Error::Invalid(format!("invalid size: '{text}'"));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches(['b', 'i']) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("10G").unwrap(), 10 << 30);
        assert_eq!(parse_size("512mb").unwrap(), 512 << 20);
        assert!(parse_size("many").is_err());
    }
}
