//! Where an engine is: the text of `-H`, `DOCKER_HOST` or a context, parsed once.

use std::fmt;
use std::path::PathBuf;

/// Docker's ports for TCP without and with TLS.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP, with TLS when `tls` is there.
    Tcp {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Certificates, when the connection is to be encrypted.
        tls: Option<TlsFiles>,
    },
    /// `ssh host docker system dial-stdio`.
    Ssh {
        /// The login name, when given.
        user: Option<String>,
        /// The host as ssh understands it.
        host: String,
        /// The port, when given.
        port: Option<u16>,
        /// A socket on the far side, when it is not the default one.
        path: Option<String>,
    },
}

/// Certificates for a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Whom to trust; the file may be absent when `verify` is off.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Whether the engine must prove who it is.
    pub verify: bool,
}

/// An address that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not `scheme://address`.
    #[error("unable to parse docker host `{0}`")]
    Unparsable(String),
    /// A scheme this program does not speak.
    #[error("protocol not available: {0}")]
    Scheme(String),
    /// ssh addresses carry no password and no query.
    #[error("ssh host connection is not valid: invalid SSH URL: {0}")]
    Ssh(&'static str),
}

impl Endpoint {
    /// Parses `unix:///run/x.sock`, `tcp://host:port`, `https://...`, `ssh://user@host`, `fd://`-less.
    /// `tls` is used for `tcp://`, and always something for `https://`.
    pub fn parse(text: &str, tls: Option<TlsFiles>) -> Result<Endpoint, EndpointError> {
        let unparsable = || EndpointError::Unparsable(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(unparsable)?;
        match scheme {
            "unix" if rest.is_empty() => Err(unparsable()),
            "unix" => Ok(Endpoint::Unix(PathBuf::from(rest))),
            "tcp" | "http" | "https" => {
                let tls = if scheme == "https" { Some(tls.unwrap_or_default()) } else { tls };
                let rest = rest.split('/').next().unwrap_or_default();
                let default = if tls.is_some() { TLS_PORT } else { PLAIN_PORT };
                let (host, port) = host_port(rest, default).ok_or_else(unparsable)?;
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                Ok(Endpoint::Tcp { host, port, tls })
            }
            "ssh" => ssh(rest),
            other => Err(EndpointError::Scheme(other.to_owned())),
        }
    }

    /// The address as Docker prints it in errors.
    pub fn host(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp { host, port, .. } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
            Endpoint::Ssh { user, host, port, path } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(host)?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(path.as_deref().unwrap_or_default())
            }
        }
    }
}

fn host_port(text: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if after.is_empty() => default,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((text.to_owned(), default)),
    }
}

fn ssh(rest: &str) -> Result<Endpoint, EndpointError> {
    if rest.contains('?') {
        return Err(EndpointError::Ssh("query parameters are not allowed"));
    }
    if rest.contains('#') {
        return Err(EndpointError::Ssh("fragments are not allowed"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if user.is_some_and(|u| u.contains(':')) {
        return Err(EndpointError::Ssh("plain-text password is not supported"));
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => return Err(EndpointError::Ssh("invalid port")),
        },
        _ => (place, None),
    };
    // A host that starts with a dash would be an option of ssh.
    if host.is_empty() || host.starts_with('-') || user.is_some_and(|u| u.starts_with('-')) {
        return Err(EndpointError::Ssh("hostname is empty"));
    }
    Ok(Endpoint::Ssh {
        user: user.map(str::to_owned),
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port,
        path: path.filter(|p| *p != "/").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_as_docker_does() {
        let unix = Endpoint::parse("unix:///run/x.sock", None).unwrap();
        assert_eq!(unix, Endpoint::Unix("/run/x.sock".into()));
        let tcp = Endpoint::parse("tcp://10.0.0.1", None).unwrap();
        assert_eq!(tcp, Endpoint::Tcp { host: "10.0.0.1".into(), port: 2375, tls: None });
        let six = Endpoint::parse("tcp://[::1]:99", Some(TlsFiles::default())).unwrap();
        assert_eq!(six.to_string(), "tcp://[::1]:99");
        let ssh = Endpoint::parse("ssh://me@box:2222/run/d.sock", None).unwrap();
        assert_eq!(ssh.to_string(), "ssh://me@box:2222/run/d.sock");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(
            Endpoint::parse("nope", None).unwrap_err().to_string(),
            "unable to parse docker host `nope`"
        );
        assert!(Endpoint::parse("ssh://-oProxyCommand=x", None).is_err());
        assert!(Endpoint::parse("ssh://u:p@h", None).is_err());
        assert!(Endpoint::parse("ssh://", None).is_err());
        assert!(Endpoint::parse("ssh://h#f", None).is_err());
        assert!(Endpoint::parse("gopher://x", None).is_err());
        assert!(Endpoint::parse("tcp://h:99999", None).is_err());
    }
}
