//! One file at a URL, outside of any registry: what `import` and ADD name.

use std::sync::Arc;

use http::header::LOCATION;
use http::{Request, Response, Uri};
use hyper::body::Incoming;

use crate::http::{Client, Proxies, Tls, Trust, empty};

/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;

/// Why it did not come; the sentences are Go's.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// It is no URL.
    #[error("parse {0:?}: invalid URL")]
    Url(String),
    /// No answer.
    #[error("Get {0:?}: {1}")]
    Get(String, String),
    /// An answer that is none.
    #[error("failed to GET {0} with status {1}")]
    Status(Uri, http::StatusCode),
    /// Sent on and on.
    #[error("Get {0:?}: stopped after {REDIRECTS_MAX} redirects")]
    Redirects(Uri),
    /// Our own certificates.
    #[error("{0}")]
    Tls(String),
}

/// `example.com/x.tar` means http, as in Docker.
pub fn url(source: &str) -> Result<Uri, DownloadError> {
    let text = if source.contains("://") { source.to_owned() } else { format!("http://{source}") };
    let parsed = text.parse::<Uri>().ok();
    parsed.filter(|uri| uri.authority().is_some()).ok_or(DownloadError::Url(text))
}

/// Asks for it, and gives back the answer.
pub async fn get(url: &Uri) -> Result<Response<Incoming>, DownloadError> {
    let tls =
        Arc::new(Tls::open(&Trust::default(), false).map_err(|error| DownloadError::Tls(error.to_string()))?);
    let client = Client::new(Proxies::from_environment());
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let failed = |text: String| DownloadError::Get(at.to_string(), text);
        let request = Request::get(at.clone()).body(empty()).map_err(|error| failed(error.to_string()))?;
        let answer = client.send(&tls, request).await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let onward = answer
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .filter(|_| status.is_redirection());
        at = match onward {
            Some(to) => joined(&at, to)?,
            None => return Err(DownloadError::Status(at, status)),
        };
    }
    Err(DownloadError::Redirects(url.clone()))
}

/// Where a redirect leads: another URL, or another path of the same host.
fn joined(from: &Uri, to: &str) -> Result<Uri, DownloadError> {
    if to.contains("://") {
        return url(to);
    }
    let host = from.authority().map_or("", |authority| authority.as_str());
    let slash = if to.starts_with('/') { "" } else { "/" };
    url(&format!("{}://{host}{slash}{to}", from.scheme_str().unwrap_or("http")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_without_a_scheme_are_http() {
        assert_eq!(url("example.com/a.tar").unwrap(), "http://example.com/a.tar");
        assert_eq!(url("https://example.com/a.tar").unwrap(), "https://example.com/a.tar");
        assert!(url("http://").is_err());
        let from = url("https://a/b/c").unwrap();
        assert_eq!(joined(&from, "/d").unwrap(), "https://a/d");
        assert_eq!(joined(&from, "http://e/f").unwrap(), "http://e/f");
    }
}
