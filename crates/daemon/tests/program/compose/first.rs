//! Replacing a container without a lost request.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::Project;

/// A web server that tells which one it is, and needs a second for its goodbye.
fn file(word: &str, check: &str) -> String {
    format!(
        r#"
services:
  web:
    image: busybox
    command: sh -c 'mkdir /w; echo {word} > /w/index.html; trap "sleep 1; exit 0" TERM; httpd -f -p 80 -h /w & wait'
    ports: ["8080:80"]
    healthcheck: {{test: [CMD, {check}, -q, -O, /dev/null, "http://127.0.0.1/"], interval: 200ms, retries: 3}}
    deploy: {{update_config: {{order: start-first}}}}
"#
    )
}

#[test]
fn start_first_moves_a_published_port_and_no_call_is_refused() {
    let project = Project::new(&file("one", "wget"));
    project.compose(["up", "-d", "--wait"]).ok();
    let namespace = format!("--net=/proc/{}/ns/net", project.engine.pid().as_raw_nonzero());
    let ask =
        "ip link set lo up; while [ ! -e done ]; do curl -sS -m 20 http://127.0.0.1:8080/ || echo lost; done";
    let asking = Command::new("nsenter")
        .args([&namespace, "--", "sh", "-c", ask])
        .current_dir(project.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsenter runs");
    for word in ["two", "three"] {
        project.write("compose.yaml", &file(word, "wget"));
        let said = project.compose(["up", "-d"]);
        assert!(said.code == 0 && !said.stderr.contains("not start-first"), "{said:?}");
    }
    // The new one is asked at least once before the end.
    let seen =
        Command::new("nsenter").args([&namespace, "--", "curl", "-sS", "http://127.0.0.1:8080/"]).output();
    assert_eq!(seen.expect("curl runs").stdout, b"three\n");
    project.write("done", "");
    let told = asking.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let words: BTreeSet<&str> = text.lines().collect();
    let lost = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        !words.contains("lost"),
        "{} of {} calls: {lost}",
        text.matches("lost").count(),
        text.lines().count()
    );
    assert!(words.contains("one") && words.contains("two"), "{words:?}");
    assert_eq!(project.ids().len(), 1);
    assert!(project.engine.docker(["port", "app-web-1", "80"]).ok().starts_with("0.0.0.0:8080"));
}

#[test]
fn a_new_one_that_is_not_well_goes_and_the_old_one_serves_on() {
    let project = Project::new(&file("one", "wget"));
    project.compose(["up", "-d", "--wait"]).ok();
    let before = project.ids();
    project.write("compose.yaml", &file("two", "\"false\""));
    let told = project.compose(["up", "-d"]).failed();
    assert!(told.contains("the old one stays") && told.contains("unhealthy"), "{told}");
    assert_eq!(project.ids(), before);
    assert!(project.engine.docker(["port", "app-web-1", "80"]).ok().starts_with("0.0.0.0:8080"));
}
