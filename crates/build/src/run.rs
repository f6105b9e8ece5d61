//! RUN: a process in the stage's root, with what `--mount` shows it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use gantry_dockerfile::instruction::{Command, Located, Run};
use gantry_dockerfile::mount::{self, MountKind};
use gantry_dockerfile::source::Heredoc;
use gantry_images::command_line;
use gantry_names::{ContainerId, Platform};
use rustix::fs::{Gid, Mode, Uid};

use crate::failure::{Cause, Failed};
use crate::files::{self, CopyOptions, FileError, Owner, Root};
use crate::mounts::Taken;
use crate::place;
use crate::progress::{Event, Output, StepNumber};
use crate::roots::Ground;
use crate::stage::{Result, StageBuild};
use crate::step::{Refusal, Step, StepMount, Task};
use crate::stubs::Stubs;

/// What a process has without an ENV.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where a heredoc that is a program is shown.
const SCRIPTS: &str = "/dev/pipes";

/// One `--mount`, ready.
#[derive(Default)]
struct Ready {
    mount: Option<StepMount>,
    /// What it adds to the key.
    input: String,
    /// Variables it sets.
    env: Option<String>,
    /// Lives as long as the step.
    _scratch: Option<tempfile::TempDir>,
    /// The same.
    _cache: Option<Taken>,
}

impl StageBuild {
    pub(crate) async fn run_step(&mut self, run: &Run, located: &Located, step: StepNumber) -> Result<()> {
        let shell = self.point.config.config.as_ref().and_then(|config| config.shell.clone());
        let (args, script) = command_of(&run.command, shell.as_deref());
        let run_args = self.scope.run_args(self.env());
        let network = match &run.network {
            Some(network) if network != "default" => self.expanded(network)?,
            _ => self.build.request.limits.network.clone(),
        };
        let insecure = run.security.as_deref() == Some("insecure");
        if insecure {
            self.needs("security.insecure")?;
        }
        if network == "host" && self.build.request.limits.network != "host" {
            self.needs("network.host")?;
        }
        self.devices(&run.devices)?;
        let mut inputs =
            self.inputs(&located.original).with("command", args.join("\0")).with("network", &network);
        for arg in &run_args {
            let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
            inputs = inputs.with(format!("arg {name}"), value);
        }
        let mut kept = Vec::new();
        for text in &run.mounts {
            let text = self.expanded(text)?;
            let parsed = mount::parse(&text).map_err(Cause::Value)?;
            let ready = self.mount(&parsed, located).await?;
            inputs = inputs.with(format!("mount {text}"), &ready.input);
            kept.push(ready);
        }
        if let Some(script) = script {
            kept.push(self.script(script)?);
        }
        let mut env = self.env().to_vec();
        if !env.iter().any(|line| line.starts_with("PATH=")) {
            env.push(DEFAULT_PATH.into());
        }
        env.extend(run_args);
        env.extend(self.scope.proxies(&self.build.globals));
        env.extend(kept.iter().filter_map(|ready| ready.env.clone()));
        let config = self.point.config.config.clone().unwrap_or_default();
        let working_dir = if config.working_dir.is_empty() { "/".to_owned() } else { config.working_dir };
        let mounts: Vec<StepMount> = kept.iter().filter_map(|ready| ready.mount.clone()).collect();
        let command = args.join(" ");
        let foreign = foreign(&self.point.config.platform());
        let build = Arc::clone(&self.build);
        let work = |snapshot: ContainerId| -> Task<'static, Result<()>> {
            Box::pin(async move {
                let stubs = Stubs::note(&build.snapshot_root(snapshot.as_str())?, targets(&mounts))?;
                let output = Output::new(build.progress.clone(), step);
                let step = Step {
                    snapshot: snapshot.clone(),
                    args,
                    env,
                    user: config.user,
                    working_dir,
                    network,
                    insecure,
                    mounts,
                    limits: build.request.limits.clone(),
                };
                let ran = build.outside.run(step, output.clone()).await;
                let code = ran.map_err(|refusal| Cause::Outside(hinted(refusal, foreign)))?;
                stubs.remove(&build.snapshot_root(snapshot.as_str())?)?;
                match code {
                    0 => Ok(()),
                    code => Err(Cause::Exit(Box::new(Failed {
                        command,
                        code,
                        output: output.tail(),
                        state: None,
                    }))),
                }
            })
        };
        self.cached(&located.original, inputs, step, Ground::MountPoints, work).await?;
        // Folders made for mounts stay until the step is done.
        drop(kept);
        Ok(())
    }

    /// Refuses what only the caller may grant, and has not (CVE-2024-23653).
    fn needs(&self, entitlement: &str) -> Result<()> {
        match self.build.request.granted.contains(entitlement) {
            true => Ok(()),
            false => Err(Cause::Denied(entitlement.to_owned())),
        }
    }

    /// `--device` asks for devices that a list of the machine describes (CDI), and builds here have none: one that is
    /// required is refused, another is told to be left out.
    fn devices(&self, devices: &[String]) -> Result<()> {
        for device in devices {
            if device.split(',').any(|word| word == "required" || word == "required=true") {
                return Err(Cause::Value(format!("RUN --device={device}: builds here have no CDI devices")));
            }
            let text =
                format!("[Warning] RUN --device={device} is left out: builds here have no CDI devices");
            self.build.progress.tell(Event::Warning { text });
        }
        Ok(())
    }

    async fn mount(&self, mount: &mount::RunMount, located: &Located) -> Result<Ready> {
        let target = self.expanded_target(&mount.target);
        let covers =
            matches!(mount.kind, MountKind::Tmpfs { .. } | MountKind::Cache { .. } | MountKind::Bind { .. });
        if covers && target == "/" {
            return Err(Cause::Value("invalid mount target \"/\": it would hide the step's own root".into()));
        }
        match &mount.kind {
            MountKind::Tmpfs { size } => {
                Ok(Ready { mount: Some(StepMount::Tmpfs { target, size: *size }), ..Ready::default() })
            }
            MountKind::Cache { id, from, source, sharing, read_only, owner } => {
                let name = if id.is_empty() { target.as_str() } else { id };
                let taken = self.build.mounts.take(name, *sharing, *owner).await?;
                if taken.fresh && !from.is_empty() {
                    let (root, ignore) = self.source_root(from, located).await?;
                    let options = CopyOptions { owner: Owner::Kept, chmod: None, ignore, newest: None };
                    let to = Root::open(&taken.path)?;
                    files::copy(&root, source.trim_matches('/'), &to, "", &options)?;
                }
                let mount = StepMount::Bind { source: taken.path.clone(), target, read_only: *read_only };
                Ok(Ready { mount: Some(mount), _cache: Some(taken), ..Ready::default() })
            }
            MountKind::Bind { from, source, read_only } => {
                let (root, ignore) = self.source_root(from, located).await?;
                let source = source.trim_matches('/').to_owned();
                let scratch = self.build.scratch()?;
                let to = Root::open(scratch.path())?;
                let copied = tokio::task::spawn_blocking(move || {
                    let digest = files::digest(&root, &ignore, &source)?;
                    // The step gets a copy: the original may belong to a stage that is not mounted anywhere.
                    let options = CopyOptions { owner: Owner::Kept, chmod: None, ignore, newest: None };
                    files::copy(&root, &source, &to, "mount", &options)?;
                    Ok::<_, FileError>(digest)
                });
                let digest = copied.await.map_err(Cause::ended)??;
                let source = scratch.path().join("mount");
                let mount = StepMount::Bind { source, target, read_only: *read_only };
                let mount = Some(mount);
                Ok(Ready { mount, input: digest.to_string(), _scratch: Some(scratch), ..Ready::default() })
            }
            MountKind::Secret { id, required, env, owner } => {
                let asked = self.build.request.caller.secret(id.clone());
                match asked.await.map_err(Cause::Outside)? {
                    None if *required => Err(Cause::Value(format!("secret {id}: not found"))),
                    None => Ok(Ready::default()),
                    // A secret's value is no input: it changes nothing that may be kept.
                    Some(bytes) => self.secret(id, &bytes, env.as_deref(), *owner, &mount.target),
                }
            }
            MountKind::Ssh { id, required, .. } => {
                let asked = self.build.request.caller.agent(id.clone());
                match asked.await.map_err(Cause::Outside)? {
                    None if *required => Err(Cause::Value(format!("unset ssh forward key {id}"))),
                    None => Ok(Ready::default()),
                    Some(source) => {
                        let given = !mount.target.is_empty();
                        let target = if given { target } else { "/run/buildkit/ssh_agent.0".into() };
                        let env = Some(format!("SSH_AUTH_SOCK={target}"));
                        let mount = StepMount::Bind { source, target, read_only: false };
                        Ok(Ready { mount: Some(mount), env, ..Ready::default() })
                    }
                }
            }
        }
    }

    fn expanded_target(&self, target: &str) -> String {
        place::absolute(target, self.working_dir())
    }

    /// A secret as a variable, as a file, or both: a file unless only a variable was asked for.
    fn secret(
        &self,
        id: &str,
        bytes: &[u8],
        env: Option<&str>,
        owner: mount::Owner,
        target: &str,
    ) -> Result<Ready> {
        let variable = env.map(|name| format!("{name}={}", String::from_utf8_lossy(bytes)));
        if variable.is_some() && target.is_empty() {
            return Ok(Ready { env: variable, ..Ready::default() });
        }
        let scratch = self.build.scratch()?;
        let source = scratch.path().join("secret");
        let (uid, gid) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
        std::fs::write(&source, bytes).map_err(FileError::io(id))?;
        rustix::fs::chown(&source, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .and_then(|()| rustix::fs::chmod(&source, Mode::from_raw_mode(owner.mode.unwrap_or(0o400))))
            .map_err(FileError::io(id))?;
        let target =
            if target.is_empty() { format!("/run/secrets/{id}") } else { self.expanded_target(target) };
        let mount = StepMount::Bind { source, target, read_only: true };
        Ok(Ready { mount: Some(mount), env: variable, _scratch: Some(scratch), ..Ready::default() })
    }

    /// A heredoc that is a program of its own.
    fn script(&self, script: &Heredoc) -> Result<Ready> {
        let scratch = self.build.scratch()?;
        let source = scratch.path().join("script");
        std::fs::write(&source, script.text())
            .and_then(|()| std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755)))
            .map_err(FileError::io(&script.name))?;
        let target = format!("{SCRIPTS}/{}", script.name);
        let mount = StepMount::Bind { source, target, read_only: true };
        Ok(Ready { mount: Some(mount), _scratch: Some(scratch), ..Ready::default() })
    }
}

/// What a step of another machine's image needs to run on this one.
fn foreign(platform: &Platform) -> Option<String> {
    let host = Platform::host();
    (!platform.architecture.is_empty() && platform.architecture != host.architecture).then(|| {
        format!(
            "the image is for {platform}, this machine is {host}: its programs run here once an emulator is registered with binfmt_misc (the package qemu-user-static brings one)"
        )
    })
}

/// A step that could not begin, with what may be the cause of it.
fn hinted(refusal: Refusal, hint: Option<String>) -> Refusal {
    match hint {
        Some(hint) => Refusal { message: format!("{} ({hint})", refusal.message), ..refusal },
        None => refusal,
    }
}

fn targets(mounts: &[StepMount]) -> impl Iterator<Item = &str> {
    mounts.iter().map(|mount| match mount {
        StepMount::Bind { target, .. } | StepMount::Tmpfs { target, .. } => target.as_str(),
    })
}

/// The words of a RUN. Heredocs become part of the shell's text, or the text itself where the line is nothing else; one
/// that begins with `#!` is a program, given beside.
fn command_of<'a>(command: &'a Command, shell: Option<&[String]>) -> (Vec<String>, Option<&'a Heredoc>) {
    let Command::Shell { line, heredocs } = command else { return (command_line(command, shell), None) };
    let whole = |line: String| command_line(&Command::Shell { line, heredocs: Vec::new() }, shell);
    let alone = line.starts_with("<<") && !line.contains(char::is_whitespace);
    match &heredocs[..] {
        [] => (whole(line.clone()), None),
        [one] if alone && one.content.starts_with("#!") => {
            (whole(format!("{SCRIPTS}/{}", one.name)), Some(one))
        }
        [one] if alone => (whole(one.text()), None),
        many => {
            let mut text = line.clone();
            for heredoc in many {
                text.push('\n');
                text.push_str(&heredoc.content);
                text.push_str(&heredoc.name);
            }
            (whole(text), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dockerfile::Instruction;

    fn words(text: &str) -> (Vec<String>, bool) {
        let file = gantry_dockerfile::parse(&format!("FROM a\n{text}")).unwrap();
        let Instruction::Run(run) = &file.stages[0].instructions[0].instruction else { panic!() };
        let (words, script) = command_of(&run.command, None);
        (words, script.is_some())
    }

    #[test]
    fn heredocs_are_text_of_the_shell_or_programs() {
        assert_eq!(
            words("RUN <<EOF\na\nb\nEOF"),
            (vec!["/bin/sh".into(), "-c".into(), "a\nb\n".into()], false)
        );
        assert_eq!(words("RUN cat <<E > /x\na\nE").0[2], "cat <<E > /x\na\nE");
        assert_eq!(words("RUN <<EOF\n#!/bin/cat\nx\nEOF"), {
            (vec!["/bin/sh".into(), "-c".into(), "/dev/pipes/EOF".into()], true)
        });
        assert_eq!(words("RUN [\"a\", \"b\"]").0, ["a", "b"]);
    }
}
