//! What compose-spec's conformance tests ask, by our compose and by Docker's: the suite itself runs by
//! `tests/conformance/compose.py`, which needs Go and a clone of it.

use std::process::Command;
use std::time::{Duration, Instant};

use super::takeover::v2;
use super::{Project, said};
use crate::harness::PATIENCE;

/// A server with the suite's abilities: asks another one, shows a file of `/volumes`, counts who asked it.
const SERVER: &str = r##"
x-server: &server
  image: busybox
  stop_grace_period: 0s
  command:
    - sh
    - -c
    - |
      mkdir -p /www/cgi-bin /seen
      cat >/www/cgi-bin/ask <<'CGI'
      #!/bin/sh
      # A static wget asks for no names.
      at=$$(nslookup -type=a "$${QUERY_STRING%%:*}" | sed -n '/^Name/,$$s/^Address: //p')
      echo; wget -T 5 -qO- "http://$$at:$${QUERY_STRING#*:}" 2>/dev/null || echo "Could not reach address: $$QUERY_STRING"
      CGI
      cat >/www/cgi-bin/count <<'CGI'
      #!/bin/sh
      [ -z "$$QUERY_STRING" ] || touch "/seen/$$QUERY_STRING"
      echo; ls /seen | wc -l
      CGI
      chmod +x /www/cgi-bin/*
      ln -s /volumes /www/volumes
      echo PONG >/www/ping
      exec httpd -f -p 8080 -h /www
"##;

struct Case {
    name: &'static str,
    file: &'static str,
    asked: &'static str,
    answer: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        name: "a simple life",
        file: "services: {entry: {<<: *server, ports: ['8080:8080']}}",
        asked: "ping",
        answer: "PONG",
    },
    Case {
        name: "services of one network reach each other",
        file: "services: {entry: {<<: *server, networks: [one], ports: ['8080:8080']}, target: {<<: *server, networks: [one]}}\nnetworks: {one: }",
        asked: "cgi-bin/ask?target:8080/ping",
        answer: "PONG",
    },
    Case {
        name: "those of two do not",
        file: "services: {entry: {<<: *server, networks: [one], ports: ['8080:8080']}, target: {<<: *server, networks: [two]}}\nnetworks: {one: , two: }",
        asked: "cgi-bin/ask?target:8080/ping",
        answer: "Could not reach address: target:8080/ping",
    },
    Case {
        name: "a file is mounted",
        file: "services: {entry: {<<: *server, volumes: ['./file:/volumes/it'], ports: ['8080:8080']}}",
        asked: "volumes/it",
        answer: "FILE",
    },
    Case {
        name: "a secret is where it is asked for",
        file: "services: {entry: {<<: *server, secrets: [{source: s, target: /volumes/it}], ports: ['8080:8080']}}\nsecrets: {s: {file: ./file}}",
        asked: "volumes/it",
        answer: "FILE",
    },
    Case {
        name: "a config is as well",
        file: "services: {entry: {<<: *server, configs: [{source: c, target: /volumes/it}], ports: ['8080:8080']}}\nconfigs: {c: {file: ./file}}",
        asked: "volumes/it",
        answer: "FILE",
    },
    Case {
        name: "replicas are three",
        file: "services: {entry: {<<: *server, ports: ['8080:8080/tcp', {target: 10001, published: 10001, protocol: udp, mode: host}]}, client: {image: busybox, stop_grace_period: 0s, command: \"sh -c 'at=$$(nslookup -type=a entry | sed -n /^Name/,$$s/.*s:.//p); while :; do wget -qO- http://$$at:8080/cgi-bin/count?$$HOSTNAME; sleep 1; done'\", deploy: {replicas: 3}}}",
        asked: "cgi-bin/count",
        answer: "3",
    },
];

#[test]
fn what_the_specifications_tests_ask_is_answered() {
    let project = Project::new("services: {}");
    project.write("file", "FILE\n");
    let namespace = format!("--net=/proc/{}/ns/net", project.engine.pid().as_raw_nonzero());
    Command::new("nsenter").args([&namespace, "--", "ip", "link", "set", "lo", "up"]).status().unwrap();
    for (program, case) in
        [project.program(), v2().to_owned()].iter().flat_map(|p| CASES.map(|case| (p, case)))
    {
        project.write("compose.yaml", &format!("{SERVER}{}\n", case.file));
        said(project.command(program).args(["up", "-d"])).ok();
        let url = format!("http://127.0.0.1:8080/{}", case.asked);
        let end = Instant::now() + PATIENCE;
        loop {
            let told = said(Command::new("nsenter").args([&namespace, "--", "curl", "-sS", &url]));
            if told.stdout.trim() == case.answer {
                break;
            }
            assert!(Instant::now() < end, "{} by {}: {told:?}", case.name, program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        said(project.command(program).args(["down", "-t", "0"])).ok();
        assert_eq!(project.ids(), [""; 0], "{} by {}", case.name, program.display());
    }
}
