//! Who asks, and what they may do.
//!
//! Three ways to be known: not at all (the registry is open), a line in an htpasswd file, or a token that somebody
//! we trust has signed, perhaps our own [`service`]. What a known person may do is in the [`rights`] or in the token.

pub mod htpasswd;
pub mod jwt;
pub mod keys;
pub mod rights;
pub mod service;

use std::sync::Arc;

use base64::Engine as _;
use http::header::{self, HeaderMap, HeaderValue};

use crate::http::Answer;
use crate::http::listen::Peer;
use crate::name::RepositoryName;
use crate::refusal::{Code, Refusal};
use crate::server::Request;
use htpasswd::Htpasswd;
use rights::{Grant, Rights};
use service::Service;

/// What one does with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Delete.
    Delete,
}

impl Action {
    /// The word in a token's scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Delete].into_iter().find(|action| action.as_str() == word)
    }
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// To be somebody: `/v2/` tells a client how to log in.
    Login,
    /// To see what repositories there are.
    Catalog,
    /// An action on a repository.
    Repository(RepositoryName, Action),
    /// To read another repository's blob; without it a mount becomes an upload.
    Mount(RepositoryName),
}

/// Who asks, with what rights.
pub struct Who {
    /// The name, when there is one.
    pub name: Option<String>,
    held: Held,
}

enum Held {
    Rights(Arc<Rights>),
    Grants(Vec<Grant>),
}

impl Who {
    fn may(&self, name: &RepositoryName, action: Action) -> bool {
        match &self.held {
            Held::Rights(rights) => rights.allow(self.name.as_deref(), name, action),
            Held::Grants(grants) => grants.iter().any(|grant| grant.repository(name, action)),
        }
    }

    /// Whether a repository may be read.
    pub fn may_pull(&self, name: &RepositoryName) -> bool {
        // A token for the catalog is the right to all names.
        self.may(name, Action::Pull)
            || matches!(&self.held, Held::Grants(grants) if grants.iter().any(Grant::catalog))
    }

    /// Whether a repository's blobs may be mounted elsewhere.
    pub fn may_mount(&self, from: &RepositoryName) -> bool {
        self.may(from, Action::Pull)
    }

    fn holds(&self, scope: &Scope, known: bool) -> bool {
        match (scope, &self.held) {
            (Scope::Mount(_), _) => true,
            (Scope::Login, Held::Grants(_)) => true,
            (Scope::Login, Held::Rights(rights)) => known || rights.open,
            (Scope::Catalog, Held::Grants(grants)) => grants.iter().any(Grant::catalog),
            // The catalog shows to each what they may read.
            (Scope::Catalog, Held::Rights(rights)) => known || rights.open || rights.anonymous_pull,
            (Scope::Repository(name, action), _) => self.may(name, *action),
        }
    }
}

/// Somebody else's token service.
pub struct Foreign {
    /// Where tokens are given; `None` means at the host that was asked.
    pub realm: Option<String>,
    /// The path there, when `realm` is none.
    pub path: String,
    /// Whom tokens must be for.
    pub service: String,
    /// Who must have signed.
    pub issuer: String,
    /// Their keys.
    pub keys: keys::Keys,
}

/// The door.
pub struct Access {
    /// What users may do.
    pub rights: Arc<Rights>,
    /// Users by password.
    pub users: Option<Htpasswd>,
    /// Our own tokens for them.
    pub service: Option<Service>,
    /// Other people's tokens.
    pub foreign: Option<Foreign>,
    /// What stands before the path of our own token service.
    pub prefix: String,
}

impl Access {
    /// Whether anybody may do anything.
    pub fn is_open(&self) -> bool {
        self.rights.open && self.rights.rules.is_empty() && self.foreign.is_none()
    }

    /// Lets a request in, or says how to log in, or refuses.
    pub async fn authorize(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        scopes: &[Scope],
    ) -> Result<Who, Refusal> {
        if scopes.is_empty() {
            // Nothing is needed, so nobody is asked.
            return Ok(Who { name: None, held: Held::Grants(Vec::new()) });
        }
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let who = self.identify(shown, headers, peer, scopes).await?;
        let known = who.name.is_some();
        let missing = scopes.iter().any(|scope| !who.holds(scope, known));
        match (missing, &who.held) {
            (false, _) => Ok(who),
            // A better token may be had.
            (true, Held::Grants(_)) => Err(self.challenge(headers, peer, scopes, "insufficient_scope")),
            (true, Held::Rights(_)) if known => Err(Refusal::new(Code::Denied)),
            (true, Held::Rights(_)) => Err(self.challenge(headers, peer, scopes, "")),
        }
    }

    async fn identify(
        &self,
        shown: Option<&str>,
        headers: &HeaderMap,
        peer: &Peer,
        scopes: &[Scope],
    ) -> Result<Who, Refusal> {
        let nobody = || Who { name: None, held: Held::Rights(Arc::clone(&self.rights)) };
        let Some((scheme, credentials)) = shown.and_then(|shown| shown.split_once(' ')) else {
            return match self.foreign {
                Some(_) => Err(self.challenge(headers, peer, scopes, "")),
                None => Ok(nobody()),
            };
        };
        let wrong = |error| self.challenge(headers, peer, scopes, error);
        if scheme.eq_ignore_ascii_case("bearer") {
            let claims = match (&self.service, &self.foreign) {
                (Some(service), _) => service.verify(credentials),
                (None, Some(foreign)) => {
                    jwt::verify(credentials, &foreign.keys, &foreign.issuer, &foreign.service, jwt::now())
                }
                (None, None) => return Ok(nobody()),
            };
            let claims = claims.map_err(|err| {
                tracing::debug!(error = %err, "a token was refused");
                wrong("invalid_token")
            })?;
            let name = Some(claims.sub).filter(|sub| !sub.is_empty());
            return Ok(Who { name, held: Held::Grants(claims.access) });
        }
        let Some(users) = &self.users else { return Ok(nobody()) };
        let (name, password) = basic(credentials).ok_or_else(|| wrong(""))?;
        if name.is_empty() && password.is_empty() {
            // Some clients without a login show an empty one.
            return Ok(nobody());
        }
        if !scheme.eq_ignore_ascii_case("basic") || !users.check(&name, &password).await? {
            return Err(wrong(""));
        }
        Ok(Who { name: Some(name), held: Held::Rights(Arc::clone(&self.rights)) })
    }

    fn challenge(&self, headers: &HeaderMap, peer: &Peer, scopes: &[Scope], error: &str) -> Refusal {
        let here =
            |path: &str| format!("{}://{}{path}", Request::scheme(headers, peer), Request::host(headers));
        let bearer = |realm: String, service: &str| {
            let mut text = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
            let scope = scope_text(scopes);
            if !scope.is_empty() {
                text.push_str(&format!(",scope=\"{scope}\""));
            }
            if !error.is_empty() {
                text.push_str(&format!(",error=\"{error}\""));
            }
            text
        };
        let text = match (&self.service, &self.foreign, &self.users) {
            (Some(service), _, _) => bearer(here(&format!("{}/auth/token", self.prefix)), service.name()),
            (None, Some(foreign), _) => {
                bearer(foreign.realm.clone().unwrap_or_else(|| here(&foreign.path)), &foreign.service)
            }
            (None, None, Some(users)) => format!("Basic realm=\"{}\"", users.realm()),
            // Rules without users: nobody can log in.
            (None, None, None) => return Refusal::new(Code::Denied),
        };
        let mut refusal = Refusal::new(Code::Unauthorized);
        refusal.challenge = HeaderValue::from_str(&text).ok().map(Box::new);
        refusal
    }

    /// Our token service's endpoint.
    pub async fn token(&self, request: Request) -> Result<Answer, Refusal> {
        match (&self.service, &self.users) {
            (Some(service), Some(users)) => service.answer(users, &self.rights, request).await,
            _ => Err(Refusal::new(Code::Unsupported)),
        }
    }
}

/// User and password of a Basic header's value.
pub(crate) fn basic(credentials: &str) -> Option<(String, String)> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// `repository:a/b:pull,push`, one word per repository.
fn scope_text(scopes: &[Scope]) -> String {
    let words = scopes.iter().filter_map(|scope| match scope {
        Scope::Login => None,
        Scope::Catalog => Some("registry:catalog:*".to_owned()),
        // A push begins with a look at what is there.
        Scope::Repository(name, Action::Push) => Some(format!("repository:{name}:pull,push")),
        Scope::Repository(name, action) => Some(format!("repository:{name}:{}", action.as_str())),
        Scope::Mount(name) => Some(format!("repository:{name}:pull")),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_is_user_and_password_with_colons() {
        assert_eq!(basic("YTpiOmM="), Some(("a".into(), "b:c".into())));
        assert_eq!(basic("YQ=="), None);
        assert_eq!(basic("!"), None);
    }

    #[test]
    fn scopes_are_written_as_the_token_spec_says() {
        let name = |text| RepositoryName::parse(text).unwrap();
        let scopes = [Scope::Repository(name("a/b"), Action::Push), Scope::Mount(name("c"))];
        assert_eq!(scope_text(&scopes), "repository:a/b:pull,push repository:c:pull");
        assert_eq!(scope_text(&[Scope::Login]), "");
    }
}
