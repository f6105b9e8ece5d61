//! `--add-host name:ip`, `--dns`, `--link`, `--ip`, `--mac-address`.

use std::net::IpAddr;

/// The engine's word for "the host's own address".
const HOST_GATEWAY: &str = "host-gateway";

/// `name:ip` or `name=ip` to `name:ip`.
pub fn extra_host(text: &str) -> Result<String, String> {
    let bad = || format!("bad format for add-host: {text:?}");
    let (name, ip) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    if name.is_empty() || ip.is_empty() {
        return Err(bad());
    }
    let bare = ip.strip_prefix('[').and_then(|i| i.strip_suffix(']')).unwrap_or(ip);
    if ip != HOST_GATEWAY && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {ip:?}"));
    }
    Ok(format!("{name}:{bare}"))
}

/// See [`extra_host`].
pub fn check_extra_host(text: &str) -> Result<(), String> {
    extra_host(text).map(drop)
}

/// An address of either family.
pub fn check_ip(text: &str) -> Result<(), String> {
    match text.trim().parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// A domain of `--dns-search`; a dot alone means none.
pub fn check_search(text: &str) -> Result<(), String> {
    let text = text.trim_matches(' ');
    let label =
        |l: &str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let well = text == "."
        || (text.len() < 255
            && text.contains(|c: char| c.is_ascii_alphabetic())
            && text.trim_end_matches('.').split('.').all(label));
    if well { Ok(()) } else { Err(format!("{text} is not a valid domain")) }
}

/// `container[:alias]`.
pub fn check_link(text: &str) -> Result<(), String> {
    match text.split(':').count() {
        _ if text.is_empty() => Err("empty string specified for links".into()),
        1 | 2 => Ok(()),
        _ => Err(format!("bad format for links: {text}")),
    }
}

/// Six or eight octets.
pub fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses() {
        assert_eq!(extra_host("db:10.0.0.1").unwrap(), "db:10.0.0.1");
        assert_eq!(extra_host("db=[::1]").unwrap(), "db:::1");
        assert_eq!(extra_host("h:host-gateway").unwrap(), "h:host-gateway");
        assert_eq!(extra_host("db").unwrap_err(), "bad format for add-host: \"db\"");
        assert_eq!(extra_host("db:x").unwrap_err(), "invalid IP address in add-host: \"x\"");
        assert!(
            check_search("example.com").is_ok() && check_search("$$").is_err() && check_search(".").is_ok()
        );
        assert_eq!(check_link("a:b:c").unwrap_err(), "bad format for links: a:b:c");
        assert!(is_mac("92:d0:c6:0a:29:33") && !is_mac("92:d0:c6:0a:29"));
    }
}
