//! `context export` and `context import`: a tar of `meta.json` and the certificates.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use gantry_archive::{Entry, Error, Kind, Reader, Writer};

use crate::command::{Arity, COMMAND, Command, Names};
use crate::config::{Context, valid_name};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

/// Bytes of one file of an archive; certificates are small.
const MAX_FILE: u64 = 10 << 20;

static EXPORT_FLAGS: &[Flag] = &[switch("kubeconfig", "Accepted and ignored").hidden()];

pub static EXPORT: Command = Command {
    usage: "[OPTIONS] CONTEXT [FILE|-]",
    short: "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    examples: &[("far far.tar", "With its certificates and its key: keep it as safe as these")],
    flags: &[EXPORT_FLAGS],
    arity: Arity::Between(1, 2),
    names: Names::Contexts,
    work: work!(export),
    ..COMMAND
};

pub static IMPORT: Command = Command {
    usage: "CONTEXT FILE|-",
    short: "Import a context from a tar file or standard input",
    examples: &[("far far.tar", "What this client or Docker's has exported")],
    arity: Arity::Exactly(2),
    names: Names::Files,
    work: work!(import),
    ..COMMAND
};

async fn export(s: &Session, m: &Matches) -> Outcome {
    let name = m.word(0);
    let store = s.contexts();
    let context = match name {
        "default" => Context {
            name: name.to_owned(),
            description: String::new(),
            host: s.default_host(),
            skip_verify: false,
            metadata: serde_json::Map::new(),
        },
        _ => store.get(name)?,
    };
    let mut writer = Writer::new(Vec::new());
    let told = |e: gantry_archive::Error| Failure::text(1, e.to_string());
    let meta = context.to_json().to_string();
    let mut add = |path: &str, bytes: &[u8]| {
        let mut entry = Entry::file(path, bytes.len() as u64);
        // A key is among them.
        entry.mode = 0o600;
        writer.append_bytes(&entry, bytes).map_err(told)
    };
    add("meta.json", meta.as_bytes())?;
    for (file, bytes) in store.tls(name) {
        add(&format!("tls/docker/{file}"), &bytes)?;
    }
    let bytes = writer.finish().map_err(told)?;
    let file = if m.words.len() > 1 { m.word(1).to_owned() } else { format!("{name}.dockercontext") };
    if file == "-" {
        if terminal::stdout_is() {
            return Err("cowardly refusing to export to a terminal, specify a file path".into());
        }
        print::bytes(&bytes);
        return Ok(());
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut f| f.write_all(&bytes))
        .map_err(|e| format!("open {file}: {}", terminal::io_text(&e)))?;
    print::err(&format!("Written file {file:?}"));
    Ok(())
}

async fn import(s: &Session, m: &Matches) -> Outcome {
    let (name, file) = (m.word(0), m.word(1));
    valid_name(name)?;
    let store = s.contexts();
    if store.meta_dir(name).exists() {
        return Err(format!("context {name:?} already exists").into());
    }
    let input: Box<dyn Read> = match file {
        "-" => Box::new(io::stdin()),
        path => {
            Box::new(fs::File::open(path).map_err(|e| format!("open {path}: {}", terminal::io_text(&e)))?)
        }
    };
    let mut reader = Reader::new(input);
    let (mut context, mut files, mut cut) = (None, Vec::<(String, Vec<u8>)>::new(), false);
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            // Docker's client leaves the padding of its last file away, and whatever would come after it.
            Err(Error::Truncated) if context.is_some() => {
                cut = true;
                break;
            }
            Err(error) => return Err(error.to_string().into()),
        };
        if entry.kind != Kind::File {
            continue;
        }
        if entry.size > MAX_FILE {
            return Err("the archive's files are too large for a context".into());
        }
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read_extent(&mut buffer).map_err(|e| e.to_string())? {
                (_, 0) => break,
                (_, n) => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        let path = String::from_utf8_lossy(&entry.name).into_owned();
        match path.as_str() {
            "meta.json" => {
                let value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
                context = Some(Context::from_json(&value));
            }
            // Only the three names that mean something: a name is never a path of the archive's choice.
            "tls/docker/ca.pem" | "tls/docker/cert.pem" | "tls/docker/key.pem" => {
                files.push((path.rsplit('/').next().unwrap_or_default().to_owned(), bytes));
            }
            _ => return Err(format!("unexpected context file: {path}").into()),
        }
    }
    let Some(mut context) = context else {
        return Err("invalid context: no metadata found".into());
    };
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    if cut && has("cert.pem") != has("key.pem") {
        return Err("the archive is cut off between the certificate and its key".into());
    }
    context.name = name.to_owned();
    store.put(&context)?;
    store.put_tls(name, &files)?;
    print::line(name);
    print::err(&format!("Successfully imported context {name:?}"));
    Ok(())
}
