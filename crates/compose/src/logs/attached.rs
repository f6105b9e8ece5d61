//! `up` with a person before it: starts everything, shows what it says, and takes it down when it is told to.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gantry_client::{Client, Query};
use tokio::signal::unix::{SignalKind, signal};

use super::{Options, Printer, one, stream};
use crate::containers::Container;
use crate::failed::Failed;
use crate::monitor::{Change, Monitor};
use crate::progress::Quiet;
use crate::scene::Scene;
use crate::{observe, start, stop};

/// What one container's end means to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExit {
    /// Nothing.
    #[default]
    Nothing,
    /// All stop.
    Stop,
    /// All stop if it failed.
    StopOnFailure,
}

/// How to stay.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Whose output is shown.
    pub services: BTreeSet<String>,
    /// What one container's end means.
    pub on_exit: OnExit,
    /// Whose code is ours.
    pub exit_code_from: Option<String>,
    /// The patience of stops, in seconds.
    pub timeout: Option<i64>,
}

type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), Failed>> + 'a>>;

/// Starts the containers and shows their output until the last of them ended. Answers the exit code.
pub async fn attached(
    scene: &Scene<'_>,
    containers: &[Container],
    options: &Attach,
    printer: &Printer,
) -> Result<i64, Failed> {
    // Starting has a gate of its own: a request that is under way when all is to stop comes to its end first.
    let starter = scene.client.apart();
    let mut interrupts = signal(SignalKind::interrupt()).map_err(gantry_client::ClientError::Io)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(gantry_client::ClientError::Io)?;
    let shown: Vec<&Container> =
        containers.iter().filter(|c| !c.is_one_off() && options.services.contains(&c.service)).collect();
    let mut monitor = Monitor::start(scene.client, &scene.project.name).await?;
    if !shown.is_empty() {
        let names: Vec<String> = shown.iter().map(|c| c.short_name()).collect();
        for name in &names {
            printer.register(name);
        }
        printer.say(&format!("Attaching to {}", names.join(", ")));
    }
    let mut streams: FuturesUnordered<Doing<'_>> = FuturesUnordered::new();
    for container in &shown {
        let reader = attach(scene, container).await?;
        streams.push(Box::pin(reader_to_lines(reader, container.short_name(), printer)));
    }
    let mut session = Session {
        scene,
        options,
        printer,
        alive: containers
            .iter()
            .filter(|c| !c.is_one_off() && scene.project.services.contains_key(&c.service))
            .map(|c| c.id.clone())
            .collect(),
        first_start: shown.iter().map(|c| c.id.clone()).collect(),
        starter: &starter,
        code: 0,
        stopping: false,
    };
    // What the containers say is the news from here on.
    let hushed = Scene { progress: &Quiet, client: &starter, ..*scene };
    let mut starting: Option<Doing<'_>> =
        Some(Box::pin(start::start(&hushed, containers, start::Options::default())));
    let mut ending: Option<Doing<'_>> = None;
    loop {
        tokio::select! {
            Some(done) = streams.next(), if !streams.is_empty() => {
                // A stream that broke is told; the containers go on.
                if let Err(failure) = done {
                    scene.progress.warn(&failure.to_string());
                }
            }
            done = until(&mut starting) => {
                starting = None;
                match done {
                    Err(failure) if !session.stopping => return Err(failure),
                    _ => {}
                }
            }
            done = until(&mut ending) => {
                last_words(&mut streams, session.first_start.len()).await;
                done?;
                return Ok(session.code);
            }
            _ = interrupts.recv() => session.interrupted(&mut ending),
            _ = terminations.recv() => session.interrupted(&mut ending),
            news = monitor.next() => {
                let Some(news) = news? else { return Ok(session.code) };
                match news.what {
                    Change::Died { code, restarting } => session.died(&news.id, &news.service, &news.name, code, restarting, &mut ending),
                    Change::Started => {
                        if let Some(again) = session.started(&news) {
                            streams.push(again);
                        }
                    }
                    Change::Other => {}
                }
            }
        }
        if session.alive.is_empty() && starting.is_none() && ending.is_none() {
            last_words(&mut streams, session.first_start.len()).await;
            return Ok(session.code);
        }
    }
}

/// How long a container that ended may go on speaking. One that somebody else started again meanwhile has no end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The same where, as far as is known, only those are left that never started and have nothing to say.
const NO_WORDS: Duration = Duration::from_millis(200);

/// Lets what was said last come out; what is not out by then is in the logs.
async fn last_words(streams: &mut FuturesUnordered<Doing<'_>>, never_started: usize) {
    loop {
        let patience = if streams.len() > never_started { LAST_WORDS } else { NO_WORDS };
        match tokio::time::timeout(patience, streams.next()).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

async fn until(doing: &mut Option<Doing<'_>>) -> Result<(), Failed> {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

type Reader = (gantry_client::HijackedReader, bool);

async fn attach(scene: &Scene<'_>, container: &Container) -> Result<Reader, Failed> {
    let tty = scene.client.container_inspect(&container.id, false).await?["Config"]["Tty"] == true;
    let query = Query::new().flag("stream", true).flag("stdout", true).flag("stderr", true);
    Ok((scene.client.container_attach(&container.id, query).await?.reader, tty))
}

async fn reader_to_lines((reader, tty): Reader, name: String, printer: &Printer) -> Result<(), Failed> {
    stream::print(reader, tty, &name, printer, false).await
}

struct Session<'a> {
    scene: &'a Scene<'a>,
    options: &'a Attach,
    printer: &'a Printer,
    /// Ids of the containers that have not ended.
    alive: BTreeSet<String>,
    /// Ids of those whose first start is already attached to.
    first_start: BTreeSet<String>,
    /// What starts them.
    starter: &'a Client,
    code: i64,
    stopping: bool,
}

impl<'a> Session<'a> {
    /// The first time stops, the second kills.
    fn interrupted(&mut self, ending: &mut Option<Doing<'a>>) {
        if self.stopping {
            *ending = Some(self.kill());
            return;
        }
        self.printer.say("Gracefully Stopping... press Ctrl+C again to force");
        // 128 and the signal's number, as a shell has it.
        self.code = 130;
        *ending = Some(self.stop());
    }

    fn stop(&mut self) -> Doing<'a> {
        self.stopping = true;
        self.starter.hold();
        let (scene, timeout, starter) = (self.scene, self.options.timeout, self.starter);
        Box::pin(async move {
            starter.at_rest().await;
            let containers = observe::list_containers(scene.client, &scene.project.name, true).await?;
            stop::stop(scene, &containers, &[], timeout).await
        })
    }

    fn kill(&self) -> Doing<'a> {
        let (scene, starter) = (self.scene, self.starter);
        Box::pin(async move {
            starter.at_rest().await;
            let containers = observe::list_containers(scene.client, &scene.project.name, false).await?;
            match stop::kill(scene, &containers, "").await {
                // It ended meanwhile.
                Err(Failed::At { .. }) => Ok(()),
                other => other,
            }
        })
    }

    fn died(
        &mut self,
        id: &str,
        service: &str,
        name: &str,
        code: i64,
        restarting: bool,
        ending: &mut Option<Doing<'a>>,
    ) {
        if !self.alive.contains(id) {
            return;
        }
        if self.options.services.contains(service) {
            self.printer.exited(name, code, restarting);
        }
        if restarting {
            return;
        }
        self.alive.remove(id);
        if self.options.exit_code_from.as_deref() == Some(service) {
            self.code = code;
        }
        let aborts = match self.options.on_exit {
            OnExit::Nothing => false,
            OnExit::Stop => true,
            OnExit::StopOnFailure => code != 0,
        };
        if aborts && !self.stopping {
            if self.options.exit_code_from.is_none() {
                self.code = code;
            }
            self.printer.say("Aborting on container exit...");
            *ending = Some(self.stop());
        }
    }

    /// A container that starts again is read on from there.
    fn started(&mut self, news: &crate::monitor::News) -> Option<Doing<'a>> {
        if !self.scene.project.services.contains_key(&news.service) {
            return None;
        }
        self.alive.insert(news.id.clone());
        if !self.options.services.contains(&news.service) || self.first_start.remove(&news.id) {
            return None;
        }
        let options = Options { follow: true, since: news.time.clone(), ..Options::default() };
        Some(Box::pin(one(self.scene, news.id.clone(), news.name.clone(), options, self.printer)))
    }
}
