//! What we serve to the engine while it builds: files, secrets, agents, credentials, and places for results.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use gantry_buildkit::grpc::server::{Call, Responder, Service};
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::BytesMessage;
use gantry_buildkit::proto::session::{
    CheckAgentRequest, CredentialsRequest, CredentialsResponse, GetSecretRequest, GetSecretResponse,
};
use gantry_buildkit::session;

use super::secrets::{Agents, Secrets};
use super::stores::Stores;
use super::{folders, received};
use crate::commands::image::build::modern::output::Goal;
use crate::config::{self, ConfigFile};

/// Bytes of standard input at once.
const PIECE: usize = 256 * 1024;

/// Everything that a build may ask of us.
pub struct Exposed {
    /// Folders by name.
    pub folders: BTreeMap<String, PathBuf>,
    /// Standard input's first bytes, until they are asked for.
    pub upload: Mutex<Option<Vec<u8>>>,
    /// Secrets.
    pub secrets: Secrets,
    /// Agents.
    pub agents: Agents,
    /// Where each exporter's bytes go, by its number.
    pub goals: Vec<Goal>,
    /// Layouts.
    pub stores: Stores,
    /// Credentials.
    pub config: ConfigFile,
}

impl Exposed {
    /// The methods that are served, one header each.
    pub fn methods(&self) -> Vec<&'static str> {
        let mut methods = vec![session::DIFF_COPY, session::CREDENTIALS];
        if !self.secrets.is_empty() {
            methods.push(session::SECRET);
        }
        if !self.agents.is_empty() {
            methods.extend([session::CHECK_AGENT, session::FORWARD_AGENT]);
        }
        methods.extend(self.stores.methods());
        if self.goals.iter().any(|goal| !matches!(goal, Goal::Engine | Goal::Layout(_))) {
            methods.push(session::FILE_SEND);
        }
        if self.upload.lock().is_ok_and(|upload| upload.is_some()) {
            methods.push(session::PULL);
        }
        methods
    }

    async fn files(&self, call: Call) {
        let names = session::values(&call.metadata, "dir-name");
        let name = names.first().map(String::as_str).unwrap_or_default();
        match self.folders.get(name) {
            Some(folder) => folders::send(folder.clone(), call).await,
            None => {
                let text = format!("no access allowed to dir {name:?}");
                call.reply.end(&Status::new(Code::NotFound, text));
            }
        }
    }

    async fn result(&self, call: Call) {
        // Old engines know one exporter only, and do not number it.
        let number = call.text("buildkit-attachable-exporter-id").parse().unwrap_or(0_usize);
        let is_sent = |goal: &&Goal| !matches!(goal, Goal::Engine | Goal::Layout(_));
        let goal = self.goals.get(number).or_else(|| self.goals.iter().find(is_sent));
        match goal {
            Some(goal) => received::take(goal, call).await,
            None => call.reply.end(&Status::new(Code::NotFound, format!("no exporter {number}"))),
        }
    }

    fn credentials(&self, host: &str) -> Result<CredentialsResponse, Status> {
        let registry = match host {
            "registry-1.docker.io" | "index.docker.io" => "docker.io",
            host => host,
        };
        let found = config::lookup(&self.config, registry).map_err(|why| Status::new(Code::Unknown, why))?;
        Ok(match found {
            None => CredentialsResponse::default(),
            Some(auth) if !auth.identity_token.is_empty() => {
                CredentialsResponse { username: String::new(), secret: auth.identity_token }
            }
            Some(auth) => CredentialsResponse { username: auth.username, secret: auth.password },
        })
    }

    async fn upload(&self, mut reply: Responder) {
        let head = self.upload.lock().ok().and_then(|mut upload| upload.take());
        let Some(head) = head else {
            return reply.end(&Status::new(Code::NotFound, "standard input was read already"));
        };
        let (pieces, mut read) = tokio::sync::mpsc::channel(2);
        tokio::task::spawn_blocking(move || pass_on(head, &pieces));
        let mut ended = Status::default();
        while let Some(piece) = read.recv().await {
            let sent = match piece {
                Ok(data) => reply.send(&BytesMessage { data }).await,
                Err(error) => Err(Status::new(Code::Unknown, error.to_string())),
            };
            if let Err(status) = sent {
                ended = status;
                break;
            }
        }
        reply.end(&ended);
    }
}

/// Reads standard input to its end.
fn pass_on(head: Vec<u8>, pieces: &tokio::sync::mpsc::Sender<std::io::Result<Vec<u8>>>) {
    let mut piece = Ok(head);
    loop {
        let is_over = piece.is_err();
        if pieces.blocking_send(piece).is_err() || is_over {
            return;
        }
        let mut bytes = vec![0; PIECE];
        piece = match std::io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(len) => {
                bytes.truncate(len);
                Ok(bytes)
            }
            Err(error) => Err(error),
        };
    }
}

impl Service for Exposed {
    fn call(self: Arc<Self>, mut call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            match call.method.as_str() {
                session::DIFF_COPY => self.files(call).await,
                session::FILE_SEND => self.result(call).await,
                session::PULL => self.upload(call.reply).await,
                session::SECRET => {
                    let asked = call.message::<GetSecretRequest>().await;
                    let found = asked.and_then(|asked| self.secrets.get(&asked.id));
                    call.reply.answer(found.map(|data| GetSecretResponse { data })).await;
                }
                session::CHECK_AGENT => {
                    let asked = call.message::<CheckAgentRequest>().await;
                    let found = asked.and_then(|asked| self.agents.get(&asked.id).map(drop));
                    call.reply.answer(found).await;
                }
                session::FORWARD_AGENT => match self.agents.get(call.text("buildkit.ssh.id")) {
                    Ok(path) => super::secrets::forward(path, call).await,
                    Err(status) => call.reply.end(&status),
                },
                session::CREDENTIALS => {
                    let asked = call.message::<CredentialsRequest>().await;
                    let found = asked.and_then(|asked| self.credentials(&asked.host));
                    call.reply.answer(found).await;
                }
                method if method.starts_with("/containerd.") => {
                    match self.stores.of(call.text(gantry_buildkit::content::STORE)) {
                        Some(layout) => layout.serve(call).await,
                        None => call.reply.end(&Status::new(Code::NotFound, "unknown store")),
                    }
                }
                other => {
                    let status = Status::unimplemented(other);
                    call.reply.end(&status);
                }
            }
        })
    }
}
