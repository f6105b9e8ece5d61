//! Public keys that sign tokens: out of certificates, out of a JWKS file, or our own.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::jwt::{Head, now};

enum Material {
    /// The bit string of a SubjectPublicKeyInfo: a curve point, a PKCS#1 key, or an Ed25519 key.
    Raw(Vec<u8>),
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
}

struct Key {
    ids: Vec<String>,
    material: Material,
}

/// The keys that count, and the certificates behind which others may stand.
#[derive(Default)]
pub struct Keys {
    keys: Vec<Key>,
    roots: Vec<CertificateDer<'static>>,
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

impl Keys {
    /// Adds the certificates of a PEM file.
    pub fn add_certificates(&mut self, path: &Path) -> io::Result<()> {
        let read = CertificateDer::pem_file_iter(path)
            .map_err(|err| invalid(format!("{}: {err}", path.display())))?;
        for certificate in read {
            let certificate = certificate.map_err(|err| invalid(format!("{}: {err}", path.display())))?;
            let spki =
                spki(&certificate).ok_or_else(|| invalid(format!("{}: no public key", path.display())))?;
            self.add_spki(&spki)
                .ok_or_else(|| invalid(format!("{}: a strange public key", path.display())))?;
            self.roots.push(certificate);
        }
        Ok(())
    }

    /// Adds a SubjectPublicKeyInfo, under the names tokens use for it.
    pub fn add_spki(&mut self, spki: &[u8]) -> Option<String> {
        let raw = bit_string(spki)?;
        let id = fingerprint(spki);
        self.keys.push(Key { ids: vec![id.clone()], material: Material::Raw(raw.to_vec()) });
        Some(id)
    }

    /// Adds the keys of a JWKS file.
    pub fn add_jwks(&mut self, path: &Path) -> io::Result<()> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Jwk>,
        }
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            kid: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }
        let set: Set = serde_json::from_slice(&fs::read(path)?)?;
        for jwk in set.keys {
            let part = |field: &Option<String>| URL_SAFE_NO_PAD.decode(field.as_deref()?).ok();
            let material = match jwk.kty.as_str() {
                "RSA" => part(&jwk.n).zip(part(&jwk.e)).map(|(n, e)| Material::Rsa(n, e)),
                "EC" => {
                    part(&jwk.x).zip(part(&jwk.y)).map(|(x, y)| Material::Raw([&[4][..], &x, &y].concat()))
                }
                "OKP" => part(&jwk.x).map(Material::Raw),
                _ => None,
            };
            let material = material.ok_or_else(|| invalid(format!("{}: a strange key", path.display())))?;
            self.keys.push(Key { ids: jwk.kid.into_iter().collect(), material });
        }
        Ok(())
    }

    /// Whether a trusted key made this signature.
    pub fn verify(&self, head: &Head, signed: &[u8], signature: &[u8]) -> bool {
        if let Some(leaf) = head.x5c.first() {
            return self
                .chained(leaf, &head.x5c[1..])
                .is_some_and(|raw| check(&head.alg, &Material::Raw(raw), signed, signature));
        }
        // A key id picks; without one every key may be it.
        let mut candidates =
            self.keys.iter().filter(|key| head.kid.as_ref().is_none_or(|kid| key.ids.contains(kid)));
        candidates.any(|key| check(&head.alg, &key.material, signed, signature))
    }

    /// The key of a certificate that is, or stands behind, one of ours.
    fn chained(&self, leaf: &str, rest: &[String]) -> Option<Vec<u8>> {
        let der = |text: &str| STANDARD.decode(text).ok().map(CertificateDer::from);
        let leaf = der(leaf)?;
        let raw = bit_string(&spki(&leaf)?)?.to_vec();
        if self.roots.contains(&leaf) {
            return Some(raw);
        }
        let rest: Vec<_> = rest.iter().map(|text| der(text)).collect::<Option<_>>()?;
        let anchors: Vec<TrustAnchor<'_>> =
            self.roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
        let end = webpki::EndEntityCert::try_from(&leaf).ok()?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now()).ok()?));
        // Who may be a client may sign tokens: a certificate has no purpose of that name.
        end.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &rest,
            time,
            webpki::KeyUsage::client_auth(),
            None,
            None,
        )
        .ok()?;
        Some(raw)
    }
}

fn check(algorithm: &str, key: &Material, signed: &[u8], signature: &[u8]) -> bool {
    use ring::signature as s;
    let rsa: &s::RsaParameters = match algorithm {
        "RS256" => &s::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &s::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &s::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &s::RSA_PSS_2048_8192_SHA256,
        "PS384" => &s::RSA_PSS_2048_8192_SHA384,
        "PS512" => &s::RSA_PSS_2048_8192_SHA512,
        other => {
            let curve: &dyn s::VerificationAlgorithm = match other {
                "ES256" => &s::ECDSA_P256_SHA256_FIXED,
                "ES384" => &s::ECDSA_P384_SHA384_FIXED,
                "EdDSA" => &s::ED25519,
                // "none", and secrets shared with whoever asks, are no signatures.
                _ => return false,
            };
            return match key {
                Material::Raw(raw) => UnparsedPublicKey::new(curve, raw).verify(signed, signature).is_ok(),
                Material::Rsa(..) => false,
            };
        }
    };
    match key {
        Material::Raw(raw) => UnparsedPublicKey::new(rsa, raw).verify(signed, signature).is_ok(),
        Material::Rsa(n, e) => RsaPublicKeyComponents { n, e }.verify(rsa, signed, signature).is_ok(),
    }
}

/// A certificate's SubjectPublicKeyInfo.
fn spki(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(certificate.subject_public_key_info().as_ref().to_vec())
}

/// The key inside `SEQUENCE { SEQUENCE algorithm, BIT STRING key }`. Source: RFC 5280, 4.1.2.7.
fn bit_string(spki: &[u8]) -> Option<&[u8]> {
    let (0x30, inside, _) = element(spki)? else { return None };
    let (0x30, _, rest) = element(inside)? else { return None };
    let (0x03, bits, _) = element(rest)? else { return None };
    // The first byte counts unused bits; a key has none.
    bits.strip_prefix(&[0])
}

/// Tag, content and what follows of a DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let bytes = usize::from(first & 0x7f);
            let (length, rest) = rest.split_at_checked(bytes)?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A key's name as libtrust gives it: 30 bytes of the hash, base32, in groups of four.
fn fingerprint(spki: &[u8]) -> String {
    let hash = Sha256::digest(spki);
    let text = data_encoding::BASE32.encode(&hash[..30]);
    let groups: Vec<&str> =
        text.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).expect("base32 is ASCII")).collect();
    groups.join(":")
}
