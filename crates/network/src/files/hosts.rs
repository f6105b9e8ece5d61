//! /etc/hosts.

use std::net::IpAddr;

use crate::failure::Error;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Address.
    pub address: IpAddr,
    /// Names, the canonical one first.
    pub names: String,
}

const HEAD: &str = "127.0.0.1\tlocalhost\n";
const HEAD_V6: &str = "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
                       ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The file of a new sandbox: the well-known lines, then the entries.
pub fn render(entries: &[Entry]) -> String {
    add(&format!("{HEAD}{HEAD_V6}"), entries)
}

/// Adds lines at the end; a line that is there already is not added again.
pub fn add(content: &str, entries: &[Entry]) -> String {
    let mut out = content.to_owned();
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    for entry in entries {
        let line = format!("{}\t{}", entry.address, entry.names);
        if !out.lines().any(|present| present == line) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// Takes lines away that are exactly as they were added; edited ones are the user's now.
pub fn remove(content: &str, entries: &[Entry]) -> String {
    let ours: Vec<String> =
        entries.iter().map(|entry| format!("{}\t{}", entry.address, entry.names)).collect();
    content
        .split_inclusive('\n')
        .filter(|line| !ours.iter().any(|own| own == line.trim_end_matches('\n')))
        .collect()
}

/// The names of a container for its own addresses: `name.domain name`, or just the name.
pub fn own_names(hostname: &str, domainname: &str) -> String {
    match hostname.split_once('.') {
        // A dotted host name is its own full name.
        Some((short, _)) => format!("{hostname} {short}"),
        None if domainname.is_empty() => hostname.to_owned(),
        None => format!("{hostname}.{domainname} {hostname}"),
    }
}

/// Reads `--add-host`: `name:address` or `name=address`, `host-gateway` standing for the given addresses.
pub fn extra(text: &str, host_gateway: &[IpAddr]) -> Result<Vec<Entry>, Error> {
    let bad = || Error::ExtraHost(text.to_owned());
    let split = text.find(['=', ':']).ok_or_else(bad)?;
    let (name, address) = (&text[..split], &text[split + 1..]);
    if name.is_empty() || address.is_empty() {
        return Err(bad());
    }
    if address == "host-gateway" {
        if host_gateway.is_empty() {
            return Err(Error::HostGateway);
        }
        return Ok(host_gateway
            .iter()
            .map(|address| Entry { address: *address, names: name.to_owned() })
            .collect());
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().map_err(|_| bad())?;
    Ok(vec![Entry { address, names: name.to_owned() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, names: &str) -> Entry {
        Entry { address: address.parse().unwrap(), names: names.to_owned() }
    }

    #[test]
    fn a_users_line_survives_what_comes_and_goes() {
        let own = [entry("172.18.0.2", "web")];
        let file = add(&render(&[]), &[entry("172.17.0.2", "web")]) + "10.9.9.9\tmine";
        let file = add(&file, &own);
        assert_eq!(add(&file, &own), file, "added once");
        let file = remove(&file, &own);
        assert!(file.contains("10.9.9.9\tmine\n") && file.contains("172.17.0.2\tweb\n"));
        assert!(!file.contains("172.18.0.2"));
        assert!(file.starts_with("127.0.0.1\tlocalhost\n"));
    }

    #[test]
    fn add_host_in_all_its_forms() {
        let gateway = ["172.17.0.1".parse().unwrap()];
        let read = |text: &str| extra(text, &gateway).map(|entries| entries[0].address.to_string());
        assert_eq!(read("db:10.0.0.5").unwrap(), "10.0.0.5");
        assert_eq!(read("db=10.0.0.5").unwrap(), "10.0.0.5");
        assert_eq!(read("db:fd00::5").unwrap(), "fd00::5");
        assert_eq!(read("db:[fd00::5]").unwrap(), "fd00::5");
        assert_eq!(read("host.docker.internal:host-gateway").unwrap(), "172.17.0.1");
        for bad in ["db", "db:", ":10.0.0.5", "db:nowhere"] {
            assert!(extra(bad, &gateway).is_err(), "{bad}");
        }
        assert!(extra("x:host-gateway", &[]).is_err());
    }

    #[test]
    fn own_names_as_docker_orders_them() {
        assert_eq!(own_names("web", ""), "web");
        assert_eq!(own_names("web", "example.org"), "web.example.org web");
        assert_eq!(own_names("web.example.org", ""), "web.example.org web");
    }
}
