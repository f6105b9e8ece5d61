//! `watch`: every action, on one service.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::Project;
use crate::harness::PATIENCE;

const FILE: &str = r#"
services:
  web:
    build: .
    command: sleep 1000
    stop_grace_period: 0s
    develop:
      watch:
        - {path: ./again, action: restart}
        - {path: ./conf, target: /conf, action: sync+restart}
        - {path: ./made, action: rebuild}
"#;

#[test]
fn watch_restarts_and_rebuilds_as_each_path_asks() {
    let project = Project::new(FILE);
    project.write("Dockerfile", "FROM busybox\nCOPY made /made\n");
    for folder in ["again", "conf", "made"] {
        std::fs::create_dir(project.dir().join(folder)).unwrap();
        project.write(&format!("{folder}/f"), "1");
    }
    let mut command = project.command(&project.program());
    let mut child =
        command.args(["watch", "--quiet"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap());
    let (heard, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
    let until = |words: &str| {
        let begun = std::time::Instant::now();
        loop {
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{words:?} is not told"));
            if line.contains(words) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{words:?} is not told");
        }
    };
    until("Watch enabled");
    let started = || project.inspect("app-web-1", "{{.Id}} {{.State.StartedAt}}");
    let first = started();
    project.write("again/f", "2");
    until("restarted");
    let second = started();
    assert_ne!(second, first);
    assert_eq!(second.split(' ').next(), first.split(' ').next(), "it is the same container");
    project.write("conf/f", "2");
    until("restarted");
    assert_ne!(started(), second);
    project.engine.until(&["exec", "app-web-1", "cat", "/conf/f"], "2");
    project.write("made/f", "2");
    until("successfully built");
    project.engine.until(&["exec", "app-web-1", "cat", "/made/f"], "2");
    assert_ne!(started().split(' ').next(), first.split(' ').next(), "it is another container");
    child.kill().unwrap();
    child.wait().unwrap();
}
