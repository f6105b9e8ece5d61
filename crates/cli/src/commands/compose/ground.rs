//! What a verb stands on: the project, the engine, and the way to tell what is done.

use std::env;

use gantry_client::{Client, Endpoint};
use gantry_compose::names::Separator;
use gantry_compose::progress::{Json, Noted, Plain, Progress, Quiet, Screen};
use gantry_compose::{Observed, Scene, look, revive};
use gantry_compose_file::load::{self, Request};
use gantry_compose_file::project::Project;

use super::files::Reach;
use crate::failure::Failure;
use crate::flags::Matches;
use crate::session::Session;
use crate::terminal;

/// The ground.
pub struct Ground<'s> {
    /// The session.
    pub s: &'s Session,
    /// The engine.
    pub client: &'s Client,
    /// The project: its services are those that were named and what they need.
    pub project: Project,
    progress: Box<dyn Progress>,
    separator: Separator,
    at_once: Option<usize>,
    proxies: Vec<(String, String)>,
    local: bool,
    dry_run: bool,
}

/// A variable that says yes.
pub fn is_set(name: &str) -> bool {
    env::var(name).is_ok_and(|v| matches!(v.to_lowercase().as_str(), "1" | "true" | "yes" | "y" | "t"))
}

/// The flags before the verb.
fn globals(s: &Session) -> &Matches {
    s.compose()
}

/// Whether names are Compose 1's.
pub fn compatible(s: &Session) -> bool {
    s.program == "fig" || globals(s).on("compatibility") || is_set("COMPOSE_COMPATIBILITY")
}

/// Whether colours and the like may be printed to standard output.
pub fn ansi(s: &Session) -> bool {
    let asked = globals(s);
    let word = match asked.given("ansi") {
        _ if asked.on("no-ansi") => "never".to_owned(),
        Some(word) => word.to_owned(),
        None => env::var("COMPOSE_ANSI").ok().filter(|v| !v.is_empty()).unwrap_or_else(|| "auto".into()),
    };
    match word.as_str() {
        "never" => false,
        "always" => true,
        _ => terminal::stdout_is() && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

/// What the loader is asked for.
pub fn request(s: &Session, services: &[String]) -> Result<Request, Failure> {
    let asked = globals(s);
    let here = env::current_dir()?;
    let directory = asked.given("project-directory").or(asked.given("workdir"));
    Ok(Request {
        files: asked.all("file"),
        project_directory: directory.map(str::to_owned),
        project_name: asked.given("project-name").filter(|n| !n.is_empty()).map(str::to_owned),
        profiles: asked.all("profile"),
        env_files: asked.all("env-file"),
        services: services.to_vec(),
        environment: env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
        current_folder: here.to_string_lossy().into_owned(),
        keep_label_files: true,
        ..Request::default()
    })
}

/// Whether the project is named and has no files: then the engine's labels say what it is.
fn is_by_name(s: &Session) -> bool {
    let asked = globals(s);
    let named =
        asked.changed("project-name") || env::var("COMPOSE_PROJECT_NAME").is_ok_and(|v| !v.is_empty());
    named && !asked.changed("file") && env::var_os("COMPOSE_FILE").is_none_or(|v| v.is_empty())
}

/// The project's files, read.
pub fn load(s: &Session, services: &[String]) -> Result<Project, Failure> {
    let project = load::load(&request(s, services)?, &Reach::new(s))
        .map_err(|problems| Failure::text(1, problems.to_string()))?;
    for warning in &project.warnings {
        Quiet.warn(warning);
    }
    Ok(project)
}

impl<'s> Ground<'s> {
    /// The project of the files, with the services that were named (none: all) and what they need.
    pub fn load(
        s: &'s Session,
        m: &Matches,
        title: &'static str,
        services: &[String],
    ) -> Result<Self, Failure> {
        let mut project = load(s, services)?;
        project.enable(services);
        project.select(services).map_err(|why| Failure::text(1, why))?;
        if !globals(s).on("all-resources") {
            project.drop_unused();
        }
        Self::of(s, m, title, project)
    }

    /// The same, or what the engine knows of a project that is only named. Answers what was observed as well.
    pub async fn find(
        s: &'s Session,
        m: &Matches,
        title: &'static str,
        services: &[String],
    ) -> Result<(Self, Observed), Failure> {
        if is_by_name(s) {
            let name = match globals(s).given("project-name") {
                Some(name) => name.to_lowercase(),
                None => env::var("COMPOSE_PROJECT_NAME").unwrap_or_default().to_lowercase(),
            };
            // Files that lie here still count when they are readable; a name alone needs none.
            if let Ok(mut project) = load(s, services) {
                project.enable(services);
                project.select(services).map_err(|why| Failure::text(1, why))?;
                let ground = Self::of(s, m, title, project)?;
                let observed = look(ground.client, &ground.project.name).await?;
                return Ok((ground, observed));
            }
            let observed = look(s.client()?, &name).await?;
            let mut project = revive::project(&name, &observed);
            if !services.is_empty() {
                let missing = services.iter().find(|service| project.service(service).is_none());
                if let Some(missing) = missing {
                    return Err(Failure::text(1, format!("no such service: {missing}")));
                }
                project.services.retain(|name, _| services.contains(name));
            }
            return Ok((Self::of(s, m, title, project)?, observed));
        }
        let ground = Self::load(s, m, title, services)?;
        let observed = look(ground.client, &ground.project.name).await?;
        Ok((ground, observed))
    }

    /// The ground of a project that is known already.
    pub fn of(s: &'s Session, m: &Matches, title: &'static str, project: Project) -> Result<Self, Failure> {
        let asked = globals(s);
        let client = s.client()?;
        let dry_run = asked.on("dry-run") || (m.has("dry-run") && m.on("dry-run"));
        let at_once = match asked
            .given("parallel")
            .map(str::to_owned)
            .or_else(|| env::var("COMPOSE_PARALLEL_LIMIT").ok())
        {
            Some(text) => usize::try_from(text.parse::<i64>().unwrap_or(-1)).ok().filter(|n| *n > 0),
            None => None,
        };
        Ok(Ground {
            s,
            client,
            progress: Box::new(Noted::new(progress(s, title, dry_run), s.under_way())),
            separator: if compatible(s) { Separator::Underscore } else { Separator::Hyphen },
            at_once,
            proxies: s.config().proxies(&client.endpoint().host()),
            local: matches!(client.endpoint(), Endpoint::Unix(_)),
            dry_run,
            project,
        })
    }

    /// What `gantry-compose` works with.
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            client: self.client,
            project: &self.project,
            progress: self.progress.as_ref(),
            separator: self.separator,
            at_once: self.at_once,
            proxies: &self.proxies,
            local: self.local,
            dry_run: self.dry_run,
        }
    }

    /// What stands in names.
    pub fn separator(&self) -> Separator {
        self.separator
    }

    /// Whether nothing is to be done.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whom to tell.
    pub fn progress(&self) -> &dyn Progress {
        self.progress.as_ref()
    }

    /// Tells nobody from now on.
    pub fn hush(&mut self) {
        self.progress = Box::new(Quiet);
    }
}

fn progress(s: &Session, title: &'static str, dry_run: bool) -> Box<dyn Progress> {
    let asked = globals(s);
    let word = match asked.given("progress") {
        Some(word) => word.to_owned(),
        None => env::var("COMPOSE_PROGRESS").ok().filter(|v| !v.is_empty()).unwrap_or_else(|| "auto".into()),
    };
    let plain = || Box::new(Plain { dry_run });
    match word.as_str() {
        "quiet" => Box::new(Quiet),
        "json" | "rawjson" => Box::new(Json { dry_run }),
        "plain" => plain(),
        "tty" => Box::new(Screen::new(title, dry_run, true, terminal::size)),
        _ => {
            let never = asked.given("ansi") == Some("never") || asked.on("no-ansi");
            let fits = terminal::stderr_is() && env::var("TERM").is_ok_and(|t| t != "dumb");
            match fits && !never {
                true => Box::new(Screen::new(title, dry_run, true, terminal::size)),
                false => plain(),
            }
        }
    }
}
