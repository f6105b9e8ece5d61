//! Docker's own engine in the same network namespace: neither takes the other's rules.

use super::*;

/// Docker's engine on the host of one of ours. Dropping it removes its containers and ends it.
struct Dockerd {
    folder: tempfile::TempDir,
    host: String,
    process: Option<Child>,
}

impl Dockerd {
    /// None where it is not installed.
    fn on(host: &str) -> Option<Dockerd> {
        let installed = |path: &&str| std::path::Path::new(path).exists();
        if !["/usr/sbin/dockerd", "/usr/bin/dockerd"].iter().any(installed) {
            eprintln!("skipped: dockerd is not installed");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("gantry-test-").tempdir().unwrap();
        let mut docker = Dockerd { folder, host: host.to_owned(), process: None };
        docker.launch();
        docker.ok(&["load", "-q", "-i", &crate::harness::busybox().display().to_string()]);
        Some(docker)
    }

    fn launch(&mut self) {
        let at = self.folder.path().display();
        let line = format!(
            "mount --make-rprivate /; exec dockerd --data-root {at}/data --exec-root {at}/run --pidfile {at}/pid -H unix://{at}/socket \
             --storage-driver vfs --live-restore --log-level error"
        );
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.host)).args(["unshare", "--mount", "sh", "-c", &line]);
        command.env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()));
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let begun = std::time::Instant::now();
        while self.docker(&["version"]).code != 0 {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{}", log());
        }
    }

    fn docker(&self, words: &[&str]) -> Said {
        let socket = format!("unix://{}/socket", self.folder.path().display());
        let mut command = Command::new("docker");
        command.args(["-H", &socket]).args(words).env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        let output = command.env("HOME", self.folder.path()).stdin(Stdio::null()).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn ok(&self, words: &[&str]) -> String {
        self.docker(words).ok()
    }

    fn web(&self, name: &str, port: &str) {
        self.ok(&["run", "-d", "--name", name, "-p", &format!("{port}:80"), "busybox", "sh", "-c", WEB]);
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let id = rustix::process::Pid::from_raw(process.id().cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        process.wait().unwrap();
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let ids = self.docker(&["ps", "-aq"]).stdout;
        if !ids.trim().is_empty() {
            self.docker(&["rm", "-fv"].into_iter().chain(ids.split_whitespace()).collect::<Vec<_>>());
        }
        self.stop();
    }
}

fn host_file(engine: &Engine) -> (std::fs::File, String) {
    let held = std::fs::File::open(host(engine)).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    (held, path)
}

/// Both engines' ports (ours 8080, Docker's 9090) are reached by everybody.
#[track_caller]
fn both_are_reached(client: &Machine, host: &str, engine: &Engine, docker: &Dockerd, when: &str) {
    for port in [8080, 9090] {
        for (from, address) in [(client.namespace().as_str(), HOST), (host, HOST), (host, "127.0.0.1")] {
            let begun = std::time::Instant::now();
            while get(from, &format!("http://{address}:{port}")).trim() != "hello" {
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{when}: {address}:{port} does not answer\n{}",
                    shell(host, "iptables-save").stdout
                );
            }
        }
    }
    assert_eq!(fetch(engine, "web", HOST, 9090), "hello", "{when}: from ours to Docker's");
    let line = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {HOST} 8080 | tail -n 1");
    assert_eq!(docker.ok(&["exec", "theirs", "sh", "-c", &line]), "hello", "{when}: from Docker's to ours");
}

#[test]
fn with_the_iptables_backend_our_chains_have_names_of_their_own_whoever_comes_first() {
    const BACKEND: &str = "--firewall-backend=iptables";
    let mut engine = Engine::with(&[BACKEND]);
    let (_held, host) = host_file(&engine);
    let client = Machine::beside(&engine);
    web(&engine, "web", &["-p", "8080:80"]);
    let nat = || shell(&host, "iptables-save -t nat").ok();
    assert!(nat().contains("-A DOCKER -p tcp -m tcp --dport 8080"), "the book's picture, alone: {}", nat());
    // Docker moves in.
    let Some(mut docker) = Dockerd::on(&host) else { return };
    docker.web("theirs", "9090");
    both_are_reached(&client, &host, &engine, &docker, "Docker moved in");
    assert!(nat().contains("-A GANTRY -p tcp -m tcp --dport 8080"), "{}", nat());
    assert!(!nat().lines().any(|line| line.starts_with("-A DOCKER ") && line.contains("8080")), "{}", nat());
    // A start of ours beside it.
    engine.crash();
    engine.relaunch_in(&host, &[BACKEND]);
    both_are_reached(&client, &host, &engine, &docker, "ours was started again");
    engine.docker(["network", "create", "app"]).ok();
    engine.docker(["network", "rm", "app"]).ok();
    // Another start of Docker's.
    docker.stop();
    docker.launch();
    both_are_reached(&client, &host, &engine, &docker, "Docker was started again");
    engine.docker(["rm", "-f", "web"]).ok();
    assert!(!nat().contains("8080"), "{}", nat());
    assert_eq!(client.get("http://192.0.2.10:9090").trim(), "hello", "Docker's is left as it was");
}

#[test]
fn a_start_beside_a_docker_that_is_there_leaves_its_rules_alone() {
    let mut engine = Engine::with(&["--bridge=none", "--iptables=false"]);
    let (_held, host) = host_file(&engine);
    let client = Machine::beside(&engine);
    let Some(docker) = Dockerd::on(&host) else { return };
    docker.web("theirs", "9090");
    let chains = |text: &str| -> Vec<String> {
        let dockers = |line: &&str| line.starts_with("-A DOCKER") && !line.starts_with("-A DOCKER-USER");
        text.lines().filter(dockers).map(str::to_owned).collect()
    };
    let before = chains(&shell(&host, "iptables-save").ok());
    for flags in [&[][..], &["--firewall-backend=iptables"]] {
        engine.stop();
        engine.relaunch_in(&host, flags);
        web(&engine, "web", &["-p", "8080:80"]);
        both_are_reached(&client, &host, &engine, &docker, &format!("{flags:?}"));
        engine.docker(["rm", "-f", "web"]).ok();
        assert_eq!(chains(&shell(&host, "iptables-save").ok()), before, "{flags:?}");
    }
}
