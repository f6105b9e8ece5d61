//! Signed addresses: Swift's `tempurl`.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::Method;
use object_store::path::Path;
use object_store::signer::{Signer, Url};
use object_store::{Error, Result};
use ring::hmac;

use super::wire::{Call, Hmac};
use super::{STORE, Swift, Trouble};

#[async_trait]
impl Signer for Swift {
    async fn signed_url(&self, method: Method, path: &Path, expires_in: Duration) -> Result<Url> {
        let door = self.wire.door(None).await?;
        let digest = door.info.signs.zip(self.wire.settings.secret.as_deref());
        let no = |text: &str| Error::Generic { store: STORE, source: text.to_owned().into() };
        let (digest, secret) = digest.ok_or_else(|| no("this Swift signs no addresses"))?;
        let expires = SystemTime::now() + expires_in;
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let url = self.wire.url(&door.pass, &Call::new(method.clone(), path.as_ref()));
        let mut url = Url::parse(&url).map_err(|err| Trouble::Address(err.to_string()))?;
        // What is signed is the path as Swift sees it: decoded.
        let seen = super::decoded(url.path());
        let signature = signature(digest, secret, &format!("{method}\n{expires}\n{seen}"));
        url.set_query(Some(&format!("temp_url_sig={signature}&temp_url_expires={expires}")));
        Ok(url)
    }
}

fn signature(digest: Hmac, secret: &str, text: &str) -> String {
    let algorithm = match digest {
        Hmac::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hmac::Sha256 => hmac::HMAC_SHA256,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        // printf 'GET\n1440619048\n/v1/AUTH_account/container/object' | openssl dgst -sha1 -hmac mykey
        let text = "GET\n1440619048\n/v1/AUTH_account/container/object";
        assert_eq!(signature(Hmac::Sha1, "mykey", text), "da720a7e11f9f2c7b0fe46039811229c1c7a9cb4");
        let strong = "9ef8c448d4184fd16dd4013a1e3349149f895555655621dbf6d6a166f585af72";
        assert_eq!(signature(Hmac::Sha256, "mykey", text), strong);
    }
}
