//! The classic builder: the context travels as a tar, the engine builds, we show what it says.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gantry_archive::{Entry, PackOptions, Root, Writer, pack};
use gantry_client::{Body, Query};
use gantry_dockerfile::ignore::Ignore;
use serde_json::{Map, Value, json};

use crate::commands::image::progress;
use crate::config;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::parse::{csv, hosts, size, ulimits};
use crate::print;
use crate::session::Session;
use crate::tarball;
use crate::terminal;

/// The Dockerfile's name inside a context that has none of its own.
const OUTSIDE_NAME: &str = ".dockerfile.outside-of-context";

/// Builds by `POST /build`.
pub async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut query = query(s, m)?;
    let word = m.word(0);
    let remote = super::is_remote(word);
    let body = if word == "-" {
        if m.text("file") == "-" {
            return Err("invalid argument: can't use stdin for both build context and dockerfile".into());
        }
        let (dockerfile, body) = from_stdin(m.on("quiet"))?;
        let name = if dockerfile.is_empty() { m.text("file") } else { &dockerfile };
        query = query.with_some("dockerfile", name);
        body
    } else if remote {
        query = query.with("remote", word).with_some("dockerfile", m.text("file"));
        Body::empty()
    } else {
        let (name, body) = from_folder(word, m.text("file"), m.on("quiet"))?;
        query = query.with("dockerfile", name);
        body
    };
    let client = s.client()?;
    let mut stream = client.build(query, registry_configs(s), body).await?;
    let quiet = m.on("quiet") || m.text("progress") == "quiet";
    let (mut id, mut told) = (String::new(), String::new());
    let mut screen = progress::Screen::stdout(quiet);
    loop {
        let message = match stream.next().await? {
            Some(message) => message,
            None => break,
        };
        if let Some(failure) = progress::failure_in(&message) {
            if quiet && !told.is_empty() {
                // What led to the failure was held back until now.
                print::err(&told);
            }
            return Err(failure);
        }
        if let Some(made) = message["aux"]["ID"].as_str() {
            id = made.to_owned();
        }
        if quiet {
            told.push_str(message["stream"].as_str().unwrap_or_default());
            continue;
        }
        if message["aux"].is_null() {
            screen.show(&message);
        }
    }
    if quiet {
        print::line(if id.is_empty() { told.trim() } else { &id });
    }
    if m.changed("iidfile") {
        if id.is_empty() {
            return Err(
                format!("server did not provide an image ID. Cannot write {}", m.text("iidfile")).into()
            );
        }
        fs::write(m.text("iidfile"), &id)?;
    }
    Ok(())
}

fn query(s: &Session, m: &Matches) -> Result<Query, Failure> {
    let mut q = Query::new();
    for tag in m.all("tag") {
        q = q.with("t", tag);
    }
    let args: Map<String, Value> = super::arguments(s, m)?.into_iter().map(|(k, v)| (k, json!(v))).collect();
    q = q
        .flag("q", m.on("quiet"))
        .flag("nocache", m.on("no-cache"))
        .with("rm", if m.on("rm") { "1" } else { "0" })
        .flag("forcerm", m.on("force-rm"))
        .flag("pull", m.on("pull"))
        .flag("squash", m.on("squash"))
        .flag("explain", m.on("explain"))
        .with("cpusetcpus", m.text("cpuset-cpus"))
        .with("cpusetmems", m.text("cpuset-mems"))
        .with("cpushares", m.int("cpu-shares").to_string())
        .with("cpuquota", m.int("cpu-quota").to_string())
        .with("cpuperiod", m.int("cpu-period").to_string())
        .with("memory", m.bytes("memory").to_string())
        .with("memswap", m.bytes("memory-swap").to_string())
        .with("cgroupparent", m.text("cgroup-parent"))
        .with("shmsize", m.bytes("shm-size").to_string())
        .with("networkmode", m.text("network"))
        .with("target", m.text("target"))
        .with("buildargs", Value::Object(args).to_string())
        .with("labels", Value::Object(m.map("label")).to_string())
        .with("cachefrom", json!(cache_images(m)).to_string())
        .with_some("platform", s.platform(m.text("platform")).to_lowercase())
        .with_some("isolation", m.text("isolation"))
        .with("version", "1");
    let limits: Vec<Value> = m.all("ulimit").iter().map(|u| ulimits::parse(u)).collect::<Result<_, _>>()?;
    q = q.with("ulimits", json!(limits).to_string());
    for host in m.all("add-host") {
        q = q.with("extrahosts", hosts::extra_host(&host)?);
    }
    for option in m.all("security-opt") {
        q = q.with("securityopt", option);
    }
    Ok(q)
}

/// Images of `--cache-from`; a type that is no image is BuildKit's.
fn cache_images(m: &Matches) -> Vec<String> {
    let fields =
        m.all("cache-from").iter().flat_map(|one| csv::fields(one).unwrap_or_default()).collect::<Vec<_>>();
    fields.into_iter().filter(|field| !field.contains('=')).collect()
}

/// Standard input: a tar of the context, or a Dockerfile alone. Answers the Dockerfile's name for the latter.
fn from_stdin(quiet: bool) -> Result<(String, Body), Failure> {
    let mut start = vec![0u8; 512];
    let mut have = 0;
    let mut stdin = io::stdin();
    while have < start.len() {
        match stdin.read(&mut start[have..])? {
            0 => break,
            n => have += n,
        }
    }
    start.truncate(have);
    let tar = have > 262 && &start[257..262] == b"ustar";
    let packed =
        [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"].iter().any(|m| start.starts_with(m));
    if tar || packed {
        let body = tarball::body(move |out| {
            out.write_all(&start)?;
            io::copy(&mut io::stdin(), out).map(drop)
        });
        return Ok((String::new(), body));
    }
    stdin.read_to_end(&mut start)?;
    let body = tarball::body(move |out| {
        let mut counted = Counted { out, bytes: 0 };
        let mut writer = Writer::new(&mut counted);
        append(&mut writer, "Dockerfile", &start)?;
        writer.finish().map_err(io::Error::other)?;
        counted.tell(quiet);
        Ok(())
    });
    Ok(("Dockerfile".into(), body))
}

fn append<W: Write>(writer: &mut Writer<W>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let entry = Entry::file(name, bytes.len() as u64);
    writer.append_bytes(&entry, bytes).map_err(io::Error::other)
}

/// A folder: the Dockerfile's name inside the context and the context, without what `.dockerignore` names.
fn from_folder(folder: &str, file: &str, quiet: bool) -> Result<(String, Body), Failure> {
    let root = fs::canonicalize(folder).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            Failure::text(1, format!("unable to prepare context: path {folder:?} not found"))
        }
        _ => Failure::text(1, format!("unable to prepare context: {}", terminal::io_text(&e))),
    })?;
    if !root.is_dir() {
        return Err(format!("unable to prepare context: context must be a directory: {folder}").into());
    }
    let mut outside: Option<Vec<u8>> = None;
    let name = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes)?;
        outside = Some(bytes);
        OUTSIDE_NAME.to_owned()
    } else {
        let wanted = if file.is_empty() { root.join("Dockerfile") } else { PathBuf::from(file) };
        let missing = |e: io::Error| {
            let shown = crate::parse::mounts::absolute_path(&wanted.to_string_lossy());
            Failure::text(
                1,
                format!(
                    "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {shown}: {}",
                    terminal::io_text(&e)
                ),
            )
        };
        let whole = fs::canonicalize(&wanted).map_err(missing)?;
        match whole.strip_prefix(&root) {
            Ok(inside) => inside.to_string_lossy().into_owned(),
            Err(_) => {
                outside = Some(fs::read(&whole)?);
                OUTSIDE_NAME.to_owned()
            }
        }
    };
    let ignore = match fs::read_to_string(root.join(".dockerignore")) {
        Ok(text) => Ignore::parse(&text).map_err(|e| Failure::text(1, e.to_string()))?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ignore::default(),
        Err(err) => return Err(format!("error checking context: {}", terminal::io_text(&err)).into()),
    };
    let kept = name.clone();
    let body = tarball::body(move |out| {
        let mut counted = Counted { out, bytes: 0 };
        context(&root, &ignore, &kept, outside.as_deref(), &mut counted)?;
        counted.tell(quiet);
        Ok(())
    });
    Ok((name, body))
}

/// Counts what goes through.
struct Counted<'w> {
    out: &'w mut dyn Write,
    bytes: u64,
}

impl Counted<'_> {
    fn tell(&self, quiet: bool) {
        if !quiet {
            let sent = size::human(self.bytes as f64);
            print::out(&format!("Sending build context to Docker daemon  {sent}\r\r\n"));
        }
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn context(
    root: &Path,
    ignore: &Ignore,
    kept: &str,
    outside: Option<&[u8]>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let skip = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let name = name.trim_matches('/');
        // The builder needs these two even when they are named; it leaves them out of copies itself.
        if name == kept
            || name == ".dockerignore"
            || kept.strip_prefix(name).is_some_and(|r| r.starts_with('/'))
        {
            return false;
        }
        ignore.excludes(name) && !ignore.may_take_back_below(name)
    };
    let options =
        PackOptions { skip: Some(&skip), owner: Some((0, 0)), whole_seconds: true, ..PackOptions::default() };
    let mut writer = Writer::new(out);
    pack(&Root::open(root)?, b"", &options, &mut writer).map_err(io::Error::other)?;
    if let Some(bytes) = outside {
        append(&mut writer, OUTSIDE_NAME, bytes)?;
    }
    writer.finish().map_err(io::Error::other).map(drop)
}

/// All credentials, for whatever FROM names: `X-Registry-Config`.
fn registry_configs(s: &Session) -> String {
    use base64::Engine as _;
    let mut all = Map::new();
    for (key, auth) in config::all(s.config()) {
        let entry = json!({
            "username": auth.username, "password": auth.password,
            "identitytoken": auth.identity_token, "serveraddress": key,
        });
        all.insert(key, entry);
    }
    base64::engine::general_purpose::URL_SAFE.encode(Value::Object(all).to_string())
}
