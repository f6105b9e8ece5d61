//! `gantry top`: all containers with what they use, live, and a key for what one does with them. `top CONTAINER` is
//! Docker's own `top`.

mod keys;
mod list;
mod screen;

use std::time::Duration;

use futures_util::StreamExt;
use gantry_client::{Client, Query};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::container::stats::Reading;
use crate::commands::container::top;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;
use keys::{Key, Keyboard};
use list::{Board, Verb};
use screen::Screen;

pub static TOP: Command = Command {
    usage: "[CONTAINER [ps OPTIONS]]",
    short: "Watch containers and what they use, or list the processes of one",
    long: "Without a container: a live table of all running ones. Arrows choose a container; l shows its logs, e opens a \
           shell in it, s stops, r restarts, k kills it; < and > choose the column to sort by, / filters, a shows stopped \
           ones too, q leaves. Without a terminal the table is printed once.\n\nWith a container: its processes, as ps \
           with these options shows them.",
    aliases: &["top"],
    arity: Arity::AtLeast(0),
    interspersed: false,
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

/// How often the list is asked for; readings come once a second by themselves.
const LIST: Duration = Duration::from_secs(2);

/// How often the table is drawn.
const DRAW: Duration = Duration::from_millis(500);

async fn run(s: &Session, m: &Matches) -> Outcome {
    if !m.words.is_empty() {
        return top::run(s, m).await;
    }
    if s.program == "docker" {
        // Docker's own words, for scripts that know them.
        return top::TOP.matches("docker top", &[]).map(drop);
    }
    match terminal::stdin_is() && terminal::stdout_is() {
        true => live(s).await,
        false => once(s.client()?).await,
    }
}

/// One table for a pipe.
async fn once(client: &Client) -> Outcome {
    let mut board = Board::default();
    board.take_list(&client.container_list(Query::new()).await?);
    let ids: Vec<String> = board.rows().iter().map(|row| row.id.clone()).collect();
    let readings = futures_util::stream::iter(ids.into_iter().map(|id| async move {
        let mut stream = client.container_stats(&id, Query::new().with("stream", "0")).await.ok()?;
        Some((id, Reading::of(&stream.next().await.ok()??)))
    }))
    .buffered(50)
    .collect::<Vec<_>>()
    .await;
    for (id, reading) in readings.into_iter().flatten() {
        board.take_reading(&id, Some(reading));
    }
    for line in board.table() {
        print::line(line.trim_end());
    }
    Ok(())
}

/// What comes from the engine while the table is shown.
enum News {
    List(Vec<Value>),
    Reading(String, Option<Reading>),
    Said(String),
    Absent(String),
}

async fn live(s: &Session) -> Outcome {
    let client = s.client()?.clone();
    let (sender, mut news) = tokio::sync::mpsc::channel(64);
    let mut board = Board::default();
    board.take_list(&client.container_list(Query::new()).await?);
    let mut keyboard = Keyboard::open()?;
    let mut screen = Screen::enter()?;
    let (mut list, mut draw) = (tokio::time::interval(LIST), tokio::time::interval(DRAW));
    // Told to end, or the terminal has gone: the screen is given back first.
    let (mut told, mut gone) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    loop {
        for id in board.unwatched() {
            tokio::spawn(follow(client.clone(), id, sender.clone()));
        }
        let mut changed = true;
        tokio::select! {
            key = keyboard.next() => match board.press(key?) {
                None => {}
                Some(Verb::Quit) => return Ok(()),
                Some(Verb::Logs(id)) => screen.lend(&mut child(s, &["logs", "--tail", "200", "-f", &id])).await?,
                Some(Verb::Shell(id)) => screen.lend(&mut child(s, &["exec", "-it", &id, "sh"])).await?,
                Some(verb) => drop(tokio::spawn(act(client.clone(), verb, sender.clone()))),
            },
            Some(told) = news.recv() => match told {
                News::List(list) => board.take_list(&list),
                News::Reading(id, reading) => {
                    board.take_reading(&id, reading);
                    changed = false;
                }
                News::Said(text) => board.say(text),
                News::Absent(why) => board.miss(why),
            },
            _ = list.tick() => {
                tokio::spawn(ask(client.clone(), board.shows_all(), sender.clone()));
                changed = false;
            }
            _ = draw.tick() => {}
            _ = told.recv() => return Err(Failure::silent(143)),
            _ = gone.recv() => return Err(Failure::silent(129)),
        }
        if changed {
            screen.draw(&board);
        }
    }
}

/// Ourselves, on the same engine.
fn child(s: &Session, args: &[&str]) -> tokio::process::Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "gantry".into());
    let mut command = tokio::process::Command::new(program);
    command.arg("--config").arg(s.config_dir()).args(args).envs([s.engine_variable()]);
    command
}

async fn ask(client: Client, all: bool, sender: tokio::sync::mpsc::Sender<News>) {
    let told = match client.container_list(Query::new().flag("all", all)).await {
        Ok(list) => News::List(list),
        Err(error) => News::Absent(error.to_string()),
    };
    // The table is gone when nobody listens.
    let _ = sender.send(told).await;
}

/// Passes on what a container uses, until it ends.
async fn follow(client: Client, id: String, sender: tokio::sync::mpsc::Sender<News>) {
    if let Ok(mut stream) = client.container_stats(&id, Query::new().with("stream", "1")).await {
        while let Ok(Some(value)) = stream.next().await {
            // A container that has ended is told with an empty reading.
            let over =
                value["pids_stats"]["current"].is_null() && value["cpu_stats"]["system_cpu_usage"].is_null();
            if over || sender.send(News::Reading(id.clone(), Some(Reading::of(&value)))).await.is_err() {
                break;
            }
        }
    }
    // The table is gone when nobody listens.
    let _ = sender.send(News::Reading(id, None)).await;
}

async fn act(client: Client, verb: Verb, sender: tokio::sync::mpsc::Sender<News>) {
    let (done, past) = match &verb {
        Verb::Stop(row) => (client.container_stop(&row.id, "stop", "", None).await, "stopped"),
        Verb::Restart(row) => (client.container_stop(&row.id, "restart", "", None).await, "restarted"),
        Verb::Kill(row) => (client.container_kill(&row.id, "KILL").await, "killed"),
        Verb::Quit | Verb::Logs(_) | Verb::Shell(_) => return,
    };
    let text = match done {
        Ok(()) => format!("{} {past}", verb.row().map_or("", |row| row.name.as_str())),
        Err(error) => Failure::from(error).to_string(),
    };
    // The table is gone when nobody listens.
    let _ = sender.send(News::Said(text)).await;
}
