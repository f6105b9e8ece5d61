//! Which capabilities a container gets.

use std::collections::BTreeSet;

use gantry_runtime_lib::CAPABILITIES as ALL;

/// Docker's default list.
const DEFAULT: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A word that is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {list}: unknown capability: {name:?}")]
pub struct Unknown {
    /// `CapAdd` or `CapDrop`.
    pub list: &'static str,
    /// By its full name.
    pub name: String,
}

/// The names behind a mask of numbers, as in `/proc/self/status`.
pub fn of_mask(mask: u64) -> BTreeSet<String> {
    let named = ALL.iter().enumerate().filter(|(number, _)| mask & (1 << number) != 0);
    named.map(|(_, name)| (*name).to_owned()).collect()
}

/// `net_admin` and `CAP_NET_ADMIN` are one; `ALL` stays.
fn normalize(list: &'static str, words: &[String]) -> Result<Vec<String>, Unknown> {
    let each = words.iter().map(|word| {
        let upper = word.to_ascii_uppercase();
        let name = if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        if name == "ALL" || ALL.contains(&name.as_str()) { Ok(name) } else { Err(Unknown { list, name }) }
    });
    each.collect()
}

/// Checks the words of `--cap-add` and `--cap-drop`.
pub fn validate(add: &[String], drop: &[String]) -> Result<(), Unknown> {
    normalize("CapAdd", add)?;
    normalize("CapDrop", drop).map(drop_it)
}

fn drop_it(_: Vec<String>) {}

/// The container's capabilities. What the host itself lacks is left out: of a privileged container and of `ALL` in
/// silence, and of an explicit `--cap-add` so that the runtime's refusal names it.
pub fn choose(
    privileged: bool,
    add: &[String],
    drop: &[String],
    host: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Unknown> {
    let (add, drop) = (normalize("CapAdd", add)?, normalize("CapDrop", drop)?);
    if privileged {
        return Ok(host.clone());
    }
    let all = |words: &[String]| words.iter().any(|word| word == "ALL");
    let base: BTreeSet<String> = match (all(&add), all(&drop)) {
        (true, _) => host.clone(),
        (false, true) => BTreeSet::new(),
        (false, false) => {
            DEFAULT.iter().map(|name| (*name).to_owned()).filter(|name| host.contains(name)).collect()
        }
    };
    let dropped = base.into_iter().filter(|name| !drop.contains(name) || add.contains(name) && !all(&add));
    let mut chosen: BTreeSet<String> = dropped.collect();
    chosen.extend(add.into_iter().filter(|name| name != "ALL" && !drop.contains(name)));
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn adding_and_dropping_follow_docker() {
        let host = of_mask(u64::MAX);
        assert_eq!(host.len(), 41);
        let plain = choose(false, &[], &[], &host).unwrap();
        assert_eq!(plain.len(), 14);
        assert!(choose(false, &words(&["net_admin"]), &[], &host).unwrap().contains("CAP_NET_ADMIN"));
        assert!(!choose(false, &[], &words(&["CAP_KILL"]), &host).unwrap().contains("CAP_KILL"));
        assert_eq!(choose(false, &words(&["chown"]), &words(&["all"]), &host).unwrap().len(), 1);
        assert_eq!(choose(false, &words(&["ALL"]), &words(&["SYS_ADMIN"]), &host).unwrap().len(), 40);
        assert_eq!(choose(true, &[], &[], &host).unwrap().len(), 41);
        assert_eq!(
            choose(false, &words(&["fly"]), &[], &host),
            Err(Unknown { list: "CapAdd", name: "CAP_FLY".into() })
        );
    }

    #[test]
    fn privilege_never_asks_for_what_the_host_lacks() {
        let mut host = of_mask(u64::MAX);
        host.remove("CAP_SYS_RESOURCE");
        assert!(!choose(true, &[], &[], &host).unwrap().contains("CAP_SYS_RESOURCE"));
        assert!(!choose(false, &words(&["ALL"]), &[], &host).unwrap().contains("CAP_SYS_RESOURCE"));
        assert!(choose(false, &words(&["SYS_RESOURCE"]), &[], &host).unwrap().contains("CAP_SYS_RESOURCE"));
    }
}
