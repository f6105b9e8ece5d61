//! One shell for a whole document: variables and folders last from one command to the next.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A shell that tells when each command is done.
#[derive(Debug)]
pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Ends the output of one command; no command of a document prints it.
const END: &str = "--end-of-session-step--";

impl Shell {
    /// Starts a shell with these variables in `folder`.
    pub fn start(environment: Vec<(String, String)>, folder: &std::path::Path) -> Self {
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .env_remove("DOCKER_CONTEXT")
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash runs");
        let input = child.stdin.take().expect("the input is piped");
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let mut shell = Self { child, input, output };
        shell.run("exec 2>&1");
        shell
    }

    /// Types a command and gives what it prints, errors included.
    pub fn run(&mut self, command: &str) -> String {
        // The command reads nothing of what is typed later.
        writeln!(self.input, "{{ {command}\n}} </dev/null; printf '\\n{END}\\n'").expect("the shell reads");
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("the shell writes text");
            if read == 0 || line.trim_end() == END {
                return text;
            }
            text.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
