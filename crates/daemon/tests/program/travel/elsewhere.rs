//! `hosts.toml`: asked elsewhere, in order, with what goes with each; and certificates of clients.

use std::path::Path;

use super::line::Line;
use super::registry::{Certificates, Registry};
use crate::harness::{Engine, busybox};

/// Writes a registry's `hosts.toml`.
fn appoint(engine: &Engine, folder: &str, text: &str) {
    let folder = engine.path("certs.d").join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("hosts.toml"), text).unwrap();
}

fn push_box(engine: &Engine, name: &str) {
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    engine.docker(["tag", "busybox", name]).ok();
    engine.docker(["push", "-q", name]).ok();
}

#[test]
fn a_registry_is_asked_where_hosts_toml_says() {
    let registry = Registry::start();
    push_box(&Engine::shared(&[]), &registry.image("team/box:1"));
    let line = Line::to(&registry.address);
    let engine = Engine::shared(&["--max-download-attempts=1"]);
    let err = engine.docker(["pull", "nowhere.test/team/box:1"]).failed();
    assert!(err.contains("no such host"), "{err}");
    // The first is not there, the second may not say what a tag names, the third may.
    appoint(
        &engine,
        "nowhere.test",
        &format!(
            "[host.'http://127.0.0.1:1']\n\
             [host.'http://{line}']\ncapabilities = ['pull']\n[host.'http://{line}'.header]\nx-site = 'one'\n\
             [host.'http://{registry}']\ncapabilities = ['resolve']\n",
            line = line.address,
            registry = registry.address,
        ),
    );
    let said = engine.docker(["pull", "nowhere.test/team/box:1"]).ok();
    assert!(said.contains("Pulling from team/box"), "{said}");
    let heard = line.heard();
    assert!(heard.contains("x-site: one") && heard.contains("ns=nowhere.test"), "{heard}");
    assert!(!heard.contains("/manifests/1"), "{heard}");
    // Nobody may push there, and the registry itself is nowhere.
    assert!(engine.docker(["push", "nowhere.test/team/box:1"]).failed().contains("no such host"));
    appoint(&engine, "nowhere.test", &format!("server = 'http://{}'", registry.address));
    engine.docker(["push", "-q", "nowhere.test/team/box:1"]).ok();
    // A new name of the registry, in everybody's file.
    appoint(&engine, "_default", &format!("[host.'http://{}']", registry.address));
    engine.docker(["pull", "-q", "other.test/team/box:1"]).ok();
    appoint(&engine, "nowhere.test", "[host.'ftp://x']");
    let err = engine.docker(["pull", "nowhere.test/team/box:1"]).failed();
    assert!(err.contains("hosts.toml") && err.contains("neither http nor https"), "{err}");
}

#[test]
fn an_api_below_a_path_is_reached() {
    let registry = Registry::configured("version: 0.1\nhttp: {prefix: /images/}\n");
    let engine = Engine::shared(&[]);
    appoint(&engine, "prefixed.test", &format!("server = 'http://{}/images'", registry.address));
    push_box(&engine, "prefixed.test/team/box:1");
    let there = Engine::shared(&[]);
    let path = format!("[host.'http://{}/images/v2']\noverride_path = true\n", registry.address);
    appoint(&there, "prefixed.test", &path);
    there.docker(["pull", "-q", "prefixed.test/team/box:1"]).ok();
}

#[test]
fn when_a_mirror_breaks_off_the_registry_brings_the_rest() {
    let registry = Registry::start();
    push_box(&Engine::shared(&[]), &registry.image("box"));
    // Every connection of this mirror ends early, in the middle of the layer.
    let line = Line::cut(&registry.address, i64::MAX, 400_000);
    let whole = Line::to(&registry.address);
    let engine = Engine::shared(&["--max-download-attempts=1"]);
    let servers = format!("server = 'http://{}'\n[host.'http://{}']\n", whole.address, line.address);
    appoint(&engine, "half.test", &servers);
    engine.docker(["pull", "-q", "half.test/box"]).ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "half.test/box", "echo", "hi"]).ok(), "hi");
}

fn copy(certificates: &Certificates, engine: &Engine, host: &str, files: &[(&str, &str)]) {
    let folder = engine.path("certs.d").join(host);
    std::fs::create_dir_all(&folder).unwrap();
    for (from, to) in files {
        std::fs::copy(certificates.path(from), folder.join(to)).unwrap();
    }
}

#[test]
fn a_registry_that_wants_a_certificate_is_shown_one() {
    let certificates = Certificates::for_host("registry.test");
    let at = |name: &str| Path::new(&certificates.path(name)).display().to_string();
    let registry = Registry::configured(&format!(
        "version: 0.1\nhttp: {{tls: {{certificate: {}, key: {}, clientcas: [{}]}}}}\n",
        at("cert.pem"),
        at("key.pem"),
        at("client.pem")
    ));
    let hosts = "127.0.0.1 localhost registry.test\n";
    let (host, name) =
        (format!("registry.test:{}", registry.port()), format!("registry.test:{}/box", registry.port()));

    let engine = Engine::shared_with_hosts(&[], hosts).with_busybox();
    engine.docker(["tag", "busybox", &name]).ok();
    copy(&certificates, &engine, &host, &[("cert.pem", "ca.crt")]);
    // The server says why in an alert that may be lost: with TLS 1.3 it comes when the client is writing already.
    engine.docker(["push", &name]).failed();
    copy(&certificates, &engine, &host, &[("client.pem", "client.cert")]);
    let err = engine.docker(["push", &name]).failed();
    assert!(err.contains("missing key") && err.contains("client.key"), "{err}");
    copy(&certificates, &engine, &host, &[("client-key.pem", "client.key")]);
    engine.docker(["push", "-q", &name]).ok();

    // The same by containerd's file, under names of one's own.
    let there = Engine::shared_with_hosts(&[], hosts);
    let folder = format!("registry.test_{}_", registry.port());
    copy(&certificates, &there, &folder, &[("client.pem", "me.pem"), ("client-key.pem", "me.key")]);
    let mine = "client = [['me.pem', 'me.key']]\n";
    appoint(&there, &folder, mine);
    let err = there.docker(["pull", &name]).failed();
    assert!(err.contains("x509: certificate signed by unknown authority"), "{err}");
    appoint(&there, &folder, &format!("{mine}skip_verify = true\n"));
    there.docker(["pull", "-q", &name]).ok();
    copy(&certificates, &there, &folder, &[("cert.pem", "trusted.pem")]);
    appoint(&there, &folder, &format!("{mine}ca = 'trusted.pem'\n"));
    there.docker(["pull", "-q", &name]).ok();
}
