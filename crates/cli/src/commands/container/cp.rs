//! `cp`: files between a container and this machine, both ways, or as a tar on our streams.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_archive::{ExtractOptions, Owner, PackOptions, Reader, Root, Writer, extract, pack};
use gantry_client::{Body, Query};
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::parse::volumes::clean;
use crate::print;
use crate::session::Session;
use crate::tarball;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("archive", "Keep owners and groups").short('a'),
    switch("follow-link", "Copy what a link in SRC_PATH leads to").short('L'),
    switch("quiet", "Say nothing").short('q'),
];

pub static CP: Command = Command {
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-",
    short: "Copy files/folders between a container and the local filesystem",
    examples: &[
        ("web:/etc/hosts .", "Out of a container, running or not"),
        ("-a site/. web:/www", "The contents of a folder, with their owners"),
        ("- web:/www", "What a tar on standard input holds"),
    ],
    long: "Copy files/folders between a container and the local filesystem\n\nWith '-' as source, a tar is read from STDIN and unpacked in a folder of the container.\nWith '-' as destination, a tar of the container's source is written to STDOUT.",
    aliases: &["container cp", "cp"],
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    names: Names::Files,
    work: work!(run),
    ..COMMAND
};

/// What Go's `os.ModeDir` and `os.ModeSymlink` are in a path's stat.
const MODE_DIR: u64 = 1 << 31;
const MODE_SYMLINK: u64 = 1 << 27;

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (from, source) = split(m.word(0));
    let (to, target) = split(m.word(1));
    if source.is_empty() {
        return Err("source can not be empty".into());
    }
    if target.is_empty() {
        return Err("destination can not be empty".into());
    }
    match (from, to) {
        (Some(_), Some(_)) => Err("copying between containers is not supported".into()),
        (None, None) => Err("must specify at least one container source".into()),
        (Some(container), None) => from_container(s, m, container, source, target).await,
        (None, Some(container)) => to_container(s, m, container, source, target).await,
    }?;
    let quiet = if m.changed("quiet") { m.on("quiet") } else { !terminal::stderr_is() };
    if !quiet && target != "-" {
        print::err(&format!("Successfully copied to {}", m.word(1)));
    }
    Ok(())
}

/// `container:path`; a colon in a path is one when the path starts with a dot or a slash.
fn split(text: &str) -> (Option<&str>, &str) {
    if text.starts_with('/') {
        return (None, text);
    }
    match text.split_once(':') {
        Some((container, path)) if !container.starts_with('.') => (Some(container), path),
        _ => (None, text),
    }
}

/// Whether a path says that it is a folder.
fn says_dir(path: &str) -> bool {
    path.ends_with('/') || path == "." || path.ends_with("/.")
}

/// Whether the contents of a folder are meant, not the folder.
fn says_contents(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

fn mode(stat: &Value) -> u64 {
    stat["mode"].as_u64().unwrap_or(0)
}

fn base(path: &str) -> String {
    clean(path).rsplit('/').next().unwrap_or_default().to_owned()
}

fn absolute(path: &str, tail_of: &str) -> String {
    let mut whole = clean(&format!("/{path}"));
    // The trailing slash or dot of the original says something that cleaning loses.
    if says_contents(tail_of) {
        whole.push_str("/.");
    } else if tail_of.ends_with('/') && whole != "/" {
        whole.push('/');
    }
    whole
}

async fn from_container(s: &Session, m: &Matches, container: &str, source: &str, target: &str) -> Outcome {
    if target != "-" {
        // A place that cannot be is told before the container is asked.
        let above = crate::parse::mounts::absolute_path(target);
        if let Some(dir) = Path::new(&above).parent().filter(|d| !d.is_dir() && !Path::new(target).is_dir()) {
            return Err(format!(
                "invalid output path: directory {:?} does not exist",
                dir.display().to_string()
            )
            .into());
        }
    }
    let client = s.client()?;
    let mut path = source.to_owned();
    let mut renamed = None;
    if m.on("follow-link") {
        let stat = client.container_stat(container, &path).await?;
        if mode(&stat) & MODE_SYMLINK != 0 {
            let link = stat["linkTarget"].as_str().unwrap_or_default();
            let whole = match link.starts_with('/') {
                true => link.to_owned(),
                false => format!("{}/{link}", Path::new(&path).parent().unwrap_or(Path::new("/")).display()),
            };
            renamed = Some(base(&path));
            path = absolute(&whole, source);
        }
    }
    let (stat, stream) = client.container_archive(container, &path).await?;
    if target == "-" {
        let mut stream = stream;
        while let Some(bytes) = stream.next().await? {
            print::bytes(&bytes);
        }
        return Ok(());
    }
    let is_dir = mode(&stat) & MODE_DIR != 0;
    let name = stat["name"].as_str().unwrap_or_default().to_owned();
    let archived = if says_contents(&path) { ".".to_owned() } else { base(&path) };
    let archived = if archived.is_empty() { name } else { archived };
    let plan = Landing::local(target, is_dir, renamed.filter(|_| !says_contents(source)))?;
    let owner = if m.on("archive") { Owner::Archive } else { Owner::Caller };
    tarball::read(stream, move |input| plan.unpack(input, owner, &archived)).await?;
    Ok(())
}

/// Where files from a container land.
struct Landing {
    /// The folder to unpack into.
    dir: PathBuf,
    /// The name that the archive's top gets there, when it is not its own.
    name: Option<String>,
}

impl Landing {
    fn local(target: &str, source_is_dir: bool, renamed: Option<String>) -> Result<Landing, Failure> {
        let path = Path::new(target);
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Ok(Landing { dir: path.to_owned(), name: renamed }),
            Ok(_) if says_dir(target) => Err("not a directory".into()),
            Ok(_) if source_is_dir => Err("cannot copy directory".into()),
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err.into()),
            Err(_) if says_dir(target) && !source_is_dir => {
                Err(Failure::text(1, "destination directory does not exist".to_string()))
            }
            _ => {
                let cleaned = clean(target);
                let path = Path::new(&cleaned);
                let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                if !dir.is_dir() {
                    let shown = crate::parse::mounts::absolute_path(&dir.to_string_lossy());
                    return Err(Failure::text(
                        1,
                        format!("invalid output path: directory {shown:?} does not exist"),
                    ));
                }
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                Ok(Landing { dir: dir.to_owned(), name })
            }
        }
    }

    fn unpack(&self, input: &mut dyn io::Read, owner: Owner, archived: &str) -> io::Result<()> {
        let options = ExtractOptions { owner, keep_kinds: true, ..ExtractOptions::default() };
        let unpack = |dir: &Path, input: &mut dyn io::Read| -> io::Result<()> {
            let root = Root::open(dir)?;
            let done = extract(&mut Reader::new(input), &root, &options).map_err(io::Error::other)?;
            done.refuse_links().map(drop).map_err(io::Error::other)
        };
        let Some(name) = &self.name else { return unpack(&self.dir, input) };
        // Under another name: unpacked beside, then moved to its place in one step.
        let beside = self.dir.join(format!(".{name}.{}", std::process::id()));
        fs::create_dir(&beside)?;
        let moved = unpack(&beside, input).and_then(|()| {
            let from = if archived == "." { beside.clone() } else { beside.join(archived) };
            fs::rename(&from, self.dir.join(name))
        });
        if archived != "." || moved.is_err() {
            // What could not be cleaned away is named after us and does no harm.
            let _ = fs::remove_dir_all(&beside);
        }
        moved
    }
}

async fn to_container(s: &Session, m: &Matches, container: &str, source: &str, target: &str) -> Outcome {
    if source != "-" {
        fs::symlink_metadata(source).map_err(|e| lstat_failure(source, &e))?;
    }
    let client = s.client()?;
    let mut place = target.to_owned();
    let mut stat = client.container_stat(container, &place).await;
    if let Ok(found) = &stat
        && mode(found) & MODE_SYMLINK != 0
    {
        let link = found["linkTarget"].as_str().unwrap_or_default();
        let whole = match link.starts_with('/') {
            true => link.to_owned(),
            false => format!("{}/{link}", Path::new(&place).parent().unwrap_or(Path::new("/")).display()),
        };
        place = absolute(&whole, target);
        stat = client.container_stat(container, &place).await;
    }
    let is_dir = match &stat {
        Ok(found) => Some(mode(found) & MODE_DIR != 0),
        Err(err) if err.is_not_found() => {
            // A missing container and a missing path answer alike; the container itself decides.
            client.container_inspect(container, false).await?;
            None
        }
        Err(_) => None,
    };
    let mut query = Query::new();
    if source == "-" {
        if is_dir == Some(false) {
            return Err(format!("destination \"{container}:{target}\" must be a directory").into());
        }
        query = query.with("path", place).with("noOverwriteDirNonDir", "true");
        if m.on("archive") {
            query = query.with("copyUIDGID", "true");
        }
        return Ok(client.container_unpack(container, query, Body::reader(tokio::io::stdin())).await?);
    }
    let local = match m.on("follow-link") {
        true => fs::canonicalize(source).map_err(|e| lstat_failure(source, &e))?,
        false => PathBuf::from(source),
    };
    let meta = fs::symlink_metadata(if says_dir(source) { local.join(".") } else { local.clone() })
        .map_err(|e| lstat_failure(source, &e))?;
    let own_name = base(&crate::parse::mounts::absolute_path(source));
    let (dir, name) = match is_dir {
        Some(true) => (place.clone(), own_name),
        Some(false) if meta.is_dir() => return Err("cannot copy directory".into()),
        Some(false) if says_dir(target) => return Err("not a directory".into()),
        None if says_dir(target) && !meta.is_dir() => {
            return Err("no such directory".into());
        }
        _ => {
            let whole = clean(&format!("/{place}"));
            let (dir, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
            (if dir.is_empty() { "/".to_owned() } else { dir.to_owned() }, name.to_owned())
        }
    };
    // The contents of a folder go straight into a folder that exists.
    let bare = meta.is_dir() && says_contents(source) && is_dir == Some(true);
    let name = if bare { String::new() } else { name };
    query = query.with("path", dir).with("noOverwriteDirNonDir", "true");
    if m.on("archive") {
        query = query.with("copyUIDGID", "true");
    }
    let whole = PathBuf::from(crate::parse::mounts::absolute_path(&local.to_string_lossy()));
    let is_folder = meta.is_dir();
    let body = tarball::body(move |out| {
        let (root, path) = match (is_folder, whole.parent(), whole.file_name()) {
            (false, Some(parent), Some(file)) => (Root::open(parent)?, file.as_encoded_bytes().to_vec()),
            _ => (Root::open(&whole)?, Vec::new()),
        };
        let options = PackOptions { rename: name.into_bytes(), ..PackOptions::default() };
        let mut writer = Writer::new(out);
        pack(&root, &path, &options, &mut writer).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?;
        Ok(())
    });
    Ok(client.container_unpack(container, query, body).await?)
}

fn lstat_failure(path: &str, err: &io::Error) -> Failure {
    let shown = crate::parse::mounts::absolute_path(path);
    Failure::text(1, format!("lstat {shown}: {}", terminal::io_text(err)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_paths_are_told_apart() {
        assert_eq!(split("web:/a"), (Some("web"), "/a"));
        assert_eq!(split("./a:b"), (None, "./a:b"));
        assert_eq!(split("/a:b"), (None, "/a:b"));
        assert_eq!(split("-"), (None, "-"));
        assert_eq!(absolute("/x/../y", "q/."), "/y/.");
        assert_eq!(base("/a/b/"), "b");
    }
}
