//! `-p` and `--expose`: `8080:80`, `127.0.0.1:8000-8010:8000-8010/udp`, `[::1]::80`, `published=8080,target=80`.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

/// What `-p` and `--expose` mean for a container: its exposed ports and its bindings, in the API's form.
#[derive(Debug, Default, PartialEq)]
pub struct Ports {
    /// `{"80/tcp": {}}`.
    pub exposed: Map<String, Value>,
    /// `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`.
    pub bindings: Map<String, Value>,
}

/// Reads all of a command line's published and exposed ports.
pub fn parse(publish: &[String], expose: &[String]) -> Result<Ports, String> {
    let mut ports = Ports::default();
    for spec in publish {
        publish_one(&standard(spec)?, &mut ports)?;
    }
    for spec in expose {
        if spec.contains(':') {
            return Err(format!("invalid port format for --expose: {spec}"));
        }
        let (range, proto) = protocol(spec).map_err(|_| format!("invalid protocol for --expose: {spec}"))?;
        let (start, end) = port_range(range)
            .map_err(|why| format!("invalid range format for --expose: {range}, error: {why}"))?;
        for port in start..=end {
            ports.exposed.insert(format!("{port}/{proto}"), json!({}));
        }
    }
    Ok(ports)
}

/// The long form to the short one.
fn standard(spec: &str) -> Result<String, String> {
    if !spec.contains('=') {
        return Ok(spec.to_owned());
    }
    let (mut published, mut target, mut proto) = ("", "", "tcp");
    for part in spec.split(',') {
        match part.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => proto = value,
            Some((key, _)) if !key.is_empty() => {}
            _ => {
                return Err(format!("invalid publish opts format (should be name=value but got '{part}')"));
            }
        }
    }
    Ok(format!("{published}:{target}/{proto}"))
}

fn publish_one(spec: &str, ports: &mut Ports) -> Result<(), String> {
    let (ip, host, container) = split(spec);
    let (container, proto) = match container.split_once('/') {
        Some((port, proto)) => (port, proto.to_ascii_lowercase()),
        None => (container, "tcp".to_owned()),
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    if container.is_empty() {
        return Err(format!("no port specified: {spec}<empty>"));
    }
    let (start, end) = port_range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let (host_start, host_end) = match host.is_empty() {
        true => (0, 0),
        false => port_range(host).map_err(|_| format!("invalid hostPort: {host}"))?,
    };
    if !host.is_empty() && end - start != host_end - host_start && end != start {
        return Err(format!("invalid ranges specified for container and host Ports: {container} and {host}"));
    }
    if !matches!(proto.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {proto}"));
    }
    for port in start..=end {
        let host_port = match host.is_empty() {
            true => String::new(),
            // One container port on a range of host ports: the engine picks a free one.
            false if start == end && host_start != host_end => format!("{host_start}-{host_end}"),
            false => (host_start + (port - start)).to_string(),
        };
        let key = format!("{port}/{proto}");
        ports.exposed.insert(key.clone(), json!({}));
        let binding = json!({"HostIp": ip, "HostPort": host_port});
        match ports.bindings.entry(key).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(binding),
            other => *other = json!([binding]),
        }
    }
    Ok(())
}

/// `ip:host:container`, each but the last may be missing.
fn split(spec: &str) -> (&str, &str, &str) {
    let mut parts = spec.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    match (parts.next(), parts.next()) {
        (None, _) => ("", "", container),
        (Some(host), None) => ("", host, container),
        (Some(host), Some(ip)) => (ip, host, container),
    }
}

/// `80/udp` to its port and protocol; `tcp` when it names none.
pub fn protocol(spec: &str) -> Result<(&str, String), String> {
    let (port, proto) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let proto = proto.to_ascii_lowercase();
    match proto.as_str() {
        "tcp" | "udp" | "sctp" => Ok((port, proto)),
        _ => Err(format!("invalid proto: {proto}")),
    }
}

fn port_range(text: &str) -> Result<(u32, u32), String> {
    let one = |text: &str| -> Result<u32, String> {
        match text.parse::<u16>() {
            Ok(port) => Ok(u32::from(port)),
            Err(_) if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) => {
                Err(format!("strconv.ParseUint: parsing {text:?}: value out of range"))
            }
            Err(_) => Err(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")),
        }
    };
    if text.is_empty() {
        return Err("empty string specified for ports".into());
    }
    match text.split_once('-') {
        None => one(text).map(|p| (p, p)),
        Some((start, end)) => {
            let (start, end) = (one(start)?, one(end)?);
            if end < start {
                return Err(format!("invalid range specified for port: {text}"));
            }
            Ok((start, end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(publish: &[&str], expose: &[&str]) -> Result<Ports, String> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        parse(&own(publish), &own(expose))
    }

    #[test]
    fn short_forms() {
        let p = go(&["8080:80", "127.0.0.1::53/UDP", "[::1]:90:90", "443"], &["7", "8-9/udp"]).unwrap();
        assert_eq!(p.bindings["80/tcp"], json!([{"HostIp": "", "HostPort": "8080"}]));
        assert_eq!(p.bindings["53/udp"], json!([{"HostIp": "127.0.0.1", "HostPort": ""}]));
        assert_eq!(p.bindings["90/tcp"], json!([{"HostIp": "::1", "HostPort": "90"}]));
        assert_eq!(p.bindings["443/tcp"], json!([{"HostIp": "", "HostPort": ""}]));
        assert_eq!(p.exposed.len(), 7);
        assert!(p.exposed.contains_key("9/udp") && !p.bindings.contains_key("9/udp"));
    }

    #[test]
    fn ranges_pair_up_or_leave_the_choice() {
        let p = go(&["8000-8001:80-81", "9000-9009:90"], &[]).unwrap();
        assert_eq!(p.bindings["81/tcp"][0]["HostPort"], "8001");
        assert_eq!(p.bindings["90/tcp"][0]["HostPort"], "9000-9009");
        assert_eq!(
            go(&["8000-8005:80-81"], &[]).unwrap_err(),
            "invalid ranges specified for container and host Ports: 80-81 and 8000-8005"
        );
    }

    #[test]
    fn long_form_and_mistakes() {
        let p = go(&["published=8080,target=80,protocol=udp"], &[]).unwrap();
        assert_eq!(p.bindings["80/udp"][0]["HostPort"], "8080");
        assert_eq!(go(&["foo"], &[]).unwrap_err(), "invalid containerPort: foo");
        assert_eq!(go(&["x:80"], &[]).unwrap_err(), "invalid hostPort: x");
        assert_eq!(go(&["80/xyz"], &[]).unwrap_err(), "invalid proto: xyz");
        assert_eq!(go(&["1.2.3.4.5:80:80"], &[]).unwrap_err(), "invalid IP address: 1.2.3.4.5");
        assert_eq!(go(&["8080:"], &[]).unwrap_err(), "no port specified: 8080:<empty>");
        assert!(go(&["70000:80"], &[]).is_err());
        assert!(go(&[], &["9-8"]).is_err());
    }
}
