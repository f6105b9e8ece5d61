//! Registries behind a proxy: by the environment, by the engine's settings, with exceptions.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::registry::{Certificates, Registry};
use crate::harness::{Engine, busybox};

/// A proxy that leads every name to one address, and remembers what it was asked.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn to(registry: &Registry) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, to) = (Arc::new(Mutex::new(Vec::new())), registry.address.clone());
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let (heard, to) = (Arc::clone(&heard), to.clone());
                std::thread::spawn(move || serve(near, &to, &heard));
            }
        });
        Proxy { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// One connection: a tunnel, or plain requests that name a whole URL (our registry takes such as they are).
fn serve(mut near: TcpStream, to: &str, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        near.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut far = TcpStream::connect(to).ok()?;
    if text.starts_with("CONNECT ") {
        near.write_all(b"HTTP/1.1 200 Established\r\n\r\n").ok()?;
    } else {
        far.write_all(&head).ok()?;
    }
    heard.lock().unwrap().push(text);
    let (mut up, mut to_far) = (near.try_clone().ok()?, far.try_clone().ok()?);
    std::thread::spawn(move || {
        // Either side may leave first.
        let _ended = std::io::copy(&mut up, &mut to_far);
        let _closed = to_far.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut far, &mut near).ok()?;
    near.shutdown(Shutdown::Both).ok()
}

fn push(engine: &Engine, name: &str) {
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    engine.docker(["tag", "busybox", name]).ok();
    engine.docker(["push", "-q", name]).ok();
}

#[test]
fn the_environments_proxy_leads_to_registries_but_to_the_exceptions() {
    let certificates = Certificates::for_host("registry.test");
    let (cert, key) = (certificates.path("cert.pem"), certificates.path("key.pem"));
    let registry = Registry::with(&["--tls-cert", &cert, "--tls-key", &key]);
    let (proxy, port) = (Proxy::to(&registry), registry.port());
    let through = format!("http://me:secret@{}", proxy.address);
    let name = format!("registry.test:{port}/box");
    let trust = |engine: &Engine| {
        let folder = engine.path("certs.d").join(format!("registry.test:{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(&cert, folder.join("ca.crt")).unwrap();
    };
    // Nobody but the proxy knows that name.
    let engine = Engine::shared_with(&[], "127.0.0.1 localhost\n", &[("HTTPS_PROXY", &through)]);
    trust(&engine);
    push(&engine, &name);
    engine.docker(["pull", "-q", &name]).ok();
    let asked = proxy.asked();
    let wanted = format!("CONNECT registry.test:{port} HTTP/1.1\r\n");
    assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&wanted)), "{asked:?}");
    // `me:secret`, as RFC 7617 writes it.
    let word = "proxy-authorization: basic bwu6c2vjcmv0";
    assert!(asked.iter().all(|head| head.to_lowercase().contains(word)), "{asked:?}");
    assert_eq!(
        engine.docker(["info", "-f", "{{.HTTPSProxy}}"]).ok(),
        through.replace("me:secret", "xxxxx:xxxxx")
    );

    let hosts = "127.0.0.1 localhost registry.test\n";
    let except = [("HTTPS_PROXY", through.as_str()), ("NO_PROXY", "other.test,registry.test")];
    let direct = Engine::shared_with(&[], hosts, &except);
    trust(&direct);
    direct.docker(["pull", "-q", &name]).ok();
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn the_settings_proxy_comes_before_the_environments() {
    let registry = Registry::start();
    let (proxy, port) = (Proxy::to(&registry), registry.port());
    let name = format!("registry.test:{port}/box");
    let insecure = format!("--insecure-registry=registry.test:{port}");
    let nobody = [("HTTP_PROXY", "http://127.0.0.1:1"), ("http_proxy", "http://127.0.0.1:1")];
    let mut engine = Engine::shared_with(&[&insecure], "", &nobody);
    let err = engine.docker(["pull", &name]).failed();
    assert!(err.contains("proxyconnect tcp"), "{err}");
    engine.stop();
    let settings = format!("{{\"proxies\": {{\"http-proxy\": \"http://{}\"}}}}", proxy.address);
    std::fs::write(engine.path("daemon.json"), settings).unwrap();
    engine.launch();
    push(&engine, &name);
    let asked = proxy.asked();
    let whole = format!("http://registry.test:{port}/v2/");
    assert!(asked.iter().any(|head| head.contains(&whole)), "{asked:?}");
}
