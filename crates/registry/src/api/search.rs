//! `/v1/search`: the first registry's search, which `docker search HOST/term` still asks.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use crate::http::Answer;
use crate::refusal::Refusal;
use crate::server::{Request, Server, json as answer_json};

/// Results on a page when the asker does not say.
const PAGE_SIZE: usize = 25;
/// Most results on a page.
const PAGE_SIZE_MAX: usize = 100;

/// Finds repositories whose name holds the term: an exact name first, then names whose last part begins with it,
/// then the others, each in order.
pub fn find(server: &Arc<Server>, request: &Request) -> Result<Answer, Refusal> {
    let number = |key, default| {
        request.query.get(key).and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(default)
    };
    let (size, page) = (number("n", PAGE_SIZE).min(PAGE_SIZE_MAX), number("page", 1));
    let term = request.query.get("q").unwrap_or_default();
    let wanted = term.to_lowercase();
    // The book's registry puts a one-part name under `library/`; people look for either.
    let plain = wanted.strip_prefix("library/").unwrap_or(&wanted);
    let mut found: Vec<(u8, String)> = server
        .store
        .repositories(None, usize::MAX)
        .into_iter()
        .filter(|name| request.who.may_pull(name))
        .filter_map(|name| Some((rank(name.as_str(), plain)?, name.to_string())))
        .collect();
    found.sort();
    let results: Vec<_> = found
        .iter()
        .skip((page - 1).saturating_mul(size))
        .take(size)
        .map(|(_, name)| {
            json!({
                "name": name, "description": "", "star_count": 0, "is_official": false, "is_automated": false
            })
        })
        .collect();
    Ok(answer_json(
        StatusCode::OK,
        &json!({
            "query": term,
            "num_results": found.len(),
            "num_pages": found.len().div_ceil(size),
            "page": page,
            "page_size": size,
            "results": results,
        }),
    ))
}

fn rank(name: &str, term: &str) -> Option<u8> {
    let last = name.rsplit('/').next().unwrap_or(name);
    match () {
        () if name == term || last == term => Some(0),
        () if last.starts_with(term) => Some(1),
        () if name.contains(term) => Some(2),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_ranks_first() {
        assert_eq!(rank("library/ubuntu", "ubuntu"), Some(0));
        assert_eq!(rank("me/ubuntu-tools", "ubuntu"), Some(1));
        assert_eq!(rank("ubuntu-fans/x", "ubuntu"), Some(2));
        assert_eq!(rank("debian", "ubuntu"), None);
        assert_eq!(rank("anything", ""), Some(1));
    }
}
