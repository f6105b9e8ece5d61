//! `--log-driver` and `--log-opt`: read once, with Docker's texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_errdefs::{Class, Classified};

use crate::sizes::{parse_bool, parse_int, parse_size};

/// A log file's size unless asked otherwise. Docker's `json-file` has no bound by default, and full disks are what
/// people get from it.
const DEFAULT_MAX_SIZE: u64 = 20_000_000;
/// How many files, the current one included.
const DEFAULT_MAX_FILES: u32 = 5;
/// The memory a container's output may wait in with `mode=non-blocking`.
const DEFAULT_MAX_BUFFER: u64 = 1 << 20;

/// Who keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// A JSON object a line.
    JsonFile,
    /// Compact binary records.
    Local,
    /// Nobody.
    None,
}

impl Driver {
    /// Its name as people type it.
    pub fn as_str(self) -> &'static str {
        match self {
            Driver::JsonFile => "json-file",
            Driver::Local => "local",
            Driver::None => "none",
        }
    }

    /// The driver of this name.
    pub fn parse(name: &str) -> Result<Driver, OptionError> {
        [Driver::JsonFile, Driver::Local, Driver::None]
            .into_iter()
            .find(|driver| driver.as_str() == name)
            .ok_or_else(|| OptionError(format!("logger: no log driver named '{name}' is registered")))
    }
}

/// What happens when the log is slower than the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The container waits.
    Blocking,
    /// Up to so many bytes wait in memory; what comes beyond is lost.
    NonBlocking {
        /// Bytes.
        max_buffer: u64,
    },
}

/// A log that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its driver.
    pub driver: Driver,
    /// Its current file; older ones are `<path>.1`, `<path>.2.gz`, ...
    pub path: PathBuf,
    /// A new file is begun once the current one is this long; `None`: never.
    pub max_size: Option<u64>,
    /// Files kept, the current one included; at least 1.
    pub max_files: u32,
    /// Whether older files are compressed.
    pub compress: bool,
    /// What happens when it is slow.
    pub mode: Mode,
    /// Added to each record.
    pub attributes: BTreeMap<String, String>,
}

/// An option that cannot be. The text is Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(String);

impl Classified for OptionError {
    fn class(&self) -> Class {
        Class::InvalidArgument
    }
}

/// The check Docker makes when a container is created: driver, names of options, mode. Values are read when the log
/// is opened, by [`Config::parse`].
pub fn validate(driver: &str, options: &BTreeMap<String, String>) -> Result<(), OptionError> {
    if driver == Driver::None.as_str() {
        return Ok(());
    }
    mode(options)?;
    let driver = Driver::parse(driver)?;
    let known = [
        "max-file",
        "max-size",
        "compress",
        "labels",
        "labels-regex",
        "env",
        "env-regex",
        "tag",
        "mode",
        "max-buffer-size",
    ];
    match options.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) if driver == Driver::Local => {
            Err(OptionError(format!("unknown log opt '{key}' for log driver local")))
        }
        Some(key) => Err(OptionError(format!("unknown log opt '{key}' for json-file log driver"))),
    }
}

fn mode(options: &BTreeMap<String, String>) -> Result<Mode, OptionError> {
    let non_blocking = match options.get("mode").map(String::as_str) {
        None | Some("" | "blocking") => false,
        Some("non-blocking") => true,
        Some(other) => return Err(OptionError(format!("logger: logging mode not supported: {other}"))),
    };
    let max_buffer = match options.get("max-buffer-size") {
        None => DEFAULT_MAX_BUFFER,
        Some(_) if !non_blocking => {
            let text = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
            return Err(OptionError(text.to_owned()));
        }
        Some(size) => parse_size(size, 1024)
            .map_err(|err| OptionError(format!("error parsing option max-buffer-size: {err}")))?,
    };
    Ok(if non_blocking { Mode::NonBlocking { max_buffer } } else { Mode::Blocking })
}

impl Config {
    /// Reads all options. Docker says such errors when the container starts, behind `failed to initialize logging
    /// driver: `.
    ///
    /// Beyond Docker, `max-size=-1` says that the file has no bound (Docker's own default, which it cannot be told).
    pub fn parse(
        driver: &str,
        path: &Path,
        options: &BTreeMap<String, String>,
        attributes: BTreeMap<String, String>,
    ) -> Result<Config, OptionError> {
        validate(driver, options)?;
        let driver = Driver::parse(driver)?;
        let mode = if driver == Driver::None { Mode::Blocking } else { mode(options)? };
        let (max_size, max_files, compress) = match driver {
            Driver::JsonFile => json_file(options)?,
            Driver::Local => local(options)?,
            Driver::None => (None, 1, false),
        };
        Ok(Config { driver, path: path.to_owned(), max_size, max_files, compress, mode, attributes })
    }
}

type Bounds = (Option<u64>, u32, bool);

fn json_file(options: &BTreeMap<String, String>) -> Result<Bounds, OptionError> {
    let max_size = match options.get("max-size").map(String::as_str) {
        None => Some(DEFAULT_MAX_SIZE),
        Some("-1") => None,
        Some(size) => match parse_size(size, 1000).map_err(OptionError)? {
            0 => return Err(OptionError("max-size must be a positive number".into())),
            size => Some(size),
        },
    };
    let max_files = match options.get("max-file") {
        None => DEFAULT_MAX_FILES,
        Some(files) => match parse_int(files).map_err(OptionError)? {
            files @ 1.. => u32::try_from(files).unwrap_or(u32::MAX),
            _ => return Err(OptionError("max-file cannot be less than 1".into())),
        },
    };
    let can_compress = max_files > 1 && max_size.is_some();
    let compress = match options.get("compress") {
        None => can_compress,
        Some(compress) => parse_bool(compress).map_err(OptionError)?,
    };
    if compress && !can_compress {
        let text = "compress cannot be true when max-file is less than 2 or max-size is not set";
        return Err(OptionError(text.into()));
    }
    Ok((max_size, max_files, compress))
}

fn local(options: &BTreeMap<String, String>) -> Result<Bounds, OptionError> {
    let max_size = match options.get("max-size").map(String::as_str) {
        None => Some(DEFAULT_MAX_SIZE),
        Some("-1") => None,
        Some(size) => {
            let parsed = parse_size(size, 1000);
            let size =
                parsed.map_err(|err| OptionError(format!("invalid value for max-size: {size}: {err}")))?;
            (size > 0).then_some(size)
        }
    };
    let max_files = match options.get("max-file") {
        None => i64::from(DEFAULT_MAX_FILES),
        Some(files) => parse_int(files)
            .map_err(|err| OptionError(format!("invalid value for max-file: {files}: {err}")))?,
    };
    if max_files < 0 {
        return Err(OptionError("max-file must not be negative".into()));
    }
    let compress = match options.get("compress") {
        None => true,
        Some(compress) => parse_bool(compress)
            .map_err(|err| OptionError(format!("invalid boolean value for compress: {err}")))?,
    };
    if compress && max_files <= 1 {
        return Err(OptionError("compression cannot be enabled when max file count is 1".into()));
    }
    Ok((max_size, u32::try_from(max_files.max(1)).unwrap_or(u32::MAX), compress && max_size.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn parse(driver: &str, pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::parse(driver, Path::new("/l"), &options(pairs), BTreeMap::new())
            .map_err(|err| err.to_string())
    }

    #[test]
    fn a_log_is_bounded_unless_asked_otherwise() {
        for driver in ["json-file", "local"] {
            let config = parse(driver, &[]).unwrap();
            assert_eq!((config.max_size, config.max_files, config.compress), (Some(20_000_000), 5, true));
        }
        let config = parse("json-file", &[("max-size", "-1")]).unwrap();
        assert_eq!((config.max_size, config.compress), (None, false));
        assert!(!parse("json-file", &[("max-file", "1")]).unwrap().compress);
    }

    #[test]
    fn refusals_are_dockers() {
        for (driver, pairs, text) in [
            ("json-file", &[("x", "1")][..], "unknown log opt 'x' for json-file log driver"),
            ("local", &[("x", "1")], "unknown log opt 'x' for log driver local"),
            ("syslogd", &[], "logger: no log driver named 'syslogd' is registered"),
            ("json-file", &[("max-size", "0")], "max-size must be a positive number"),
            ("json-file", &[("max-size", "ten")], "invalid size: 'ten'"),
            ("json-file", &[("max-file", "0")], "max-file cannot be less than 1"),
            ("json-file", &[("max-file", "x")], "strconv.Atoi: parsing \"x\": invalid syntax"),
            (
                "json-file",
                &[("max-file", "1"), ("compress", "true")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            ("local", &[("max-size", "ten")], "invalid value for max-size: ten: invalid size: 'ten'"),
            ("local", &[("max-file", "1")], "compression cannot be enabled when max file count is 1"),
            ("json-file", &[("mode", "fast")], "logger: logging mode not supported: fast"),
            (
                "json-file",
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "local",
                &[("mode", "non-blocking"), ("max-buffer-size", "x")],
                "error parsing option max-buffer-size: invalid size: 'x'",
            ),
        ] {
            assert_eq!(parse(driver, pairs), Err(text.to_owned()));
        }
    }

    #[test]
    fn none_takes_any_option() {
        assert!(parse("none", &[("x", "1"), ("mode", "y")]).is_ok());
    }

    #[test]
    fn non_blocking_has_a_bound() {
        let config = parse("local", &[("mode", "non-blocking"), ("max-buffer-size", "4m")]).unwrap();
        assert_eq!(config.mode, Mode::NonBlocking { max_buffer: 4 << 20 });
    }
}
