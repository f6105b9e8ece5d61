//! `--device`, `--device-cgroup-rule` and the weighted and throttled devices of block I/O.

use serde_json::{Value, json};

use super::{numbers, size, volumes::clean};

/// `/dev/x[:/dev/y][:rwm]`, in the API's form.
pub fn mapping(text: &str) -> Result<Value, String> {
    let bad = || format!("bad format for path: {text}");
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 || parts[0].is_empty() {
        return Err(bad());
    }
    let (source, target, mode) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, mode] if is_mode(mode) => (*source, *source, *mode),
        [source, target] => (*source, *target, "rwm"),
        [source, target, mode] if is_mode(mode) => (*source, *target, *mode),
        [_, _, mode] => return Err(format!("bad mode specified: {mode}")),
        _ => return Err(bad()),
    };
    let target = clean(target);
    if !target.starts_with('/') {
        return Err(format!("{target} is not an absolute path"));
    }
    let source = if parts.len() == 1 || target == clean(source) { clean(source) } else { source.to_owned() };
    Ok(json!({"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": mode}))
}

/// `vendor.com/class=name`: a device of the container device interface.
pub fn is_cdi(text: &str) -> bool {
    match text.split_once('=') {
        Some((kind, name)) => !name.is_empty() && !kind.starts_with('/') && kind.split('/').count() == 2,
        None => false,
    }
}

fn is_mode(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| "rwm".contains(c))
        && "rwm".chars().all(|c| text.matches(c).count() <= 1)
}

/// `c 42:* rmw`.
pub fn check_cgroup_rule(text: &str) -> Result<(), String> {
    let bad = || Err(format!("invalid device cgroup format '{text}'"));
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = words.as_slice() else { return bad() };
    let number = |n: &str| n == "*" || (!n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let well = matches!(*kind, "a" | "b" | "c")
        && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
        && (1..=3).contains(&access.len())
        && access.chars().all(|c| "rwm".contains(c));
    if well { Ok(()) } else { bad() }
}

/// `/dev/x:100` for `--blkio-weight-device`.
pub fn weight(text: &str) -> Result<Value, String> {
    let bad = || format!("bad format: {text}");
    let (path, number) = text.split_once(':').ok_or_else(bad)?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let weight = numbers::uint(number, 16).map_err(|_| format!("invalid weight for device: {text}"))?;
    if weight > 0 && !(10..=1000).contains(&weight) {
        return Err(format!("invalid weight for device: {text}"));
    }
    Ok(json!({"Path": path, "Weight": weight}))
}

/// `/dev/x:1mb` for `--device-read-bps` and `--device-write-bps`.
pub fn bytes_per_second(text: &str) -> Result<Value, String> {
    let (path, number) = text.split_once(':').ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let why = "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb";
    match size::parse(number) {
        Ok(rate) if rate >= 0 => Ok(json!({"Path": path, "Rate": rate})),
        _ => Err(format!("invalid rate for device: {text}. {why}")),
    }
}

/// `/dev/x:1000` for `--device-read-iops` and `--device-write-iops`.
pub fn operations_per_second(text: &str) -> Result<Value, String> {
    let (path, number) = text.split_once(':').ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let why = "The correct format is <device-path>:<number>. Number must be a positive integer";
    match number.parse::<u64>() {
        Ok(rate) => Ok(json!({"Path": path, "Rate": rate})),
        Err(_) => Err(format!("invalid rate for device: {text}. {why}")),
    }
}

/// Checks for the flags' tables.
pub fn check_weight(text: &str) -> Result<(), String> {
    weight(text).map(drop)
}
/// See [`bytes_per_second`].
pub fn check_bps(text: &str) -> Result<(), String> {
    bytes_per_second(text).map(drop)
}
/// See [`operations_per_second`].
pub fn check_iops(text: &str) -> Result<(), String> {
    operations_per_second(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let d = mapping("/dev/snd:rw").unwrap();
        assert_eq!(
            d,
            json!({"PathOnHost": "/dev/snd", "PathInContainer": "/dev/snd", "CgroupPermissions": "rw"})
        );
        assert_eq!(mapping("/dev/a:/dev/b:r").unwrap()["PathInContainer"], "/dev/b");
        assert_eq!(mapping("/dev/a:/dev/b:x").unwrap_err(), "bad mode specified: x");
        assert_eq!(mapping("dev").unwrap_err(), "dev is not an absolute path");
        assert_eq!(mapping("a:b:c:d").unwrap_err(), "bad format for path: a:b:c:d");
        assert!(is_cdi("nvidia.com/gpu=all") && !is_cdi("/dev/x=y"));
    }

    #[test]
    fn rules_and_rates() {
        assert!(check_cgroup_rule("c 42:* rmw").is_ok());
        assert_eq!(check_cgroup_rule("x 1:1 r").unwrap_err(), "invalid device cgroup format 'x 1:1 r'");
        assert_eq!(weight("/dev/sda:100").unwrap(), json!({"Path": "/dev/sda", "Weight": 100}));
        assert!(weight("/dev/sda:5").is_err());
        assert_eq!(bytes_per_second("/dev/sda:1mb").unwrap()["Rate"], 1 << 20);
        assert_eq!(bytes_per_second("sda:1").unwrap_err(), "bad format for device path: sda:1");
        assert!(operations_per_second("/dev/sda:1k").is_err());
    }
}
