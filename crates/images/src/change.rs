//! Dockerfile instructions as changes of a run configuration: `commit --change`, `import --change`, and a build's
//! instructions that only describe.

use gantry_dockerfile::expand;
use gantry_dockerfile::instruction::{Command, Healthcheck as Probe, Instruction};

use crate::config::{ConfigChange, Healthcheck, RunConfig};

/// Why an instruction is no change of a configuration. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It is no Dockerfile instruction.
    #[error(transparent)]
    Syntax(#[from] gantry_dockerfile::ParseError),
    /// It does something that needs a build.
    #[error("{0} is not a valid change command")]
    NotAllowed(&'static str),
    /// Its first word is none that a Dockerfile knows.
    #[error("{0} is not a valid change command")]
    Unknown(String),
    /// Its variables or ports cannot be read.
    #[error("{0}")]
    Value(String),
}

impl gantry_errdefs::Classified for ChangeError {
    fn class(&self) -> gantry_errdefs::Class {
        gantry_errdefs::Class::InvalidArgument
    }
}

/// Reads the texts of `--change`, one instruction (or more) each, as changes of `config`.
pub fn parse_changes(
    texts: &[impl AsRef<str>],
    config: &RunConfig,
) -> Result<Vec<ConfigChange>, ChangeError> {
    let mut config = config.clone();
    let mut all = Vec::new();
    for text in texts {
        let first = text.as_ref().split_whitespace().next().unwrap_or_default();
        if !first.is_empty() && !first.starts_with('#') && !gantry_dockerfile::is_instruction(first) {
            return Err(ChangeError::Unknown(first.to_owned()));
        }
        for located in gantry_dockerfile::stage::parse_fragment(text.as_ref())? {
            let variables = |name: &str| env_of(&config, name);
            let changes = changes_of(&located.instruction, '\\', &variables, config.shell.as_deref())?;
            config.apply(&changes);
            all.extend(changes);
        }
    }
    Ok(all)
}

/// The value of `name` in a configuration's environment.
pub fn env_of(config: &RunConfig, name: &str) -> Option<String> {
    let value = |line: &String| {
        line.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    config.env.iter().flatten().find_map(value)
}

/// What one instruction changes, its text expanded with `variables`. Instructions that do something (RUN, COPY, ADD)
/// or belong to a build (ARG) are [`ChangeError::NotAllowed`].
pub fn changes_of(
    instruction: &Instruction,
    escape: char,
    variables: &dyn expand::Variables,
    shell: Option<&[String]>,
) -> Result<Vec<ConfigChange>, ChangeError> {
    let word =
        |text: &str| expand::word(text, escape, variables).map(|(word, _)| word).map_err(ChangeError::Value);
    let line = |command: &Command| command_line(command, shell);
    Ok(match instruction {
        Instruction::Cmd(command) => vec![ConfigChange::Cmd(line(command))],
        Instruction::Entrypoint(command) => vec![ConfigChange::Entrypoint(line(command))],
        Instruction::Env(pairs) => pairs
            .iter()
            .map(|pair| Ok(ConfigChange::Env(word(&pair.name)?, word(&pair.value)?)))
            .collect::<Result<_, ChangeError>>()?,
        Instruction::Label(pairs) => pairs
            .iter()
            .map(|pair| Ok(ConfigChange::Label(word(&pair.name)?, word(&pair.value)?)))
            .collect::<Result<_, ChangeError>>()?,
        Instruction::Expose(ports) => {
            let mut changes = Vec::new();
            for port in ports {
                for port in expand::words(port, escape, variables).map_err(ChangeError::Value)? {
                    changes.extend(exposed(&port)?.into_iter().map(ConfigChange::Expose));
                }
            }
            changes
        }
        Instruction::Onbuild(text) => vec![ConfigChange::OnBuild(text.clone())],
        Instruction::User(user) => vec![ConfigChange::User(word(user)?)],
        Instruction::Volume(paths) => paths
            .iter()
            .map(|path| word(path).map(ConfigChange::Volume))
            .collect::<Result<_, ChangeError>>()?,
        Instruction::Workdir(path) => vec![ConfigChange::WorkingDir(word(path)?)],
        Instruction::StopSignal(signal) => vec![ConfigChange::StopSignal(word(signal)?)],
        Instruction::Shell(words) => vec![ConfigChange::Shell(words.clone())],
        Instruction::Healthcheck(check) => vec![ConfigChange::Healthcheck(health(check))],
        Instruction::Maintainer(_) => return Err(ChangeError::NotAllowed("MAINTAINER")),
        Instruction::Run(_) => return Err(ChangeError::NotAllowed("RUN")),
        Instruction::Copy(_) => return Err(ChangeError::NotAllowed("COPY")),
        Instruction::Add(_) => return Err(ChangeError::NotAllowed("ADD")),
        Instruction::Arg(_) => return Err(ChangeError::NotAllowed("ARG")),
    })
}

/// A command as the words to run: the exec form as it stands, the shell form behind the shell.
pub fn command_line(command: &Command, shell: Option<&[String]>) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell { line, .. } => {
            let mut words = match shell {
                Some(shell) if !shell.is_empty() => shell.to_vec(),
                _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            };
            words.push(line.clone());
            words
        }
    }
}

fn health(check: &Probe) -> Healthcheck {
    match check {
        Probe::None => Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() },
        Probe::Probe { command, interval, timeout, start_period, start_interval, retries } => Healthcheck {
            test: match command {
                Command::Exec(words) => {
                    std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect()
                }
                Command::Shell { line, .. } => vec!["CMD-SHELL".into(), line.clone()],
            },
            interval: *interval,
            timeout: *timeout,
            start_period: *start_period,
            start_interval: *start_interval,
            retries: i64::from(*retries),
        },
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`: each port with its protocol.
fn exposed(text: &str) -> Result<Vec<String>, ChangeError> {
    let bad = || ChangeError::Value(format!("invalid containerPort: {text}"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(ChangeError::Value(format!("invalid proto: {protocol}")));
    }
    // `host:container` was once allowed; only the container's port counts.
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first == 0 || last < first {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(texts: &[&str]) -> RunConfig {
        let mut config = RunConfig { env: Some(vec!["PATH=/bin".into()]), ..RunConfig::default() };
        let changes = parse_changes(texts, &config).unwrap_or_else(|e| panic!("{texts:?}: {e}"));
        config.apply(&changes);
        config
    }

    #[test]
    fn each_describing_instruction_is_a_change() {
        let config = changed(&[
            "ENV A=1 B=$PATH:/x",
            "ENV C=$A",
            "CMD echo $HOME",
            "EXPOSE 80 53/udp 8000-8001",
            "LABEL a=\"b c\"",
            "WORKDIR /srv",
            "WORKDIR app",
            "USER 1000:1000",
            "VOLUME [\"/data\"]",
            "STOPSIGNAL SIGQUIT",
            "ONBUILD RUN make",
            "HEALTHCHECK --retries=2 CMD true",
        ]);
        assert_eq!(config.env.unwrap(), ["PATH=/bin", "A=1", "B=/bin:/x", "C=1"]);
        assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo $HOME"]);
        let ports: Vec<_> = config.exposed_ports.into_keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
        assert_eq!(config.labels.unwrap()["a"], "b c");
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/srv/app", "1000:1000"));
        assert_eq!(config.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
        assert_eq!(config.on_build.unwrap(), ["RUN make"]);
    }

    #[test]
    fn what_needs_a_build_is_refused() {
        let refuse = |text: &str| parse_changes(&[text], &RunConfig::default()).unwrap_err().to_string();
        assert_eq!(refuse("RUN x"), "RUN is not a valid change command");
        assert_eq!(refuse("NONSENSE x"), "NONSENSE is not a valid change command");
        assert_eq!(refuse("EXPOSE x"), "invalid containerPort: x");
    }
}
