//! Tokens as Docker's token authentication specification describes them: JWTs with a list of grants.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::Keys;
use super::rights::Grant;

/// Clocks differ by so much, in seconds.
const LEEWAY: i64 = 60;

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64 JSON.
    #[error("the token is malformed")]
    Malformed,
    /// No key of ours made this.
    #[error("the token's signature is not by a trusted key")]
    Signature,
    /// It is made by or for somebody else.
    #[error("the token's {0} is not the expected one")]
    Claim(&'static str),
    /// Not now.
    #[error("the token is expired or not valid yet")]
    Time,
}

/// What a token says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    #[serde(default)]
    pub iss: String,
    /// About whom.
    #[serde(default)]
    pub sub: String,
    /// For whom: a word or a list.
    #[serde(default)]
    pub aud: Value,
    /// Until when.
    pub exp: i64,
    /// From when.
    #[serde(default)]
    pub nbf: i64,
    /// Since when.
    #[serde(default)]
    pub iat: i64,
    /// Its number.
    #[serde(default)]
    pub jti: String,
    /// What it allows.
    #[serde(default)]
    pub access: Vec<Grant>,
}

/// A token's head.
#[derive(Debug, Deserialize)]
pub struct Head {
    /// The signature's algorithm.
    pub alg: String,
    /// Which key.
    #[serde(default)]
    pub kid: Option<String>,
    /// The signer's certificates, base64 DER.
    #[serde(default)]
    pub x5c: Vec<String>,
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// Reads and checks a token.
pub fn verify(token: &str, keys: &Keys, issuer: &str, service: &str, now: i64) -> Result<Claims, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (head, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
    let head: Head = serde_json::from_slice(&decode(head)?).map_err(|_| TokenError::Malformed)?;
    if !keys.verify(&head, signed.as_bytes(), &decode(signature)?) {
        return Err(TokenError::Signature);
    }
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
    if claims.iss != issuer {
        return Err(TokenError::Claim("issuer"));
    }
    let for_us = match &claims.aud {
        Value::String(one) => one == service,
        Value::Array(several) => several.iter().any(|one| one == service),
        _ => false,
    };
    if !for_us {
        return Err(TokenError::Claim("audience"));
    }
    if now > claims.exp.saturating_add(LEEWAY) || now < claims.nbf.saturating_sub(LEEWAY) {
        return Err(TokenError::Time);
    }
    Ok(claims)
}

/// Writes a token that `sign` signs with ES256.
pub fn write<E>(kid: &str, claims: &Claims, sign: impl Fn(&[u8]) -> Result<Vec<u8>, E>) -> Result<String, E> {
    let head = serde_json::json!({"typ": "JWT", "alg": "ES256", "kid": kid}).to_string();
    let claims = serde_json::to_string(claims).expect("claims are plain JSON");
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
