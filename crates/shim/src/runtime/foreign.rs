//! A program with the OCI runtime command line: runc, crun and their kin.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio as Std};

use gantry_errdefs::Class;
use gantry_shim_protocol::Failure;

use super::{Made, Runtime, Stdio, failure};
use crate::fresh;

/// Where the runtime says what went wrong, one JSON object a line.
const LOG: &str = "runtime.log";
/// Where it sends a terminal's master.
const CONSOLE: &str = "console.sock";

pub(crate) struct Foreign {
    bundle: PathBuf,
    id: String,
    program: PathBuf,
    args: Vec<String>,
    root: PathBuf,
}

impl Foreign {
    pub fn new(bundle: &Path, id: &str, program: &Path, args: &[String], root: &Path) -> Foreign {
        Foreign {
            bundle: bundle.to_owned(),
            id: id.to_owned(),
            program: program.to_owned(),
            args: args.to_vec(),
            root: root.to_owned(),
        }
    }

    /// The program with what comes before its verb. We stand in the bundle: relative names are short.
    fn command(&self, verb: &str) -> Command {
        let mut command = fresh::command("/proc/self/exe", &self.program);
        command.args(&self.args).arg("--root").arg(&self.root);
        command.args(["--log", LOG, "--log-format", "json", verb]);
        command.current_dir(&self.bundle).stdin(Std::null());
        command
    }

    /// Runs it to its end; a failure tells what it said last.
    fn finish(&self, mut command: Command, input: Option<&[u8]>) -> Result<(), Failure> {
        let _ = fs::remove_file(self.bundle.join(LOG));
        if input.is_some() {
            command.stdin(Std::piped());
        }
        let mut run = || -> io::Result<ExitStatus> {
            let mut child = command.spawn()?;
            if let (Some(mut to), Some(input)) = (child.stdin.take(), input) {
                to.write_all(input)?;
            }
            child.wait()
        };
        match run() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(refusal(&self.bundle.join(LOG), status)),
            Err(err) => Err(failure(&format!("run {}", self.program.display()), &err)),
        }
    }

    /// Runs a verb that makes a process with this stdio.
    fn make(&self, mut command: Command, pid_file: &str, stdio: Stdio) -> Result<Made, Failure> {
        command.args(["--pid-file", pid_file]);
        let listener = match stdio {
            Stdio::Terminal => {
                let _ = fs::remove_file(self.bundle.join(CONSOLE));
                let listener = UnixListener::bind(CONSOLE).map_err(|err| failure("console socket", &err))?;
                command.args(["--console-socket", CONSOLE]).stdout(Std::null()).stderr(Std::null());
                Some(listener)
            }
            Stdio::Files { stdin, stdout, stderr } => {
                command.stdin(stdin).stdout(stdout).stderr(stderr);
                None
            }
        };
        command.arg(&self.id);
        let done = self.finish_made(command);
        let console = match (&done, listener) {
            (Ok(()), Some(listener)) => Some(receive_console(&listener)),
            _ => None,
        };
        let _ = fs::remove_file(self.bundle.join(CONSOLE));
        done?;
        let pid = fs::read_to_string(self.bundle.join(pid_file))
            .and_then(|text| text.trim().parse().map_err(io::Error::other))
            .map_err(|err| failure("the runtime's pid file", &err))?;
        let _ = fs::remove_file(self.bundle.join(pid_file));
        let console = console.transpose().map_err(|err| failure("receive the terminal", &err))?;
        Ok(Made { pid, console })
    }

    fn finish_made(&self, command: Command) -> Result<(), Failure> {
        self.finish(command, None).map_err(with_exit_code)
    }

    fn verb(&self, words: &[&str]) -> Result<(), Failure> {
        let mut command = self.command(words[0]);
        command.args(&words[1..]).stdout(Std::null()).stderr(Std::null());
        self.finish(command, None)
    }
}

impl Runtime for Foreign {
    fn create(&mut self, stdio: Stdio) -> Result<Made, Failure> {
        let mut command = self.command("create");
        command.arg("--bundle").arg(&self.bundle);
        self.make(command, "init.pid", stdio).inspect_err(|_| {
            // One that was killed half way took nothing back. The first cause is what is told.
            if let Err(err) = self.delete() {
                eprintln!("after a failed create: {err}");
            }
        })
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.verb(&["start", &self.id]).map_err(with_exit_code)
    }

    fn exec(&mut self, session: &str, process: &serde_json::Value, stdio: Stdio) -> Result<Made, Failure> {
        let mut process = process.clone();
        process["terminal"] = matches!(stdio, Stdio::Terminal).into();
        let file = format!("exec-{session}.json");
        fs::write(self.bundle.join(&file), process.to_string())
            .map_err(|err| failure("write process", &err))?;
        let mut command = self.command("exec");
        command.args(["--detach", "--process"]).arg(&file);
        let made = self.make(command, &format!("exec-{session}.pid"), stdio);
        let _ = fs::remove_file(self.bundle.join(&file));
        made
    }

    fn kill_all(&mut self, signal: i32) -> Result<(), Failure> {
        self.verb(&["kill", "--all", &self.id, &signal.to_string()])
    }

    fn pause(&mut self) -> Result<(), Failure> {
        self.verb(&["pause", &self.id])
    }

    fn resume(&mut self) -> Result<(), Failure> {
        self.verb(&["resume", &self.id])
    }

    fn update(&mut self, resources: &serde_json::Value) -> Result<(), Failure> {
        let mut command = self.command("update");
        command.args(["--resources", "-", &self.id]).stdout(Std::null()).stderr(Std::null());
        self.finish(command, Some(resources.to_string().as_bytes()))
    }

    fn delete(&mut self) -> Result<(), Failure> {
        // Doing it twice is no error, so one that was killed half way is done again.
        self.verb(&["delete", "--force", &self.id]).or_else(|_| self.verb(&["delete", "--force", &self.id]))
    }
}

/// The runtime has connected and sent before it ended: nothing here waits.
fn receive_console(listener: &UnixListener) -> io::Result<OwnedFd> {
    listener.set_nonblocking(true)?;
    let (socket, _) = listener.accept()?;
    let mut name = [0; 256];
    let (_, fds) = gantry_sys::fds::recv(&socket, &mut name)?;
    fds.into_iter().next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The last error in the runtime's log. One that was killed had no time to say anything.
fn refusal(log: &Path, status: ExitStatus) -> Failure {
    let mut text = String::new();
    let read = fs::File::open(log).and_then(|file| file.take(1 << 20).read_to_string(&mut text));
    let last = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["level"] == "error")
        .filter_map(|line| line["msg"].as_str().map(str::to_owned))
        .next_back();
    let message = match (last, status.signal(), read) {
        (Some(message), ..) => message,
        (None, Some(signal), _) => format!("the runtime was killed by signal {signal}"),
        (None, ..) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "the runtime failed and did not say why".to_owned(),
    };
    Failure::new(class_of(&message), message)
}

fn class_of(message: &str) -> Class {
    let says = |part: &str| message.contains(part);
    if says("does not exist") || says("already finished") || says("not running") {
        Class::NotFound
    } else if says("not found in $PATH") || says("no such file") || says("ermission denied") {
        Class::InvalidArgument
    } else {
        Class::Internal
    }
}

/// What Docker makes of such a text.
fn with_exit_code(failure: Failure) -> Failure {
    let says = |part: &str| failure.message.to_lowercase().contains(part);
    let code = if says("executable file not found") || says("no such file or directory") {
        127
    } else if says("permission denied")
        || says("not a directory")
        || says("is a directory")
        || says("exec format error")
    {
        126
    } else {
        125
    };
    Failure { exit_code: Some(code), ..failure }
}

/// The undertaker's part: has the runtime end a container that may be half gone.
pub(crate) fn end(
    bundle: &Path,
    id: &str,
    program: &OsStr,
    args: &[String],
    root: &Path,
) -> Result<(), Failure> {
    match Foreign::new(bundle, id, Path::new(program), args, root).delete() {
        Err(failure) if failure.class == Class::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_the_log_is_the_reason() {
        let dir = std::env::temp_dir().join(format!("gantry-foreign-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let log = dir.join("l");
        fs::write(
            &log,
            "{\"level\":\"error\",\"msg\":\"first\"}\nnoise\n{\"level\":\"warning\",\"msg\":\"w\"}\n{\"level\":\"error\",\"msg\":\"exec: \\\"x\\\": executable file not found in $PATH\"}\n",
        )
        .unwrap();
        let failure = with_exit_code(refusal(&log, ExitStatus::from_raw(1 << 8)));
        assert_eq!(failure.exit_code, Some(127));
        assert!(failure.message.ends_with("not found in $PATH"));
        fs::remove_dir_all(dir).unwrap();
    }
}
