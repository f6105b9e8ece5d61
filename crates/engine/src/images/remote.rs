//! What is asked of registries without an image coming or going: search, login, a look at a manifest.

use gantry_distribution::registry::{Inspected, SearchResult};
use gantry_names::Reference;

use super::registries::credentials;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filters::{self, Filters};

/// Results of a search when nobody says how many.
const RESULTS: i64 = 25;
/// The most results one may ask for.
const RESULTS_MAX: i64 = 100;

impl Engine {
    /// Searches Docker Hub, or the registry named before the term.
    pub async fn image_search(
        &self,
        term: &str,
        limit: Option<i64>,
        filters: Filters,
        auth: Option<serde_json::Value>,
    ) -> Result<Vec<SearchResult>> {
        filters::check(&filters, &["is-automated", "is-official", "stars"])?;
        let limit = match limit {
            None | Some(0) => RESULTS,
            Some(limit @ 1..=RESULTS_MAX) => limit,
            Some(limit) => {
                let text = format!("limit {limit} is outside the range of [1, {RESULTS_MAX}]");
                return Err(Error::Invalid(text));
            }
        };
        if term.contains("://") {
            let text = format!("invalid repository name: repository name ({term}) should not have a scheme");
            return Err(Error::Invalid(text));
        }
        let official = filters::truth(&filters, "is-official")?;
        let stars = least_stars(&filters)?;
        if filters::truth(&filters, "is-automated")? == Some(true) {
            // Nothing is built by Docker's machines any more.
            return Ok(Vec::new());
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = self.registries().search(term, limit, &credentials(auth)).await?;
        let fits = |one: &SearchResult| {
            official.is_none_or(|wanted| one.is_official == wanted) && one.star_count >= stars
        };
        Ok(found.into_iter().filter(fits).map(|one| SearchResult { is_automated: false, ..one }).collect())
    }

    /// Whether credentials are right for a registry. Gives an identity token to keep instead of the password, if the registry
    /// gives one.
    pub async fn login(&self, server: &str, auth: serde_json::Value) -> Result<Option<String>> {
        Ok(self.registries().login(&host_of(server), &credentials(Some(auth))).await?)
    }

    /// What a reference names in its registry, and for which platforms.
    pub async fn distribution_inspect(
        &self,
        reference: &Reference,
        auth: Option<serde_json::Value>,
    ) -> Result<Inspected> {
        Ok(self.registries().inspect(&reference.or_latest(), &credentials(auth)).await?)
    }
}

fn least_stars(filters: &Filters) -> Result<u64> {
    let numbers = filters::values(filters, "stars").map(|text| {
        text.parse::<u64>().map_err(|_| Error::Invalid(format!("invalid filter 'stars={text}'")))
    });
    Ok(numbers.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
}

/// The registry a server address means: Docker Hub's index has an address of its own.
fn host_of(server: &str) -> String {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    match bare.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn server_addresses_are_hosts() {
        for (server, host) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("http://localhost:5000", "localhost:5000"),
            ("r.example/v2/", "r.example"),
        ] {
            assert_eq!(host_of(server), host);
        }
    }
}
