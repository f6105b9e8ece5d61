//! An archive at a URL, for `import`.

use crate::failure::Failure;
use gantry_distribution::http::{Client, Proxies, Tls, empty};
use http::header::LOCATION;
use http::{Request, Uri};
use hyper::body::Incoming;
use std::sync::Arc;

/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;

/// `example.com/x.tar` means http, as in Docker.
pub(crate) fn url(source: &str) -> Result<Uri, Failure> {
    let text = if source.contains("://") { source.to_owned() } else { format!("http://{source}") };
    text.parse::<Uri>()
        .ok()
        .filter(|uri| uri.authority().is_some())
        .ok_or_else(|| Failure::invalid(format!("parse {text:?}: invalid URL")))
}

/// Asks for it, and gives back the body of the answer.
pub(crate) async fn get(url: &Uri) -> Result<Incoming, Failure> {
    let tls = Arc::new(Tls::open(None, false).map_err(|e| Failure::internal(e.to_string()))?);
    let client = Client::new(Proxies::from_environment());
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let request = Request::get(at.clone()).body(empty()).map_err(|e| Failure::invalid(e.to_string()))?;
        let answer =
            client.send(&tls, request).await.map_err(|e| Failure::internal(format!("Get {at:?}: {e}")))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let onward = answer
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .filter(|_| status.is_redirection());
        at = match onward {
            Some(to) => joined(&at, to)?,
            None => return Err(Failure::internal(format!("failed to GET {at} with status {status}"))),
        };
    }
    Err(Failure::internal(format!("Get {url:?}: stopped after {REDIRECTS_MAX} redirects")))
}

/// Where a redirect leads: another URL, or another path of the same host.
fn joined(from: &Uri, to: &str) -> Result<Uri, Failure> {
    let text = if to.contains("://") {
        to.to_owned()
    } else {
        let host = from.authority().map_or("", |authority| authority.as_str());
        let slash = if to.starts_with('/') { "" } else { "/" };
        format!("{}://{host}{slash}{to}", from.scheme_str().unwrap_or("http"))
    };
    url(&text)
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
