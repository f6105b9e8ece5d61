//! The client as the builder knows it: secrets, agents and credentials, asked for over the session when they are needed.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use gantry_build::request::Caller;
use gantry_build::step::{Refusal, Task};
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::BytesMessage;
use gantry_buildkit::session;
use gantry_errdefs::Class;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// What an agent says or is told at once.
const PIECE: usize = 32 << 10;

/// A session's client.
pub(crate) struct Client {
    caller: session::Caller,
    base: PathBuf,
    agents: Mutex<Agents>,
}

/// Sockets that stand for the client's agents, until the build ends.
#[derive(Default)]
struct Agents {
    folder: Option<tempfile::TempDir>,
    sockets: HashMap<String, PathBuf>,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// The client of a session; sockets are made below `base`.
    pub(crate) fn new(caller: session::Caller, base: &Path) -> Self {
        Self { caller, base: base.to_owned(), agents: Mutex::default() }
    }

    async fn socket(&self, id: &str) -> Result<Option<PathBuf>, Refusal> {
        match self.caller.check_agent(id).await {
            Ok(()) => {}
            Err(status) if status.code == i32::from(Code::Unavailable) => return Err(refusal(status)),
            // Not forwarded, or no agent at all.
            Err(_) => return Ok(None),
        }
        let mut agents = self.agents.lock().await;
        if let Some(path) = agents.sockets.get(id) {
            return Ok(Some(path.clone()));
        }
        let failed = |error: std::io::Error| Refusal {
            class: Class::Internal,
            message: format!("a socket for the agent {id} cannot be made: {error}"),
        };
        if agents.folder.is_none() {
            std::fs::create_dir_all(&self.base).map_err(failed)?;
            agents.folder =
                Some(tempfile::Builder::new().prefix("agent-").tempdir_in(&self.base).map_err(failed)?);
        }
        let folder = agents.folder.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default();
        let path = folder.join(format!("{}.sock", agents.sockets.len()));
        let listener = UnixListener::bind(&path).map_err(failed)?;
        // Steps run as any user, and see of the folder only the socket.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .map_err(failed)?;
        agents.tasks.spawn(forward(listener, self.caller.clone(), id.to_owned()));
        agents.sockets.insert(id.to_owned(), path.clone());
        Ok(Some(path))
    }
}

impl Caller for Client {
    fn secret(&self, id: String) -> Task<'_, Result<Option<Vec<u8>>, Refusal>> {
        Box::pin(async move {
            match self.caller.secret(&id).await {
                Ok(value) => Ok(Some(value)),
                Err(status) if status.code == i32::from(Code::NotFound) => Ok(None),
                Err(status) => Err(refusal(status)),
            }
        })
    }

    fn agent(&self, id: String) -> Task<'_, Result<Option<PathBuf>, Refusal>> {
        Box::pin(async move { self.socket(if id.is_empty() { "default" } else { &id }).await })
    }

    fn credentials(&self, registry: String) -> Task<'_, Result<Option<serde_json::Value>, Refusal>> {
        Box::pin(async move {
            let found = self.caller.credentials(&registry).await.map_err(refusal)?;
            Ok(match (found.username.as_str(), found.secret.as_str()) {
                ("", "") => None,
                // BuildKit's way to say that the secret is a token.
                ("", token) => Some(json!({ "identitytoken": token, "serveraddress": registry })),
                (user, secret) => {
                    Some(json!({ "username": user, "password": secret, "serveraddress": registry }))
                }
            })
        })
    }
}

fn refusal(status: Status) -> Refusal {
    Refusal { class: Class::Unavailable, message: status.message }
}

/// Passes every connection on to the client's agent.
async fn forward(listener: UnixListener, caller: session::Caller, id: String) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (caller, id) = (caller.clone(), id.clone());
        open.spawn(async move {
            if let Err(error) = converse(stream, &caller, &id).await {
                tracing::debug!(%error, "a conversation with an agent");
            }
        });
        while open.try_join_next().is_some() {}
    }
}

async fn converse(stream: UnixStream, caller: &session::Caller, id: &str) -> Result<(), Status> {
    let io = |error: std::io::Error| Status::unavailable(error.to_string());
    let (mut outbound, mut answer) = caller.agent(id).await?;
    let (mut read, mut write) = stream.into_split();
    let ask = async {
        let mut piece = vec![0; PIECE];
        loop {
            let len = read.read(&mut piece).await.map_err(io)?;
            if len == 0 {
                return outbound.close();
            }
            outbound.send(&BytesMessage { data: piece[..len].to_vec() }).await?;
        }
    };
    let listen = async {
        while let Some(said) = answer.next::<BytesMessage>().await? {
            write.write_all(&said.data).await.map_err(io)?;
        }
        write.shutdown().await.map_err(io)
    };
    tokio::try_join!(ask, listen).map(|_| ())
}
