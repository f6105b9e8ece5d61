//! Networks under the original client. Other machines are network namespaces on a cable to the engine's.

mod beside;
mod by_hand;
mod dig;
mod flags;
mod iptables;
mod life;
mod names;
mod pipework;
mod ports;
mod succeed;
mod user;
mod words;

use std::process::{Child, Command, Stdio};

use crate::harness::{Engine, PATIENCE, Said, gantry};

const HOST: &str = "192.0.2.10";
const CLIENT: &str = "192.0.2.20";
/// A web server in a container; every answer is one word.
const WEB: &str = "mkdir /w; echo hello > /w/index.html; exec httpd -f -v -p 80 -h /w";

/// A machine on the same cable as the engine's. Dropping it takes the cable away.
struct Machine(Child);

impl Machine {
    /// A machine at [`CLIENT`]; the engine's host is at [`HOST`], on its interface `lan`.
    fn beside(engine: &Engine) -> Machine {
        let child = Command::new("unshare").args(["--net", "--", "sleep", "infinity"]).spawn().unwrap();
        let machine = Machine(child);
        let (host, other) = (host(engine), machine.namespace());
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let begun = std::time::Instant::now();
        while std::fs::read_link(&other).unwrap() == own {
            assert!(begun.elapsed() < PATIENCE);
        }
        let cable = format!(
            "ip link add lan type veth peer name lan netns {}; ip addr add {HOST}/24 dev lan; ip link set lan up; \
             ip link set lo up",
            machine.0.id()
        );
        shell(&host, &cable).ok();
        shell(&other, &format!("ip addr add {CLIENT}/24 dev lan; ip link set lan up; ip link set lo up"))
            .ok();
        machine
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn get(&self, url: &str) -> String {
        get(&self.namespace(), url)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The namespace that is the engine's host.
fn host(engine: &Engine) -> String {
    format!("/proc/{}/ns/net", engine.pid().as_raw_nonzero())
}

/// A shell's line in a network namespace.
fn shell(namespace: &str, line: &str) -> Said {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).args(["sh", "-ec", line]).stdin(Stdio::null());
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a web server answers; empty when nobody does.
fn get(namespace: &str, url: &str) -> String {
    shell(namespace, &format!("curl -s -g -m 3 {url} || true")).ok()
}

/// The same from inside a container.
fn fetch(engine: &Engine, container: &str, address: &str, port: u16) -> String {
    let line = format!(
        "printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} {port} 2>/dev/null | tail -n 1"
    );
    engine.docker(["exec", container, "sh", "-c", &line]).stdout.trim().to_owned()
}

fn run(engine: &Engine, name: &str, flags: &[&str], program: &[&str]) {
    let begin = ["run", "-d", "--name", name];
    engine.docker([&begin, flags, &["busybox"], program].concat()).ok();
}

fn web(engine: &Engine, name: &str, flags: &[&str]) {
    run(engine, name, flags, &["sh", "-c", WEB]);
    engine
        .until(&["exec", name, "sh", "-c", "nc -w 1 127.0.0.1 80 </dev/null >/dev/null 2>&1; echo $?"], "0");
}

fn sleeper(engine: &Engine, name: &str, flags: &[&str]) {
    run(engine, name, flags, &["sleep", "1000"]);
}
