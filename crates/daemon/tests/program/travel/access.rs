//! Who may, by which way, and whom to trust.

use std::process::Command;

use rustix::process::Signal;

use super::registry::{Certificates, Registry};
use crate::harness::Engine;

/// `ann`, whose password is `secret`: bcrypt, as `htpasswd -B` writes it.
pub fn users(folder: &std::path::Path) -> String {
    let made = Command::new("htpasswd").args(["-Bbn", "ann", "secret"]).output().unwrap();
    let file = folder.join("users");
    std::fs::write(&file, made.stdout).unwrap();
    file.display().to_string()
}

#[test]
fn a_login_opens_what_is_closed_without() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::with(&["--htpasswd", &users(folder.path())]);
    let engine = Engine::shared(&[]).with_busybox();
    let name = registry.image("box");
    engine.docker(["tag", "busybox", &name]).ok();
    let err = engine.docker(["push", &name]).failed();
    assert!(err.ends_with("no basic auth credentials"), "{err}");
    let err = engine.docker(["pull", &name]).failed();
    assert!(err.ends_with("no basic auth credentials"), "{err}");
    let login = ["login", "-u", "ann", "--password-stdin", &registry.address];
    let err = engine.docker_with(login, b"wrong").failed();
    assert!(
        err.contains("login attempt to") && err.contains("failed with status: 401 Unauthorized"),
        "{err}"
    );
    let said = engine.docker_with(login, b"secret").ok();
    assert!(said.ends_with("Login Succeeded"), "{said}");
    engine.docker(["push", "-q", &name]).ok();
    engine.docker(["pull", "-q", &name]).ok();
    engine.docker(["logout", &registry.address]).ok();
    assert_ne!(engine.docker(["pull", &name]).code, 0);
}

#[test]
fn a_mirror_answers_for_the_hub_once_it_is_configured() {
    let registry = Registry::start();
    let other = Engine::shared(&[]).with_busybox();
    other.docker(["tag", "busybox", &registry.image("library/app:7")]).ok();
    other.docker(["push", "-q", &registry.image("library/app:7")]).ok();

    let engine = Engine::shared(&[]);
    // Nothing listens on that port: the client of registries is made, and made anew by the signal.
    assert_ne!(engine.docker(["pull", "127.0.0.1:1/x"]).code, 0);
    let mirrors = format!("{{\"registry-mirrors\": [\"http://{}\"]}}", registry.address);
    std::fs::write(engine.path("daemon.json"), mirrors).unwrap();
    engine.signal(Signal::HUP);
    let shown = format!("[http://{}/]", registry.address);
    engine.until(&["info", "-f", "{{.RegistryConfig.Mirrors}}"], &shown);
    let said = engine.docker(["pull", "app:7"]).ok();
    assert!(said.contains("7: Pulling from library/app\n"), "{said}");
    assert!(said.ends_with("docker.io/library/app:7"), "{said}");
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "app:7", "echo", "hi"]).ok(), "hi");
}

#[test]
fn a_private_authority_is_trusted_for_its_host_alone() {
    let certificates = Certificates::for_host("registry.test");
    let at = |name: &str| certificates.path(name);
    let registry = Registry::with(&["--tls-cert", &at("cert.pem"), "--tls-key", &at("key.pem")]);
    let engine = Engine::shared_with_hosts(&[], "127.0.0.1 localhost registry.test\n").with_busybox();
    let host = format!("registry.test:{}", registry.port());
    let name = format!("{host}/box");
    engine.docker(["tag", "busybox", &name]).ok();
    let err = engine.docker(["push", &name]).failed();
    assert!(err.contains("x509: certificate signed by unknown authority"), "{err}");
    let trusted = engine.path("certs.d").join(&host);
    std::fs::create_dir_all(&trusted).unwrap();
    std::fs::copy(at("cert.pem"), trusted.join("ca.crt")).unwrap();
    engine.docker(["push", "-q", &name]).ok();
    engine.docker(["pull", "-q", &name]).ok();
}

#[test]
fn plain_http_is_spoken_only_where_it_is_allowed() {
    let registry = Registry::start();
    let hosts = "127.0.0.1 localhost registry.test\n";
    let name = format!("registry.test:{}/box", registry.port());
    let strict = Engine::shared_with_hosts(&[], hosts);
    let err = strict.docker(["pull", &name]).failed();
    assert!(err.contains("http: server gave HTTP response to HTTPS client"), "{err}");
    let allowed = format!("--insecure-registry=registry.test:{}", registry.port());
    for flag in [allowed.as_str(), "--insecure-registry=127.0.0.0/8"] {
        let lax = Engine::shared_with_hosts(&[flag], hosts).with_busybox();
        lax.docker(["tag", "busybox", &name]).ok();
        lax.docker(["push", "-q", &name]).ok();
    }
}
