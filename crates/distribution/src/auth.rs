//! How a registry wants to be told who asks: its challenge, and what we have to answer it.
//!
//! Sources: RFC 9110 section 11, Docker's "Token Authentication Specification" and "OAuth2 token authentication".

use std::time::{Duration, Instant};

use base64::Engine as _;
use serde::Deserialize;

/// What a person has to show. Everything may be empty: then one asks as nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// Their password.
    pub password: String,
    /// A long-lived token instead of a password.
    pub identity_token: String,
    /// A token that is shown as it is.
    pub registry_token: String,
}

impl Credentials {
    /// Nothing to show.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The value of a Basic header, if there is a user.
    pub(crate) fn basic(&self) -> Option<String> {
        let words = format!("{}:{}", self.username, self.password);
        let known = !self.username.is_empty() && self.username != "<token>";
        known.then(|| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(words)))
    }
}

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: Option<String> },
}

impl Challenge {
    /// Reads `WWW-Authenticate` headers; a token is preferred to a password.
    pub fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let fields = parameters(rest);
                let field =
                    |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                if let Some(realm) = field("realm") {
                    let service = field("service").unwrap_or_default();
                    return Some(Self::Bearer { realm, service, scope: field("scope") });
                }
            }
        }
        basic
    }
}

/// Whether a registry's token service is its own: at its address, or below the domain that it is below, and not asked in
/// the open where the registry is not (CVE-2026-33540).
pub(crate) fn is_own_realm(registry: &str, realm: &str) -> bool {
    let secure = |url: &str| url.starts_with("https://");
    let (registry_host, realm_host) = (host(registry), host(realm));
    let own = registry_host == realm_host
        || domain(registry_host).is_some_and(|domain_of| domain(realm_host) == Some(domain_of));
    own && (secure(realm) || !secure(registry))
}

/// `host:port` of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// The part of a host's name that somebody has registered, as far as it can be told without a list of all such
/// places: the last two words, three where those are like `co.uk`. Addresses have none.
fn domain(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name.ends_with(']') || name.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let words: Vec<&str> = name.rsplit('.').collect();
    let short = words.len() > 1 && words[0].len() == 2 && words[1].len() <= 3;
    let count = if short { 3 } else { 2 };
    let length = words.get(..count)?.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
    Some(&name[name.len() - length..])
}

/// `a="b,c",d=e`.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches(|c: char| c == ',' || c.is_whitespace()).to_lowercase();
        let value = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut escaped = false;
                let mut end = quoted.len();
                for (at, c) in quoted.char_indices() {
                    match c {
                        _ if escaped => {
                            value.push(c);
                            escaped = false;
                        }
                        '\\' => escaped = true,
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        _ => value.push(c),
                    }
                }
                rest = &quoted[end..];
                value
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                rest = &after[end..];
                after[..end].trim().to_owned()
            }
        };
        found.push((key, value));
    }
    found
}

/// A token service's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    /// A service may say anything here.
    expires_in: Option<i64>,
    #[serde(default)]
    pub refresh_token: String,
}

/// A token and how long it is good.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub value: String,
    until: Instant,
}

/// What a token is good for when nobody says; the specification's number.
const LIFE: u64 = 60;
/// Nobody's token is kept longer: a service may claim more than a clock can count.
const LIFE_MAX: u64 = 24 * 60 * 60;
/// A token that ends while its request is under way is of no use.
const MARGIN: Duration = Duration::from_secs(5);

impl Token {
    pub fn from(answer: &TokenAnswer) -> Option<Self> {
        let value = if answer.token.is_empty() { &answer.access_token } else { &answer.token };
        let told = answer.expires_in.and_then(|life| u64::try_from(life).ok()).filter(|life| *life > 0);
        let life = Duration::from_secs(told.unwrap_or(LIFE).min(LIFE_MAX));
        let until = Instant::now() + life.saturating_sub(MARGIN);
        (!value.is_empty()).then(|| Self { value: value.clone(), until })
    }

    pub fn good(&self) -> bool {
        Instant::now() < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_token_service_is_told_from_others() {
        for (registry, realm, own) in [
            ("https://registry-1.docker.io:443", "https://auth.docker.io/token", true),
            ("https://registry.gitlab.com:443", "https://gitlab.com/jwt/auth", true),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", true),
            ("http://localhost:5000", "http://localhost:5001/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", false),
            ("https://[::1]:443", "https://[::2]:443/", false),
            ("https://registry.example.com", "https://evil.com/?registry.example.com", false),
            ("https://registry.example.com", "https://registry.example.com@evil.com/", false),
            ("https://registry.example.com", "https://notexample.com/", false),
            ("https://registry.example.com", "http://auth.example.com/", false),
            ("https://registry.one.co.uk", "https://auth.two.co.uk/", false),
            ("https://registry.one.co.uk", "https://auth.one.co.uk/", true),
            ("https://registry", "https://other/", false),
            ("https://registry", "token", false),
        ] {
            assert_eq!(is_own_realm(registry, realm), own, "{registry} {realm}");
        }
    }

    #[test]
    fn challenges_are_read_with_commas_inside_quotes() {
        let header = r#"Bearer realm="https://a/token",service="r",scope="repository:x:pull,push" , error=x"#;
        assert_eq!(
            Challenge::parse(["Basic realm=\"x\"", header].into_iter()),
            Some(Challenge::Bearer {
                realm: "https://a/token".into(),
                service: "r".into(),
                scope: Some("repository:x:pull,push".into()),
            })
        );
        assert_eq!(Challenge::parse(["basic realm=x"].into_iter()), Some(Challenge::Basic));
        assert_eq!(Challenge::parse(["Bearer service=\"x\"", "Negotiate"].into_iter()), None);
        assert_eq!(parameters(r#"a="b\"c",d=e"#), [("a".into(), "b\"c".into()), ("d".into(), "e".into())]);
    }
}
