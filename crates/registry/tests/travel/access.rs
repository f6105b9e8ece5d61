//! Users, rights, tokens, TLS.

use std::path::Path;
use std::process::Command;

use gantry_distribution::Credentials;

use crate::keeper::{Traveller, noise};
use crate::places::Place;

fn users(dir: &Path) {
    // htpasswd -B of ann/one and bob/two; the cost is low so that the test is quick.
    let line = |user: &str, password: &str| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
    std::fs::write(dir.join("users"), line("ann", "one") + &line("bob", "two")).unwrap();
}

const RULES: &str = "
auth: {htpasswd: {realm: test, path: ROOT/users}}
gantry:
  anonymouspull: true
  access:
    - {repositories: ['team/**'], users: [ann], actions: [pull, push, delete]}
    - {repositories: ['team/**'], users: ['*'], actions: [pull]}
    - {repositories: ['secret/**'], users: [ann], actions: [pull, push]}
    - {repositories: ['secret/**'], actions: []}
";

#[tokio::test(flavor = "multi_thread")]
async fn rights_hold_with_passwords_and_with_tokens() {
    for more in ["", "  tokenservice: true\n"] {
        let place = Place::prepared(&format!("{RULES}{more}"), users).await;
        let (ann, bob) = (Traveller::new().user("ann", "one"), Traveller::new().user("bob", "two"));
        let image = ann.image(&[noise(1, 2000)]);
        bob.image(&[noise(1, 2000)]);
        ann.push(&place.at("team/app:1"), &image).await.unwrap();
        ann.push(&place.at("secret/app:1"), &image).await.unwrap();
        bob.push(&place.at("team/app:2"), &image).await.unwrap_err();
        bob.pull(&place.at("team/app:1")).await.unwrap();
        bob.pull(&place.at("secret/app:1")).await.unwrap_err();
        let nobody = Traveller::new();
        nobody.pull(&place.at("team/app:1")).await.unwrap();
        nobody.pull(&place.at("secret/app:1")).await.unwrap_err();
        nobody.push(&place.at("team/app:3"), &image).await.unwrap_err();
        let wrong = Traveller::new().user("ann", "two");
        wrong.push(&place.at("team/app:3"), &image).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_tells_right_from_wrong_and_brings_an_identity_token() {
    let place = Place::prepared(&format!("{RULES}  tokenservice: true\n"), users).await;
    let domain = place.running.address().to_string();
    let traveller = Traveller::new();
    let login = |user: &str, password: &str| Credentials {
        username: user.into(),
        password: password.into(),
        ..Credentials::default()
    };
    let err = traveller.registry.login(&domain, &login("ann", "wrong")).await.unwrap_err();
    assert_eq!(err.to_string(), "unauthorized: authentication required");
    let token = traveller.registry.login(&domain, &login("ann", "one")).await.unwrap().unwrap();
    let mut later = Traveller::new();
    later.credentials = Credentials { identity_token: token, ..Credentials::default() };
    let image = later.image(&[noise(1, 2000)]);
    later.push(&place.at("team/app:1"), &image).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_known_authority_is_trusted_and_an_unknown_one_is_not() {
    let make = |dir: &Path| {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(dir.join("key.pem"))
            .arg("-out")
            .arg(dir.join("cert.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let tls = "http: {addr: '127.0.0.1:0', tls: {certificate: ROOT/cert.pem, key: ROOT/key.pem}}";
    let place = Place::prepared(tls, make).await;
    let host = format!("localhost:{}", place.running.address().port());
    let certificates = place.dir.path().join("certs.d");
    std::fs::create_dir_all(certificates.join(&host)).unwrap();
    std::fs::copy(place.dir.path().join("cert.pem"), certificates.join(&host).join("ca.crt")).unwrap();
    let mut there = Traveller::new();
    let image = there.image(&[noise(1, 900_000)]);
    there.registry = gantry_distribution::Registry::new(gantry_distribution::Settings {
        certificates: vec![certificates],
        proxies: gantry_distribution::http::Proxies::none(),
        ..Default::default()
    });
    there.push(&format!("{host}/app:1"), &image).await.unwrap();
    // This machine is insecure by rule: TLS, but nobody's word is asked for.
    assert_eq!(Traveller::new().pull(&format!("{host}/app:1")).await.unwrap().manifest.digest, image);
}
