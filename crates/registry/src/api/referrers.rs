//! Who refers to a manifest, in pages.

use std::sync::Arc;

use gantry_names::Digest;
use http::{HeaderName, StatusCode, header};
use serde_json::json;

use super::{link_next, paging};
use crate::http::Answer;
use crate::http::query::encode;
use crate::manifest::OCI_INDEX;
use crate::name::RepositoryName;
use crate::refusal::Refusal;
use crate::server::{Request, Server, bytes, put};
use crate::store::blocking;

/// Tells that the list was narrowed as asked.
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Most descriptors in one answer: with their annotations they fit well into a manifest's 4 MiB.
const PAGE_MAX: usize = 1_000;

/// Lists the referrers of a digest. One nobody refers to, or nobody knows, has an empty list.
pub async fn list(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    subject: Digest,
) -> Result<Answer, Refusal> {
    let (n, last) = paging(&request, PAGE_MAX)?;
    let (store, of, about) = (Arc::clone(&server.store), name.clone(), subject.clone());
    let all = blocking(move || store.referrers(&of, &about)).await?;
    let kind = request.query.get("artifactType").filter(|kind| !kind.is_empty());
    let mut rest = all
        .into_iter()
        .filter(|referrer| kind.is_none_or(|kind| referrer.artifact_type.as_deref() == Some(kind)))
        .filter(|referrer| last.is_none_or(|last| referrer.digest.as_str() > last));
    let page: Vec<_> = rest.by_ref().take(n).collect();
    let more = rest.next().is_some();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page});
    let mut answer = bytes(StatusCode::OK, OCI_INDEX, index.to_string());
    if kind.is_some() {
        put(&mut answer, FILTERS, "artifactType");
    }
    if let (true, Some(last)) = (more, page.last()) {
        let filter = kind.map(|kind| format!("&artifactType={}", encode(kind))).unwrap_or_default();
        let path = format!("{}/v2/{name}/referrers/{subject}", server.rules.prefix);
        put(&mut answer, header::LINK, &link_next(&path, n, last.digest.as_str(), &filter));
    }
    Ok(answer)
}
