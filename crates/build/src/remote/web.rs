//! Files over HTTP.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use gantry_distribution::download;
use gantry_names::{Digest, Hasher};
use http_body_util::BodyExt;
use jiff::fmt::rfc2822;

use super::RemoteError;

/// What a file is called whose address names none.
const NAMELESS: &str = "download";

/// Downloads a file into `folder`; gives its name there. Its time is what the server says, else 1970; its permission bits
/// are 600. With `to_folder` its address has to name it.
pub async fn download(
    address: &str,
    expected: Option<&Digest>,
    folder: &Path,
    to_folder: bool,
) -> Result<String, RemoteError> {
    let wrong = |error: download::DownloadError| RemoteError::Answer(error.to_string());
    let url = download::url(address).map_err(wrong)?;
    let answer = download::get(&url).await.map_err(wrong)?;
    let name =
        name_of(&url.to_string(), answer.headers().get("content-disposition").and_then(|v| v.to_str().ok()));
    let name = match name {
        None if to_folder => {
            let text = format!("cannot determine filename for source {address}");
            return Err(RemoteError::Address(text));
        }
        None => NAMELESS.to_owned(),
        Some(name) => name,
    };
    let modified =
        answer.headers().get("last-modified").and_then(|value| value.to_str().ok()).and_then(seconds);
    let path = folder.join(&name);
    let failed = || RemoteError::io(format!("write {name}"));
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed())?;
    let mut hasher = Hasher::new();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| RemoteError::Answer(format!("Get {address:?}: {error}")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        hasher.update(&bytes);
        file.write_all(&bytes).map_err(failed())?;
    }
    let found = hasher.finish();
    if let Some(expected) = expected.filter(|expected| **expected != found) {
        let text = format!("digest mismatch for {address}: expected {expected}, got {found}");
        return Err(RemoteError::Answer(text));
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed())?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(modified.unwrap_or(0));
    file.set_modified(time).map_err(failed())?;
    Ok(name)
}

/// A file's name: the server's, else the last part of the path.
fn name_of(url: &str, disposition: Option<&str>) -> Option<String> {
    let plain = |name: &str| {
        let name = name.trim().trim_matches('"').rsplit('/').next().unwrap_or_default().to_owned();
        (!name.is_empty() && name != "." && name != ".." && !name.contains('\0')).then_some(name)
    };
    let told = disposition.and_then(|text| {
        text.split(';').find_map(|part| part.trim().strip_prefix("filename=")).and_then(plain)
    });
    told.or_else(|| {
        let path = url.split(['?', '#']).next()?;
        let (_, path) = path.split_once("://")?;
        plain(path.split_once('/')?.1)
    })
}

/// Seconds since 1970 of a date in a header.
fn seconds(date: &str) -> Option<u64> {
    let date = date.replace("GMT", "+0000");
    let parsed = rfc2822::DateTimeParser::new().parse_timestamp(&date).ok()?;
    u64::try_from(parsed.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_server_or_the_address_and_never_lead_away() {
        assert_eq!(name_of("http://h/a/b.txt?x=1", None).as_deref(), Some("b.txt"));
        assert_eq!(name_of("http://h/", None), None);
        assert_eq!(name_of("http://h", None), None);
        let told = Some("attachment; filename=\"../../etc/passwd\"");
        assert_eq!(name_of("http://h/x", told).as_deref(), Some("passwd"));
        assert_eq!(name_of("http://h/x", Some("inline; filename=..")).as_deref(), Some("x"));
    }

    #[test]
    fn dates_of_headers_are_read() {
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480));
        assert_eq!(seconds("yesterday"), None);
    }
}
