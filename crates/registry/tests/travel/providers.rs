//! Providers of far storage on this machine, where they are installed: each is a program that speaks the real wire.
//!
//! `moto_server` (PyPI `moto[server,s3]`) for S3 and Google, `azurite-blob` (npm `azurite`) for Azure, OpenStack's own
//! Swift and Keystone (PyPI) for Swift.

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

/// Ports that were free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts a program, `None` where it is not installed. `PORT` in the arguments is the port of `address`.
async fn started(program: &str, arguments: &[&str], address: SocketAddr) -> Option<(Ended, SocketAddr)> {
    let port = address.port().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("PORT", &port));
    let spawned = Command::new(program)
        .args(arguments)
        // Swift's starter ends with it.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = spawned else {
        eprintln!("{program} is not installed: that far storage is not tried");
        return None;
    };
    let mut child = Ended(child);
    // Keystone makes its tables first: a minute on a busy machine.
    let deadline = Instant::now() + Duration::from_secs(240);
    while TcpStream::connect(address).is_err() {
        let ended = child.0.try_wait().unwrap();
        assert!(ended.is_none(), "{program} ended: {ended:?}");
        assert!(Instant::now() < deadline, "{program} does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some((child, address))
}

pub async fn s3() -> Option<Provider> {
    let (child, address) = started("moto_server", &["-H", "127.0.0.1", "-p", "PORT"], free()).await?;
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
    let (child, address) = started("azurite-blob", &arguments, free()).await?;
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

/// How somebody is let into Swift.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// TempAuth, and static large objects.
    One,
    /// TempAuth, on a Swift that has dynamic large objects only.
    Dynamic,
    /// Keystone's second version, in front of TempAuth. Keystone itself no longer speaks it.
    Two,
    /// Keystone.
    Three,
}

/// OpenStack's Swift over `directory`, where an earlier one may have left something; the registry makes its container.
pub async fn swift(directory: &Path, login: Login) -> Option<Provider> {
    swift_at(directory, login, free()).await
}

pub async fn swift_at(directory: &Path, login: Login, address: SocketAddr) -> Option<Provider> {
    let (folder, port, other) =
        (directory.display().to_string(), address.port().to_string(), free().port().to_string());
    let mut arguments = vec![folder.as_str(), &port];
    match login {
        Login::One => {}
        Login::Dynamic => arguments.push("--dynamic"),
        Login::Two => arguments.extend(["--second", &other]),
        Login::Three => arguments.extend(["--keystone", &other]),
    }
    let (child, _) = started("openstack-here", &arguments, address).await?;
    let who = match login {
        Login::One | Login::Dynamic => {
            format!("authurl: \"http://{address}/auth/v1.0\", username: \"test:tester\", secretkey: signs")
        }
        Login::Two => format!(
            "authurl: \"http://127.0.0.1:{other}/v2.0\", username: tester, tenant: test, region: here"
        ),
        Login::Three => format!(
            "authurl: \"http://127.0.0.1:{other}/v3\", username: tester, tenant: images, domain: Default, region: here, endpointtype: internal"
        ),
    };
    let storage = format!(
        "swift: {{{who}, password: testing, container: images, prefix: /deep/down, chunksize: 4194304}}"
    );
    Some(Provider { _child: child, address, storage })
}
