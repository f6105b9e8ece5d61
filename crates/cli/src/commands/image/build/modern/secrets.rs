//! `--secret` and `--ssh`: what a step may see for a moment, and what never becomes part of an image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_buildkit::grpc::server::Call;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::BytesMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::failure::Failure;
use crate::parse::csv;

/// The largest secret, as BuildKit has it.
const LARGEST: u64 = 500 * 1024;

/// Bytes of an agent's talk at once.
const PIECE: usize = 32 * 1024;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Secret {
    File(PathBuf),
    Variable(String),
}

/// All secrets by their ids.
#[derive(Debug, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Reads every `--secret`; a file must be there now, not when a step asks.
    pub fn parse(asked: &[String]) -> Result<Secrets, Failure> {
        let mut all = BTreeMap::new();
        for text in asked {
            let (mut id, mut file, mut variable, mut kind) = (String::new(), None, None, String::new());
            for field in csv::fields(text)? {
                let wrong = || format!("invalid field '{field}' must be a key=value pair");
                let (key, value) = field.split_once('=').ok_or_else(wrong)?;
                match key.to_lowercase().as_str() {
                    "id" => value.clone_into(&mut id),
                    "src" | "source" => file = Some(value.to_owned()),
                    "env" => variable = Some(value.to_owned()),
                    "type" if value == "file" || value == "env" => value.clone_into(&mut kind),
                    "type" => return Err(format!("unsupported secret type {value:?}").into()),
                    _ => return Err(format!("unexpected key '{key}' in '{field}'").into()),
                }
            }
            if id.is_empty() {
                return Err(format!("secret {text:?} has no id").into());
            }
            if kind == "env" && variable.is_none() {
                variable = file.take();
            }
            let secret = match (file, variable) {
                (None, Some(name)) => Secret::Variable(name),
                (Some(path), _) => Secret::File(path.into()),
                (None, None) if kind != "file" && std::env::var_os(&id).is_some() => {
                    Secret::Variable(id.clone())
                }
                (None, None) => Secret::File(id.clone().into()),
            };
            check(&id, &secret)?;
            all.insert(id, secret);
        }
        Ok(Secrets(all))
    }

    /// A secret's bytes.
    pub fn get(&self, id: &str) -> Result<Vec<u8>, Status> {
        let absent = || Status::new(Code::NotFound, format!("secret {id}: not found"));
        match self.0.get(id).ok_or_else(absent)? {
            Secret::Variable(name) => Ok(std::env::var(name).map_err(|_| absent())?.into_bytes()),
            Secret::File(path) => std::fs::read(path).map_err(|error| {
                Status::new(Code::Unknown, format!("failed to read {}: {error}", path.display()))
            }),
        }
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(id: &str, secret: &Secret) -> Result<(), Failure> {
    let Secret::File(path) = secret else { return Ok(()) };
    let found = std::fs::metadata(path).map_err(|error| {
        format!("failed to stat secret {id}: {}: {}", path.display(), crate::terminal::io_text(&error))
    })?;
    match found.len() > LARGEST {
        true => {
            Err(format!("invalid secret size: {id} has {} bytes, at most {LARGEST} go", found.len()).into())
        }
        false => Ok(()),
    }
}

/// Sockets of agents by their ids.
#[derive(Debug, Default)]
pub struct Agents(BTreeMap<String, PathBuf>);

impl Agents {
    /// Reads every `--ssh`: `default`, `name=socket`.
    pub fn parse(asked: &[String]) -> Result<Agents, Failure> {
        let mut all = BTreeMap::new();
        for text in asked {
            let (id, path) = match text.split_once('=') {
                Some((id, path)) => (id, PathBuf::from(path)),
                None => {
                    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
                    let socket =
                        socket.ok_or("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")?;
                    (text.as_str(), PathBuf::from(socket))
                }
            };
            if !is_socket(&path) {
                return Err(format!(
                    "--ssh {id}: {} is no agent's socket; keys are used through an agent (ssh-agent, then ssh-add KEY)",
                    path.display()
                )
                .into());
            }
            all.insert(if id.is_empty() { "default".to_owned() } else { id.to_owned() }, path);
        }
        Ok(Agents(all))
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The socket of an id.
    pub fn get(&self, id: &str) -> Result<&Path, Status> {
        let id = if id.is_empty() { "default" } else { id };
        let unknown = || Status::new(Code::NotFound, format!("unset ssh forward key {id}"));
        self.0.get(id).map(PathBuf::as_path).ok_or_else(unknown)
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// Joins a call with an agent until either has said all.
pub async fn forward(path: &Path, mut call: Call) {
    let io = |error: std::io::Error| Status::unavailable(error.to_string());
    let talked = async {
        let (mut from, mut to) = UnixStream::connect(path).await.map_err(io)?.into_split();
        let (input, reply) = (&mut call.input, &mut call.reply);
        let ask = async {
            while let Some(said) = input.next::<BytesMessage>().await? {
                to.write_all(&said.data).await.map_err(io)?;
            }
            to.shutdown().await.map_err(io)
        };
        let answer = async {
            let mut piece = vec![0; PIECE];
            loop {
                match from.read(&mut piece).await.map_err(io)? {
                    0 => return Ok::<(), Status>(()),
                    len => reply.send(&BytesMessage { data: piece[..len].to_vec() }).await?,
                }
            }
        };
        tokio::try_join!(ask, answer).map(drop)
    }
    .await;
    call.reply.end(&talked.err().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Secrets, String> {
        Secrets::parse(&[text.to_owned()]).map_err(|failure| failure.to_string())
    }

    #[test]
    fn secrets_are_files_or_variables() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "deep").unwrap();
        let secrets = parse(&format!("id=a,src={}", file.path().display())).unwrap();
        assert_eq!(secrets.get("a").unwrap(), b"deep");
        assert_eq!(secrets.get("b").unwrap_err().code, i32::from(Code::NotFound));
        assert!(!parse("id=p,env=PATH").unwrap().get("p").unwrap().is_empty());
        assert!(parse("id=a,src=/nowhere").unwrap_err().contains("no such file"));
        assert!(parse("src=x").unwrap_err().contains("has no id"));
        assert!(parse("id=a,colour=red").unwrap_err().contains("unexpected key"));
    }

    #[test]
    fn a_key_file_is_no_agent() {
        assert!(
            Agents::parse(&["default=/etc/hostname".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("ssh-agent")
        );
    }
}
