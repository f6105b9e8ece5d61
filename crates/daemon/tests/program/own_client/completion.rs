//! Completion in the shells themselves: what their own machinery offers.

use std::process::Command;

use super::{client, said};
use crate::harness::{Engine, gantry};

/// An engine with a thing of every noun, and our program on the path as `gantry`.
fn stage() -> (Engine, String) {
    let engine = Engine::start();
    engine.docker(["create", "--name", "webserver", "busybox"]).ok();
    engine.docker(["volume", "create", "papers"]).ok();
    engine.docker(["network", "create", "inside"]).ok();
    let own = gantry();
    client(&own, &engine, &["context", "create", "faraway", "--docker", "host=tcp://far:1"]).ok();
    let path = format!("{}:{}", own.parent().unwrap().display(), std::env::var("PATH").unwrap());
    (engine, path)
}

fn shell(engine: &Engine, path: &str, program: &str, args: &[&str]) -> String {
    let mut shell = Command::new(program);
    shell.args(args).env("DOCKER_HOST", engine.host()).env("DOCKER_CONFIG", engine.path("client"));
    shell.env("PATH", path).env("HOME", engine.path("")).env_remove("DOCKER_CONTEXT");
    said(shell).ok()
}

/// What is typed, and the one thing that may follow.
const LINES: [(&str, &str); 9] = [
    ("gantry container rena", "rename"),
    ("gantry rm -f web", "webserver"),
    ("gantry volume rm ", "papers"),
    ("gantry run --network ins", "inside"),
    ("gantry run --read-", "--read-only"),
    ("gantry rmi busyb", "busybox:latest"),
    ("gantry context use far", "faraway"),
    ("gantry --context fara", "faraway"),
    ("gantry network connect inside web", "webserver"),
];

#[test]
fn bash_completes_commands_flags_and_names_of_the_engine() {
    let (engine, path) = stage();
    let script = client(&gantry(), &engine, &["completion", "bash"]).ok();
    let complete = |line: &str| {
        let ask = "eval \"$1\"; COMP_LINE=$2 COMP_POINT=${#2}; _gantry; printf '%s\\n' \"${COMPREPLY[@]}\"";
        shell(&engine, &path, "bash", &["-c", ask, "bash", &script, line])
    };
    for (line, wanted) in LINES.iter().filter(|(line, _)| !line.contains("rmi")) {
        assert_eq!(complete(line), *wanted, "{line}");
    }
    assert_eq!(complete("gantry run --network=no"), "none");
    // Readline has cut the word behind the colon.
    assert_eq!(complete("gantry rmi busybox:la"), "latest");
}

/// zsh's own line editor, on a terminal of its own (its module `zpty`).
#[test]
fn zsh_completes_them_too() {
    let (engine, path) = stage();
    let script = engine.path("_gantry");
    std::fs::write(&script, client(&gantry(), &engine, &["completion", "zsh"]).ok()).unwrap();
    // A tab completes what is unambiguous; the line as it then is goes to a file.
    let ask = r#"
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner "PS1=; PS2=; autoload -U compinit; compinit -u -D; unsetopt beep; source $1; show() { print -r -- "\$BUFFER" >$2; exit }; zle -N show; bindkey '^X' show; print rea''dy"
        while zpty -r inner line; do [[ $line == *ready* ]] && break; done
        zpty -w -n inner "$3"$'\t\x18'
        while zpty -r inner line; do :; done 2>/dev/null
        cat $2
    "#;
    for (number, (line, wanted)) in LINES.iter().enumerate() {
        let answer = engine.path(&format!("zsh{number}")).display().to_string();
        let said = shell(
            &engine,
            &path,
            "zsh",
            &["-f", "-c", ask, "zsh", &script.display().to_string(), &answer, line],
        );
        let typed = line.rsplit_once(' ').unwrap().0;
        assert_eq!(said.trim_end().replace('\\', ""), format!("{typed} {wanted}"), "{line}");
    }
}

#[test]
fn fish_completes_them_too() {
    let (engine, path) = stage();
    let script = engine.path("gantry.fish").display().to_string();
    std::fs::write(&script, client(&gantry(), &engine, &["completion", "fish"]).ok()).unwrap();
    let complete = |line: &str| {
        shell(
            &engine,
            &path,
            "fish",
            &["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", &script, line],
        )
    };
    for (line, wanted) in LINES {
        assert_eq!(complete(line), wanted, "{line}");
    }
    // Files where we know nothing.
    std::fs::write(engine.path("archive.tar"), "").unwrap();
    let file = engine.path("arch").display().to_string();
    assert!(complete(&format!("gantry load -i {file}")).ends_with("archive.tar"));
}
