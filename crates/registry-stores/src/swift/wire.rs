//! Requests below one container: logged in, sent again when that may help.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method, Request, StatusCode};
use object_store::PutPayload;
use object_store::client::{HttpErrorKind, HttpResponse, HttpService};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::Mutex;

use super::login::{Login, Pass, over};
use super::{Settings, Trouble};
use crate::connect::Connector;

/// What stands in an address as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &PLAIN.remove(b'/');
/// A request is sent so often; the pause before the second doubles with each more.
const ATTEMPTS: u32 = 7;
const PAUSE: Duration = Duration::from_millis(200);
/// Longest answer that is no object: a page of a listing.
const ANSWER_MAX: usize = 16 << 20;

/// A value of a query, encoded.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A path, encoded but for its slashes.
pub(super) fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// What this Swift can do, as its `/info` says.
#[derive(Debug, Clone, Default)]
pub(super) struct Info {
    /// Static large objects.
    pub slo: bool,
    /// Signed addresses, and the digest for them.
    pub signs: Option<Hmac>,
}

/// A digest for signed addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hmac {
    Sha1,
    Sha256,
}

/// A login, and what was learned with it.
#[derive(Debug)]
pub(super) struct Door {
    pub pass: Pass,
    pub info: Info,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub method: Method,
    /// Below the container; empty for the container itself.
    pub key: String,
    /// Behind the question mark.
    pub query: String,
    pub headers: HeaderMap,
    pub body: PutPayload,
}

impl Call {
    pub fn new(method: Method, key: &str) -> Self {
        Self {
            method,
            key: key.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: PutPayload::default(),
        }
    }

    pub fn query(self, query: String) -> Self {
        Self { query, ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        // Values are ours (numbers, paths that are encoded): each can stand in a header.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub fn body(self, body: PutPayload) -> Self {
        Self { body, ..self }
    }
}

/// The container's wire.
#[derive(Debug)]
pub(super) struct Wire {
    pub connector: Connector,
    pub login: Login,
    pub settings: Settings,
    door: Mutex<Option<Arc<Door>>>,
}

impl Wire {
    pub fn new(connector: Connector, login: Login, settings: Settings) -> Self {
        Self { connector, login, settings, door: Mutex::default() }
    }

    /// The login; a new one when there is none yet or `refused` is the one there is.
    pub async fn door(&self, refused: Option<&Arc<Door>>) -> Result<Arc<Door>, Trouble> {
        // Held while logging in: who comes meanwhile wants the same.
        let mut door = self.door.lock().await;
        if let Some(known) = door.as_ref().filter(|known| !refused.is_some_and(|old| Arc::ptr_eq(old, known)))
        {
            return Ok(Arc::clone(known));
        }
        let pass = self.login.pass(&self.connector).await?;
        let info = match door.as_ref() {
            Some(known) => known.info.clone(),
            None => self.arrive(&pass).await?,
        };
        let new = Arc::new(Door { pass, info });
        *door = Some(Arc::clone(&new));
        Ok(new)
    }

    /// The first login: the container is there afterwards.
    async fn arrive(&self, pass: &Pass) -> Result<Info, Trouble> {
        let info = self.info(pass).await;
        let asked = self.once(pass, &Call::new(Method::HEAD, "")).await?;
        let known = asked.headers().get("x-container-meta-temp-url-key").cloned();
        match asked.status() {
            StatusCode::NOT_FOUND => {
                let made = self.once(pass, &Call::new(Method::PUT, "")).await?;
                refused(made.status(), "")?;
            }
            // Who may not look at the container may still be let at what is in it.
            StatusCode::FORBIDDEN => {}
            status => refused(status, "")?,
        }
        let signs = info.signs.is_some() && self.settings.secret.is_some();
        let signs = signs && self.key_is_known(pass, known).await?;
        Ok(Info { signs: info.signs.filter(|_| signs), ..info })
    }

    /// Tells Swift the key of signed addresses, at the container or the account.
    async fn key_is_known(&self, pass: &Pass, known: Option<HeaderValue>) -> Result<bool, Trouble> {
        let Some(secret) = self.settings.secret.as_deref() else { return Ok(false) };
        if self.settings.container_secret && known.is_some_and(|known| known == secret) {
            return Ok(true);
        }
        let (url, header) = match self.settings.container_secret {
            true => (self.url(pass, &Call::new(Method::POST, "")), "x-container-meta-temp-url-key"),
            false => (pass.storage.clone(), "x-account-meta-temp-url-key"),
        };
        let call = Call::new(Method::POST, "").header(header, secret);
        let told = self.request(pass, &call, url).await?;
        if !told.status().is_success() {
            tracing::warn!(
                status = told.status().as_u16(),
                "Swift takes no key for signed addresses: blobs go through here"
            );
        }
        Ok(told.status().is_success())
    }

    async fn info(&self, pass: &Pass) -> Info {
        // `/info` lies beside `/v1/ACCOUNT`, without a login. A Swift that has none can do what all can.
        let above = pass.storage.rsplitn(3, '/').nth(2).unwrap_or_default();
        let asked = Request::builder().uri(format!("{above}/info")).body(String::new().into());
        let Ok(asked) = asked else { return Info::default() };
        let told = match self.connector.call(asked).await {
            Ok(response) if response.status().is_success() => bytes(response).await.ok(),
            _ => None,
        };
        let told = told.and_then(|told| serde_json::from_slice::<Value>(&told).ok()).unwrap_or_default();
        let digests = told.pointer("/tempurl/allowed_digests").and_then(Value::as_array);
        let strong = digests.is_some_and(|digests| digests.iter().any(|digest| digest == "sha256"));
        let signs = told.get("tempurl").map(|_| if strong { Hmac::Sha256 } else { Hmac::Sha1 });
        Info { slo: told.get("slo").is_some(), signs }
    }

    /// The address of a call.
    pub fn url(&self, pass: &Pass, call: &Call) -> String {
        let mut url = format!("{}/{}", pass.storage, encode(&self.settings.container));
        if !call.key.is_empty() {
            url = format!("{url}/{}", encode_path(&call.key));
        }
        if !call.query.is_empty() {
            url = format!("{url}?{}", call.query);
        }
        url
    }

    async fn once(&self, pass: &Pass, call: &Call) -> Result<HttpResponse, Trouble> {
        self.request(pass, call, self.url(pass, call)).await
    }

    async fn request(&self, pass: &Pass, call: &Call, url: String) -> Result<HttpResponse, Trouble> {
        let mut request = Request::builder().method(&call.method).uri(&url);
        request = request.header("x-auth-token", &pass.token);
        if matches!(call.method, Method::PUT | Method::POST) {
            // Of an empty body nothing is told otherwise, and Swift asks for it.
            request = request.header(http::header::CONTENT_LENGTH, call.body.content_length());
        }
        let mut request =
            request.body(call.body.clone().into()).map_err(|err| Trouble::Address(err.to_string()))?;
        request.headers_mut().extend(call.headers.clone());
        Ok(self.connector.call(request).await?)
    }

    /// Sends a call until it is answered; "no" is an error.
    pub async fn call(&self, call: &Call) -> Result<HttpResponse, Trouble> {
        let mut renewed = false;
        let mut attempt = 0;
        let mut door = None;
        loop {
            attempt += 1;
            let done = self.attempt(call, &mut door, &mut renewed).await;
            let err = match done {
                Ok(response) => return Ok(response),
                Err(err) => err,
            };
            if !err.passing() || attempt >= ATTEMPTS {
                return Err(err);
            }
            tracing::debug!(error = %err, key = call.key, "a request to Swift is sent again");
            tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        door: &mut Option<Arc<Door>>,
        renewed: &mut bool,
    ) -> Result<HttpResponse, Trouble> {
        let known = match door {
            Some(known) => Arc::clone(known),
            None => self.door(None).await?,
        };
        let mut response = self.once(&known.pass, call).await?;
        *door = Some(Arc::clone(&known));
        if over(response.status()) && !*renewed {
            *renewed = true;
            let new = self.door(Some(&known)).await?;
            *door = Some(Arc::clone(&new));
            response = self.once(&new.pass, call).await?;
        }
        refused(response.status(), &call.key)?;
        Ok(response)
    }
}

fn refused(status: StatusCode, key: &str) -> Result<(), Trouble> {
    if status.is_success() { Ok(()) } else { Err(Trouble::Refused { status, key: key.to_owned() }) }
}

/// A whole answer that should be small.
pub(super) async fn bytes(response: HttpResponse) -> Result<bytes::Bytes, Trouble> {
    let limited = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
    let whole = http_body_util::BodyExt::collect(limited).await;
    whole.map(|whole| whole.to_bytes()).map_err(|err| Trouble::Answer(err.to_string()))
}

impl Trouble {
    /// Whether asking again may help.
    fn passing(&self) -> bool {
        match self {
            Self::Wire(err) => {
                matches!(
                    err.kind(),
                    HttpErrorKind::Connect | HttpErrorKind::Interrupted | HttpErrorKind::Timeout
                )
            }
            Self::Refused { status, .. } | Self::Login { status, .. } => {
                status.is_server_error() && *status != StatusCode::INSUFFICIENT_STORAGE
                    || matches!(status.as_u16(), 408 | 429 | 498)
            }
            Self::Address(_) | Self::Answer(_) | Self::NoStorage { .. } => false,
        }
    }
}
