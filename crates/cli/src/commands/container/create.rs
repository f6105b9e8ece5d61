//! `create`: a container, not started; and what `run` shares with it.

use std::fs;
use std::io::Write;
use std::path::Path;

use gantry_client::{ClientError, Query};
use gantry_names::Reference;
use serde_json::Value;

use super::options::CONTAINER;
use super::spec::{self, Spec};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::image::pull;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use crate::work;

pub static CREATE: Command = Command {
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    short: "Create a new container",
    aliases: &["container create", "create"],
    flags: &[CONTAINER],
    arity: Arity::AtLeast(1),
    interspersed: false,
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let spec = read(s, m, "create")?;
    let id = create(s, m, &spec).await?;
    print::line(&id);
    Ok(())
}

/// An error with the hint where to read on: exit code 125.
pub fn with_hint(s: &Session, verb: &str, why: &str) -> Failure {
    let program = &s.program;
    Failure::text(125, format!("{program}: {why}\n\nRun '{program} {verb} --help' for more information"))
}

/// The container that the flags describe.
pub fn read(s: &Session, m: &Matches, verb: &str) -> Result<Spec, Failure> {
    let pull = m.text("pull");
    if !matches!(pull, "always" | "missing" | "never" | "") {
        let why =
            format!("invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(with_hint(s, verb, &why));
    }
    let host = s.client()?.endpoint().host();
    let proxies = s.config().proxies(&host);
    spec::from_flags(m, &proxies).map_err(|why| with_hint(s, verb, &why))
}

/// Makes the container, pulling its image when it is missing; answers its id.
pub async fn create(s: &Session, m: &Matches, spec: &Spec) -> Result<String, Failure> {
    let client = s.client()?;
    let image = m.word(0);
    let mut id_file = IdFile::open(m.text("cidfile"))?;
    let reference = Reference::parse(image);
    if let Err(why) = &reference
        && !image.chars().all(|c| c.is_ascii_hexdigit())
        && !image.starts_with("sha256:")
    {
        return Err(why.to_string().into());
    }
    let platform = s.platform(m.text("platform"));
    let quiet = m.on("quiet");
    if m.text("pull") == "always" {
        pull::pull(s, image, &platform, pull::Show::Stderr { quiet }).await?;
    }
    let query = Query::new().with_some("name", m.text("name")).with_some("platform", platform.clone());
    let created: Value = match client.container_create(query.clone(), &spec.body).await {
        Err(ClientError::Daemon { status: 404, message })
            if m.text("pull") == "missing" && is_missing(&message) =>
        {
            if let Ok(reference) = &reference
                && !quiet
            {
                let name = reference.or_latest().familiar();
                print::err(&format!("Unable to find image '{name}' locally"));
            }
            pull::pull(s, image, &platform, pull::Show::Stderr { quiet }).await?;
            client.container_create(query, &spec.body).await?
        }
        other => other?,
    };
    for warning in created["Warnings"].as_array().into_iter().flatten() {
        print::err(&format!("WARNING: {}", warning.as_str().unwrap_or_default()));
    }
    let id = created["Id"].as_str().unwrap_or_default().to_owned();
    id_file.write(&id)?;
    Ok(id)
}

/// Whether the image is not there, or not for the platform that was asked for.
fn is_missing(message: &str) -> bool {
    message.to_lowercase().contains("no such image")
        || message.contains("does not match the specified platform")
}

/// The file of `--cidfile`: made before the container, so that an existing one stops the work, and removed again
/// when there is no container to write into it.
struct IdFile {
    open: Option<(String, fs::File)>,
}

impl IdFile {
    fn open(path: &str) -> Result<IdFile, Failure> {
        if path.is_empty() {
            return Ok(IdFile { open: None });
        }
        if Path::new(path).exists() {
            return Err(Failure::text(
                1,
                format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                ),
            ));
        }
        match fs::File::create_new(path) {
            Ok(file) => Ok(IdFile { open: Some((path.to_owned(), file)) }),
            Err(err) => {
                let why = crate::terminal::io_text(&err);
                let text = format!("failed to create the container ID file: open {path}: {why}");
                Err(Failure::text(1, text))
            }
        }
    }

    fn write(&mut self, id: &str) -> Result<(), Failure> {
        if let Some((path, mut file)) = self.open.take() {
            file.write_all(id.as_bytes()).map_err(|e| {
                let why = crate::terminal::io_text(&e);
                Failure::text(1, format!("failed to write the container ID ({id}) to file: {path}: {why}"))
            })?;
        }
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if let Some((path, _)) = self.open.take() {
            // The first failure is what the person reads.
            let _ = fs::remove_file(path);
        }
    }
}
