//! Registries that mean harm: what they would like to be told, and what they answer.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::Engine;

/// What a stranger was asked: the path, and what was shown of who asks.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    path: String,
    authorization: Option<String>,
}

/// A server that answers as its test wants. It lives as long as the test's process.
struct Stranger {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answer = (&'static str, String, Vec<u8>);

impl Stranger {
    /// `answer` gives status, further header lines and a body.
    fn who(answer: impl Fn(&Asked, &str) -> Answer + Send + Sync + 'static) -> Stranger {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stranger = Stranger { address: address.clone(), asked: Arc::default() };
        let (asked, answer) = (Arc::clone(&stranger.asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, answer, address) = (Arc::clone(&asked), Arc::clone(&answer), address.clone());
                std::thread::spawn(move || converse(&stream, &asked, |ask| answer(ask, &address)));
            }
        });
        stranger
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn converse(stream: &TcpStream, asked: &Mutex<Vec<Asked>>, answer: impl Fn(&Asked) -> Answer) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let shown =
            head.iter().find_map(|line| line.split_once(": ").filter(|(name, _)| *name == "authorization"));
        let ask = Asked { path, authorization: shown.map(|(_, value)| value.to_owned()) };
        asked.lock().unwrap().push(ask.clone());
        let (status, headers, body) = answer(&ask);
        let length = if headers.contains("Content-Length") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{length}{headers}\r\n");
        // Who hangs up on us has seen enough.
        if { stream }.write_all(head.as_bytes()).and_then(|()| { stream }.write_all(&body)).is_err() {
            return;
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    gantry_names::Digest::sha256_of(bytes).to_string()
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A manifest of one configuration and these layers.
fn manifest(config: &[u8], layers: &str) -> Vec<u8> {
    let (digest, size) = (digest(config), config.len());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}},"layers":[{layers}]}}"#
    )
    .into_bytes()
}

fn typed(kind: &str) -> String {
    format!("Content-Type: {kind}\r\n")
}

/// CVE-2019-13509, and CVE-2020-15157: the password is not in the engine's log either, however much that tells. A manifest sends the engine to a host of its author's for a layer. That host asks for a login, and
/// names itself as the place where tokens are had: the next request would tell it the registry's password.
#[test]
fn a_foreign_layers_host_is_told_no_password() {
    let robberies = AtomicUsize::new(0);
    let thief = Stranger::who(move |ask, me| {
        let login = format!("WWW-Authenticate: Bearer realm=\"http://{me}/token\",service=\"x\"\r\n");
        match ask.path.starts_with("/token") {
            true => ("200 OK", typed("application/json"), b"{\"token\":\"t\"}".to_vec()),
            false if robberies.fetch_add(1, Ordering::Relaxed) == 0 => {
                ("401 Unauthorized", login, Vec::new())
            }
            // So that the pull goes on.
            false => ("503 Service Unavailable", String::new(), Vec::new()),
        }
    });
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#;
    let layer = |name: &str, urls: &str| {
        format!(r#"{{"mediaType":"{LAYER}","digest":"{}","size":4{urls}}}"#, digest(name.as_bytes()))
    };
    let stolen = format!(r#","urls":["http://{}/layer"]"#, thief.address);
    let manifest = manifest(config, &[layer("fore", &stolen), layer("own.", "")].join(","));
    let robbed = Arc::clone(&thief.asked);
    let registry = Stranger::who(move |ask, _| match &ask.authorization {
        None => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n".into(), Vec::new()),
        Some(_) if ask.path.contains("/manifests/") => ("200 OK", typed(MANIFEST), manifest.clone()),
        Some(_) if ask.path.ends_with(&digest(config)) => ("200 OK", String::new(), config.to_vec()),
        // The other layer comes, by a request of its own, after the thief was asked for the first.
        Some(_) if ask.path.contains("/blobs/") => match robbed.lock().unwrap().is_empty() {
            true => ("503 Service Unavailable", String::new(), Vec::new()),
            false => ("200 OK", String::new(), b"own.".to_vec()),
        },
        Some(_) => ("200 OK", String::new(), Vec::new()),
    });
    let engine = Engine::shared(&["--debug"]);
    engine.docker_with(["login", "-u", "ann", "--password-stdin", &registry.address], b"w0rd-of-ann").ok();
    engine.docker(["pull", &format!("{}/box", registry.address)]).failed();
    let told = thief.asked();
    assert!(!told.is_empty(), "the layer was asked for where its manifest says");
    assert!(told.iter().all(|ask| ask.path == "/layer" && ask.authorization.is_none()), "{told:?}");
    let log = engine.log();
    // As it is, and as it stands in headers.
    for word in ["w0rd-of-ann", "YW5uOncwcmQtb2YtYW5u", "dzByZC1vZi1hbm4"] {
        assert!(!log.contains(word), "{log}");
    }
    let shown = registry.asked();
    assert!(
        shown.iter().any(|ask| ask.authorization.is_some()),
        "and the registry was told who asks: {shown:?}"
    );
}

/// Redirects to files, to nowhere and round about; answers that do not end, that contain themselves or each other, or
/// are not what they were asked for: each is an error of that one pull, soon, and the engine goes on.
#[test]
fn answers_that_are_traps_end_in_an_error() {
    let engine = Engine::shared(&[]);
    let index = |of: &str| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{of}","size":5}}]}}"#
        )
    };
    let inner = index(&digest(b"none"));
    let outer = index(&digest(inner.as_bytes()));
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#;
    let lies = manifest(
        config,
        &format!(r#"{{"mediaType":"{LAYER}","digest":"{}","size":18446744073709551615}}"#, digest(b"x")),
    );
    let climbs = manifest(
        config,
        &format!(r#"{{"mediaType":"{LAYER}","digest":"sha256:../../../../etc/passwd","size":4}}"#),
    );
    let registry = Stranger::who(move |ask, me| {
        let to = |place: &str| ("307 Temporary Redirect", format!("Location: {place}\r\n"), Vec::new());
        let sent = |body: &[u8]| ("200 OK", typed(MANIFEST), body.to_vec());
        let name = ask.path.split(['/', '?']).nth(2).unwrap_or_default();
        let wants = |bytes: &[u8]| ask.path.ends_with(&digest(bytes));
        match name {
            "token" => {
                let token = br#"{"token":"t","expires_in":9223372036854775807}"#;
                ("200 OK", typed("application/json"), token.to_vec())
            }
            "aged" if ask.authorization.is_none() => {
                let login = format!("WWW-Authenticate: Bearer realm=\"http://{me}/v2/token\"\r\n");
                ("401 Unauthorized", login, Vec::new())
            }
            "aged" => sent(b"{}"),
            "file" => to("file:///etc/passwd"),
            "circle" => to(&ask.path),
            "nested" if wants(inner.as_bytes()) => sent(inner.as_bytes()),
            "nested" => sent(outer.as_bytes()),
            "other" => sent(b"{\"schemaVersion\":2}"),
            "long" => ("200 OK", typed(MANIFEST), vec![b' '; 8 << 20]),
            "vast" => (
                "200 OK",
                format!("{}Content-Length: 9223372036854775807\r\n", typed(MANIFEST)),
                vec![b' '; 8 << 20],
            ),
            "deep" => sent("[".repeat(1 << 20).as_bytes()),
            "lies" if wants(config) => sent(config),
            "lies" if ask.path.contains("/blobs/") => sent(b"y"),
            "lies" => sent(&lies),
            "climbs" => sent(&climbs),
            _ => sent(b""),
        }
    });
    for name in ["aged", "file", "circle", "nested", "long", "vast", "deep", "climbs", "lies"] {
        let err = engine.docker(["pull", &format!("{}/{name}", registry.address)]).failed();
        assert!(!err.contains("panic") && !err.contains("root:"), "{name}: {err}");
    }
    let other = format!("{}/other@{}", registry.address, digest(b"what was wanted"));
    let err = engine.docker(["pull", &other]).failed();
    assert!(!err.is_empty(), "{err}");
    let log = engine.log();
    assert!(!log.contains("panicked"), "{log}");
    engine.docker(["version"]).ok();
}
