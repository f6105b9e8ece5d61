//! Compose files of other machines: repositories, and what `publish` left in a registry.

use std::fs;

use super::{Project, said};
use crate::buildkit::context;
use crate::own_flags::shared;
use crate::travel::registry::Registry;
use crate::web::{Web, repository};

const BASE: &str =
    "services:\n  base: {image: busybox, command: sleep 1000, stop_grace_period: 0s, network_mode: none}\n";

/// A project on an engine of its own, beside a repository with these files that a web server hands out.
fn beside(files: &[(&str, &str)]) -> (Project, Web) {
    let project = Project::new("services: {}\n");
    let work = context(&project.engine, "work", files);
    let site = project.engine.path("site").display().to_string();
    fs::create_dir(&site).unwrap();
    repository(&work, &format!("{site}/app.git"));
    let web = Web::of(&site);
    (project, web)
}

#[test]
fn a_repository_is_included_extended_and_named_by_f() {
    let own = "services:\n  web:\n    extends: {service: base, file: base.yaml}\n    build: .\n    image: far-web\n    env_file: web.env\n";
    let (project, web) = beside(&[
        ("part/compose.yaml", own),
        ("part/base.yaml", BASE),
        ("part/web.env", "FROM=afar\n"),
        ("part/Dockerfile", "FROM busybox\nCOPY web.env /came\n"),
    ]);
    let address = format!("{}/app.git#main:part", web.address());
    project.write("compose.yaml", &format!("include: [{address:?}]\n"));
    project.compose(["up", "-d"]).ok();
    let seen = project.compose(["exec", "-T", "web", "sh", "-c", "echo $FROM; cat /came"]).ok();
    assert_eq!(seen, "afar\nFROM=afar");
    project.compose(["down"]).ok();
    // What was fetched stays: by its commit it is found again without the server.
    let extends =
        format!("services:\n  web:\n    extends: {{service: base, file: \"{address}/base.yaml\"}}\n");
    project.write("compose.yaml", &extends);
    let config = project.compose(["config"]).ok();
    assert!(config.contains("stop_grace_period: 0s"), "{config}");
    let named = project.compose(["-f", &address, "-p", "far", "config", "--services"]).ok();
    assert_eq!(named, "web");
    let kept: Vec<_> =
        fs::read_dir(project.engine.path(".cache/gantry/compose")).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1, "one commit, and nothing of what was fetched twice: {kept:?}");
    let refused = |address: String| {
        project.write("compose.yaml", &format!("include: [{address:?}]\n"));
        project.compose(["config"]).failed()
    };
    let told = refused(format!("{}/app.git#none", web.address()));
    assert!(told.contains("compose.yaml:1:11") && told.contains("no reference \"none\""), "{told}");
    let told = refused(format!("{}/none.git", web.address()));
    assert!(told.contains("failed to fetch remote"), "{told}");
    let told = refused(format!("{}/app.git#main:../..", web.address()));
    assert!(told.contains("invalid git folder"), "{told}");
    let told = refused(format!("{}/app.git#main:other", web.address()));
    assert!(told.contains("no configuration file at other"), "{told}");
    let told = refused(format!("{}/compose.yaml", web.address()));
    assert!(told.contains("neither a repository"), "{told}");
    let mut off = project.command(&project.program());
    project.write("compose.yaml", &format!("include: [{address:?}]\n"));
    let told = said(off.args(["config"]).env("COMPOSE_EXPERIMENTAL_GIT_REMOTE", "false")).failed();
    assert!(told.contains("switched off by COMPOSE_EXPERIMENTAL_GIT_REMOTE"), "{told}");
}

#[test]
fn nothing_that_was_fetched_reads_this_machine() {
    let project = Project::new("services: {}\n");
    let service = |rest: &str| format!("services:\n  a: {{image: busybox, {rest}}}\n");
    let (env, file) =
        (service("env_file: ../../x.env"), service("extends: {service: b, file: ../../x.yaml}"));
    let files = [
        ("env/compose.yaml", env.as_str()),
        ("file/compose.yaml", &file),
        ("bind/compose.yaml", &service("volumes: [\"../..:/host\"]")),
        ("include/compose.yaml", "include: [../../x.yaml]\n"),
        ("link/compose.yaml", &service("env_file: out.env")),
    ];
    let work = context(&project.engine, "work", &files);
    std::os::unix::fs::symlink("/etc/hostname", format!("{work}/link/out.env")).unwrap();
    let site = project.engine.path("site").display().to_string();
    fs::create_dir(&site).unwrap();
    repository(&work, &format!("{site}/app.git"));
    let web = Web::of(&site);
    for (folder, why) in [
        ("env", "../../x.env leaves what was fetched"),
        ("file", "../../x.yaml leaves what was fetched"),
        ("bind", "../.. leaves what was fetched"),
        ("include", "../../x.yaml leaves what was fetched"),
        ("link", "a link leads out of what was fetched"),
    ] {
        project.write("compose.yaml", &format!("include: [\"{}/app.git#main:{folder}\"]\n", web.address()));
        let told = project.compose(["config"]).failed();
        assert!(told.contains(why), "{folder}: {told}");
    }
}

#[test]
fn what_is_published_is_included_elsewhere() {
    let project = Project::on(
        shared(),
        "services:\n  web:\n    extends: {service: base, file: base.yaml}\n    env_file: [web.env]\n    command: sh -c 'echo $$SAID; sleep 1000'\n",
    );
    project.write("base.yaml", BASE);
    project.write("web.env", "SAID=from the registry\n");
    project.write("compose.override.yaml", "services:\n  web: {labels: {second: file}}\n");
    let registry = Registry::start();
    let name = registry.image("team/app:1");
    let told = project.compose(["publish", &name]).failed();
    assert!(told.contains("service \"web\" has env_file declared.") && told.contains("--with-env"), "{told}");
    let told = project.compose(["publish", "--with-env", "-y", &name]);
    assert!(told.stderr.contains("published"), "{told:?}");
    let elsewhere = project.engine.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("compose.yaml"), format!("include: [\"oci://{name}\"]\n")).unwrap();
    let there = |args: &[&str]| said(project.command(&project.program()).current_dir(&elsewhere).args(args));
    there(&["up", "-d"]).ok();
    let mut logs = String::new();
    for _ in 0..200 {
        logs = there(&["logs", "--no-log-prefix", "web"]).ok();
        if !logs.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(logs, "from the registry");
    assert_eq!(project.inspect("elsewhere-web-1", "{{.Config.Labels.second}}"), "file");
    there(&["down", "-t", "0"]).ok();
    // An image is no project.
    let image = registry.image("team/image:1");
    project.engine.docker(["tag", "busybox", &image]).ok();
    project.engine.docker(["push", "-q", &image]).ok();
    let told =
        said(project.command(&project.program()).args(["-f", &format!("oci://{image}"), "config"])).failed();
    assert!(told.contains("is not a compose project OCI artifact"), "{told}");
    // The images go along, and digests are pinned.
    project.write("compose.yaml", &format!("services:\n  web: {{image: {image:?}}}\n"));
    fs::remove_file(project.dir().join("compose.override.yaml")).unwrap();
    let whole = registry.image("team/whole:1");
    project.compose(["publish", "--app", "--resolve-image-digests", &whole]).ok();
    let config = project.compose(["-f", &format!("oci://{whole}"), "config"]).ok();
    assert!(config.contains("@sha256:"), "{config}");
    project.write("compose.yaml", "services:\n  web: {build: .}\n");
    assert!(project.compose(["publish", &name]).failed().contains("only contains a build section"));
    project.write("compose.yaml", "include: [base.yaml]\n");
    assert!(project.compose(["publish", &name]).failed().contains("local includes"));
}
