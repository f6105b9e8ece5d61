//! The short forms: `8000-8010:80/udp`, `./a:/b:ro`, `/dev/x:/dev/y:r`.

/// A port of the short form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShortPort {
    /// The host's address; empty: all.
    pub host_ip: String,
    /// The host's port or range; empty: any.
    pub published: String,
    /// The container's port.
    pub target: u16,
    /// In lower case.
    pub protocol: String,
}

/// Reads `[[ip:]published:]target[/protocol]`, each a port or a range; a range gives several.
pub(crate) fn ports(text: &str) -> Result<Vec<ShortPort>, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = if protocol.is_empty() { "tcp" } else { protocol }.to_ascii_lowercase();
    let (rest, target) = rest.rsplit_once(':').map_or(("", rest), |(rest, target)| (rest, target));
    let (host_ip, published) = rest.rsplit_once(':').unwrap_or(("", rest));
    let host_ip = host_ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(host_ip);
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address: {host_ip}"));
    }
    if target.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let (start, end) = range(target).ok_or_else(|| format!("invalid containerPort: {target}"))?;
    let host = match published {
        "" => None,
        published => Some(range(published).ok_or_else(|| format!("invalid hostPort: {published}"))?),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    if let Some((from, to)) = host
        && to - from != end - start
        && end != start
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {target} and {published}"
        ));
    }
    let mut ports: Vec<ShortPort> = (start..=end)
        .map(|target| ShortPort {
            host_ip: host_ip.to_owned(),
            published: match host {
                None => String::new(),
                Some((from, to)) if start == end && from != to => format!("{from}-{to}"),
                Some((from, _)) => (from + (target - start)).to_string(),
            },
            target,
            protocol: protocol.clone(),
        })
        .collect();
    // In the order of their texts, as Compose has them.
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match text.split_once('-') {
        Some((start, end)) => Some((port(start)?, port(end)?)).filter(|(start, end)| start <= end),
        None => port(text).map(|port| (port, port)),
    }
}

/// A volume of the short form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ShortMount {
    /// A path, a volume's name, or empty.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Not to be written.
    pub read_only: bool,
    /// Does not fill it from the image.
    pub nocopy: bool,
    /// `z` or `Z`.
    pub selinux: String,
    /// `rprivate`, `rslave`, ...
    pub propagation: String,
    /// One or two characters: Compose writes no options for it.
    pub tiny: bool,
}

/// Reads `[source:]target[:options]`; a Windows drive's colon divides nothing, nor one inside `${}`.
pub(crate) fn mount(text: &str) -> Result<ShortMount, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    if text.len() <= 2 {
        return Ok(ShortMount { target: text.to_owned(), tiny: true, ..ShortMount::default() });
    }
    let wrong = |what: &str| format!("invalid spec: {text}: {what}");
    let parts = parts(text);
    if parts.iter().any(String::is_empty) {
        return Err(wrong("empty section between colons"));
    }
    let mut mount = ShortMount::default();
    let options = match &parts[..] {
        [target] => {
            mount.target.clone_from(target);
            ""
        }
        [source, target] => {
            (mount.source, mount.target) = (source.clone(), target.clone());
            ""
        }
        [source, target, options] => {
            (mount.source, mount.target) = (source.clone(), target.clone());
            options
        }
        _ => return Err(wrong("too many colons")),
    };
    for option in options.split(',') {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.nocopy = true,
            "z" | "Z" => option.clone_into(&mut mount.selinux),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                option.clone_into(&mut mount.propagation);
            }
            // Compose takes what it does not know for nothing.
            _ => {}
        }
    }
    Ok(mount)
}

fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut braces, mut previous) = (0usize, ' ');
    for c in text.chars() {
        match c {
            '{' if previous == '$' => braces += 1,
            '}' if braces > 0 => braces -= 1,
            _ => {}
        }
        previous = c;
        let Some(part) = parts.last_mut() else { break };
        let drive = part.len() == 1 && part.starts_with(|c: char| c.is_ascii_alphabetic());
        if c == ':' && braces == 0 && !drive {
            parts.push(String::new());
        } else {
            part.push(c);
        }
    }
    parts
}

/// Whether a mount's source is a path and not a volume's name.
pub(crate) fn is_path(source: &str) -> bool {
    let bytes = source.as_bytes();
    source.starts_with(['.', '/', '~'])
        || source.starts_with(r"\\")
        || matches!(bytes, [drive, b':', ..] if drive.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        match ports(text) {
            Ok(ports) => ports
                .iter()
                .map(|p| format!("{}|{}|{}|{}", p.host_ip, p.published, p.target, p.protocol))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error,
        }
    }

    #[test]
    fn ports_in_every_form() {
        for (text, told) in [
            ("80", "||80|tcp"),
            ("8080:80", "|8080|80|tcp"),
            ("127.0.0.1:8080:80/UDP", "127.0.0.1|8080|80|udp"),
            ("127.0.0.1::80", "127.0.0.1||80|tcp"),
            ("[::1]:8080:80", "::1|8080|80|tcp"),
            ("8000-8001:80-81", "|8000|80|tcp |8001|81|tcp"),
            ("8000-8010:80", "|8000-8010|80|tcp"),
            ("99-100", "||100|tcp ||99|tcp"),
            ("8000-8001:80-85", "invalid ranges specified for container and host Ports: 80-85 and 8000-8001"),
            ("x:80", "invalid hostPort: x"),
            ("70000", "invalid containerPort: 70000"),
            ("80/foo", "invalid proto: foo"),
            ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ] {
            assert_eq!(shown(text), told, "{text}");
        }
    }

    #[test]
    fn mounts_in_every_form() {
        let read = |text: &str| mount(text).unwrap();
        assert_eq!(read("/a"), ShortMount { target: "/a".into(), tiny: true, ..Default::default() });
        let both = read("data:/a:ro,nocopy,Z,rslave");
        assert_eq!((both.source.as_str(), both.target.as_str()), ("data", "/a"));
        assert!(both.read_only && both.nocopy);
        assert_eq!((both.selinux.as_str(), both.propagation.as_str()), ("Z", "rslave"));
        assert_eq!(read(r"C:\x:/y").source, r"C:\x");
        assert_eq!(read("${A:-b}:/y").source, "${A:-b}");
        for (text, told) in
            [("", "invalid empty volume spec"), ("ab::b", "empty section"), ("/a:/b:ro:x", "too many colons")]
        {
            assert!(mount(text).unwrap_err().contains(told), "{text}");
        }
        assert!(is_path("./a") && is_path("~") && is_path("C:/a") && !is_path("data"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-c0-9:/.,\\[\\]${}é-]{0,20}") {
            let _ = (ports(&text), mount(&text));
        }
    }
}
