//! The engine about itself, under the original client.

use crate::harness::Engine;

#[test]
fn info_version_and_disk_usage() {
    let engine = Engine::start();
    engine.docker(["run", "--name", "box", "--network", "none", "busybox", "true"]).ok();
    assert_eq!(
        engine
            .docker(["version", "-f", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}"])
            .ok(),
        "1.51 1.24 linux"
    );
    let info = engine.docker(["info", "-f", "{{.Containers}} {{.ContainersStopped}} {{.Images}} {{.OSType}} {{.Swarm.LocalNodeState}} {{.DockerRootDir}}"]).ok();
    assert_eq!(info, format!("1 1 1 linux inactive {}", engine.path("data").display()));
    let human = engine.docker(["info"]);
    assert!(human.stdout.contains("Server Version:") && !human.stderr.contains("ERROR"), "{human:?}");
    let df = engine.docker(["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]).ok();
    assert_eq!(df, "Images 1\nContainers 1\nLocal Volumes 0\nBuild Cache 0");
    engine.docker(["system", "df", "-v"]).ok();
}

#[test]
fn events_are_told_in_dockers_order_and_replayed() {
    let mut engine = Engine::start();
    engine.docker(["run", "--rm", "--name", "box", "--network", "none", "busybox", "true"]).ok();
    let args = ["events", "--since", "1", "--until=-1s", "-f", "type=container", "--format", "{{.Action}}"];
    let told = engine.docker(args).ok();
    let order: Vec<&str> = told.lines().filter(|action| *action != "attach").collect();
    assert_eq!(order, ["create", "start", "die", "destroy"]);
    engine.stop();
    engine.launch();
    assert_eq!(engine.docker(args).ok(), told, "the journal survives");
    let named = engine.docker([
        "events",
        "--since",
        "1",
        "--until=-1s",
        "-f",
        "event=die",
        "--format",
        "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.image}}",
    ]);
    assert_eq!(named.ok(), "box 0 busybox");
}

#[test]
fn prune_removes_what_nobody_uses() {
    let engine = Engine::start();
    engine.docker(["run", "--name", "box", "--network", "none", "-v", "/data", "busybox", "true"]).ok();
    let said = engine.docker(["system", "prune", "-af", "--volumes"]).ok();
    assert!(
        said.contains("Deleted Containers:")
            && said.contains("Deleted Images:")
            && said.contains("Total reclaimed space:"),
        "{said}"
    );
    assert_eq!(engine.docker(["ps", "-aq"]).ok() + &engine.docker(["images", "-q"]).ok(), "");
}

#[test]
fn what_is_not_there_is_told() {
    let engine = Engine::start();
    let err = engine.docker(["node", "ls"]).failed();
    assert!(err.contains("This node is not a swarm manager."), "{err}");
    let err = engine.docker(["swarm", "init"]).failed();
    assert!(err.contains("does not form swarms"), "{err}");
    assert_eq!(engine.docker(["plugin", "ls", "-q"]).ok(), "");
}
