//! The version in front of a path, `/v1.44/containers/json`, and the headers that tell ours.

use crate::failure::Failure;
use gantry_api::version::{ApiVersion, FLOOR, NEWEST, OLDEST};

/// Splits `/v1.44/info` into the version's text and the path behind it.
pub(crate) fn split(path: &str) -> (Option<&str>, &str) {
    if let Some(rest) = path.strip_prefix("/v") {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if end > 0 && rest[end..].starts_with('/') {
            return (Some(&rest[..end]), &rest[end..]);
        }
    }
    (None, path)
}

/// The version a request is served in. Without one it is the newest.
///
/// # Errors
/// Versions outside of what is served, in Docker's words.
pub(crate) fn negotiate(
    asked: Option<&str>,
    oldest: ApiVersion,
    newest: ApiVersion,
) -> Result<ApiVersion, Failure> {
    let Some(text) = asked else { return Ok(newest) };
    // What is no version at all counts as older than any.
    let version = text.parse().unwrap_or(ApiVersion::new(0, 0));
    if version < oldest {
        return Err(Failure::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {oldest}, please upgrade your client to a newer version"
        )));
    }
    if version > newest {
        return Err(Failure::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {newest}"
        )));
    }
    Ok(version)
}

/// A version that cannot be the oldest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnservedVersion(String);

impl std::fmt::Display for UnservedVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnservedVersion {}

/// The oldest version to serve, as a person writes it; Docker's own where nothing is said.
///
/// # Errors
/// What is no version, and what lies outside of those that can be served, in Docker's words.
pub fn oldest_version(text: Option<&str>) -> Result<ApiVersion, UnservedVersion> {
    let Some(text) = text.map(|text| text.trim_start_matches('v')).filter(|text| !text.is_empty()) else {
        return Ok(OLDEST);
    };
    let refused = |what: String| Err(UnservedVersion(what));
    match text.parse::<ApiVersion>() {
        Err(_) => refused(format!("not an API version: {text}")),
        Ok(version) if version < FLOOR => {
            refused(format!("minimum supported API version is {FLOOR}: {text}"))
        }
        Ok(version) if version > NEWEST => {
            refused(format!("maximum supported API version is {NEWEST}: {text}"))
        }
        Ok(version) => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_and_dots_are_a_version() {
        assert_eq!(split("/v1.44/info"), (Some("1.44"), "/info"));
        assert_eq!(split("/volumes/a"), (None, "/volumes/a"));
        assert_eq!(split("/version"), (None, "/version"));
        assert_eq!(split("/v1.44"), (None, "/v1.44"));
        assert_eq!(split("/v/info"), (None, "/v/info"));
    }

    #[test]
    fn the_oldest_version_is_within_what_can_be_served() {
        assert_eq!(oldest_version(None), Ok(OLDEST));
        assert_eq!(oldest_version(Some("1.12")), Ok(FLOOR));
        assert_eq!(oldest_version(Some("v1.30")).unwrap().to_string(), "1.30");
        let told = |text| oldest_version(Some(text)).unwrap_err().to_string();
        assert_eq!(told("1.11"), "minimum supported API version is 1.12: 1.11");
        assert!(told("2.0").starts_with("maximum") && told("old").starts_with("not an API version"));
    }

    #[test]
    fn the_range_is_closed() {
        assert_eq!(negotiate(None, OLDEST, NEWEST).unwrap(), NEWEST);
        assert_eq!(negotiate(Some("1.24"), OLDEST, NEWEST).unwrap(), OLDEST);
        let old = negotiate(Some("1.23"), OLDEST, NEWEST).unwrap_err();
        assert_eq!(old.status, 400);
        assert!(old.message.starts_with("client version 1.23 is too old."));
        let new = negotiate(Some("9.99"), OLDEST, NEWEST).unwrap_err();
        assert!(new.message.starts_with("client version 9.99 is too new."));
        assert!(negotiate(Some("1..."), OLDEST, NEWEST).is_err());
    }
}
