//! Providers of far storage on this machine, where they are installed: each is a program that speaks the real wire.
//!
//! `moto_server` (PyPI `moto[server,s3]`) for S3 and Google, `azurite-blob` (npm `azurite`) for Azure.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;

use crate::hostile::ask;

/// Azurite's one account; its key is printed in its documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A provider with an empty bucket `images`.
pub struct Provider {
    _child: Ended,
    pub address: SocketAddr,
    /// `storage: ...` of a registry that uses it.
    pub storage: String,
}

/// A program that ends with its last use.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a program, `None` where it is not installed. `PORT` in the arguments is a port that was free a moment ago.
async fn started(program: &str, arguments: &[&str]) -> Option<(Ended, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = address.port().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("PORT", &port));
    let spawned = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(child) = spawned else {
        eprintln!("{program} is not installed: that far storage is not tried");
        return None;
    };
    let child = Ended(child);
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "{program} does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some((child, address))
}

pub async fn s3() -> Option<Provider> {
    let (child, address) = started("moto_server", &["-H", "127.0.0.1", "-p", "PORT"]).await?;
    let made = ask(address, "PUT", "/images", "", b"").await;
    assert!(made.contains(" 200 "), "{made}");
    let storage = format!(
        "s3: {{bucket: images, region: us-east-1, regionendpoint: \"http://{address}\", accesskey: a, secretkey: b, rootdirectory: /deep/down}}"
    );
    Some(Provider { _child: child, address, storage })
}

/// Google's XML interface is S3's wire with other credentials, and the same program answers it: fake-gcs-server does
/// not (it knows Google's JSON only).
pub async fn gcs() -> Option<Provider> {
    let provider = s3().await?;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::images/*","arn:aws:s3:::images"]}]}"#;
    let opened = ask(provider.address, "PUT", "/images?policy", "", policy.as_bytes()).await;
    assert!(opened.contains(" 20"), "{opened}");
    let storage =
        format!("gcs: {{bucket: images, endpoint: \"http://{}\", anonymous: true}}", provider.address);
    Some(Provider { storage, ..provider })
}

pub async fn azure(directory: &Path) -> Option<Provider> {
    let location = directory.display().to_string();
    let arguments = [
        "--silent",
        "--skipApiVersionCheck",
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        "PORT",
        "--location",
        &location,
    ];
    let (child, address) = started("azurite-blob", &arguments).await?;
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-08-06";
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/images\nrestype:container"
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64.decode(KEY.as_bytes()).unwrap());
    let signature = BASE64.encode(ring::hmac::sign(&key, text.as_bytes()).as_ref());
    let headers = format!(
        "x-ms-date: {date}\r\nx-ms-version: {version}\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n"
    );
    let made = ask(address, "PUT", &format!("/{ACCOUNT}/images?restype=container"), &headers, b"").await;
    assert!(made.contains(" 201 "), "{made}");
    let storage = format!(
        "azure: {{accountname: {ACCOUNT}, accountkey: \"{KEY}\", container: images, endpoint: \"http://{address}/{ACCOUNT}\"}}"
    );
    Some(Provider { _child: child, address, storage })
}
