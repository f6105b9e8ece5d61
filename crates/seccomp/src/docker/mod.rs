//! Docker's form of a profile: conditions on capabilities, architecture and kernel decide which rules there are.
//! [`Profile::resolve`] makes the OCI form for one container.

mod facts;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::spec::{Arg, Rule, Seccomp, null_is_empty};

/// A profile as `--security-opt seccomp=FILE` reads it. It may be in the OCI form too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    pub default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub architectures: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub arch_map: Vec<ArchMap>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub syscalls: Vec<Entry>,
}

/// A native architecture and those that its kernel runs beside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchMap {
    pub architecture: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub sub_architectures: Vec<String>,
}

/// A rule with its conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// The old form: one name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub args: Vec<Arg>,
    #[serde(deserialize_with = "null_is_empty")]
    pub includes: Filter,
    #[serde(deserialize_with = "null_is_empty")]
    pub excludes: Filter,
}

/// `includes`: all of it has to hold; `excludes`: none of it may.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub caps: Vec<String>,
    /// In Go's words, `amd64`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub arches: Vec<String>,
    /// `4.8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

/// What the conditions are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The container's bounding set, `CAP_CHOWN` and so on.
    pub capabilities: &'a [String],
    /// Major and minor of the running kernel.
    pub kernel: (u32, u32),
    /// In Go's words, `amd64`.
    pub architecture: &'a str,
}

impl Facts<'_> {
    /// The machine this runs on.
    pub fn of_host(capabilities: &[String]) -> Facts<'_> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Facts { capabilities, kernel: kernel_version(&release).unwrap_or_default(), architecture }
    }

    fn native(&self) -> &str {
        match self.architecture {
            "amd64" => "SCMP_ARCH_X86_64",
            "arm64" => "SCMP_ARCH_AARCH64",
            other => other,
        }
    }
}

/// Major and minor of `6.1.0-13-amd64`.
pub fn kernel_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Profile {
    /// Reads JSON.
    pub fn parse(json: &[u8]) -> Result<Profile, Error> {
        let profile: Profile = serde_json::from_slice(json)?;
        if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
            return Err(Error::Invalid(
                "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'".into(),
            ));
        }
        if let Some(both) = profile.syscalls.iter().find(|e| !e.name.is_empty() && !e.names.is_empty()) {
            return Err(Error::Invalid(format!(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names': {}",
                both.name
            )));
        }
        Ok(profile)
    }

    /// The rules whose conditions hold, in the OCI form.
    pub fn resolve(&self, facts: &Facts<'_>) -> Result<Seccomp, Error> {
        let mut architectures = self.architectures.clone();
        if let Some(map) = self.arch_map.iter().find(|m| m.architecture == facts.native()) {
            architectures.push(map.architecture.clone());
            architectures.extend(map.sub_architectures.iter().cloned());
        }
        let mut syscalls = Vec::new();
        for entry in &self.syscalls {
            if !entry.holds(facts)? {
                continue;
            }
            let names = if entry.name.is_empty() { entry.names.clone() } else { vec![entry.name.clone()] };
            syscalls.push(Rule {
                names,
                action: entry.action.clone(),
                errno_ret: entry.errno_ret,
                args: entry.args.clone(),
            });
        }
        Ok(Seccomp {
            default_action: self.default_action.clone(),
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        })
    }
}

impl Entry {
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, Error> {
        let has = |cap: &String| facts.capabilities.contains(cap);
        let new_enough = |filter: &Filter| match &filter.min_kernel {
            None => Ok(None),
            Some(text) => match kernel_version(text) {
                Some(least) => Ok(Some(facts.kernel >= least)),
                None => Err(Error::Invalid(format!("invalid kernel version: {text:?}"))),
            },
        };
        let (include, exclude) = (&self.includes, &self.excludes);
        let here = |arches: &[String]| arches.iter().any(|a| a == facts.architecture);
        let out = exclude.caps.iter().any(has) || here(&exclude.arches) || new_enough(exclude)? == Some(true);
        let within = include.caps.iter().all(has)
            && (include.arches.is_empty() || here(&include.arches))
            && new_enough(include)? != Some(false);
        Ok(within && !out)
    }
}

/// Docker's default profile.
pub fn default() -> Profile {
    let allow = |names: &[&str]| Entry {
        names: names.iter().map(|n| n.to_string()).collect(),
        action: "SCMP_ACT_ALLOW".into(),
        ..Default::default()
    };
    let words = |list: &[&str]| list.iter().map(|w| w.to_string()).collect::<Vec<_>>();
    let when = |name: &str, op: &str, value: u64, value_two: u64| Entry {
        args: vec![Arg { index: 0, value, value_two, op: format!("SCMP_CMP_{op}") }],
        ..allow(&[name])
    };
    let admin = Filter { caps: words(&["CAP_SYS_ADMIN"]), ..Default::default() };
    let mut syscalls = vec![allow(facts::ALWAYS)];
    // Kernels before 4.8 let ptrace change a call after the filter had seen it.
    syscalls.push(Entry {
        includes: Filter { min_kernel: Some("4.8".into()), ..Default::default() },
        ..allow(&["process_vm_readv", "process_vm_writev", "ptrace"])
    });
    // Every address family but AF_ALG (38) and AF_VSOCK (40). Not simply what is greater than 40: the filter sees 64 bits
    // and the kernel takes 32 of them, so that 2^32 + 40 would be a way to 40.
    syscalls.extend([when("socket", "LT", 38, 0), when("socket", "EQ", 39, 0), when("socket", "EQ", 41, 0)]);
    syscalls
        .extend([(!1, 42), (!3, 44), (!15, 48)].map(|(mask, from)| when("socket", "MASKED_EQ", mask, from)));
    // PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the present one.
    syscalls.extend(
        [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|persona| when("personality", "EQ", persona, 0)),
    );
    for (arches, names) in facts::ON_ARCHITECTURE {
        syscalls
            .push(Entry { includes: Filter { arches: words(arches), ..Default::default() }, ..allow(names) });
    }
    for (cap, names) in facts::WITH_CAPABILITY {
        syscalls
            .push(Entry { includes: Filter { caps: words(&[cap]), ..Default::default() }, ..allow(names) });
    }
    // Without CAP_SYS_ADMIN clone may make no namespace; clone3 hides its flags in memory, so it looks not there.
    syscalls.push(Entry { excludes: admin.clone(), ..when("clone", "MASKED_EQ", 0x7e02_0000, 0) });
    syscalls.push(Entry {
        action: "SCMP_ACT_ERRNO".into(),
        errno_ret: Some(38),
        excludes: admin,
        ..allow(&["clone3"])
    });
    let map =
        |native: &str, subs: &[&str]| ArchMap { architecture: native.into(), sub_architectures: words(subs) };
    Profile {
        default_action: "SCMP_ACT_ERRNO".into(),
        default_errno_ret: Some(1),
        arch_map: vec![
            map("SCMP_ARCH_X86_64", &["SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
            map("SCMP_ARCH_AARCH64", &["SCMP_ARCH_ARM"]),
        ],
        syscalls,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(caps: &[&str], kernel: (u32, u32)) -> Vec<(String, String)> {
        let caps: Vec<String> = caps.iter().map(|c| c.to_string()).collect();
        let facts = Facts { capabilities: &caps, kernel, architecture: "amd64" };
        let seccomp = default().resolve(&facts).unwrap();
        seccomp.syscalls.iter().flat_map(|r| r.names.iter().map(|n| (n.clone(), r.action.clone()))).collect()
    }

    #[test]
    fn a_capability_opens_its_calls() {
        let has = |list: &[(String, String)], name: &str, action: &str| {
            list.iter().any(|(n, a)| n == name && a.ends_with(action))
        };
        let plain = names(&[], (6, 1));
        assert!(
            !has(&plain, "mount", "ALLOW")
                && has(&plain, "clone3", "ERRNO")
                && has(&plain, "ptrace", "ALLOW")
        );
        assert!(has(&plain, "arch_prctl", "ALLOW") && !has(&plain, "set_tls", "ALLOW"));
        let admin = names(&["CAP_SYS_ADMIN"], (4, 4));
        assert!(
            has(&admin, "mount", "ALLOW")
                && !has(&admin, "clone3", "ERRNO")
                && !has(&admin, "ptrace", "ALLOW")
        );
    }

    #[test]
    fn the_old_form_with_one_name_is_read_too() {
        let json = br#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":null,
            "syscalls":[{"name":"chmod","action":"SCMP_ACT_ERRNO","args":null}]}"#;
        let caps = [];
        let facts = Facts { capabilities: &caps, kernel: (6, 0), architecture: "amd64" };
        let seccomp = Profile::parse(json).unwrap().resolve(&facts).unwrap();
        assert_eq!(seccomp.syscalls[0].names, ["chmod"]);
        assert!(Profile::parse(br#"{"syscalls":[{"name":"a","names":["b"]}]}"#).is_err());
    }

    #[test]
    fn the_default_profile_survives_its_json_form() {
        let json = serde_json::to_vec(&default()).unwrap();
        assert_eq!(Profile::parse(&json).unwrap(), default());
    }
}
