//! The client itself: one per engine, for all registries.

use std::sync::Arc;

use gantry_names::{Digest, Reference};
use http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};

use crate::auth::Credentials;
use crate::failure::RegistryError;
use crate::fetch::Flights;
use crate::http::Client;
use crate::manifest::{Descriptor, Document, MANIFEST_MAX, Manifest, OCI_INDEX, WirePlatform};
use crate::resolve::{Endpoint, HUB, Resolver, Settings};
use crate::session::{Call, Manners, Session, encode, read};

/// A list's length: tags of a large repository fit.
const LIST_MAX: usize = 16 << 20;
/// Pages of a list; more is a circle.
const PAGES: usize = 1_000;
/// Docker Hub's search.
const HUB_SEARCH: &str = "https://index.docker.io";

/// The client of all registries.
pub struct Registry {
    resolver: Resolver,
    manners: Manners,
    flights: Flights,
    uploads: Semaphore,
    keeping: Mutex<()>,
}

/// What `/distribution/{name}/json` tells.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// What the reference names.
    #[serde(rename = "Descriptor")]
    pub descriptor: Descriptor,
    /// The platforms it is for.
    #[serde(rename = "Platforms")]
    pub platforms: Vec<WirePlatform>,
}

/// One result of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// The repository.
    pub name: String,
    /// About it.
    pub description: String,
    /// How many like it.
    pub star_count: u64,
    /// Docker's own.
    pub is_official: bool,
    /// Built by Docker's machines, long ago.
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct SearchAnswer {
    #[serde(default)]
    results: Vec<SearchResult>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// A client with these settings. Their change needs a new client.
    pub fn new(settings: Settings) -> Self {
        let flights = Flights::new(settings.downloads, settings.attempts);
        Self::over(flights, settings)
    }

    /// A client with new settings that takes the place of this one. Downloads under way go on as they began, and are
    /// joined by whoever wants the same blob.
    pub fn renewed(&self, settings: Settings) -> Self {
        let flights = self.flights.under(settings.downloads, settings.attempts);
        Self::over(flights, settings)
    }

    fn over(flights: Flights, settings: Settings) -> Self {
        let manners = Manners {
            client: Client::new(settings.proxies.clone()),
            agent: Arc::from(settings.agent.as_str()),
            attempts: settings.attempts.max(1),
            own_realms: settings.own_realms,
        };
        Self {
            flights,
            uploads: Semaphore::new(settings.uploads.max(1)),
            keeping: Mutex::new(()),
            resolver: Resolver::new(settings),
            manners,
        }
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.flights
    }

    pub(crate) fn uploads(&self) -> &Semaphore {
        &self.uploads
    }

    /// Held while a manifest is kept: two pulls of one image bring the same one.
    pub(crate) fn keeping(&self) -> &Mutex<()> {
        &self.keeping
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.manners.attempts
    }

    /// Conversations with every address to pull from.
    pub(crate) async fn sessions(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Vec<Session>, RegistryError> {
        let scope = format!("repository:{}:pull", reference.path());
        let endpoints = self.resolver.pull_endpoints(reference.domain()).await?;
        let session =
            |endpoint| Session::new(&self.manners, endpoint, credentials.clone(), vec![scope.clone()]);
        Ok(endpoints.into_iter().map(session).collect())
    }

    /// A conversation with the registry itself, by TLS or, where that is allowed and needed, without.
    pub(crate) async fn reachable(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Session, RegistryError> {
        let scopes = vec![format!("repository:{}:pull", reference.path())];
        self.answering(self.resolver.own_endpoints(reference.domain()).await?, credentials, scopes).await
    }

    /// A conversation with whoever takes what is pushed.
    pub(crate) async fn writable(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Session, RegistryError> {
        let scopes = vec![format!("repository:{}:pull,push", reference.path())];
        self.answering(self.resolver.push_endpoints(reference.domain()).await?, credentials, scopes).await
    }

    /// The first of these addresses that answers as a registry.
    async fn answering(
        &self,
        endpoints: Vec<Endpoint>,
        credentials: &Credentials,
        scopes: Vec<String>,
    ) -> Result<Session, RegistryError> {
        let mut last = None;
        for endpoint in endpoints {
            let session = Session::new(&self.manners, endpoint, credentials.clone(), scopes.clone());
            match session.once(&Call::new(Method::GET, "/v2/")).await {
                Ok(_) => return Ok(session),
                // A registry that wants a login is there.
                Err(RegistryError::NoCredentials { .. }) => return Ok(session),
                Err(err) if err.status().is_some() => return Ok(session),
                Err(err) => last = Some(err),
            }
        }
        Err(last.unwrap_or(RegistryError::Status(StatusCode::NOT_FOUND)))
    }

    /// `docker login`: whether the credentials are right. Returns an identity token when the registry gives one, to be
    /// kept instead of the password.
    pub async fn login(
        &self,
        domain: &str,
        credentials: &Credentials,
    ) -> Result<Option<String>, RegistryError> {
        let endpoints = self.resolver.own_endpoints(domain).await?;
        let session = self.answering(endpoints, &Credentials::default(), Vec::new()).await?;
        Session::new(&self.manners, session.endpoint, credentials.clone(), Vec::new()).login().await
    }

    /// All tags of a repository, in the registry's order.
    pub async fn tags(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Vec<String>, RegistryError> {
        let mut last = None;
        for session in self.sessions(reference, credentials).await? {
            match list_tags(&session, reference.path()).await {
                Ok(tags) => return Ok(tags),
                Err(err) => last = Some(err),
            }
        }
        let name = reference.familiar_name();
        Err(last.map_or(RegistryError::Status(StatusCode::NOT_FOUND), |err| err.of_pull(&name, &name)))
    }

    /// What `/distribution/{name}/json` answers with.
    pub async fn inspect(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Inspected, RegistryError> {
        let found = self.find(reference, credentials).await?;
        let platforms = match &found.manifest.document {
            Document::Index(entries) => entries.iter().filter_map(|entry| entry.platform.clone()).collect(),
            Document::Image(image) => {
                let path = format!("/v2/{}/blobs/{}", reference.path(), image.config.digest);
                let response = found.session.call(Call::new(Method::GET, path)).await?;
                let bytes = read(response, MANIFEST_MAX).await?;
                // An artifact's configuration names no platform.
                serde_json::from_slice::<WirePlatform>(&bytes)
                    .ok()
                    .filter(|platform| !platform.os.is_empty())
                    .into_iter()
                    .collect()
            }
        };
        Ok(Inspected { descriptor: found.manifest.descriptor(), platforms })
    }

    /// Who refers to a manifest; by the tag schema where the registry has no list.
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
        credentials: &Credentials,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let session = self.reachable(reference, credentials).await?;
        let path = reference.path();
        let call = Call::new(Method::GET, format!("/v2/{path}/referrers/{subject}"))
            .header(header::ACCEPT, OCI_INDEX);
        let by_tag = format!("/v2/{path}/manifests/{}-{}", subject.algorithm(), subject.hex());
        let response = match session.call(call).await {
            Ok(response) => response,
            Err(err) if err.status() == Some(StatusCode::NOT_FOUND) => {
                match session.call(Call::new(Method::GET, by_tag).header(header::ACCEPT, OCI_INDEX)).await {
                    Ok(response) => response,
                    Err(err) if err.status() == Some(StatusCode::NOT_FOUND) => return Ok(Vec::new()),
                    Err(err) => return Err(err),
                }
            }
            Err(err) => return Err(err),
        };
        let bytes = read(response, MANIFEST_MAX).await?.to_vec();
        match Manifest::parse(bytes, Some(OCI_INDEX), &reference.familiar())?.document {
            Document::Index(entries) => Ok(entries),
            Document::Image(_) => Ok(Vec::new()),
        }
    }

    /// Searches Docker Hub, or the registry that stands before the term (`host:port/term`).
    pub async fn search(
        &self,
        term: &str,
        limit: usize,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>, RegistryError> {
        let host = term.split_once('/').filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost");
        let query = |term: &str| format!("/v1/search?q={}&n={limit}", encode(term));
        let (session, target) = match host {
            Some((host, rest)) if host != HUB => {
                let endpoints = self.resolver.own_endpoints(host).await?;
                (self.answering(endpoints, credentials, Vec::new()).await?, query(rest))
            }
            _ => {
                let term = host.map_or(term, |(_, rest)| rest);
                let mut endpoint = self.resolver.own_endpoints(HUB).await?.remove(0);
                HUB_SEARCH.clone_into(&mut endpoint.base);
                let session = Session::new(&self.manners, endpoint, credentials.clone(), Vec::new());
                (session, query(term.trim_start_matches("library/")))
            }
        };
        let response = session.call(Call::new(Method::GET, target)).await?;
        let answer: SearchAnswer = serde_json::from_slice(&read(response, LIST_MAX).await?)?;
        Ok(answer.results)
    }
}

async fn list_tags(session: &Session, path: &str) -> Result<Vec<String>, RegistryError> {
    let mut tags = Vec::new();
    let mut target = format!("/v2/{path}/tags/list");
    for _ in 0..PAGES {
        let response = session.call(Call::new(Method::GET, &*target)).await?;
        let next =
            response.headers().get(header::LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
        let next = next.map(|next| crate::session::absolute(&session.url(&target), &next));
        let page: Tags = serde_json::from_slice(&read(response, LIST_MAX).await?)?;
        tags.extend(page.tags.unwrap_or_default());
        match next {
            Some(next) if next != target => target = next,
            _ => break,
        }
    }
    Ok(tags)
}

/// The URL in `<url>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.to_owned())
}
