//! The list of repositories, in pages: those the asker may read.

use std::sync::Arc;

use http::{StatusCode, header};
use serde_json::json;

use super::{link_next, paging};
use crate::http::Answer;
use crate::name::RepositoryName;
use crate::refusal::Refusal;
use crate::server::{Request, Server, json as answer_json, put};

/// Most names in one answer.
const PAGE_MAX: usize = 10_000;

/// Lists repositories.
pub fn list(server: &Arc<Server>, request: &Request) -> Result<Answer, Refusal> {
    let (n, last) = paging(request, PAGE_MAX)?;
    let all = server.store.repositories(last, usize::MAX);
    let mut readable = all.iter().filter(|name| request.who.may_pull(name));
    let page: Vec<&str> = readable.by_ref().take(n).map(RepositoryName::as_str).collect();
    let more = readable.next().is_some();
    let mut answer = answer_json(StatusCode::OK, &json!({"repositories": page}));
    if let (true, Some(last)) = (more, page.last()) {
        let path = format!("{}/v2/_catalog", server.rules.prefix);
        put(&mut answer, header::LINK, &link_next(&path, n, last, ""));
    }
    Ok(answer)
}
