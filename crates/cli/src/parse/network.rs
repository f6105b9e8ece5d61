//! `--network name` and `--network name=n,alias=a,ip=10.0.0.5,...`.

use serde_json::{Map, Value, json};

use super::{csv, numbers};

/// One `--network`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Attachment {
    /// The network's name, or a mode: `none`, `host`, `container:x`, `default`, `bridge`.
    pub target: String,
    /// Names of the container on it.
    pub aliases: Vec<String>,
    /// Links inside it.
    pub links: Vec<String>,
    /// A fixed IPv4 address.
    pub ip: String,
    /// A fixed IPv6 address.
    pub ip6: String,
    /// A fixed hardware address.
    pub mac: String,
    /// Link-local addresses.
    pub link_local: Vec<String>,
    /// Options for the driver.
    pub driver_opts: Map<String, Value>,
    /// Which network gives the default gateway.
    pub gw_priority: i64,
}

/// Parses one `--network`.
pub fn parse(text: &str) -> Result<Attachment, String> {
    let mut out = Attachment::default();
    if !text.contains('=') {
        out.target = text.to_owned();
        return Ok(out);
    }
    for field in csv::fields(text)? {
        let (key, value) =
            field.split_once('=').ok_or_else(|| format!("invalid network parameter {field:?}"))?;
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        match key.as_str() {
            "name" => out.target = value.to_owned(),
            "alias" => out.aliases.push(value.to_owned()),
            "ip" => out.ip = value.to_owned(),
            "ip6" => out.ip6 = value.to_owned(),
            "mac-address" => out.mac = value.to_owned(),
            "link-local-ip" => out.link_local.push(value.to_owned()),
            "driver-opt" => {
                let (k, v) = value
                    .split_once('=')
                    .ok_or_else(|| "invalid key value pair format in driver options".to_string())?;
                out.driver_opts.insert(k.trim().to_ascii_lowercase(), json!(v.trim()));
            }
            "gw-priority" => {
                out.gw_priority = numbers::int(value)
                    .map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if out.target.is_empty() {
        return Err(format!("network name/id is not specified: {text:?}"));
    }
    Ok(out)
}

/// The check of the flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// Whether a network's name is none of the built-in modes.
pub fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none" | "") && !target.starts_with("container:")
}

impl Attachment {
    /// The endpoint's settings in the API's form, or `None` when nothing is asked for.
    pub fn settings(&self) -> Result<Option<Value>, String> {
        if !is_user_defined(&self.target) {
            if !self.aliases.is_empty() {
                return Err("network-scoped aliases are only supported for user-defined networks".into());
            }
            if !self.links.is_empty() {
                return Err("links are only supported for user-defined networks".into());
            }
        }
        if !self.mac.is_empty() && !super::hosts::is_mac(&self.mac) {
            return Err(format!("{} is not a valid mac address", self.mac));
        }
        let plain = Attachment { target: self.target.clone(), ..Attachment::default() };
        if *self == plain {
            return Ok(None);
        }
        let ipam = match self.ip.is_empty() && self.ip6.is_empty() && self.link_local.is_empty() {
            true => Value::Null,
            false => {
                let mut ipam = Map::new();
                if !self.ip.is_empty() {
                    ipam.insert("IPv4Address".into(), json!(self.ip));
                }
                if !self.ip6.is_empty() {
                    ipam.insert("IPv6Address".into(), json!(self.ip6));
                }
                if !self.link_local.is_empty() {
                    ipam.insert("LinkLocalIPs".into(), json!(self.link_local));
                }
                Value::Object(ipam)
            }
        };
        let list = |l: &[String]| if l.is_empty() { Value::Null } else { json!(l) };
        Ok(Some(json!({
            "IPAMConfig": ipam,
            "Links": list(&self.links),
            "Aliases": list(&self.aliases),
            "MacAddress": self.mac,
            "DriverOpts": if self.driver_opts.is_empty() { Value::Null } else { json!(self.driver_opts) },
            "GwPriority": self.gw_priority,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_advanced() {
        assert_eq!(parse("container:x").unwrap().target, "container:x");
        let n = parse("name=n,alias=a,alias=b,ip=10.0.0.5,driver-opt=k=v,gw-priority=10").unwrap();
        let settings = n.settings().unwrap().unwrap();
        assert_eq!(settings["Aliases"], json!(["a", "b"]));
        assert_eq!(settings["IPAMConfig"], json!({"IPv4Address": "10.0.0.5"}));
        assert_eq!(settings["DriverOpts"], json!({"k": "v"}));
        assert_eq!(settings["GwPriority"], 10);
        assert_eq!(parse("n").unwrap().settings().unwrap(), None);
    }

    #[test]
    fn mistakes() {
        assert_eq!(parse("alias=x").unwrap_err(), "network name/id is not specified: \"alias=x\"");
        assert_eq!(parse("name=n,x=y").unwrap_err(), "invalid field key x");
        let host = parse("name=host,alias=x").unwrap().settings().unwrap_err();
        assert_eq!(host, "network-scoped aliases are only supported for user-defined networks");
    }
}
