//! A conversation with one address of a registry about one repository: requests with the right credentials, sent
//! again when that may help, led where they are redirected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::auth::{Challenge, Credentials, Token, TokenAnswer, is_own_realm};
use crate::failure::{self, RegistryError};
use crate::hosts::API;
use crate::http::{Body, Client, DialPatience, HttpError, empty, full};
use crate::resolve::{Endpoint, Standing};

/// A registry's "no" is never longer.
const REFUSAL_MAX: usize = 64 << 10;
/// More redirects are a circle.
const REDIRECTS: usize = 10;
/// Longest pause a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The first pause before a request is sent again; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

/// What a request is about.
pub(crate) struct Call {
    pub method: Method,
    /// A path below the registry (`/v2/...`) or a whole URL.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

impl Call {
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: HeaderMap::new(), body: None }
    }

    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        // Values are digests, ranges and media types; what cannot stand in a header was never one of them.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// The conversation. Clones share what they learned.
#[derive(Clone)]
pub(crate) struct Session {
    client: Client,
    pub endpoint: Endpoint,
    credentials: Credentials,
    agent: Arc<str>,
    attempts: u32,
    /// Whether strangers' token services are shown nothing.
    own_realms: bool,
    /// What tokens are asked for.
    scopes: Vec<String>,
    learned: Arc<Mutex<Learned>>,
}

#[derive(Default)]
struct Learned {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
}

/// What every conversation needs.
#[derive(Clone)]
pub(crate) struct Manners {
    pub client: Client,
    pub agent: Arc<str>,
    pub attempts: u32,
    pub own_realms: bool,
}

impl Session {
    pub fn new(manners: &Manners, endpoint: Endpoint, credentials: Credentials, scopes: Vec<String>) -> Self {
        // What is shown to a registry is not shown to others that answer for it.
        let shown = match &endpoint.standing {
            Standing::Itself => true,
            Standing::Mirror(_) => false,
            Standing::Appointed(domain) => {
                endpoint.base.split_once("://").is_some_and(|(_, host)| host == domain)
            }
        };
        let credentials = if shown { credentials } else { Credentials::default() };
        Self {
            client: manners.client.clone(),
            endpoint,
            credentials,
            agent: Arc::clone(&manners.agent),
            attempts: manners.attempts,
            own_realms: manners.own_realms,
            scopes,
            learned: Arc::default(),
        }
    }

    /// The same conversation with the right to read other repositories, for mounts.
    pub fn also(&self, scopes: impl IntoIterator<Item = String>) -> Self {
        let mut all = self.scopes.clone();
        all.extend(scopes);
        Self { scopes: all, ..self.clone() }
    }

    /// The whole URL of a target.
    pub fn url(&self, target: &str) -> String {
        if target.contains("://") {
            return target.to_owned();
        }
        let Endpoint { base, api, standing, .. } = &self.endpoint;
        let url = match target.strip_prefix(API) {
            Some(below) => format!("{base}{api}{below}"),
            None => format!("{base}{target}"),
        };
        match standing {
            // Who answers for several registries must know which one is meant.
            Standing::Mirror(domain) if domain == crate::resolve::HUB => url,
            Standing::Mirror(domain) | Standing::Appointed(domain) => {
                let joint = if url.contains('?') { '&' } else { '?' };
                format!("{url}{joint}ns={domain}")
            }
            Standing::Itself => url,
        }
    }

    /// Sends a call until it is answered by something other than "later"; "no" is an error.
    pub async fn call(&self, call: Call) -> Result<Response<Incoming>, RegistryError> {
        let mut attempt = 0;
        loop {
            let done = self.once(&call).await;
            attempt += 1;
            let (err, wait) = match done {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let wait = retry_after(response.headers());
                    (refusal(response).await, wait)
                }
                Err(err) => (err, None),
            };
            if !err.passing() || attempt >= self.attempts {
                return Err(err);
            }
            let pause = wait.unwrap_or(PAUSE * 2u32.saturating_pow(attempt - 1)).min(PAUSE_MAX);
            tracing::debug!(error = %err, ?pause, "a request is sent again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a call once (twice, when a login is wanted) and returns whatever is answered.
    pub async fn once(&self, call: &Call) -> Result<Response<Incoming>, RegistryError> {
        let (response, from) = self.send(call).await?;
        // Who else asks for a login (a foreign layer's host, a redirect's) has none of ours to see: neither now, nor as
        // the place where tokens are had (CVE-2020-15157).
        if response.status() != StatusCode::UNAUTHORIZED || !same_host(&from, &self.endpoint.base) {
            return Ok(response);
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenge = Challenge::parse(challenges.iter().filter_map(|value| value.to_str().ok()));
        let Some(challenge) = challenge else { return Ok(response) };
        if matches!(challenge, Challenge::Basic) && self.credentials.basic().is_none() {
            return Err(RegistryError::NoCredentials {
                method: call.method.clone(),
                url: self.url(&call.target),
            });
        }
        {
            let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            // A token that was refused is not shown again.
            learned.tokens.clear();
            learned.challenge = Some(challenge);
        }
        // The connection is free again once the answer is read.
        drop(response);
        Ok(self.send(call).await?.0)
    }

    /// Sends a request whose body can be sent only once. It must follow a call, so that the login is known.
    pub async fn stream(&self, call: Call, body: Body) -> Result<Response<Incoming>, RegistryError> {
        let url = self.url(&call.target);
        let mut request = self.request(&call, &url, body)?;
        self.authorize(&mut request, &url).await?;
        let response = self.client.send(&self.endpoint.tls, request).await;
        response.map_err(|cause| RegistryError::request(&call.method, &url, cause))
    }

    fn request(&self, call: &Call, url: &str, body: Body) -> Result<Request<Body>, RegistryError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| RegistryError::request(&call.method, url, HttpError::Url(url.to_owned())))?;
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = call.headers.clone();
        if let Some(patience) = self.endpoint.dial.filter(|_| same_host(url, &self.endpoint.base)) {
            request.extensions_mut().insert(DialPatience(patience));
        }
        if let Ok(agent) = HeaderValue::from_str(&self.agent) {
            request.headers_mut().insert(header::USER_AGENT, agent);
        }
        Ok(request)
    }

    /// Sends, following redirects of reads. Tells the URL that answered.
    async fn send(&self, call: &Call) -> Result<(Response<Incoming>, String), RegistryError> {
        let mut url = self.url(&call.target);
        for _ in 0..REDIRECTS {
            let body = call.body.clone().map_or_else(empty, full);
            let mut request = self.request(call, &url, body)?;
            self.authorize(&mut request, &url).await?;
            let sent = self.client.send(&self.endpoint.tls, request).await;
            let response = sent.map_err(|cause| RegistryError::request(&call.method, &url, cause))?;
            let reading = matches!(call.method, Method::GET | Method::HEAD);
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            match location {
                Some(location) if reading && response.status().is_redirection() => {
                    url = absolute(&url, location)
                }
                _ => return Ok((response, url)),
            }
        }
        Err(RegistryError::Status(StatusCode::LOOP_DETECTED))
    }

    /// Adds what is only for the registry's own ears: who asks, and the headers of its settings.
    async fn authorize(&self, request: &mut Request<Body>, url: &str) -> Result<(), RegistryError> {
        if !same_host(url, &self.endpoint.base) {
            return Ok(());
        }
        request.headers_mut().extend(self.endpoint.headers.clone());
        let challenge = {
            let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            learned.challenge.clone()
        };
        let value = match challenge {
            _ if !self.credentials.registry_token.is_empty() => {
                Some(format!("Bearer {}", self.credentials.registry_token))
            }
            None => None,
            Some(Challenge::Basic) => self.credentials.basic(),
            Some(Challenge::Bearer { realm, service, scope }) => {
                Some(format!("Bearer {}", self.token(&realm, &service, scope).await?))
            }
        };
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    async fn token(
        &self,
        realm: &str,
        service: &str,
        asked: Option<String>,
    ) -> Result<String, RegistryError> {
        let scopes = if self.scopes.is_empty() { asked.into_iter().collect() } else { self.scopes.clone() };
        let key = scopes.join(" ");
        {
            let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(token) = learned.tokens.get(&key).filter(|token| token.good()) {
                return Ok(token.value.clone());
            }
        }
        let answer = self.fetch_token(realm, service, &scopes, false).await?;
        let token = Token::from(&answer).ok_or_else(|| RegistryError::Refused {
            status: StatusCode::UNAUTHORIZED,
            code: "UNAUTHORIZED".to_owned(),
            message: "authorization server did not include a token in the response".to_owned(),
        })?;
        let value = token.value.clone();
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).tokens.insert(key, token);
        Ok(value)
    }

    /// Asks a token service. With `offline` it is asked for an identity token as well.
    async fn fetch_token(
        &self,
        realm: &str,
        service: &str,
        scopes: &[String],
        offline: bool,
    ) -> Result<TokenAnswer, RegistryError> {
        let encode = |text: &str| encode(text);
        let credentials = &self.credentials;
        if self.own_realms && !credentials.is_empty() && !is_own_realm(&self.endpoint.base, realm) {
            let (registry, realm) = (self.endpoint.base.clone(), realm.to_owned());
            return Err(RegistryError::Realm { registry, realm });
        }
        let call = if credentials.identity_token.is_empty() {
            let mut query = format!("service={}", encode(service));
            for scope in scopes {
                query.push_str(&format!("&scope={}", encode(scope)));
            }
            if !credentials.username.is_empty() {
                query.push_str(&format!("&account={}", encode(&credentials.username)));
            }
            if offline {
                query.push_str("&client_id=docker&offline_token=true");
            }
            let joint = if realm.contains('?') { '&' } else { '?' };
            let call = Call::new(Method::GET, format!("{realm}{joint}{query}"));
            match credentials.basic() {
                Some(basic) => call.header(header::AUTHORIZATION, &basic),
                None => call,
            }
        } else {
            let form = format!(
                "grant_type=refresh_token&service={}&client_id=docker&scope={}&refresh_token={}",
                encode(service),
                encode(&scopes.join(" ")),
                encode(&credentials.identity_token)
            );
            Call::new(Method::POST, realm)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form)
        };
        let request = self.request(&call, &call.target, call.body.clone().map_or_else(empty, full))?;
        let sent = self.client.send(&self.endpoint.tls, request).await;
        let shown = call.target.split('?').next().unwrap_or_default();
        let response = sent.map_err(|cause| RegistryError::request(&call.method, shown, cause))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let bytes = read(response, REFUSAL_MAX).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// `docker login`: whether the credentials are right; an identity token when the registry gives one.
    pub async fn login(&self) -> Result<Option<String>, RegistryError> {
        let (response, _) = self.send(&Call::new(Method::GET, "/v2/")).await?;
        if response.status().is_success() {
            return Ok(None);
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenge = Challenge::parse(challenges.iter().filter_map(|value| value.to_str().ok()));
        match challenge {
            Some(Challenge::Bearer { realm, service, .. }) => {
                let answer = self.fetch_token(&realm, &service, &[], true).await.map_err(|cause| {
                    RegistryError::TokenLogin { url: self.url("/v2/"), cause: Box::new(cause) }
                })?;
                Ok(Some(answer.refresh_token).filter(|token| !token.is_empty()))
            }
            Some(Challenge::Basic) => {
                drop(response);
                self.learned.lock().unwrap_or_else(PoisonError::into_inner).challenge =
                    Some(Challenge::Basic);
                let call = Call::new(Method::GET, "/v2/");
                match self.send(&call).await?.0.status() {
                    status if status.is_success() => Ok(None),
                    status => Err(RegistryError::Login { url: self.url("/v2/"), status }),
                }
            }
            None => Err(refusal(response).await),
        }
    }
}

/// Reads a body that should be small.
pub(crate) async fn read(response: Response<Incoming>, most: usize) -> Result<Bytes, RegistryError> {
    match Limited::new(response.into_body(), most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(err) if err.is::<http_body_util::LengthLimitError>() => Err(RegistryError::TooLarge(most)),
        Err(_) => Err(RegistryError::Truncated),
    }
}

/// An answer that is no success, read.
pub(crate) async fn refusal(response: Response<Incoming>) -> RegistryError {
    let status = response.status();
    match read(response, REFUSAL_MAX).await {
        Ok(body) => failure::read(status, &body),
        Err(_) => RegistryError::Status(status),
    }
}

/// How long a registry asks to wait: seconds, or until a date (RFC 9110, 10.2.3). One that is over is no wait.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(told).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn same_host(a: &str, b: &str) -> bool {
    fn origin(url: &str) -> Option<&str> {
        let rest = url.split_once("://")?.1;
        Some(&url[..url.len() - rest.len() + rest.find(['/', '?']).unwrap_or(rest.len())])
    }
    origin(a).is_some() && origin(a) == origin(b)
}

/// A location relative to the URL it was answered to.
pub(crate) fn absolute(url: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match location.strip_prefix("//") {
        Some(other) => format!("{scheme}://{other}"),
        None if location.starts_with('/') => format!("{scheme}://{host}{location}"),
        None => {
            let path = rest.split('?').next().unwrap_or_default();
            let directory = path.rfind('/').map_or(path, |at| &path[..at]);
            format!("{scheme}://{directory}/{location}")
        }
    }
}

/// Escapes a query value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_against_their_url() {
        assert_eq!(absolute("http://h:5/v2/a/blobs/x?y=/z", "/v2/b"), "http://h:5/v2/b");
        assert_eq!(absolute("https://h/v2/a/x", "https://cdn/b"), "https://cdn/b");
        assert_eq!(absolute("https://h/v2/a/x", "y?z"), "https://h/v2/a/y?z");
        assert_eq!(absolute("https://h/v2/", "//cdn/b"), "https://cdn/b");
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        let told = |text: &str| {
            retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap())]))
        };
        assert_eq!(told("7"), Some(Duration::from_secs(7)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = told(&soon).unwrap();
        assert!((50..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(told("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(told("later"), None);
    }

    #[test]
    fn credentials_stay_with_their_host() {
        assert!(same_host("https://h:5/v2/", "https://h:5"));
        for other in ["http://h:5/", "https://h:6/", "https://h.evil/", "https://h:5.evil/", "x"] {
            assert!(!same_host(other, "https://h:5"), "{other}");
        }
    }
}
