//! The PORTS column: neighbouring ports become ranges.

use serde_json::Value;

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`.
pub fn display(ports: &Value) -> String {
    let mut list: Vec<(u64, u64, String, String)> = ports
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| {
            let text = |key: &str| p[key].as_str().unwrap_or_default().to_owned();
            (
                p["PrivatePort"].as_u64().unwrap_or(0),
                p["PublicPort"].as_u64().unwrap_or(0),
                text("IP"),
                text("Type"),
            )
        })
        .collect();
    // Docker sorts by private port, then address, then public port, then protocol.
    list.sort_by(|a, b| (a.0, &a.2, a.1, &a.3).cmp(&(b.0, &b.2, b.1, &b.3)));
    let mut groups: Vec<(String, u64, u64)> = Vec::new();
    let mut fixed: Vec<String> = Vec::new();
    for (private, public, ip, proto) in &list {
        let mut key = proto.clone();
        if !ip.is_empty() {
            if public != private {
                fixed.push(format!("{}:{public}->{private}/{proto}", host(ip)));
                continue;
            }
            key = format!("{ip}/{proto}");
        }
        match groups.iter_mut().find(|(k, _, _)| *k == key) {
            None => {
                groups.push((key, *private, *private));
            }
            Some((_, _, last)) if *private == *last + 1 => *last = *private,
            Some((k, first, last)) => {
                fixed.push(range(k, *first, *last));
                (*first, *last) = (*private, *private);
            }
        }
    }
    let mut out: Vec<String> = groups.iter().map(|(key, first, last)| range(key, *first, *last)).collect();
    fixed.append(&mut out);
    fixed.join(", ")
}

fn host(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }
}

fn range(key: &str, first: u64, last: u64) -> String {
    let span = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match key.rsplit_once('/') {
        Some((ip, proto)) => format!("{}:{span}->{span}/{proto}", host(ip)),
        None => format!("{span}/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::display;

    #[test]
    fn ranges_and_mappings() {
        let ports = json!([
            {"PrivatePort": 81, "Type": "tcp"}, {"PrivatePort": 80, "Type": "tcp"},
            {"PrivatePort": 443, "PublicPort": 8443, "IP": "0.0.0.0", "Type": "tcp"},
            {"PrivatePort": 90, "PublicPort": 90, "IP": "::", "Type": "udp"},
        ]);
        assert_eq!(display(&ports), "0.0.0.0:8443->443/tcp, 80-81/tcp, [::]:90->90/udp");
        assert_eq!(display(&json!(null)), "");
    }
}
