//! API versions: `1.24` to [`NEWEST`], and down to [`FLOOR`] on demand.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API, ordered: 1.9 comes before 1.24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

/// The newest version spoken: Docker 28.5's.
pub const NEWEST: ApiVersion = ApiVersion::new(1, 51);
/// The oldest version that can be served, when the engine is told to.
pub const FLOOR: ApiVersion = ApiVersion::new(1, 12);
/// The oldest version served by itself.
pub const OLDEST: ApiVersion = ApiVersion::new(1, 24);

impl ApiVersion {
    /// `ApiVersion::new(1, 44)` is API 1.44.
    pub const fn new(major: u16, minor: u16) -> Self {
        ApiVersion { major, minor }
    }

    /// Whether this version is 1.`minor` or newer.
    pub const fn since(self, minor: u16) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }

    /// Whether this version is older than 1.`minor`.
    pub const fn before(self, minor: u16) -> bool {
        !self.since(minor)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not `<number>.<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAVersion;

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an API version")
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for ApiVersion {
    type Err = NotAVersion;

    /// Takes `1.44` and `1`; further parts (`1.44.0`) are ignored when they are numbers, as Docker's comparison does.
    fn from_str(s: &str) -> Result<Self, NotAVersion> {
        let mut parts = s.split('.').map(|p| p.parse::<u16>().map_err(|_| NotAVersion));
        let major = parts.next().ok_or(NotAVersion)??;
        let minor = parts.next().transpose()?.unwrap_or(0);
        for rest in parts {
            rest?;
        }
        Ok(ApiVersion { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_compare_as_numbers() {
        let old: ApiVersion = "1.9".parse().unwrap();
        assert!(old < OLDEST && OLDEST < NEWEST);
        assert!(old.before(24) && NEWEST.since(51));
        assert_eq!("1.44".parse::<ApiVersion>().unwrap().to_string(), "1.44");
        for bad in ["", "x", "1.x", "1.2.x", "99999.1"] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad}");
        }
    }
}
