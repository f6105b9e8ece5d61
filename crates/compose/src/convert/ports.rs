//! A container's ports, open and shown.

use gantry_compose_file::project::Service;
use serde_json::{Map, Value, json};

use super::Unconvertible;

/// `ExposedPorts`: those of `ports` and `expose`.
pub(super) fn exposed(service: &Service) -> Result<Value, Unconvertible> {
    let mut all = Map::new();
    for port in &service.ports {
        all.insert(format!("{}/{}", port.target, protocol(&port.protocol)), json!({}));
    }
    for text in &service.expose {
        let (range, proto) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            text.parse::<u16>().map_err(|_| Unconvertible::Port(range.to_owned(), service.name.clone()))
        };
        for port in number(first)?..=number(last)? {
            all.insert(format!("{port}/{proto}"), json!({}));
        }
    }
    Ok(Value::Object(all))
}

/// `PortBindings`.
pub(super) fn bindings(service: &Service) -> Value {
    let mut all = Map::new();
    for port in &service.ports {
        let at =
            all.entry(format!("{}/{}", port.target, protocol(&port.protocol))).or_insert_with(|| json!([]));
        if let Some(at) = at.as_array_mut() {
            at.push(json!({"HostIp": port.host_ip, "HostPort": port.published}));
        }
    }
    Value::Object(all)
}

fn protocol(word: &str) -> &str {
    if word.is_empty() { "tcp" } else { word }
}
