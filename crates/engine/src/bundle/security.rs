//! `--security-opt`, read.

use std::fmt;

/// What the options say, all together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// No set-user-id program gains anything.
    pub no_new_privileges: Option<bool>,
    /// The system call filter.
    pub seccomp: SeccompChoice,
    /// AppArmor's profile; `None` takes the default where the kernel has AppArmor.
    pub apparmor: Option<String>,
    /// SELinux label words; `disable` and `nested` among them.
    pub labels: Vec<String>,
    /// Nothing of /proc and /sys is masked or read-only.
    pub unconfined_paths: bool,
    /// The cgroup file system is writable.
    pub writable_cgroups: Option<bool>,
}

/// The system call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeccompChoice {
    /// The engine's.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile's JSON.
    Profile(String),
}

/// An option that is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid --security-opt 2: {:?}", self.0)
    }
}
impl std::error::Error for Unknown {}

impl Security {
    /// Reads the options; a later one overrides an earlier one.
    pub fn parse(options: &[String]) -> Result<Security, Unknown> {
        let mut security = Security::default();
        for option in options {
            if option == "no-new-privileges" {
                security.no_new_privileges = Some(true);
                continue;
            }
            if option == "disable" {
                security.labels.push("disable".to_owned());
                continue;
            }
            // `key=value` is today's form, `key:value` the old one.
            let split = option.split_once('=').or_else(|| option.split_once(':'));
            let (key, value) = split.ok_or_else(|| Unknown(option.clone()))?;
            match key {
                "label" => security.labels.push(value.to_owned()),
                "apparmor" => security.apparmor = Some(value.to_owned()),
                "seccomp" => {
                    security.seccomp = match value {
                        "unconfined" => SeccompChoice::Unconfined,
                        "builtin" => SeccompChoice::Default,
                        json => SeccompChoice::Profile(json.to_owned()),
                    }
                }
                "no-new-privileges" => {
                    let truth = value.parse().map_err(|_| Unknown(option.clone()))?;
                    security.no_new_privileges = Some(truth);
                }
                "writable-cgroups" => {
                    let truth = value.parse().map_err(|_| Unknown(option.clone()))?;
                    security.writable_cgroups = Some(truth);
                }
                "systempaths" if value == "unconfined" => security.unconfined_paths = true,
                _ => return Err(Unknown(option.clone())),
            }
        }
        Ok(security)
    }

    /// Whether the container is to see SELinux and use it (`label=nested`); else it looks absent from within.
    pub fn sees_selinux(&self) -> bool {
        self.labels.iter().any(|word| word == "nested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_today_and_of_old_are_read() {
        let options = [
            "no-new-privileges",
            "seccomp=unconfined",
            "apparmor:none",
            "label=disable",
            "systempaths=unconfined",
        ];
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let security = Security::parse(&options).unwrap();
        assert_eq!(security.no_new_privileges, Some(true));
        assert_eq!(security.seccomp, SeccompChoice::Unconfined);
        assert_eq!(security.apparmor.as_deref(), Some("none"));
        assert!(security.unconfined_paths);
        let refused = Security::parse(&["colour=red".to_owned()]).unwrap_err();
        assert_eq!(refused.to_string(), "invalid --security-opt 2: \"colour=red\"");
    }
}
