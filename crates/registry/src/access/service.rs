//! Our own token service, as Docker's specification describes it: users of the htpasswd file get short tokens for
//! what their rights allow, and long ones (identity tokens) to fetch short ones with.

use std::fs;
use std::io;
use std::path::Path;

use gantry_names::Digest;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::htpasswd::Htpasswd;
use super::jwt::{self, Claims, TokenError};
use super::keys::Keys;
use super::rights::{Grant, Rights};
use super::{Action, basic};
use crate::http::{Answer, Query};
use crate::name::RepositoryName;
use crate::refusal::{Code, Refusal};
use crate::server::{Request, json as answer_json};

/// A token's life, in seconds: a long pull fits, a lost token does not hurt for long.
const LIFE: i64 = 300;
/// An identity token's life: a year.
const IDENTITY_LIFE: i64 = 365 * 24 * 3600;
/// A form's size.
const FORM_MAX: usize = 16 << 10;
/// Who signs.
const ISSUER: &str = "gantry-registry";
/// What stands before the point of a P-256 key in a SubjectPublicKeyInfo. Source: RFC 5480.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The service.
pub struct Service {
    name: String,
    pair: EcdsaKeyPair,
    kid: String,
    keys: Keys,
    random: SystemRandom,
}

impl Service {
    /// Opens the service with the key in `file`, which is made when missing.
    pub fn open(file: &Path, name: &str) -> io::Result<Self> {
        let random = SystemRandom::new();
        let broken =
            |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", file.display()));
        let pkcs8 = match fs::read(file) {
            Ok(pkcs8) => pkcs8,
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(|_| io::Error::other("no random numbers for a key"))?;
                write_private(file, made.as_ref())?;
                made.as_ref().to_vec()
            }
            Err(err) => return Err(err),
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random)
            .map_err(|err| broken(&err.to_string()))?;
        let mut keys = Keys::default();
        let spki = [&P256_HEAD[..], pair.public_key().as_ref()].concat();
        let kid = keys.add_spki(&spki).ok_or_else(|| broken("a strange key"))?;
        Ok(Self { name: name.to_owned(), pair, kid, keys, random })
    }

    /// For whom tokens are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a token of ours.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        jwt::verify(token, &self.keys, ISSUER, &self.name, jwt::now())
    }

    /// Identity tokens are for this, so that one is never taken for a token of access.
    fn identity_name(&self) -> String {
        format!("{} identity", self.name)
    }

    fn write(&self, sub: &str, aud: &str, life: i64, access: Vec<Grant>) -> Result<String, Refusal> {
        let mut number = [0; 16];
        crate::random::fill(&mut number)?;
        let now = jwt::now();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: sub.to_owned(),
            aud: json!(aud),
            exp: now + life,
            nbf: now,
            iat: now,
            jti: Digest::sha256_of(&number).short().to_owned(),
            access,
        };
        let sign =
            |bytes: &[u8]| self.pair.sign(&self.random, bytes).map(|signature| signature.as_ref().to_vec());
        jwt::write(&self.kid, &claims, sign)
            .map_err(|_| Refusal::from(io::Error::other("no random numbers for a signature")))
    }

    /// Answers a request for a token.
    pub async fn answer(
        &self,
        users: &Htpasswd,
        rights: &Rights,
        request: Request,
    ) -> Result<Answer, Refusal> {
        let Request { method, headers, query, body, .. } = request;
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let form = match method {
            Method::POST => {
                let read = Limited::new(body, FORM_MAX).collect().await;
                let bytes = read.map_err(|_| Refusal::new(Code::SizeInvalid))?.to_bytes();
                Query::parse(std::str::from_utf8(&bytes).ok())
            }
            _ => query,
        };
        let user = self.user(users, shown, &form).await?;
        let access: Vec<Grant> = form
            .all("scope")
            .flat_map(|scopes| scopes.split(' '))
            .filter_map(|scope| granted(rights, user.as_deref(), scope))
            .collect();
        let name = user.as_deref().unwrap_or_default();
        let token = self.write(name, &self.name, LIFE, access)?;
        let mut answer = json!({
            "token": token,
            "access_token": token,
            "expires_in": LIFE,
            "issued_at": jiff::Timestamp::now().to_string(),
        });
        let wants_identity =
            form.get("offline_token") == Some("true") || form.get("access_type") == Some("offline");
        if wants_identity && user.is_some() {
            answer["refresh_token"] =
                json!(self.write(name, &self.identity_name(), IDENTITY_LIFE, Vec::new())?);
        }
        Ok(answer_json(StatusCode::OK, &answer))
    }

    /// Who asks for a token; `None` is anybody.
    async fn user(
        &self,
        users: &Htpasswd,
        shown: Option<&str>,
        form: &Query,
    ) -> Result<Option<String>, Refusal> {
        let refused = || Refusal::new(Code::Unauthorized);
        let (name, password) = match form.get("grant_type") {
            Some("refresh_token") => {
                let token = form.get("refresh_token").unwrap_or_default();
                let claims = jwt::verify(token, &self.keys, ISSUER, &self.identity_name(), jwt::now())
                    .map_err(|_| refused())?;
                // Who was taken out of the file is out.
                return if users.knows(&claims.sub) { Ok(Some(claims.sub)) } else { Err(refused()) };
            }
            Some("password") => {
                let field = |key| form.get(key).unwrap_or_default().to_owned();
                (field("username"), field("password"))
            }
            Some(_) => return Err(Refusal::new(Code::Unsupported).status(StatusCode::BAD_REQUEST)),
            None => match shown.and_then(|shown| shown.split_once(' ')) {
                None => return Ok(None),
                Some((_, credentials)) => basic(credentials).ok_or_else(refused)?,
            },
        };
        if users.check(&name, &password).await? { Ok(Some(name)) } else { Err(refused()) }
    }
}

/// What of `repository:a/b:pull,push` the rights allow.
fn granted(rights: &Rights, user: Option<&str>, scope: &str) -> Option<Grant> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    // `repository(plugin)` is a repository like any other.
    match kind.split('(').next()? {
        "registry" if name == "catalog" && (user.is_some() || rights.anonymous_pull) => {
            Some(Grant { kind: "registry".into(), name: name.into(), actions: vec!["*".into()] })
        }
        "repository" => {
            let repository = RepositoryName::parse(name)?;
            let all = [Action::Pull, Action::Push, Action::Delete];
            let wanted: Vec<Action> = match actions {
                "*" => all.to_vec(),
                list => list.split(',').filter_map(Action::parse).collect(),
            };
            let actions: Vec<String> = wanted
                .into_iter()
                .filter(|action| rights.allow(user, &repository, *action))
                .map(|action| action.as_str().to_owned())
                .collect();
            (!actions.is_empty()).then(|| Grant { kind: "repository".into(), name: name.into(), actions })
        }
        _ => None,
    }
}

fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(bytes)?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_a_changed_or_foreign_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let service = Service::open(&dir.path().join("key"), "r").unwrap();
        let again = Service::open(&dir.path().join("key"), "r").unwrap();
        let other = Service::open(&dir.path().join("other"), "r").unwrap();
        let token = service.write("ann", "r", LIFE, Vec::new()).unwrap();
        assert_eq!(again.verify(&token).unwrap().sub, "ann");
        assert!(matches!(other.verify(&token), Err(TokenError::Signature)));
        let identity = service.write("ann", &service.identity_name(), LIFE, Vec::new()).unwrap();
        assert!(matches!(service.verify(&identity), Err(TokenError::Claim(_))));
        let old = service.write("ann", "r", -3600, Vec::new()).unwrap();
        assert!(matches!(service.verify(&old), Err(TokenError::Time)));
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let forged = format!("{head}.e30.{signature}");
        assert!(matches!(service.verify(&forged), Err(TokenError::Signature)));
        let none = format!("eyJhbGciOiJub25lIn0.{}", rest);
        assert!(matches!(service.verify(&none), Err(TokenError::Signature)));
    }

    #[test]
    fn a_scope_is_granted_as_far_as_the_rights_go() {
        let rights = Rights { rules: Vec::new(), anonymous_pull: true, open: false };
        let grant = granted(&rights, None, "repository:a/b:pull,push").unwrap();
        assert_eq!(grant.actions, ["pull"]);
        assert_eq!(granted(&rights, Some("ann"), "repository:a/b:*").unwrap().actions.len(), 3);
        assert!(granted(&rights, None, "repository:../b:pull").is_none());
        assert!(granted(&rights, None, "repository:a:push").is_none());
    }
}
