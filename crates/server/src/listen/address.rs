//! `-H`: where to listen, in Docker's notation.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One `-H`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `unix:///run/gantry.sock`
    Unix(PathBuf),
    /// `tcp://0.0.0.0:2376`: host and port, as the resolver takes them.
    Tcp(String),
    /// `fd://` (all), `fd://*`, `fd://3`, `fd://name`.
    Fd(String),
}

/// The port of `tcp://host` without one.
const PLAIN_PORT: u16 = 2375;
/// The same with TLS.
const TLS_PORT: u16 = 2376;

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Unknown words before `://`, or none that fit.
    #[error("invalid bind address ({0}): use unix://PATH, tcp://HOST:PORT or fd://")]
    Unknown(String),
    /// A port that is none.
    #[error("invalid bind address ({0}): invalid port {1}")]
    Port(String, String),
    /// `tcp://host/path`.
    #[error("invalid bind address ({0}): should not contain a path element")]
    PathInTcp(String),
    /// A unix socket without a path.
    #[error("invalid bind address ({0}): a unix socket needs an absolute path")]
    NoPath(String),
}

impl Address {
    /// Reads an address; `tls` decides the port that `tcp://host` means.
    ///
    /// # Errors
    /// Texts that are none.
    pub fn parse(text: &str, tls: bool) -> Result<Address, AddressError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
            "unix" => Err(AddressError::NoPath(text.into())),
            "fd" => Ok(Address::Fd(rest.into())),
            "tcp" => tcp(text, rest, if tls { TLS_PORT } else { PLAIN_PORT }).map(Address::Tcp),
            _ => Err(AddressError::Unknown(text.into())),
        }
    }
}

fn tcp(text: &str, rest: &str, default_port: u16) -> Result<String, AddressError> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('/') {
        return Err(AddressError::PathInTcp(text.into()));
    }
    // The last colon outside of brackets parts host and port.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, ""),
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    if host.contains(char::is_whitespace) || (host.contains(':') && !host.starts_with('[')) {
        return Err(AddressError::Unknown(text.into()));
    }
    let port = match port {
        "" => default_port,
        port => port.parse().map_err(|_| AddressError::Port(text.into(), port.into()))?,
    };
    Ok(format!("{host}:{port}"))
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text, false)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host) => write!(f, "tcp://{host}"),
            Address::Fd(name) => write!(f, "fd://{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_notation() {
        let tcp = |host: &str| Address::Tcp(host.into());
        assert_eq!("unix:///run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
        assert_eq!("tcp://0.0.0.0:4243".parse(), Ok(tcp("0.0.0.0:4243")));
        assert_eq!("tcp://:7777".parse(), Ok(tcp("127.0.0.1:7777")));
        assert_eq!("0.0.0.0:1".parse(), Ok(tcp("0.0.0.0:1")));
        assert_eq!("tcp://[::1]:5".parse(), Ok(tcp("[::1]:5")));
        assert_eq!(Address::parse("tcp://host", true), Ok(tcp("host:2376")));
        assert_eq!("tcp://".parse(), Ok(tcp("127.0.0.1:2375")));
        assert_eq!("fd://".parse(), Ok(Address::Fd(String::new())));
        assert_eq!("unix:///a".parse::<Address>().unwrap().to_string(), "unix:///a");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["udp://a", "tcp://a:b", "tcp://a:1/x", "unix://", "unix://a", "tcp://::1:5", "a b"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
