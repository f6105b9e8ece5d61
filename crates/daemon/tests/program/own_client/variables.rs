//! `DOCKER_*`: every variable that Docker's client heeds, asked of both clients.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::secured::Secured;
use super::{client, command, configure, said};
use crate::harness::{Engine, gantry};

fn programs() -> [PathBuf; 2] {
    [gantry(), "docker".into()]
}

const INFO: [&str; 3] = ["info", "-f", "{{.OSType}}"];

#[test]
fn tls_by_variables_and_flags() {
    let secured = Secured::start();
    let whole = secured.folder("whole", &secured.ours, &["ca.pem", "cert.pem", "key.pem"]);
    let blind = secured.folder("blind", &secured.ours, &["cert.pem", "key.pem"]);
    let host = ("DOCKER_HOST", Secured::HOST);
    for program in programs() {
        let program = program.display().to_string();
        let says = |flags: &[&str], variables: &[(&str, &str)]| {
            secured.says(&program, &[flags, &INFO].concat(), &[&[host], variables].concat())
        };
        let (certs, without_ca) =
            (("DOCKER_CERT_PATH", whole.as_str()), ("DOCKER_CERT_PATH", blind.as_str()));
        assert_eq!(says(&[], &[certs, ("DOCKER_TLS_VERIFY", "1")]).ok(), "linux", "{program}");
        assert_eq!(says(&[], &[certs, ("DOCKER_TLS", "1")]).ok(), "linux", "{program}");
        // The flag means TLS whatever its value is. Without asking who answers nobody needs to be trusted: the original's
        // newer versions want the file all the same.
        assert_eq!(says(&["--tlsverify=false"], &[certs]).ok(), "linux", "{program}");
        if program != "docker" {
            assert_eq!(says(&[], &[without_ca, ("DOCKER_TLS", "1")]).ok(), "linux");
            assert_eq!(says(&["--tls"], &[without_ca]).ok(), "linux");
            assert_eq!(says(&["--tlsverify=false"], &[without_ca]).ok(), "linux");
        }
        assert_eq!(says(&["--tlsverify"], &[certs]).ok(), "linux", "{program}");
        // Whoever wants to verify needs to know whom to trust.
        let complaint = says(&[], &[without_ca, ("DOCKER_TLS_VERIFY", "1")]).failed();
        assert!(
            complaint.contains("ca.pem") || complaint.contains("unknown authority"),
            "{program}: {complaint}"
        );
        // Without TLS there is no entry.
        let complaint =
            secured.says(&program, &["--tls=false", "ps"], &[host, certs, ("DOCKER_TLS", "1")]).failed();
        assert!(complaint.contains("HTTPS server"), "{program}: {complaint}");
        // The configuration's own folder is where certificates are looked for last.
        let config = ("DOCKER_CONFIG", whole.as_str());
        assert_eq!(says(&[], &[config, ("DOCKER_TLS_VERIFY", "1")]).ok(), "linux", "{program}");
    }
}

#[test]
fn wrong_certificates_are_told_in_a_sentence() {
    let secured = Secured::start();
    let own = gantry().display().to_string();
    let told = |secured: &Secured, folder: &str| {
        let variables =
            [("DOCKER_HOST", Secured::HOST), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", folder)];
        secured.says(&own, &INFO, &variables).failed()
    };
    let all = ["ca.pem", "cert.pem", "key.pem"];
    let stranger = secured.folder("stranger", &secured.theirs, &all);
    let complaint = told(&secured, &stranger);
    assert!(complaint.contains("signed by nobody we trust"), "{complaint}");
    let nobody = secured.folder("nobody", &secured.ours, &["ca.pem"]);
    assert!(told(&secured, &nobody).contains("wants to know who asks"), "{}", told(&secured, &nobody));
    let foreign = secured.folder("foreign", &secured.theirs, &["cert.pem", "key.pem"]);
    std::fs::copy(secured.ours.file("ca.pem"), format!("{foreign}/ca.pem")).unwrap();
    assert!(
        told(&secured, &foreign).contains("does not accept our certificate"),
        "{}",
        told(&secured, &foreign)
    );
    let torn = secured.folder("torn", &secured.ours, &all);
    std::fs::write(format!("{torn}/key.pem"), "no key").unwrap();
    assert!(told(&secured, &torn).contains("could not read key"), "{}", told(&secured, &torn));

    for (expected, certify) in [
        (
            "certificate has expired",
            (|who| who.certify_expired("server")) as fn(&crate::certificates::Authority),
        ),
        ("certificate is for another name", |who| who.certify_elsewhere("server")),
    ] {
        let secured = Secured::with(certify);
        let whole = secured.folder("whole", &secured.ours, &all);
        let complaint = told(&secured, &whole);
        assert!(complaint.contains(expected), "{complaint}");
    }
}

/// A socket that answers every request as an engine without containers would, and keeps what it was asked.
struct Ear {
    host: String,
    socket: PathBuf,
    heard: JoinHandle<String>,
}

impl Ear {
    fn open(folder: &Path) -> Ear {
        let socket = folder.join("ear");
        let listener = UnixListener::bind(&socket).unwrap();
        let heard = std::thread::spawn(move || {
            let mut all = String::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len > 0) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                if head.starts_with("OVER") {
                    break;
                }
                let body = if head.contains("_ping") { "OK" } else { "[]" };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Type: application/json\r\nConnection: close\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                // A client that has gone is one that has what it wants.
                let _gone = stream.write_all(answer.as_bytes());
                all.push_str(&head);
            }
            all
        });
        Ear { host: format!("unix://{}", socket.display()), socket, heard }
    }

    /// What it was asked.
    fn close(self) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(&self.socket).unwrap();
        stream.write_all(b"OVER\r\n\r\n").unwrap();
        let heard = self.heard.join().unwrap();
        std::fs::remove_file(&self.socket).unwrap();
        heard.to_lowercase()
    }
}

#[test]
fn the_version_the_platform_and_headers_go_with_the_request() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), r#"{"HttpHeaders": {"X-Ours": "yes"}}"#).unwrap();
    for program in programs() {
        let heard = |args: &[&str], variables: &[(&str, &str)]| {
            let ear = Ear::open(dir.path());
            let mut command = std::process::Command::new(&program);
            command
                .args(args)
                .env("DOCKER_CONFIG", dir.path())
                .env("DOCKER_HOST", &ear.host)
                .env_remove("DOCKER_CONTEXT");
            command.envs(variables.iter().copied());
            let said = said(command);
            (ear.close(), said)
        };
        let (plain, _) = heard(&["ps"], &[]);
        assert!(plain.contains("/v1.") && plain.contains("x-ours: yes"), "{program:?}: {plain}");
        let (old, _) = heard(&["ps"], &[("DOCKER_API_VERSION", "1.30")]);
        assert!(old.contains("get /v1.30/containers/json"), "{program:?}: {old}");
        let platform = [("DOCKER_DEFAULT_PLATFORM", "linux/arm64")];
        let (pull, _) = heard(&["pull", "busybox"], &platform);
        assert!(pull.contains("platform=linux%2farm64"), "{program:?}: {pull}");
        let (create, _) = heard(&["create", "busybox"], &platform);
        assert!(create.contains("/containers/create?platform=linux%2farm64"), "{program:?}: {create}");
        let (flag, _) = heard(&["create", "--platform", "linux/amd64", "busybox"], &platform);
        assert!(flag.contains("platform=linux%2famd64"), "{program:?}: {flag}");
    }
    // Only newer clients of Docker's know these.
    let ear = Ear::open(dir.path());
    let mut ours = std::process::Command::new(gantry());
    ours.arg("ps")
        .env("DOCKER_CONFIG", dir.path())
        .env("DOCKER_HOST", &ear.host)
        .env_remove("DOCKER_CONTEXT");
    ours.env("DOCKER_CUSTOM_HEADERS", "x-one=1,\"x-two=a,b\"");
    said(ours).ok();
    let heard = ear.close();
    assert!(
        heard.contains("x-one: 1") && heard.contains("x-two: a,b") && !heard.contains("x-ours"),
        "{heard}"
    );
    let mut wrong = std::process::Command::new(gantry());
    wrong.arg("ps").env("DOCKER_CUSTOM_HEADERS", "nothing");
    assert!(said(wrong).failed().contains("DOCKER_CUSTOM_HEADERS"));
}

#[test]
fn credentials_of_the_environment_come_first() {
    let dir = tempfile::tempdir().unwrap();
    // "env:secret"; a registry of the file alone stays known.
    let auths = r#"{"auths": {"127.0.0.1:5": {"auth": "ZW52OnNlY3JldA=="}}}"#;
    std::fs::write(
        dir.path().join("config.json"),
        r#"{"auths": {"127.0.0.1:5": {"auth": "ZmlsZTpmaWxl"}, "127.0.0.1:6": {"auth": "ZmlsZTpmaWxl"}}}"#,
    )
    .unwrap();
    let header = |image: &str| {
        let ear = Ear::open(dir.path());
        let mut ours = std::process::Command::new(gantry());
        ours.args(["pull", image]).env("DOCKER_CONFIG", dir.path()).env("DOCKER_HOST", &ear.host);
        ours.env_remove("DOCKER_CONTEXT").env("DOCKER_AUTH_CONFIG", auths);
        said(ours);
        let heard = ear.close();
        let sent = heard.split("x-registry-auth: ").nth(1).unwrap_or_default();
        sent.lines().next().unwrap_or_default().to_owned()
    };
    // {"username":"env" and {"username":"file" in base64, in small letters as the ear hears.
    let (of_env, of_file) = ("eyj1c2vybmftzsi6imvudii", "eyj1c2vybmftzsi6imzpbgui");
    assert!(header("127.0.0.1:5/a").starts_with(of_env), "{}", header("127.0.0.1:5/a"));
    assert!(header("127.0.0.1:6/a").starts_with(of_file));
}

#[test]
fn the_engine_is_chosen_by_flag_variable_and_setting_in_this_order() {
    let (one, two) = (Engine::shared(&["--label", "is=one"]), Engine::shared(&["--label", "is=two"]));
    for program in programs() {
        configure(&one, "{}");
        let is = |args: &[&str], variables: &[(&str, &str)]| {
            let mut command =
                command(&program, &one, &[args, &["info", "-f", "{{index .Labels 0}}"]].concat());
            command.envs(variables.iter().copied());
            said(command)
        };
        let (first, second) = (one.host(), two.host());
        client(&program, &one, &["context", "create", "second", "--docker", &format!("host={second}")]).ok();
        let host = ("DOCKER_HOST", first.as_str());
        assert_eq!(is(&[], &[("DOCKER_CONTEXT", "second")]).ok(), "is=two");
        assert_eq!(is(&[], &[host]).ok(), "is=one");
        assert_eq!(is(&[], &[host, ("DOCKER_CONTEXT", "second")]).ok(), "is=one");
        assert_eq!(is(&["-c", "second"], &[host]).ok(), "is=two");
        assert_eq!(is(&["-H", &second], &[host]).ok(), "is=two");
        client(&program, &one, &["context", "use", "second"]).ok();
        assert_eq!(is(&[], &[]).ok(), "is=two");
        assert_eq!(is(&[], &[host]).ok(), "is=one");
        assert_eq!(is(&[], &[("DOCKER_CONTEXT", "default"), ("DOCKER_HOST", &first)]).ok(), "is=one");
        assert!(is(&["-H", &second, "-c", "second"], &[]).failed().contains("conflicting options"));
        assert!(is(&[], &[("DOCKER_CONTEXT", "nowhere")]).failed().contains("context not found"));
        // A flag's folder of settings comes before the variable's.
        let empty = one.path("empty").display().to_string();
        assert_eq!(is(&["--config", &empty, "-H", &first], &[]).ok(), "is=one");
        client(&program, &one, &["context", "rm", "-f", "second"]).ok();
    }
}

#[test]
fn words_from_before_the_nouns_can_be_hidden() {
    for program in programs() {
        let help = |value: &str| {
            let mut command = std::process::Command::new(&program);
            command.arg("--help").env("DOCKER_HIDE_LEGACY_COMMANDS", value);
            said(command).ok()
        };
        let lists = |text: &str, word: &str| text.lines().any(|line| line.starts_with(&format!("  {word} ")));
        assert!(lists(&help(""), "rmi") && lists(&help(""), "run"));
        let hidden = help("1");
        assert!(
            !lists(&hidden, "rmi")
                && !lists(&hidden, "attach")
                && lists(&hidden, "run")
                && lists(&hidden, "image"),
            "{hidden}"
        );
    }
}
