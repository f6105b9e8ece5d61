//! A container's life under the original client.

use crate::harness::Engine;

#[test]
fn run_prints_and_exits_as_the_program_does() {
    let engine = Engine::start();
    let run = |args: &[&str]| engine.docker([&["run", "--rm", "--network", "none"], args].concat());
    assert_eq!(run(&["busybox", "echo", "hello"]).ok(), "hello");
    assert_eq!(run(&["busybox", "sh", "-c", "echo out; echo err >&2; exit 3"]).code, 3);
    let said = run(&["busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(run(&["busybox", "/no/such/program"]).code, 127);
    assert_eq!(run(&["busybox", "/etc/passwd"]).code, 126);
    assert_eq!(run(&["--pull", "never", "nosuchimage"]).code, 125);
    assert_eq!(run(&["--init", "busybox", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(engine.docker(["ps", "-aq"]).ok(), "", "--rm removes");
}

#[test]
fn input_reaches_the_program_and_ends() {
    let engine = Engine::start();
    let said = engine
        .docker_with(["run", "-i", "--rm", "--network", "none", "busybox", "wc", "-c"], &[b'x'; 300_000]);
    assert_eq!(said.ok(), "300000");
    let said =
        engine.docker_with(["run", "-i", "--rm", "--network", "none", "busybox", "cat"], b"over and back");
    assert_eq!(said.ok(), "over and back");
}

#[test]
fn a_life_from_create_to_rm() {
    let engine = Engine::start();
    let id = engine.docker(["create", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    assert_eq!(id.len(), 64);
    assert_eq!(engine.inspect("box", "{{.State.Status}} {{.Id}}"), format!("created {id}"));
    assert_eq!(engine.docker(["start", "box"]).ok(), "box");
    assert_eq!(engine.inspect("box", "{{.State.Status}} {{.State.Running}}"), "running true");
    assert_eq!(
        engine.docker(["ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}}"]).ok(),
        "box busybox \"sleep 1000\" running"
    );
    engine.docker(["pause", "box"]).ok();
    assert_eq!(
        engine.inspect("box", "{{.State.Status}} {{.State.Running}} {{.State.Paused}}"),
        "paused true true"
    );
    engine.docker(["unpause", "box"]).ok();
    engine.docker(["rename", "box", "box2"]).ok();
    engine.docker(["restart", "-t", "0", "box2"]).ok();
    engine.docker(["kill", "box2"]).ok();
    assert_eq!(engine.docker(["wait", "box2"]).ok(), "137");
    assert!(engine.docker(["ps", "-a", "--format", "{{.Status}}"]).ok().starts_with("Exited (137) "));
    engine.docker(["start", "box2"]).ok();
    let err = engine.docker(["rm", "box2"]).failed();
    assert!(
        err.contains("cannot remove container")
            && err.contains("stop the container before removing or force remove"),
        "{err}"
    );
    engine.docker(["stop", "-t", "0", "box2"]).ok();
    assert_eq!(engine.docker(["rm", &id[..12]]).ok(), &id[..12]);
    let err = engine.docker(["inspect", "box2"]).failed();
    assert!(err.contains("No such object: box2"), "{err}");
}

#[test]
fn what_was_asked_is_what_it_gets() {
    let engine = Engine::start();
    let said = engine.docker([
        "run", "--name", "box", "--network", "none", "-e", "A=b", "-w", "/tmp", "-u", "33:33", "-h", "host.name", "-l", "x=y",
        "--read-only", "--tmpfs", "/scratch", "--cap-drop", "ALL", "-m", "64m", "--pids-limit", "50", "busybox", "sh", "-c",
        "echo $A $PWD $(id -u):$(id -g) $(hostname); touch /x 2>/dev/null || echo read-only; touch /scratch/x; grep CapEff /proc/self/status",
    ]);
    assert_eq!(said.ok(), "b /tmp 33:33 host.name\nread-only\nCapEff:\t0000000000000000");
    let format = "{{.Config.Hostname}} {{.Config.Labels.x}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.ReadonlyRootfs}}";
    assert_eq!(engine.inspect("box", format), "host.name y 67108864 50 true");
    assert_eq!(engine.inspect("box", "{{.Path}} {{len .Args}} {{.HostConfig.NetworkMode}}"), "sh 2 none");
}

#[test]
fn names_are_taken_once() {
    let engine = Engine::start();
    let id = engine.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
    let err = engine.docker(["create", "--name", "box", "--network", "none", "busybox"]).failed();
    assert!(err.contains(&format!(
        "Conflict. The container name \"/box\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )), "{err}");
    let err = engine.docker(["create", "--name", "bad name", "busybox"]).failed();
    assert!(
        err.contains("Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        "{err}"
    );
}

#[test]
fn lists_are_filtered() {
    let engine = Engine::start();
    engine
        .docker(["run", "-d", "--name", "up", "--network", "none", "-l", "a=b", "busybox", "sleep", "1000"])
        .ok();
    engine.docker(["run", "--name", "down", "--network", "none", "busybox", "false"]);
    engine.docker(["create", "--name", "new", "--network", "none", "busybox"]).ok();
    let names = |filter: &str| {
        let mut names: Vec<String> = engine
            .docker(["ps", "-a", "--format", "{{.Names}}", "-f", filter])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("status=running"), "up");
    assert_eq!(names("status=created"), "new");
    assert_eq!(names("exited=1"), "down");
    assert_eq!(names("label=a=b"), "up");
    assert_eq!(names("name=^d"), "down");
    assert_eq!(names("ancestor=busybox"), "down new up");
    assert_eq!(names("before=new"), "down up");
    let err = engine.docker(["ps", "-f", "nonsense=x"]).failed();
    assert!(err.contains("invalid filter 'nonsense'"), "{err}");
    assert_eq!(engine.docker(["ps", "-n", "1", "--format", "{{.Names}}"]).ok(), "new");
    assert_eq!(engine.docker(["container", "prune", "-f"]).ok().lines().filter(|l| l.len() == 64).count(), 2);
    assert_eq!(engine.docker(["ps", "-a", "--format", "{{.Names}}"]).ok(), "up");
}

#[test]
fn top_stats_diff_and_update() {
    let engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "touch /made; rm /etc/group; exec sleep 1000",
        ])
        .ok();
    assert!(engine.docker(["top", "box"]).ok().contains("sleep 1000"));
    engine.until(&["diff", "box"], "C /etc\nD /etc/group\nA /made");
    let stats = engine.docker(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "box"]).ok();
    assert_eq!(stats, "box 1");
    engine.docker(["update", "-m", "32m", "--memory-swap", "64m", "--restart", "on-failure:2", "box"]).ok();
    assert_eq!(
        engine.inspect("box", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"),
        "33554432 on-failure"
    );
}

#[test]
fn restart_policies_start_it_again() {
    let engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "--restart",
            "on-failure:2",
            "busybox",
            "false",
        ])
        .ok();
    engine.until(&["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "box"], "exited 2");
}

#[test]
fn health_is_watched() {
    let engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "--health-cmd",
            "test -e /tmp/well",
            "--health-interval",
            "100ms",
            "--health-retries",
            "1",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    engine.until(&["inspect", "-f", "{{.State.Health.Status}}", "box"], "unhealthy");
    engine.docker(["exec", "box", "touch", "/tmp/well"]).ok();
    engine.until(&["inspect", "-f", "{{.State.Health.Status}}", "box"], "healthy");
    assert!(engine.docker(["ps", "--format", "{{.Status}}"]).ok().ends_with("(healthy)"));
}
