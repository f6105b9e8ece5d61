//! The instructions, typed. Values are unexpanded text: the builder expands them with a stage's variables.

use crate::flags::{Flags, Kind};
use crate::source::{Heredoc, RawInstruction};
use crate::words::{self, Json, Pair};
use crate::{ParseError, Span, mount, suggest};

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its lines.
    pub span: Span,
    /// The logical line as written, continuation joined.
    pub original: String,
    /// What it says.
    pub instruction: Instruction,
}

/// Every instruction but FROM, which begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Files from the context, addresses, git or inline text.
    Add(Add),
    /// Build arguments: name and default.
    Arg(Vec<(String, Option<String>)>),
    /// Default command.
    Cmd(Command),
    /// Files from the context, a stage, an image or inline text.
    Copy(Copy),
    /// Default program.
    Entrypoint(Command),
    /// Variables.
    Env(Vec<Pair>),
    /// Ports, sorted.
    Expose(Vec<String>),
    /// How to see whether the container is well.
    Healthcheck(Healthcheck),
    /// Labels.
    Label(Vec<Pair>),
    /// The author.
    Maintainer(String),
    /// An instruction for builds on this image, as text.
    Onbuild(String),
    /// A step.
    Run(Run),
    /// The shell of shell forms.
    Shell(Vec<String>),
    /// The signal that stops the container.
    StopSignal(String),
    /// User and group.
    User(String),
    /// Mount points.
    Volume(Vec<String>),
    /// Working folder.
    Workdir(String),
}

/// A command line: `["a", "b"]`, or text for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// To be run as it stands.
    Exec(Vec<String>),
    /// To be run by the stage's shell; heredocs are part of the text.
    Shell {
        /// The line.
        line: String,
        /// Bodies of its `<<WORD`s.
        heredocs: Vec<Heredoc>,
    },
}

/// RUN and its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub command: Command,
    /// Values of `--mount`, to be expanded and then read by [`mount::parse`].
    pub mounts: Vec<String>,
    /// `--network`: `default`, `none`, `host`.
    pub network: Option<String>,
    /// `--security`: `sandbox`, `insecure`.
    pub security: Option<String>,
    /// Values of `--device`.
    pub devices: Vec<String>,
}

/// What COPY and ADD take from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Paths and patterns.
    pub paths: Vec<String>,
    /// Inline files: each heredoc's name is the file's name.
    pub inline: Vec<Heredoc>,
    /// Where they go.
    pub target: String,
    /// `--chown`.
    pub chown: String,
    /// `--chmod`.
    pub chmod: String,
    /// `--link`.
    pub link: bool,
    /// `--exclude`.
    pub exclude: Vec<String>,
}

impl Sources {
    /// The texts in which variables are expanded.
    pub fn texts(&self) -> Vec<&str> {
        self.paths.iter().chain([&self.target, &self.chown, &self.chmod]).map(String::as_str).collect()
    }
}

/// COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What and where to.
    pub sources: Sources,
    /// `--from`: stage, image or named context; empty: the context.
    pub from: String,
    /// `--parents`.
    pub parents: bool,
}

/// ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What and where to.
    pub sources: Sources,
    /// `--checksum`.
    pub checksum: String,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

/// HEALTHCHECK; times in nanoseconds, zero: Docker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: what the base image had does not count.
    None,
    /// `CMD`.
    Probe {
        /// The probe.
        command: Command,
        /// `--interval`.
        interval: i64,
        /// `--timeout`.
        timeout: i64,
        /// `--start-period`.
        start_period: i64,
        /// `--start-interval`.
        start_interval: i64,
        /// `--retries`.
        retries: u32,
    },
}

/// FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Image, stage, or `scratch`; unexpanded.
    pub base: String,
    /// `AS name`, lower case.
    pub name: Option<String>,
    /// `--platform`; unexpanded.
    pub platform: String,
}

/// FROM, or anything else.
pub(crate) enum Parsed {
    From(From),
    Other(Instruction),
}

const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Understands one raw instruction.
pub(crate) fn parse(raw: &RawInstruction, escape: char) -> Result<Parsed, ParseError> {
    understand(raw, escape).map_err(|message| ParseError::at(raw.span, message))
}

fn understand(raw: &RawInstruction, escape: char) -> Result<Parsed, String> {
    let name = raw.keyword.to_ascii_uppercase();
    let rest = raw.rest.as_str();
    let no_flags = || Flags::check(&raw.flags, &[]).map(|_| ());
    let instruction = match name.as_str() {
        "FROM" => return from(raw).map(Parsed::From),
        "ADD" => add(raw)?,
        "COPY" => copy(raw)?,
        "RUN" => run(raw)?,
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(raw)?),
        "ONBUILD" => onbuild(raw)?,
        "ARG" => arg(rest, escape)?,
        _ => {
            if NAMES.contains(&name.as_str()) {
                no_flags()?;
            }
            match name.as_str() {
                "CMD" => Instruction::Cmd(command(raw)?),
                "ENTRYPOINT" => Instruction::Entrypoint(command(raw)?),
                "ENV" => Instruction::Env(words::pairs(rest, "ENV", escape)?),
                "LABEL" => Instruction::Label(words::pairs(rest, "LABEL", escape)?),
                "EXPOSE" => {
                    let mut ports = at_least_one(words::blanks(rest), "EXPOSE")?;
                    ports.sort();
                    Instruction::Expose(ports)
                }
                "MAINTAINER" => Instruction::Maintainer(exactly_one(rest, "MAINTAINER")?),
                "STOPSIGNAL" => Instruction::StopSignal(exactly_one(rest, "STOPSIGNAL")?),
                "USER" => Instruction::User(exactly_one(rest, "USER")?),
                "WORKDIR" => Instruction::Workdir(exactly_one(rest, "WORKDIR")?),
                "SHELL" => match words::json(rest)? {
                    Json::List(list) => Instruction::Shell(at_least_one(list, "SHELL")?),
                    Json::No if rest.is_empty() => return Err("SHELL requires at least one argument".into()),
                    Json::No => {
                        return Err("SHELL requires the arguments to be in JSON form".into());
                    }
                },
                "VOLUME" => {
                    let list = at_least_one(list(rest)?, "VOLUME")?;
                    let list: Vec<String> = list.iter().map(|path| path.trim().to_owned()).collect();
                    if list.iter().any(String::is_empty) {
                        return Err("VOLUME specified can not be an empty string".into());
                    }
                    Instruction::Volume(list)
                }
                _ => {
                    let message = format!("unknown instruction: {}", raw.keyword);
                    return Err(suggest::with_nearest(message, &raw.keyword, &NAMES));
                }
            }
        }
    };
    Ok(Parsed::Other(instruction))
}

fn exactly_one(rest: &str, name: &str) -> Result<String, String> {
    if rest.is_empty() { Err(format!("{name} requires exactly one argument")) } else { Ok(rest.to_owned()) }
}

fn at_least_one(list: Vec<String>, name: &str) -> Result<Vec<String>, String> {
    if list.is_empty() { Err(format!("{name} requires at least one argument")) } else { Ok(list) }
}

/// A JSON array, or words between blanks.
fn list(rest: &str) -> Result<Vec<String>, String> {
    Ok(match words::json(rest)? {
        Json::List(list) => list,
        Json::No => words::blanks(rest),
    })
}

fn command(raw: &RawInstruction) -> Result<Command, String> {
    Ok(match words::json(&raw.rest)? {
        Json::List(list) => Command::Exec(list),
        Json::No => Command::Shell { line: raw.rest.clone(), heredocs: raw.heredocs.clone() },
    })
}

fn from(raw: &RawInstruction) -> Result<From, String> {
    let words = words::blanks(&raw.rest);
    let name = match &words[..] {
        [_] => None,
        [_, word, name] if word.eq_ignore_ascii_case("as") => {
            let lower = name.to_lowercase();
            let mut bytes = lower.bytes();
            let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
            let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
            if !first || !rest {
                return Err(format!(
                    "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
                ));
            }
            Some(lower)
        }
        _ => return Err("FROM requires either one or three arguments".into()),
    };
    let flags = Flags::check(&raw.flags, &[("platform", Kind::Text)])?;
    Ok(From { base: words[0].clone(), name, platform: flags.text("platform") })
}

fn run(raw: &RawInstruction) -> Result<Instruction, String> {
    let known =
        [("mount", Kind::List), ("network", Kind::Text), ("security", Kind::Text), ("device", Kind::List)];
    let flags = Flags::check(&raw.flags, &known)?;
    let one_of = |name: &str, wrong: &str, allowed: &[&str]| match flags.get(name) {
        Some(value) if !allowed.contains(&value) && !value.contains('$') => {
            Err(suggest::with_nearest(format!("{wrong} {value:?}"), value, allowed))
        }
        value => Ok(value.map(str::to_owned)),
    };
    let network = one_of("network", "invalid network mode", &["default", "none", "host"])?;
    let security = one_of("security", "unsupported security mode", &["sandbox", "insecure"])?;
    let mounts = flags.list("mount");
    // What holds no variable can be judged now, with its line; the rest when it is expanded.
    mounts.iter().filter(|text| !text.contains('$')).try_for_each(|text| mount::parse(text).map(|_| ()))?;
    if mounts
        .iter()
        .any(|text| text.split(',').any(|field| field.starts_with("from=") && field.contains('$')))
    {
        return Err("'from' doesn't support variable expansion, define alias stage instead".into());
    }
    // A RUN of nothing is one: the shell is given an empty text.
    let command = command(raw)?;
    Ok(Instruction::Run(Run { command, mounts, network, security, devices: flags.list("device") }))
}

fn sources(raw: &RawInstruction, flags: &Flags, name: &str) -> Result<Sources, String> {
    let mut words = list(&raw.rest)?;
    if words.len() < 2 {
        return Err(format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        ));
    }
    let target = words.pop().expect("two words or more");
    if Heredoc::of_word(&target).is_some() {
        return Err(format!("{name} cannot accept a heredoc as a destination"));
    }
    let (mut paths, mut inline) = (Vec::new(), Vec::new());
    for word in words {
        match Heredoc::of_word(&word) {
            None => paths.push(word),
            Some(mark) => {
                inline.extend(raw.heredocs.iter().find(|heredoc| heredoc.name == mark.name).cloned())
            }
        }
    }
    Ok(Sources {
        paths,
        inline,
        target,
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.switch("link").unwrap_or(false),
        exclude: flags.list("exclude"),
    })
}

fn add(raw: &RawInstruction) -> Result<Instruction, String> {
    let known = [
        ("chown", Kind::Text),
        ("chmod", Kind::Text),
        ("link", Kind::Switch),
        ("keep-git-dir", Kind::Switch),
        ("checksum", Kind::Text),
        ("unpack", Kind::Switch),
        ("exclude", Kind::List),
    ];
    let flags = Flags::check(&raw.flags, &known)?;
    Ok(Instruction::Add(Add {
        sources: sources(raw, &flags, "ADD")?,
        checksum: flags.text("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    }))
}

fn copy(raw: &RawInstruction) -> Result<Instruction, String> {
    let known = [
        ("chown", Kind::Text),
        ("from", Kind::Text),
        ("chmod", Kind::Text),
        ("link", Kind::Switch),
        ("exclude", Kind::List),
        ("parents", Kind::Switch),
    ];
    let flags = Flags::check(&raw.flags, &known)?;
    Ok(Instruction::Copy(Copy {
        sources: sources(raw, &flags, "COPY")?,
        from: flags.text("from"),
        parents: flags.switch("parents").unwrap_or(false),
    }))
}

fn arg(rest: &str, escape: char) -> Result<Instruction, String> {
    let words = at_least_one(words::quoted(rest, escape), "ARG")?;
    let one = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err("ARG names can not be blank".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word.clone(), None)),
    };
    words.iter().map(one).collect::<Result<_, _>>().map(Instruction::Arg)
}

fn onbuild(raw: &RawInstruction) -> Result<Instruction, String> {
    Flags::check(&raw.flags, &[])?;
    let trigger = raw.rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match trigger.as_str() {
        "" => return Err("ONBUILD requires at least one argument".into()),
        "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
        "MAINTAINER" | "FROM" => return Err(format!("{trigger} isn't allowed as an ONBUILD trigger")),
        _ => {}
    }
    let mut text = raw.original.trim()["ONBUILD".len()..].trim_start().to_owned();
    for heredoc in &raw.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(Instruction::Onbuild(text))
}

fn healthcheck(raw: &RawInstruction) -> Result<Healthcheck, String> {
    let known = [
        ("interval", Kind::Text),
        ("timeout", Kind::Text),
        ("start-period", Kind::Text),
        ("start-interval", Kind::Text),
        ("retries", Kind::Text),
    ];
    let (kind, rest) = match raw.rest.split_once(char::is_whitespace) {
        Some((kind, rest)) => (kind, rest.trim_start()),
        None => (raw.rest.as_str(), ""),
    };
    match kind.to_ascii_uppercase().as_str() {
        "" => Err("HEALTHCHECK requires at least one argument".into()),
        "NONE" if rest.is_empty() => Ok(Healthcheck::None),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" => {
            let flags = Flags::check(&raw.flags, &known)?;
            let command = match words::json(rest)? {
                Json::List(list) => Command::Exec(list),
                Json::No => Command::Shell { line: rest.to_owned(), heredocs: Vec::new() },
            };
            let missing = match &command {
                Command::Exec(list) => list.is_empty(),
                Command::Shell { line, .. } => line.is_empty(),
            };
            if missing {
                return Err("Missing command after HEALTHCHECK CMD".into());
            }
            let time = |name: &str| interval(name, flags.get(name).unwrap_or_default());
            Ok(Healthcheck::Probe {
                command,
                interval: time("interval")?,
                timeout: time("timeout")?,
                start_period: time("start-period")?,
                start_interval: time("start-interval")?,
                retries: retries(flags.get("retries").unwrap_or_default())?,
            })
        }
        other => Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
}

fn retries(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 =
        text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))?;
    u32::try_from(number).map_err(|_| format!("--retries cannot be negative ({number})"))
}

fn interval(name: &str, text: &str) -> Result<i64, String> {
    const MILLISECOND: i64 = 1_000_000;
    let nanoseconds = if text.is_empty() { 0 } else { duration(text)? };
    if nanoseconds != 0 && nanoseconds < MILLISECOND {
        return Err(format!("Interval {name:?} cannot be less than 1ms"));
    }
    Ok(nanoseconds)
}

/// Go's durations: `1h30m`, `1.5s`, `100ms`; nanoseconds.
fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    if total == 0.0 && !text.contains('0') || total > i64::MAX as f64 {
        return Err(bad());
    }
    Ok(if negative { -total as i64 } else { total as i64 })
}
