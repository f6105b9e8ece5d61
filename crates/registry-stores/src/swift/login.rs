//! Who we are to Swift: TempAuth's version 1, Keystone's 2 and 3. Each gives a token and the address of the account.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use object_store::client::HttpService;
use serde_json::{Value, json};

use super::Trouble;
use crate::connect::Connector;

/// Which way of logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// Everything a login needs; the names are the settings'.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Where; without a slash at its end.
    pub url: String,
    pub version: Version,
    pub username: String,
    pub password: String,
    pub tenant: Option<String>,
    pub tenant_id: Option<String>,
    pub domain: Option<String>,
    pub domain_id: Option<String>,
    pub tenant_domain: Option<String>,
    pub tenant_domain_id: Option<String>,
    pub trust_id: Option<String>,
    pub region: Option<String>,
    /// public, internal or admin.
    pub endpoint: String,
}

/// What a login brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    pub token: String,
    /// The account's address, without a slash at its end.
    pub storage: String,
}

impl Version {
    /// As the settings say, or else as the address looks.
    pub fn of(told: Option<&str>, url: &str) -> Option<Self> {
        match told {
            Some("1") => Some(Self::V1),
            Some("2") => Some(Self::V2),
            Some("3") => Some(Self::V3),
            Some("0") | None => {
                let has = |version: &str| url.split('/').any(|part| part.starts_with(version));
                Some(if has("v1") {
                    Self::V1
                } else if has("v2") {
                    Self::V2
                } else {
                    Self::V3
                })
            }
            Some(_) => None,
        }
    }
}

impl Login {
    /// Logs in.
    pub async fn pass(&self, connector: &Connector) -> Result<Pass, Trouble> {
        let (url, body) = match self.version {
            Version::V1 => (self.url.clone(), None),
            Version::V2 => (format!("{}/tokens", self.url), Some(self.second())),
            Version::V3 if self.url.ends_with("/v3") => {
                (format!("{}/auth/tokens", self.url), Some(self.third()))
            }
            Version::V3 => (format!("{}/v3/auth/tokens", self.url), Some(self.third())),
        };
        let mut request = Request::builder().uri(&url).header(header::ACCEPT, "application/json");
        request = match body {
            Some(_) => request.method(Method::POST).header(header::CONTENT_TYPE, "application/json"),
            None => request.header("x-auth-user", self.user()).header("x-auth-key", &self.password),
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(body.into()).map_err(|err| Trouble::Address(err.to_string()))?;
        let response = connector.call(request).await?;
        let (head, body) = response.into_parts();
        let body = body.bytes().await?;
        if !head.status.is_success() {
            return Err(Trouble::Login { url, status: head.status });
        }
        let from_head =
            |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let pass = match self.version {
            Version::V1 => from_head("x-auth-token")
                .zip(from_head("x-storage-url"))
                .map(|(token, storage)| Pass { token, storage }),
            Version::V2 => self.second_answered(&body),
            Version::V3 => from_head("x-subject-token")
                .and_then(|token| Some(Pass { token, storage: self.third_answered(&body)? })),
        };
        let pass = pass.ok_or(Trouble::NoStorage { url, region: self.region.clone() })?;
        Ok(Pass { storage: pass.storage.trim_end_matches('/').to_owned(), ..pass })
    }

    /// `account:user`, as TempAuth wants it in one word.
    fn user(&self) -> String {
        match &self.tenant {
            Some(tenant) if !self.username.contains(':') => format!("{tenant}:{}", self.username),
            _ => self.username.clone(),
        }
    }

    fn second(&self) -> Value {
        let credentials = json!({"username": self.username, "password": self.password});
        let mut auth = json!({"passwordCredentials": credentials});
        if let Some(id) = &self.tenant_id {
            auth["tenantId"] = json!(id);
        } else if let Some(name) = &self.tenant {
            auth["tenantName"] = json!(name);
        }
        json!({"auth": auth})
    }

    fn third(&self) -> Value {
        // Who names no domain is in Keystone's first one.
        let domain = named(&self.domain, &self.domain_id).unwrap_or_else(|| json!({"id": "default"}));
        let user = json!({"name": self.username, "password": self.password, "domain": domain});
        let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
        let tenant_domain = named(&self.tenant_domain, &self.tenant_domain_id);
        if let Some(id) = &self.trust_id {
            auth["scope"] = json!({"OS-TRUST:trust": {"id": id}});
        } else if let Some(id) = &self.tenant_id {
            auth["scope"] = json!({"project": {"id": id}});
        } else if let Some(name) = &self.tenant {
            auth["scope"] = json!({"project": {"name": name, "domain": tenant_domain.unwrap_or(domain)}});
        }
        json!({"auth": auth})
    }

    fn here(&self, endpoint: &Value) -> bool {
        let is = |key: &str, region: &str| endpoint.get(key).and_then(Value::as_str) == Some(region);
        self.region.as_deref().is_none_or(|region| is("region", region) || is("region_id", region))
    }

    fn second_answered(&self, body: &Bytes) -> Option<Pass> {
        let told: Value = serde_json::from_slice(body).ok()?;
        let access = told.get("access")?;
        let token = access.pointer("/token/id")?.as_str()?.to_owned();
        let key = format!("{}URL", self.endpoint);
        let storage = endpoints(access.get("serviceCatalog")?)
            .filter(|endpoint| self.here(endpoint))
            .find_map(|endpoint| endpoint.get(&key)?.as_str())?;
        Some(Pass { token, storage: storage.to_owned() })
    }

    fn third_answered(&self, body: &Bytes) -> Option<String> {
        let told: Value = serde_json::from_slice(body).ok()?;
        let fits = |endpoint: &&Value| {
            self.here(endpoint)
                && endpoint.get("interface").and_then(Value::as_str) == Some(self.endpoint.as_str())
        };
        let found = endpoints(told.pointer("/token/catalog")?).find(fits)?.get("url")?.as_str()?;
        Some(found.to_owned())
    }
}

/// `{"id": ...}` or `{"name": ...}`.
fn named(name: &Option<String>, id: &Option<String>) -> Option<Value> {
    match (name, id) {
        (_, Some(id)) => Some(json!({"id": id})),
        (Some(name), None) => Some(json!({"name": name})),
        (None, None) => None,
    }
}

/// The addresses of object stores in a catalogue of services.
fn endpoints(catalog: &Value) -> impl Iterator<Item = &Value> {
    let services = catalog.as_array().into_iter().flatten();
    let stores =
        services.filter(|service| service.get("type").and_then(Value::as_str) == Some("object-store"));
    stores.flat_map(|service| service.get("endpoints").and_then(Value::as_array).into_iter().flatten())
}

/// Whether a token is worth another login: it was refused as one that is over.
pub(crate) fn over(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Login {
        Login {
            url: url.to_owned(),
            version: Version::of(None, url).unwrap(),
            username: "ann".into(),
            password: "secret".into(),
            tenant: Some("images".into()),
            tenant_id: None,
            domain: None,
            domain_id: None,
            tenant_domain: None,
            tenant_domain_id: None,
            trust_id: None,
            region: None,
            endpoint: "public".into(),
        }
    }

    #[test]
    fn the_version_is_told_or_seen_in_the_address() {
        let seen = |url: &str| Version::of(None, url).unwrap();
        assert_eq!(seen("http://swift:8080/auth/v1.0"), Version::V1);
        assert_eq!(seen("https://keystone:5000/v2.0"), Version::V2);
        assert_eq!(seen("https://keystone/identity/v3"), Version::V3);
        assert_eq!(seen("https://keystone/identity"), Version::V3);
        assert_eq!(Version::of(Some("2"), "https://keystone/v3"), Some(Version::V2));
        assert_eq!(Version::of(Some("4"), "https://keystone"), None);
    }

    #[test]
    fn the_third_version_says_domains_projects_and_trusts() {
        let mut login = login("https://keystone/v3");
        let project = |login: &Login| login.third()["auth"]["scope"]["project"].clone();
        assert_eq!(project(&login), json!({"name": "images", "domain": {"id": "default"}}));
        login.domain = Some("people".into());
        assert_eq!(project(&login)["domain"], json!({"name": "people"}));
        login.tenant_domain_id = Some("77".into());
        assert_eq!(project(&login)["domain"], json!({"id": "77"}));
        let user = login.third()["auth"]["identity"]["password"]["user"].clone();
        assert_eq!(user["domain"], json!({"name": "people"}));
        login.tenant_id = Some("5".into());
        assert_eq!(project(&login), json!({"id": "5"}));
        login.trust_id = Some("9".into());
        assert_eq!(login.third()["auth"]["scope"], json!({"OS-TRUST:trust": {"id": "9"}}));
    }

    #[test]
    fn a_catalogue_is_searched_by_region_and_interface() {
        let mut third = login("https://keystone/v3");
        let endpoint = |region: &str, interface: &str| {
            json!({"region": region, "region_id": region, "interface": interface,
                   "url": format!("https://{interface}.{region}")})
        };
        let catalog = json!({"token": {"catalog": [
            {"type": "identity", "endpoints": [endpoint("a", "public")]},
            {"type": "object-store", "endpoints": [endpoint("a", "internal"), endpoint("a", "public"), endpoint("b", "public")]},
        ]}});
        let body = Bytes::from(catalog.to_string());
        assert_eq!(third.third_answered(&body).unwrap(), "https://public.a");
        third.region = Some("b".into());
        assert_eq!(third.third_answered(&body).unwrap(), "https://public.b");
        third.endpoint = "internal".into();
        assert_eq!(third.third_answered(&body), None);
        let mut second = login("https://keystone/v2.0");
        second.endpoint = "internal".into();
        let access = json!({"access": {"token": {"id": "t"}, "serviceCatalog": [{"type": "object-store",
            "endpoints": [{"region": "a", "publicURL": "https://p", "internalURL": "https://i/"}]}]}});
        let pass = second.second_answered(&Bytes::from(access.to_string())).unwrap();
        assert_eq!((pass.token.as_str(), pass.storage.as_str()), ("t", "https://i/"));
    }
}
