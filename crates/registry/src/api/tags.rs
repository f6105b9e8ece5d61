//! The list of tags, in pages.

use std::sync::Arc;

use http::{StatusCode, header};
use serde_json::json;

use super::{link_next, paging};
use crate::http::Answer;
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, json as answer_json, put};
use crate::store::blocking;

/// Most tags in one answer.
const PAGE_MAX: usize = 10_000;

/// Lists a repository's tags.
pub async fn list(server: &Arc<Server>, request: Request, name: RepositoryName) -> Result<Answer, Refusal> {
    let (n, last) = paging(&request, PAGE_MAX)?;
    let tags = match &server.proxy {
        Some(proxy) => proxy.tags(server, &name).await?,
        None => {
            let (store, name) = (Arc::clone(&server.store), name.clone());
            blocking(move || store.tags(&name)).await?
        }
    };
    let tags = tags.ok_or_else(|| Refusal::new(Code::NameUnknown).with(json!({"name": name.as_str()})))?;
    let mut rest = tags.iter().map(Tag::as_str).filter(|tag| last.is_none_or(|last| *tag > last));
    let page: Vec<&str> = rest.by_ref().take(n).collect();
    let more = rest.next().is_some();
    let mut answer = answer_json(StatusCode::OK, &json!({"name": name.as_str(), "tags": page}));
    if let (true, Some(last)) = (more, page.last()) {
        let path = format!("{}/v2/{name}/tags/list", server.rules.prefix);
        put(&mut answer, header::LINK, &link_next(&path, n, last, ""));
    }
    Ok(answer)
}
