//! Who one is: kept in the client's file, in a store, or as a token.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::access::users;
use super::registry::Registry;
use crate::harness::{Engine, gantry};

/// A credential helper: keeps what it is told in a folder, one file per registry.
const HELPER: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$1" >> calls
case $1 in
store)
    cat > entry
    server=$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' entry)
    mv entry "kept-$(echo "$server" | tr -c 'a-z0-9\n' _)" ;;
get)
    server=$(cat)
    file="kept-$(echo "$server" | tr -c 'a-z0-9\n' _)"
    if [ -f "$file" ]; then cat "$file"; else echo 'credentials not found in native keychain'; exit 1; fi ;;
erase)
    server=$(cat)
    rm -f "kept-$(echo "$server" | tr -c 'a-z0-9\n' _)" ;;
list) echo '{}' ;;
esac
"#;

/// A folder with the helper in it, under a name of its own.
fn helper(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("docker-credential-{name}"));
    std::fs::write(&file, HELPER).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs a client that finds the helper, Docker's or ours.
fn run(mut client: Command, folder: &tempfile::TempDir, words: &[&str], input: &str) -> (bool, String) {
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    client.args(words).env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    // A client that does not ask for a password does not read it.
    let _unread = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let told = child.wait_with_output().unwrap();
    let text = [told.stdout, told.stderr].concat();
    (told.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn ours(engine: &Engine) -> Command {
    let mut command = Command::new(gantry());
    command.args(["-H", &engine.host()]).env("DOCKER_CONFIG", engine.path("client"));
    command
}

fn with_box(registry: &Registry) -> (Engine, String) {
    let engine = Engine::shared(&[]).with_busybox();
    let name = registry.image("box");
    engine.docker(["tag", "busybox", &name]).ok();
    std::fs::create_dir_all(engine.path("client")).unwrap();
    (engine, name)
}

#[test]
fn a_helper_keeps_the_password_and_the_clients_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::with(&["--htpasswd", &users(folder.path())]);
    for (setting, theirs) in [
        (r#"{"credsStore": "safe"}"#.to_owned(), true),
        (format!(r#"{{"credHelpers": {{"{}": "safe"}}}}"#, registry.address), true),
        (r#"{"credsStore": "safe"}"#.to_owned(), false),
    ] {
        let (engine, name) = with_box(&registry);
        let safe = helper("safe");
        let file = engine.path("client").join("config.json");
        std::fs::write(&file, &setting).unwrap();
        let client = || if theirs { engine.client() } else { ours(&engine) };
        let login = ["login", "-u", "ann", "--password-stdin", &registry.address];
        let (done, said) = run(client(), &safe, &login, "secret");
        assert!(done && said.contains("Login Succeeded"), "{setting}: {said}");
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(!kept.contains("auth\":") && !kept.contains("secret"), "{kept}");
        for words in [["push", "-q", &name], ["pull", "-q", &name]] {
            let (done, said) = run(client(), &safe, &words, "");
            assert!(done, "{setting} {words:?}: {said}");
        }
        let (done, said) = run(client(), &safe, &["logout", &registry.address], "");
        assert!(done, "{said}");
        let calls = std::fs::read_to_string(safe.path().join("calls")).unwrap();
        assert!(calls.contains("store\n") && calls.contains("get\n") && calls.contains("erase\n"), "{calls}");
        assert!(!run(client(), &safe, &["pull", "-q", &name], "").0);
    }
}

#[test]
fn a_token_service_gives_an_identity_token_that_is_kept_instead_of_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::configured(&format!(
        "version: 0.1\nauth: {{htpasswd: {{path: {}}}}}\ngantry: {{tokenservice: true}}\n",
        users(folder.path())
    ));
    let none = tempfile::tempdir().unwrap();
    for theirs in [true, false] {
        let (engine, name) = with_box(&registry);
        let client = || if theirs { engine.client() } else { ours(&engine) };
        let (done, said) = run(client(), &none, &["pull", &name], "");
        assert!(!done && said.contains("authentication required"), "{said}");
        let login = ["login", "-u", "ann", "--password-stdin", &registry.address];
        let (done, said) = run(client(), &none, &login, "wrong");
        assert!(!done && said.contains("unauthorized"), "{said}");
        let (done, said) = run(client(), &none, &login, "secret");
        assert!(done && said.contains("Login Succeeded"), "{said}");
        let kept = std::fs::read_to_string(engine.path("client").join("config.json")).unwrap();
        assert!(kept.contains("\"identitytoken\":"), "{kept}");
        // `ann:secret`
        assert!(!kept.contains("YW5uOnNlY3JldA"), "{kept}");
        for words in [["push", "-q", &name], ["pull", "-q", &name]] {
            let (done, said) = run(client(), &none, &words, "");
            assert!(done, "{words:?}: {said}");
        }
        engine.docker(["logout", &registry.address]).ok();
        assert!(!run(client(), &none, &["pull", "-q", &name], "").0);
    }
}
