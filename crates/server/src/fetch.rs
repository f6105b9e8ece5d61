//! An archive at a URL, for `import` and a build's context.

use gantry_distribution::download;
use http::Uri;
use hyper::body::Incoming;

use crate::failure::Failure;

/// `example.com/x.tar` means http, as in Docker.
pub(crate) fn url(source: &str) -> Result<Uri, Failure> {
    download::url(source).map_err(|error| Failure::invalid(error.to_string()))
}

/// Asks for it, and gives back the body of the answer.
pub(crate) async fn get(url: &Uri) -> Result<Incoming, Failure> {
    let answer = download::get(url).await.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(answer.into_body())
}
