//! From a line to a typed instruction.

use crate::flags::{Flags, Kind};
use crate::instruction::{Add, Command, Copy, From, Instruction, Run, Sources};
use crate::source::{Heredoc, RawInstruction};
use crate::words::{self, Json};
use crate::{ParseError, healthcheck, mount, suggest};

/// FROM, or anything else.
pub(crate) enum Parsed {
    From(From),
    Other(Instruction),
}

/// Whether a word is an instruction's name, in letters of any size.
pub fn is_instruction(word: &str) -> bool {
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(word))
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
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck::read(raw)?),
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
