//! Plugins: we are Docker's, and Docker's are ours.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{client, configure, program};
use crate::harness::{Engine, gantry};

#[test]
fn dockers_client_runs_us_as_its_plugin_and_we_run_its_plugins() {
    let engine = Engine::empty(&[]);
    let own = gantry();
    client(&own, &engine, &["install-plugin"]).ok();
    let host = engine.host();
    let docker = |args: &[&str]| client(Path::new("docker"), &engine, args);
    assert_eq!(
        docker(&["-H", &host, "gantry", "version", "-f", "{{.Server.Version}}"]).ok(),
        env!("CARGO_PKG_VERSION")
    );
    assert!(docker(&["--help"]).ok().contains("gantry*"));
    assert!(docker(&["-H", &host, "gantry", "top"]).ok().starts_with("NAME "));
    // A context may be called as we are.
    docker(&["context", "create", "gantry", "--docker", &format!("host={host}")]).ok();
    assert!(docker(&["--context", "gantry", "gantry", "top"]).ok().starts_with("NAME "));
    client(&own, &engine, &["install-plugin", "--remove"]).ok();
    program(&engine.path("client/cli-plugins/docker-echo"), ECHO);
    // The whole command line, as from Docker's client, and the engine in the environment.
    let said = client(&own, &engine, &["-H", &host, "--debug", "echo", "a", "-b"]).ok();
    assert_eq!(said, format!("{host} -H {host} --debug echo a -b"));
    // What another program has put there stays.
    let foreign = engine.path("client/cli-plugins/docker-gantry");
    fs::write(&foreign, "").unwrap();
    assert!(client(&own, &engine, &["install-plugin"]).failed().contains("is another program"));
}

/// A plugin that tells how it was called.
const ECHO: &str = r#"#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
    echo '{"SchemaVersion": "0.1.0", "Vendor": "Us", "Version": "1.2", "ShortDescription": "Say it again"}'
else
    echo "$DOCKER_HOST $*"
fi
"#;

#[test]
fn plugins_stand_in_help_and_info_and_say_what_is_wrong_with_them() {
    let engine = Engine::shared(&[]);
    let (own, extra, host) = (gantry(), engine.path("extra"), engine.host());
    program(&extra.join("docker-echo"), ECHO);
    program(&extra.join("docker-broken"), "#!/bin/sh\nexit 3\n");
    configure(&engine, &format!("{{\"cliPluginsExtraDirs\": [{:?}]}}", extra.display().to_string()));
    let ours = |args: &[&str]| client(&own, &engine, args);
    let theirs = |args: &[&str]| client(Path::new("docker"), &engine, args);
    for said in [ours(&["--help"]).ok(), theirs(&["--help"]).ok()] {
        let line = said.lines().find(|line| line.trim_start().starts_with("echo*")).unwrap_or_default();
        assert!(line.ends_with("Say it again"), "{said}");
        assert!(said.contains("Invalid Plugins:") && said.contains("  broken "), "{said}");
    }
    assert_eq!(ours(&["-H", &host, "help", "echo"]).ok(), format!("{host} -H {host} echo --help"));
    let format = "{{range .ClientInfo.Plugins}}{{if eq .Name \"echo\"}}{{.Vendor}} {{.Version}} {{.Path}}{{end}}{{end}}";
    let seen = ours(&["-H", &host, "info", "-f", format]).ok();
    assert_eq!(seen, format!("Us 1.2 {}", extra.join("docker-echo").display()));
    assert_eq!(seen, theirs(&["-H", &host, "info", "-f", format]).ok());
    assert!(ours(&["-H", &host, "info"]).ok().contains("echo: Say it again (Us)"));
    // `builder` may be another program's; nothing else may.
    configure(
        &engine,
        &format!(
            "{{\"aliases\": {{\"builder\": \"echo\"}}, \"cliPluginsExtraDirs\": [{:?}]}}",
            extra.display().to_string()
        ),
    );
    assert_eq!(ours(&["-H", &host, "builder", "x"]).ok(), format!("{host} -H {host} echo x"));
    configure(&engine, "{\"aliases\": {\"ps\": \"version\"}}");
    for said in [ours(&["ps"]), theirs(&["ps"])] {
        assert!(said.failed().contains("not allowed to alias \"ps\""));
    }
}

/// The path of an original plugin that a script of the project brings.
fn original(script: &str, args: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(script);
    let said = Command::new(&script).args(args).stderr(Stdio::inherit()).output().unwrap();
    assert!(said.status.success(), "{}", script.display());
    String::from_utf8(said.stdout).unwrap().trim().into()
}

/// Docker's own plugins do their work under our client, on our engine.
#[test]
fn the_original_buildx_and_compose_run_under_us() {
    let engine = Engine::start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let images = root.join(".test-images").display().to_string();
    let folder = engine.path("client/cli-plugins");
    fs::create_dir_all(&folder).unwrap();
    symlink(original("buildx.sh", &[]), folder.join("docker-buildx")).unwrap();
    symlink(original("compose-v2.sh", &[&images]), folder.join("docker-compose")).unwrap();
    let own = gantry();
    let host = engine.host();
    let ours = |args: &[&str]| client(&own, &engine, &[&["-H", host.as_str()], args].concat());

    assert!(ours(&["buildx", "version"]).ok().contains("buildx"));
    fs::create_dir(engine.path("ctx")).unwrap();
    fs::write(engine.path("ctx/Dockerfile"), "FROM busybox\nRUN echo built > /x\n").unwrap();
    ours(&["buildx", "build", "-q", "-t", "app", "ctx"]).ok();
    assert_eq!(ours(&["run", "--rm", "--network", "none", "app", "cat", "/x"]).ok(), "built");

    fs::write(
        engine.path("ctx/compose.yaml"),
        "services: {one: {image: busybox, command: sleep 100, network_mode: none, stop_grace_period: 0s}}\n",
    )
    .unwrap();
    let file = engine.path("ctx/compose.yaml").display().to_string();
    let own_version = ours(&["compose", "version"]).ok();
    assert!(
        own_version.contains("Gantry") || own_version.contains(env!("CARGO_PKG_VERSION")),
        "{own_version}"
    );
    // Ours unless the person prefers the plugin.
    configure(&engine, "{\"plugins\": {\"gantry\": {\"prefer\": \"compose\"}}}");
    assert_ne!(ours(&["compose", "version"]).ok(), own_version);
    ours(&["compose", "-f", &file, "up", "-d"]).ok();
    assert_eq!(ours(&["compose", "-f", &file, "ps", "--services"]).ok(), "one");
    configure(&engine, "{}");
    // One project to both.
    assert_eq!(ours(&["compose", "-f", &file, "ps", "--services"]).ok(), "one");
    ours(&["compose", "-f", &file, "down"]).ok();
    assert_eq!(ours(&["ps", "-aq"]).ok(), "");
}
