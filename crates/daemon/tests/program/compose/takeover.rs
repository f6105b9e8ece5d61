//! Ours, Docker Compose 2 and Docker Compose 1: who made a container does not matter to the others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Project, said};

/// Docker Compose 2, unpacked once from the distribution's packages.
pub fn v2() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let said = Command::new(root.join("tests/compose-v2.sh")).arg(root.join(".test-images")).output();
        let said = said.expect("the script runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
    })
}

const TWO_SERVICES: &str = r#"
services:
  db:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "true"], interval: 1s}
  web:
    image: busybox
    command: sh -c 'while true; do sleep 1; done'
    stop_grace_period: 0s
    depends_on: {db: {condition: service_healthy}}
    ports: ["8080:80"]
    volumes: ["data:/data", "/anonymous", "./files:/files:ro"]
    environment: {A: "1", B: two}
    labels: {own: label}
    networks: {default: {aliases: [www]}}
    deploy: {resources: {limits: {memory: 64M}}}
volumes: {data: {}}
"#;

#[test]
fn docker_compose_2_takes_over_from_us_and_we_from_it() {
    let project = Project::new(TWO_SERVICES);
    project.compose(["up", "-d"]).ok();
    let made = project.ids();
    assert_eq!(made.len(), 2, "{made:?}");
    let theirs = |args: &[&str]| said(project.command(v2()).args(args));
    theirs(&["up", "-d"]).ok();
    assert_eq!(project.ids(), made, "Docker Compose made containers anew");
    assert_eq!(theirs(&["ps", "-q"]).ok().lines().count(), 2);
    // The other way: what it makes anew, we leave alone.
    theirs(&["up", "-d", "--force-recreate"]).ok();
    let remade = project.ids();
    assert_ne!(remade, made);
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.ids(), remade, "we made containers anew");
    // What we write on a container is what it writes, but for what is each run's own.
    let labels = |name: &str| {
        let text = project.inspect(name, "{{json .Config.Labels}}");
        let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
        all.as_object_mut().unwrap().remove("com.docker.compose.replace");
        all
    };
    let theirs_written = labels("app-web-1");
    project.compose(["up", "-d", "--force-recreate"]).ok();
    assert_eq!(labels("app-web-1"), theirs_written);
    theirs(&["down", "-v"]).ok();
    assert_eq!(project.ids(), [""; 0]);
    assert_eq!(project.engine.docker(["volume", "ls", "-q", "-f", "name=app_data"]).ok(), "");
}

#[test]
fn networks_and_volumes_carry_docker_composes_labels() {
    let project = Project::new(TWO_SERVICES);
    said(project.command(v2()).args(["create"])).ok();
    let look = |kind: &str, name: &str| {
        project.engine.docker([kind, "inspect", "-f", "{{json .Labels}}", name]).ok()
    };
    let theirs = (look("network", "app_default"), look("volume", "app_data"));
    project.compose(["down", "-v"]).ok();
    project.compose(["create"]).ok();
    let sorted = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    assert_eq!(sorted(&look("network", "app_default")), sorted(&theirs.0));
    assert_eq!(sorted(&look("volume", "app_data")), sorted(&theirs.1));
}

#[test]
fn the_docker_client_finds_us_as_its_plugin() {
    let project = Project::new(TWO_SERVICES);
    let plugins = project.engine.path("client/cli-plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    std::os::unix::fs::symlink(crate::harness::gantry(), plugins.join("docker-compose")).unwrap();
    project.command(Path::new("docker")).args(["compose", "up", "-d", "db"]).status().unwrap();
    let said = said(project.command(Path::new("docker")).args(["compose", "ps", "--format", "{{.Name}}"]));
    assert_eq!(said.ok(), "app-db-1");
}

/// Docker Compose 1, where the distribution still has it.
fn v1() -> Option<&'static Path> {
    let said = Command::new("docker-compose").args(["version", "--short"]).output().ok()?;
    let old = String::from_utf8_lossy(&said.stdout).starts_with("1.");
    old.then_some(Path::new("docker-compose"))
}

#[test]
fn what_docker_compose_1_made_is_ours_as_it_is() {
    let Some(v1) = v1() else {
        assert!(
            !Path::new("/usr/lib/python3/dist-packages/compose").exists(),
            "Compose 1 is here and does not run"
        );
        return;
    };
    let project = Project::new(
        r#"
services:
  db: {image: busybox, command: sleep 1000, stop_grace_period: 0s}
  web:
    image: busybox
    command: sh -c 'while true; do sleep 1; done'
    stop_grace_period: 0s
    depends_on: [db]
    ports: ["8080:80"]
    volumes: ["data:/data", "/anonymous", "./files:/files:ro"]
    environment: {A: "1"}
    labels: {own: label}
    restart: always
    user: root
volumes: {data: {}}
"#,
    );
    said(project.command(v1).args(["up", "-d"])).ok();
    let made = project.ids();
    assert!(made[1].starts_with("app_web_1 "), "{made:?}");
    let up = project.compose(["up", "-d"]);
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(project.ids(), made, "{}", project.compose(["--dry-run", "up"]).stdout);
    assert_eq!(project.compose(["ps", "-q"]).ok().lines().count(), 2);
    // It still knows them as its own.
    said(project.command(v1).args(["up", "-d"])).ok();
    assert_eq!(project.ids(), made);
    // A change is seen.
    let text = std::fs::read_to_string(project.dir().join("compose.yaml")).unwrap();
    project.write("compose.yaml", &text.replace("A: \"1\"", "A: \"2\""));
    project.compose(["up", "-d"]).ok();
    let changed = project.ids();
    assert_eq!(changed.iter().filter(|line| made.contains(line)).count(), 1, "{changed:?}");
    project.compose(["down", "-v"]).ok();
    assert_eq!(project.ids(), [""; 0]);
    // What we make with its names is its own as well.
    project.compose(["--compatibility", "up", "-d"]).ok();
    let compatible = project.ids();
    said(project.command(v1).args(["up", "-d"])).ok();
    assert_eq!(project.ids(), compatible, "Docker Compose 1 made containers anew");
}
