//! A verb that is a container command on one of the project's containers.

use gantry_compose::{Container, Failed};

use super::ground::Ground;
use crate::command::Command;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Does `command` as if its words had been typed.
pub async fn delegate(s: &Session, command: &'static Command, args: Vec<String>) -> Outcome {
    match (command.work, command.matches(&s.program, &args)?) {
        (Some(work), Some(matches)) => work(s, &matches).await,
        _ => Ok(()),
    }
}

/// The container of a service that a verb means: the one of this number, or else the first.
pub async fn pick(
    ground: &Ground<'_>,
    service: &str,
    index: i64,
    all: bool,
    one_offs: bool,
) -> Result<Container, Failure> {
    let containers =
        gantry_compose::observe::list_containers(ground.client, &ground.project.name, all).await?;
    let mut own: Vec<Container> =
        containers.into_iter().filter(|c| c.service == service && (one_offs || !c.is_one_off())).collect();
    own.sort_by_key(|c| (c.is_one_off(), c.number));
    let number = u32::try_from(index).unwrap_or(0);
    let found = own.into_iter().find(|c| number == 0 || c.number == number);
    Ok(found.ok_or_else(|| match number {
        0 => Failed::NotRunning(service.to_owned()),
        n => Failed::NotRunningNumber(service.to_owned(), n),
    })?)
}

/// `--flag value` when the value is not empty.
pub fn option(args: &mut Vec<String>, flag: &str, value: &str) {
    if !value.is_empty() {
        args.push(format!("--{flag}={value}"));
    }
}

/// `--flag` when it is on.
pub fn switch(args: &mut Vec<String>, flag: &str, on: bool) {
    if on {
        args.push(format!("--{flag}"));
    }
}
