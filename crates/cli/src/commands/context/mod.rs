//! Contexts: named engines. A verb is a file where it is more than a call to the store.

mod archive;
mod create;
mod inspect;
mod ls;

use crate::command::{Arity, COMMAND, Command, Names, entry};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

pub static CONTEXT: Command = Command {
    short: "Manage contexts",
    below: &[
        entry(&["create"], &create::CREATE),
        entry(&["export"], &archive::EXPORT),
        entry(&["import"], &archive::IMPORT),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["ls", "list"], &ls::LS),
        entry(&["rm", "remove"], &RM),
        entry(&["show"], &SHOW),
        entry(&["update"], &create::UPDATE),
        entry(&["use"], &USE),
    ],
    ..COMMAND
};

static RM_FLAGS: &[Flag] = &[switch("force", "Also the one in use, and no failure when missing").short('f')];

static RM: Command = Command {
    usage: "CONTEXT [CONTEXT...]",
    short: "Remove one or more contexts",
    aliases: &["context rm", "context remove"],
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Contexts,
    work: work!(remove),
    ..COMMAND
};

static SHOW: Command =
    Command { short: "Print the name of the current context", work: work!(show), ..COMMAND };

static USE: Command = Command {
    usage: "CONTEXT",
    short: "Set the current docker context",
    arity: Arity::Exactly(1),
    names: Names::Contexts,
    work: work!(choose),
    ..COMMAND
};

async fn remove(s: &Session, m: &Matches) -> Outcome {
    let (store, force) = (s.contexts(), m.on("force"));
    let current = s.context_name();
    let mut failed = Vec::new();
    for name in &m.words {
        if name == "default" {
            failed.push("context \"default\" cannot be removed".to_owned());
            continue;
        }
        if *name == current && !force {
            failed.push(format!("context {name:?} is in use, set -f flag to force remove"));
            continue;
        }
        if store.get(name).is_err() && !force {
            failed.push(format!("context {name:?} does not exist"));
            continue;
        }
        match store.remove(name) {
            Ok(()) => {
                if s.config().text("currentContext") == name {
                    let mut config = s.config().clone();
                    config.set_text("currentContext", "");
                    config.save()?;
                }
                print::line(name);
            }
            Err(_) if force => print::line(name),
            Err(why) => failed.push(why),
        }
    }
    Failure::all(failed)
}

async fn show(s: &Session, _: &Matches) -> Outcome {
    print::line(&s.context_name());
    Ok(())
}

async fn choose(s: &Session, m: &Matches) -> Outcome {
    let name = m.word(0);
    if name != "default" {
        s.contexts().get(name)?;
    }
    let mut config = s.config().clone();
    config.set_text("currentContext", if name == "default" { "" } else { name });
    config.save()?;
    print::line(name);
    print::err(&format!("Current context is now {name:?}"));
    if name != "default" && s.host_is_given() {
        print::err(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {name:?}, either set the global --context flag, or unset DOCKER_HOST environment variable.",
        ));
    }
    Ok(())
}
