//! SELinux: the labels of a container's processes and files.
//!
//! Every container gets a pair of categories that no other container has: its processes may touch its own files and what is
//! shared (level `s0`), whatever its capabilities say. The types are the policy's, read from its `lxc_contexts`.
//! Labels are decided at `create` ([`Selinux::label`]), kept in the record, and free again when the container goes.
//! Start here; [`relabel`] gives labels to files of the host.

mod context;
mod levels;
pub(crate) mod relabel;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use context::Context;
use levels::Levels;

const CONFIG: &str = "/etc/selinux/config";
/// There while the kernel has SELinux and somebody has mounted its file system.
pub(crate) const FILE_SYSTEM: &str = "/sys/fs/selinux";

/// A container's labels; empty ones leave it to the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Labels {
    /// Of its processes.
    pub process: String,
    /// Of its files.
    pub mount: String,
}

/// What cannot be a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabel {
    /// A word of `--security-opt label=`.
    #[error(
        "bad label option {0:?}, valid options 'disable' or \n'user, role, level, type, filetype' followed by ':' and a value"
    )]
    Word(String),
    /// A key of `--security-opt label=key:value`.
    #[error("bad label option {0:?}, valid options 'disable, user, role, level, type, filetype'")]
    Key(String),
    /// Every pair of categories is taken.
    #[error("no pair of SELinux categories is free")]
    NoLevel,
}

/// What this engine does with SELinux.
#[derive(Debug, Clone, Default)]
pub enum Selinux {
    /// Nothing: the kernel has it not, or `--selinux-enabled` was not given.
    #[default]
    Off,
    /// It labels.
    On(Arc<Policy>),
}

/// The labels that the host's policy wants, and which levels are taken.
#[derive(Debug)]
pub struct Policy {
    process: Context,
    file: Context,
    levels: Levels,
}

impl Selinux {
    /// Looks. `Err` says why nothing is labelled although it was asked for.
    pub(crate) fn look(wanted: bool) -> Result<Selinux, String> {
        if !wanted {
            return Ok(Selinux::Off);
        }
        if !is_in_force() {
            return Err("SELinux is not used: the kernel has none, or no policy is loaded".to_owned());
        }
        let config = fs::read_to_string(CONFIG).unwrap_or_default();
        let kind = kind_of_policy(&config);
        let path = format!("/etc/selinux/{kind}/contexts/lxc_contexts");
        let text =
            fs::read_to_string(&path).map_err(|err| format!("SELinux is not used: read {path}: {err}"))?;
        let policy = Policy::read(&text)
            .ok_or_else(|| format!("SELinux is not used: {path} names no label of processes and files"))?;
        Ok(Selinux::On(Arc::new(policy)))
    }

    /// Whether containers are labelled.
    pub fn is_on(&self) -> bool {
        matches!(self, Selinux::On(_))
    }

    /// The labels of a new container by the words of its `label=` options; its level is its own until [`Selinux::release`].
    pub(crate) fn label(&self, words: &[String]) -> Result<Labels, BadLabel> {
        match self {
            Selinux::Off => Ok(Labels::default()),
            Selinux::On(policy) => policy.label(words),
        }
    }

    /// Keeps a container's level from others.
    pub(crate) fn reserve(&self, labels: &Labels) {
        if let (Selinux::On(policy), Some(level)) = (self, level_of(&labels.mount)) {
            policy.levels.reserve(&level);
        }
    }

    /// Gives a container's level back.
    pub(crate) fn release(&self, labels: &Labels) {
        if let (Selinux::On(policy), Some(level)) = (self, level_of(&labels.mount)) {
            policy.levels.release(&level);
        }
    }

    /// A label where labels are applied at all.
    pub(crate) fn applied(&self, label: &str) -> Option<String> {
        (self.is_on() && !label.is_empty()).then(|| label.to_owned())
    }
}

impl Policy {
    fn read(lxc_contexts: &str) -> Option<Policy> {
        let known: BTreeMap<&str, &str> = lxc_contexts
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .collect();
        let context = |key: &str| known.get(key).and_then(|text| Context::parse(text));
        Some(Policy { process: context("process")?, file: context("file")?, levels: Levels::default() })
    }

    fn label(&self, words: &[String]) -> Result<Labels, BadLabel> {
        let (mut process, mut file) = (self.process.clone(), self.file.clone());
        let mut own_level = true;
        for word in words {
            if word == "disable" {
                file.level = levels::OF_UNCONFINED.to_owned();
                return Ok(Labels { process: String::new(), mount: file.to_string() });
            }
            if word == "nested" {
                continue;
            }
            let (key, value) = word.split_once(':').ok_or_else(|| BadLabel::Word(word.clone()))?;
            match key {
                "user" => {
                    value.clone_into(&mut process.user);
                    value.clone_into(&mut file.user);
                }
                "role" => value.clone_into(&mut process.role),
                "type" => value.clone_into(&mut process.kind),
                "filetype" => value.clone_into(&mut file.kind),
                "level" => {
                    value.clone_into(&mut process.level);
                    value.clone_into(&mut file.level);
                    own_level = false;
                }
                _ => return Err(BadLabel::Key(key.to_owned())),
            }
        }
        if own_level {
            let level = self.levels.draw().ok_or(BadLabel::NoLevel)?;
            process.level.clone_from(&level);
            file.level = level;
        } else {
            self.levels.reserve(&file.level);
        }
        Ok(Labels { process: process.to_string(), mount: file.to_string() })
    }
}

/// The words that make another container's label, for one that shares a namespace with it.
pub(crate) fn words_of(label: &str) -> Vec<String> {
    let Some(Context { user, role, kind, level }) = Context::parse(label) else { return Vec::new() };
    vec![format!("user:{user}"), format!("role:{role}"), format!("type:{kind}"), format!("level:{level}")]
}

fn level_of(label: &str) -> Option<String> {
    Context::parse(label).map(|context| context.level)
}

/// Before a policy is loaded, everything is `kernel`.
fn is_in_force() -> bool {
    let own = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    Path::new(FILE_SYSTEM).join("enforce").exists()
        && !matches!(own.trim_end_matches(['\0', '\n']), "" | "kernel")
}

fn kind_of_policy(config: &str) -> &str {
    let named = config.lines().find_map(|line| line.trim().strip_prefix("SELINUXTYPE="));
    named.map(str::trim).filter(|kind| !kind.is_empty()).unwrap_or("targeted")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: &str = "# of containers\nprocess = \"system_u:system_r:container_t:s0\"\n\
                            file = \"system_u:object_r:container_file_t:s0\"\nro_file=\"a:b:c:s0\"\n";

    fn labelled(policy: &Policy, words: &[&str]) -> Result<Labels, BadLabel> {
        policy.label(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_container_has_a_level_of_its_own_that_is_also_its_files() {
        let policy = Policy::read(CONTEXTS).unwrap();
        let (one, two) = (labelled(&policy, &[]).unwrap(), labelled(&policy, &[]).unwrap());
        assert!(one.process.starts_with("system_u:system_r:container_t:s0:c"), "{one:?}");
        assert_eq!(level_of(&one.process), level_of(&one.mount));
        assert_ne!(level_of(&one.process), level_of(&two.process));
    }

    #[test]
    fn words_change_the_labels() {
        let policy = Policy::read(CONTEXTS).unwrap();
        let all = ["user:u", "role:r", "type:t", "level:s0:c1,c2", "filetype:f"];
        let labels = labelled(&policy, &all).unwrap();
        assert_eq!(
            (labels.process.as_str(), labels.mount.as_str()),
            ("u:r:t:s0:c1,c2", "u:object_r:f:s0:c1,c2")
        );
        assert_eq!(words_of(&labels.process), ["user:u", "role:r", "type:t", "level:s0:c1,c2"]);
    }

    #[test]
    fn disable_leaves_processes_to_the_policy() {
        let policy = Policy::read(CONTEXTS).unwrap();
        let labels = labelled(&policy, &["disable"]).unwrap();
        assert_eq!(labels.process, "");
        assert_eq!(labels.mount, "system_u:object_r:container_file_t:s0:c1022,c1023");
    }

    #[test]
    fn what_is_no_label_is_refused_as_docker_does() {
        let policy = Policy::read(CONTEXTS).unwrap();
        let refused = |word| labelled(&policy, &[word]).unwrap_err().to_string();
        assert!(refused("colour").starts_with("bad label option \"colour\", valid options 'disable' or"));
        assert!(
            refused("colour:red").starts_with("bad label option \"colour\", valid options 'disable, user")
        );
    }

    #[test]
    fn the_policy_is_the_configured_one() {
        assert_eq!(kind_of_policy("# SELINUXTYPE=no\nSELINUX=enforcing\nSELINUXTYPE=default\n"), "default");
        assert_eq!(kind_of_policy(""), "targeted");
    }
}
