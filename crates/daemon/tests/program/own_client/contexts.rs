//! Contexts go from one client to the other, with their certificates.

use std::path::Path;

use super::client;
use super::secured::Secured;
use crate::harness::{Engine, gantry};

#[test]
fn both_clients_know_each_others_contexts() {
    let engine = Engine::empty(&[]);
    let (own, program) = (gantry(), Path::new("docker"));
    let ours = |args: &[&str]| client(&own, &engine, args);
    let theirs = |args: &[&str]| client(program, &engine, args);
    let host = format!("host={}", engine.host());
    let version = engine.docker(["version", "-f", "{{.Server.Version}}"]).ok();
    ours(&["context", "create", "aa", "--description", "made by us", "--docker", &host]).ok();
    theirs(&["context", "create", "bb", "--docker", &host]).ok();
    theirs(&["context", "use", "aa"]).ok();
    assert_eq!(ours(&["context", "show"]).ok(), "aa");
    assert_eq!(ours(&["version", "-f", "{{.Server.Version}}"]).ok(), version);
    assert_eq!(theirs(&["version", "-f", "{{.Server.Version}}"]).ok(), version);
    ours(&["context", "use", "bb"]).ok();
    assert_eq!(theirs(&["context", "show"]).ok(), "bb");
    for name in ["aa", "bb"] {
        assert_eq!(ours(&["context", "inspect", name]).ok(), theirs(&["context", "inspect", name]).ok());
    }
    theirs(&["context", "export", "aa", "aa.tar"]).ok();
    ours(&["context", "import", "a2", "aa.tar"]).ok();
    ours(&["context", "export", "bb", "bb.tar"]).ok();
    theirs(&["context", "import", "b2", "bb.tar"]).ok();
    ours(&["context", "update", "a2", "--description", "changed"]).ok();
    let format = "{{.Name}}|{{.Description}}|{{.DockerEndpoint}}|{{.Current}}";
    let list = theirs(&["context", "ls", "--format", format]).ok();
    assert!(list.contains(&format!("a2|changed|{}|false", engine.host())), "{list}");
    // Each client has a default of its own.
    let without_default = |text: String| {
        text.lines().filter(|line| !line.starts_with("default|")).map(str::to_owned).collect::<Vec<_>>()
    };
    let own_list = ours(&["context", "ls", "--format", format]).ok();
    assert_eq!(without_default(own_list), without_default(list));
    assert!(ours(&["context", "rm", "bb"]).failed().contains("in use"));
    ours(&["context", "use", "default"]).ok();
    theirs(&["context", "rm", "aa", "a2"]).ok();
    ours(&["context", "rm", "bb", "b2"]).ok();
    assert_eq!(theirs(&["context", "ls", "-q"]).ok(), "default");
}

#[test]
fn certificates_travel_in_a_context_from_one_client_to_the_other() {
    let secured = Secured::start();
    let ours = gantry().display().to_string();
    let made = |name: &str| {
        let (ca, cert, key) = secured.files(&secured.ours);
        [
            "context".to_owned(),
            "create".into(),
            name.into(),
            "--docker".into(),
            format!("host={},ca={ca},cert={cert},key={key}", Secured::HOST),
        ]
    };
    for (maker, taker) in [(ours.as_str(), "docker"), ("docker", ours.as_str())] {
        let here = |folder: &str, program: &str, args: &[&str]| {
            let folder = secured.engine.path(folder).display().to_string();
            secured.says(program, args, &[("DOCKER_CONFIG", folder.as_str())])
        };
        let create = made("far");
        here("one", maker, &create.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        let archive = secured.engine.path("far.tar").display().to_string();
        here("one", maker, &["context", "export", "far", &archive]).ok();
        here("two", taker, &["context", "import", "near", &archive]).ok();
        std::fs::remove_file(&archive).unwrap();
        // Both find the engine by it, and see the same in it.
        for program in [maker, taker] {
            assert_eq!(
                here("two", program, &["--context", "near", "info", "-f", "{{.OSType}}"]).ok(),
                "linux"
            );
            here("two", program, &["context", "use", "near"]).ok();
            assert_eq!(here("two", program, &["info", "-f", "{{.OSType}}"]).ok(), "linux");
            here("two", program, &["context", "use", "default"]).ok();
        }
        let seen = here("two", taker, &["context", "inspect", "near"]).ok();
        assert_eq!(seen, here("two", maker, &["context", "inspect", "near"]).ok());
        assert!(seen.contains("ca.pem") && seen.contains("cert.pem") && seen.contains("key.pem"), "{seen}");
        // A copy has them too, and an update takes others in their place.
        here("two", taker, &["context", "create", "copy", "--from", "near"]).ok();
        assert_eq!(here("two", maker, &["-c", "copy", "info", "-f", "{{.OSType}}"]).ok(), "linux");
        let (ca, cert, key) = secured.files(&secured.theirs);
        let strange = format!("host={},ca={ca},cert={cert},key={key}", Secured::HOST);
        here("two", taker, &["context", "update", "copy", "--docker", &strange]).ok();
        here("two", maker, &["-c", "copy", "info"]).failed();
        let loose = format!("host={},skip-tls-verify=true", Secured::HOST);
        here("two", taker, &["context", "update", "copy", "--docker", &loose]).ok();
        let (one, two) = (["context", "inspect", "copy"], ["context", "ls", "--format", "json"]);
        assert_eq!(here("two", taker, &one).ok(), here("two", maker, &one).ok());
        assert!(here("two", maker, &two).ok().contains("\"copy\""));
        // Nothing of a removed one stays: no key, either.
        here("two", taker, &["context", "rm", "near", "copy"]).ok();
        assert_eq!(std::fs::read_dir(secured.engine.path("two/contexts/tls")).map_or(0, Iterator::count), 0);
        for folder in ["one", "two"] {
            std::fs::remove_dir_all(secured.engine.path(folder)).unwrap();
        }
    }
}

#[test]
fn archives_that_are_no_context_are_refused() {
    let engine = Engine::shared(&[]);
    let own = gantry();
    std::fs::write(engine.path("junk"), "junk").unwrap();
    std::fs::create_dir_all(engine.path("f/tls/docker")).unwrap();
    std::fs::write(engine.path("f/meta.json"), "{\"Name\":\"x\"}").unwrap();
    std::fs::write(engine.path("f/tls/docker/other"), "x").unwrap();
    let packed = std::process::Command::new("tar")
        .args(["-cf", "foreign.tar", "-C", "f", "meta.json", "tls/docker/other"])
        .current_dir(engine.path(""))
        .status();
    assert!(packed.unwrap().success());
    for file in ["junk", "foreign.tar", "missing"] {
        let complaint = client(&own, &engine, &["context", "import", "bad", file]).failed();
        assert!(!complaint.is_empty() && !complaint.contains("panicked"), "{file}: {complaint}");
    }
    assert_eq!(client(&own, &engine, &["context", "ls", "-q"]).ok(), "default");
}
