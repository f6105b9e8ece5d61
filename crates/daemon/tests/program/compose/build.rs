//! `build` in every form, each attribute seen in what was built.

use super::{Project, said};
use crate::buildkit::agent;
use crate::harness::gantry;
use crate::own_flags::shared;
use crate::travel::registry::Registry;

const WHOLE: &str = r#"
services:
  whole:
    image: whole
    build:
      context: ctx
      dockerfile: sub/File
      args: {A: given, OF_ENV: }
      labels: {own: label}
      target: last
      tags: [whole-too]
      network: none
      shm_size: 12m
      ulimits: {nofile: {soft: 123, hard: 456}}
      extra_hosts: ["somehost=10.9.8.7"]
      additional_contexts: {more: ./more, base: "service:base"}
      secrets: [{source: word, target: renamed, uid: "5", gid: "6", mode: 0400}, plain]
      ssh: ["default=./agent.sock"]
      cache_to: ["type=local,dest=./cache"]
      cache_from: ["type=local,src=./cache"]
      no_cache_filter: [never]
      provenance: mode=min
      sbom: false
      pull: false
      no_cache: false
      isolation: default
      platforms: [linux/amd64]
  base: {image: base, build: {dockerfile_inline: "FROM busybox\nRUN echo base >/base\n"}}
  rights:
    image: rights
    build:
      privileged: true
      entitlements: [network.host]
      dockerfile_inline: |
        # syntax=docker/dockerfile:1-labs
        FROM busybox
        RUN --security=insecure grep CapEff /proc/self/status >/caps
        RUN grep CapEff /proc/self/status >/fewer
        RUN --network=host true
        CMD cmp -s /caps /fewer && echo the same || echo more
secrets:
  word: {file: ./word}
  plain: {environment: PLAIN}
"#;

const FILE: &str = "FROM busybox AS first
ARG A
ARG OF_ENV
RUN echo \"$A $OF_ENV\" >/seen; ulimit -n >>/seen; ulimit -Hn >>/seen; df -k /dev/shm | awk 'END {print $2}' >>/seen
RUN grep somehost /etc/hosts | tr '\\t' ' ' >>/seen; ls /sys/class/net | tr '\\n' ' ' >>/seen; echo >>/seen
RUN --mount=type=secret,id=renamed cat /run/secrets/renamed >>/seen
RUN --mount=type=secret,id=plain cat /run/secrets/plain >>/seen
RUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo agent >>/seen
COPY --from=more f /more
COPY --from=base /base /base
FROM first AS last
CMD cat /seen /more /base
FROM busybox AS never
RUN false
";

#[test]
fn every_attribute_of_build_is_seen_in_the_image() {
    let project = Project::new(WHOLE);
    for folder in ["ctx/sub", "more"] {
        std::fs::create_dir_all(project.dir().join(folder)).unwrap();
    }
    project.write("ctx/sub/File", FILE);
    project.write("more/f", "more\n");
    project.write("word", "secret of a file\n");
    project.write(".env", "PLAIN=secret of .env\nOF_ENV=environment's\n");
    agent(&project.dir().join("agent.sock"));
    project.compose(["build"]).ok();
    let run = |image: &str| project.engine.docker(["run", "--rm", "--network", "none", image]).ok();
    let wanted = "given environment's\n123\n456\n12288\n10.9.8.7 somehost\nlo \nsecret of a file\nsecret of .envagent\nmore\nbase";
    assert_eq!(run("whole"), wanted);
    assert_eq!(project.inspect("whole-too", "{{.Config.Labels.own}}"), "label");
    assert_eq!(run("rights"), "more");
    assert!(project.dir().join("cache/index.json").exists(), "nothing was left in cache_to");
}

#[test]
fn the_older_builder_honours_what_it_knows_and_refuses_the_rest() {
    let known = "services:
  old:
    image: old
    build:
      context: .
      args: [A=given]
      labels: [own=label]
      target: first
      tags: [old-too]
      network: none
      shm_size: 12m
      ulimits: {nofile: 123}
      extra_hosts: {somehost: 10.9.8.7}
      cache_from: [busybox]
      no_cache: true
";
    let project = Project::new(known);
    project.write(
        "Dockerfile",
        "FROM busybox AS first\nARG A\nRUN echo \"$A\" >/seen; ulimit -n >>/seen; df -k /dev/shm | awk 'END {print $2}' >>/seen; grep -c somehost /etc/hosts >>/seen\nCMD cat /seen\nFROM busybox\nRUN false\n",
    );
    let build = || said(project.command(&project.program()).args(["build"]).env("DOCKER_BUILDKIT", "0"));
    build().ok();
    let run = project.engine.docker(["run", "--rm", "--network", "none", "old-too"]).ok();
    assert_eq!(run, "given\n123\n12288\n1");
    assert_eq!(project.inspect("old", "{{.Config.Labels.own}}"), "label");
    project.write("s", "s");
    project.write(
        "compose.yaml",
        "services: {old: {build: {context: ., secrets: [s]}}}\nsecrets: {s: {file: ./s}}\n",
    );
    let told = build().failed();
    assert!(told.contains("failed to build service \"old\"") && told.contains("BuildKit"), "{told}");
}

#[test]
fn several_platforms_are_an_index_in_the_registry_and_one_of_them_here() {
    let registry = Registry::start();
    let image = registry.image("many:1");
    let project = Project::on(
        shared(),
        &format!(
            "services:\n  many:\n    image: {image}\n    build: {{context: ., platforms: [linux/arm64, linux/amd64, linux/s390x]}}\n"
        ),
    );
    project.write("Dockerfile", "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY f /f\n");
    project.write("f", "f");
    let told = project.compose(["build"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.contains("linux/arm64, linux/s390x to a registry"), "{told:?}");
    let here = Project::inspect(&project, &image, "{{.Architecture}} {{index .Config.Labels \"for\"}}");
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    assert_eq!(here, format!("{machine} {machine}"));
    project.compose(["build", "--push"]).ok();
    let mut inspect = project.command(&gantry());
    let index = said(inspect.args(["manifest", "inspect", &image])).ok();
    for one in ["arm64", "amd64", "s390x"] {
        assert!(index.contains(&format!("\"architecture\": \"{one}\"")), "{index}");
    }
}
