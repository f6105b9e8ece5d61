//! Users, rights, tokens, TLS.

use std::path::Path;
use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use gantry_distribution::Credentials;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use crate::hostile::ask;
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
async fn a_probe_without_rights_hears_that_it_is_alive_and_a_browser_is_asked_who_it_is() {
    let place = Place::prepared("auth: {htpasswd: {realm: test, path: ROOT/users}}\n", users).await;
    let to = place.running.address();
    let probed = ask(to, "GET", "/", "Accept: */*\r\n", b"").await;
    assert!(probed.contains(" 200 ") && probed.ends_with("\r\n\r\n"), "{probed}");
    let browsed = ask(to, "GET", "/", "Accept: text/html,*/*\r\n", b"").await;
    assert!(browsed.contains(" 401 ") && browsed.contains("Basic realm"), "{browsed}");
    assert!(ask(to, "GET", "/v2/", "", b"").await.contains(" 401 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_another_user_is_not_found() {
    let rules = RULES.replace("users: [ann]", "users: [ann, bob]");
    assert_ne!(rules, RULES, "both may push");
    let place = Place::prepared(&rules, users).await;
    let to = place.running.address();
    // ann:one and bob:two, as every client sends them.
    let (ann, bob) = ("Authorization: Basic YW5uOm9uZQ==\r\n", "Authorization: Basic Ym9iOnR3bw==\r\n");
    let begun = ask(to, "POST", "/v2/team/app/blobs/uploads/", ann, b"").await;
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    for (method, body) in [("PATCH", &b"evil"[..]), ("GET", b""), ("DELETE", b"")] {
        let answer = ask(to, method, &location, bob, body).await;
        assert!(answer.contains(" 404 "), "{method}: {answer}");
    }
    let digest = gantry_names::Digest::sha256_of(b"evil");
    let finished = ask(to, "PUT", &format!("{location}?digest={digest}"), bob, b"evil").await;
    assert!(finished.contains("BLOB_UPLOAD_UNKNOWN"), "{finished}");
    assert!(ask(to, "PATCH", &location, ann, b"good").await.contains(" 202 "));
    let digest = gantry_names::Digest::sha256_of(b"good");
    let finished = ask(to, "PUT", &format!("{location}?digest={digest}"), ann, b"").await;
    assert!(finished.contains(" 201 "), "{finished}");
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
    let told = format!("Get \"http://{domain}/v2/\": unauthorized: authentication required");
    assert_eq!(err.to_string(), told);
    let token = traveller.registry.login(&domain, &login("ann", "one")).await.unwrap().unwrap();
    let mut later = Traveller::new();
    later.credentials = Credentials { identity_token: token, ..Credentials::default() };
    let image = later.image(&[noise(1, 2000)]);
    later.push(&place.at("team/app:1"), &image).await.unwrap();
}

fn make_certificate(dir: &Path) {
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
}

/// The fingerprint of a certificate: of a file, or of what a server shows.
fn fingerprint(from: &str) -> String {
    let command = format!("{from} | openssl x509 -noout -fingerprint -sha256");
    let told = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8_lossy(&told.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let tls = "http: {addr: '127.0.0.1:0', tls: {certificate: ROOT/cert.pem, key: ROOT/key.pem}}";
    let place = Place::prepared(tls, make_certificate).await;
    let file = place.dir.path().join("cert.pem");
    let in_file = || fingerprint(&format!("cat {}", file.display()));
    let shown = || {
        fingerprint(&format!("openssl s_client -connect {} </dev/null 2>/dev/null", place.running.address()))
    };
    tokio::task::block_in_place(|| {
        let first = in_file();
        assert_eq!(shown(), first);
        std::fs::write(&file, "no certificate").unwrap();
        assert_eq!(shown(), first);
        make_certificate(place.dir.path());
        assert_ne!(in_file(), first);
        assert_eq!(shown(), in_file());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_known_authority_is_trusted_and_an_unknown_one_is_not() {
    let tls = "http: {addr: '127.0.0.1:0', tls: {certificate: ROOT/cert.pem, key: ROOT/key.pem}}";
    let place = Place::prepared(tls, make_certificate).await;
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

/// A token of somebody's service, signed with ES256.
fn token(key: &EcdsaKeyPair, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({
        "iss": "them", "aud": "images", "sub": "ann", "jti": "1", "iat": now, "nbf": now - 10, "exp": now + 300,
        "access": [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}],
    });
    change(&mut claims);
    let head = json!({"alg": "ES256", "kid": "k", "typ": "JWT"});
    let [head, claims] = [head, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = format!("{head}.{claims}");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn new_key() -> EcdsaKeyPair {
    let (rng, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_service_count_when_its_key_signed_them() {
    let key = new_key();
    let point = &key.public_key().as_ref()[1..];
    let [x, y] = [&point[..32], &point[32..]].map(|part| BASE64URL_NOPAD.encode(part));
    let jwks = json!({"keys": [{"kty": "EC", "kid": "k", "crv": "P-256", "x": x, "y": y}]});
    let config = "auth: {token: {realm: 'https://auth.example/token', service: images, issuer: them, jwks: ROOT/jwks.json}}";
    let place =
        Place::prepared(config, |dir| std::fs::write(dir.join("jwks.json"), jwks.to_string()).unwrap()).await;
    let to = place.running.address();
    let begin = async |repository: &str, token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        ask(to, "POST", &format!("/v2/{repository}/blobs/uploads/"), &headers, b"").await
    };
    let good = begin("team/app", &token(&key, |_| ())).await;
    assert!(good.contains(" 202 "), "{good}");
    let asked = ask(to, "GET", "/v2/team/app/tags/list", "", b"").await;
    let challenge = "www-authenticate: Bearer realm=\"https://auth.example/token\",service=\"images\",scope=\"repository:team/app:pull\"";
    assert!(asked.contains(" 401 ") && asked.contains(challenge), "{asked}");
    for (told, repository, bad) in [
        ("another repository", "team/other", token(&key, |_| ())),
        ("expired", "team/app", token(&key, |claims| claims["exp"] = json!(1))),
        ("another service", "team/app", token(&key, |claims| claims["aud"] = json!("mail"))),
        ("another issuer", "team/app", token(&key, |claims| claims["iss"] = json!("us"))),
        ("another key", "team/app", token(&new_key(), |_| ())),
        ("only reading", "team/app", token(&key, |claims| claims["access"][0]["actions"] = json!(["pull"]))),
        ("no signature", "team/app", format!("{}.", token(&key, |_| ()).rsplit_once('.').unwrap().0)),
    ] {
        let answer = begin(repository, &bad).await;
        assert!(answer.contains(" 401 "), "{told}: {answer}");
    }
}
