//! `exec`: another process in a running container.

mod session;

use std::os::fd::AsFd;
use std::sync::Arc;

use gantry_names::{ContainerId, ExecId};
use gantry_runtime_lib::spec as oci;
use gantry_shim_client::{AttachTo, ExecSpec, ExitRecord, ShimError};

use self::session::Phase;
pub(crate) use self::session::{ExecSession, Sessions};
use super::resize::clamp;
use super::root;
use super::{Attachment, Container, attach};
use crate::admission::Verb;
use crate::bundle::security::Security;
use crate::bundle::{self, apparmor, capabilities, user};
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::ContainerRecord;

/// Docker's exit codes of sessions that could not run.
const NOT_STARTED: i32 = 126;

/// A process to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `KEY=value` over the container's own.
    pub env: Vec<String>,
    /// `user[:group]`; empty is the container's.
    pub user: String,
    /// Absolute; empty is the container's.
    pub working_dir: String,
    /// A terminal.
    pub tty: bool,
    /// With everything the host can give.
    pub privileged: bool,
    /// Attach standard input.
    pub stdin: bool,
    /// Attach standard output.
    pub stdout: bool,
    /// Attach standard error.
    pub stderr: bool,
    /// The keys that detach, for the server.
    pub detach_keys: Vec<u8>,
    /// The terminal's first size: rows, columns.
    pub console_size: Option<[u32; 2]>,
}

/// What `inspect` tells of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecState {
    /// Its id.
    pub id: ExecId,
    /// Where it runs.
    pub container: ContainerId,
    /// What was asked.
    pub request: ExecRequest,
    /// It runs.
    pub running: bool,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// Its process on the host; 0 when it does not run.
    pub pid: i32,
    /// It can be forgotten.
    pub can_remove: bool,
}

impl Engine {
    /// Prepares a process in a running container; nothing runs yet.
    pub async fn exec_create(&self, container: &str, request: ExecRequest) -> Result<ExecId> {
        let container = self.find(container)?;
        let record = container.admit(Verb::Exec)?;
        if request.command.is_empty() || request.command[0].is_empty() {
            return Err(Error::Invalid("No exec command specified".to_owned()));
        }
        if !request.working_dir.is_empty() && !request.working_dir.starts_with('/') {
            return Err(Error::Invalid(format!("Cwd must be an absolute path: {}", request.working_dir)));
        }
        let session = self.new_session(&container, request, false);
        self.exec_event(&record, &session, "exec_create: ", &[]);
        Ok(session.id.clone())
    }

    fn new_session(&self, container: &Container, request: ExecRequest, silent: bool) -> Arc<ExecSession> {
        let session = Arc::new(ExecSession::new(container.id.clone(), request, silent));
        self.execs().insert(Arc::clone(&session));
        session
    }

    /// Whether a prepared process could be started now; class conflict or not found where not.
    pub fn exec_can_start(&self, id: &str) -> Result<()> {
        let session = self.exec(id)?;
        self.find(session.container.as_str())?.admit(Verb::Exec)?;
        match session.phase() {
            Phase::Created => Ok(()),
            _ => Err(Error::Conflict(format!("Error: Exec command {} has already run", session.id))),
        }
    }

    /// Runs a prepared process with its streams joined.
    pub async fn exec_attach_start(&self, id: &str, console_size: Option<[u32; 2]>) -> Result<Attachment> {
        let session = self.exec(id)?;
        match self.start_session(&session, console_size, true).await {
            Ok(attachment) => attachment.ok_or_else(|| Error::Conflict(format!("exec {id} has no streams"))),
            // As Docker: the client has its streams by then, so a program that cannot run says so there, and its code
            // is the session's.
            Err(Error::Start { text, .. }) => Ok(attach::said(format!("{text}\r\n"), session.request.tty)),
            Err(err) => Err(err),
        }
    }

    /// Runs a prepared process; its output is thrown away.
    pub async fn exec_start_detached(&self, id: &str) -> Result<()> {
        let session = self.exec(id)?;
        self.start_session(&session, None, false).await.map(drop)
    }

    async fn start_session(
        &self,
        session: &Arc<ExecSession>,
        console_size: Option<[u32; 2]>,
        attached: bool,
    ) -> Result<Option<Attachment>> {
        let container = self.find(session.container.as_str())?;
        let record = container.admit(Verb::Exec)?;
        if !session.begin() {
            return Err(Error::Conflict(format!("Error: Exec command {} has already run", session.id)));
        }
        match self.run_session(&container, &record, session, console_size, attached).await {
            Ok(attachment) => Ok(attachment),
            Err(err) => {
                let code = if let Error::Start { code, .. } = &err { *code } else { NOT_STARTED };
                self.execs().end(session, code);
                Err(err)
            }
        }
    }

    async fn run_session(
        &self,
        container: &Arc<Container>,
        record: &Arc<ContainerRecord>,
        session: &Arc<ExecSession>,
        console_size: Option<[u32; 2]>,
        attached: bool,
    ) -> Result<Option<Attachment>> {
        let shim = container.living_shim()?;
        let request = &session.request;
        let size = console_size.or(request.console_size);
        let (engine, known, asked) = (self.clone(), Arc::clone(record), request.clone());
        let process = blocking(move || engine.exec_process(&known, &asked, size)).await?;
        let process = serde_json::to_value(process).map_err(|err| Error::Invalid(err.to_string()))?;
        let stdin = attached && request.stdin;
        let spec = ExecSpec { session: session.id.clone(), process, tty: request.tty, stdin };
        shim.exec_create(spec).await?;
        let attachment = if attached {
            let to = AttachTo { stdin, stdout: request.stdout, stderr: request.stderr, close_stdin: true };
            Some(attach::session(&shim, &session.id, to, request.tty, session.end()).await?)
        } else {
            None
        };
        if !session.silent {
            self.exec_event(record, session, "exec_start: ", &[]);
        }
        match shim.exec_start(&session.id).await {
            Ok(pid) => {
                session.runs(pid.cast_signed());
                Ok(attachment)
            }
            Err(ShimError::Failed(failure)) => {
                let code = failure.exit_code.unwrap_or(NOT_STARTED);
                Err(Error::Start {
                    text: format!("OCI runtime exec failed: exec failed: {}", failure.message),
                    code,
                    class: gantry_errdefs::Class::InvalidArgument,
                })
            }
            Err(err) => Err(err.into()),
        }
    }

    /// The OCI process of a session. Blocking.
    fn exec_process(
        &self,
        record: &ContainerRecord,
        request: &ExecRequest,
        size: Option<[u32; 2]>,
    ) -> Result<oci::Process> {
        let spec = &record.spec;
        let ended = || Error::Conflict(format!("container {} is not running", record.id));
        let view = self.living_root(record)?.ok_or_else(ended)?;
        let (passwd, group) = root::users(view.as_fd())?;
        let asked = if request.user.is_empty() { &spec.user } else { &request.user };
        let added: &[String] = if request.user.is_empty() { &spec.group_add } else { &[] };
        let user = user::resolve(asked, added, &passwd, &group)?;
        let host = &self.inner.host.capabilities;
        let privileged = spec.privileged || request.privileged;
        let caps = capabilities::choose(privileged, &spec.cap_add, &spec.cap_drop, host)
            .map_err(bundle::BundleError::from)?;
        let caps: Vec<String> = caps.into_iter().collect();
        let security = Security::parse(&spec.security_opts).map_err(bundle::BundleError::from)?;
        let mut env = bundle::environment(spec, &self.link_environment(record), &user.home);
        if request.tty && !env.has("TERM") {
            env.set("TERM=xterm");
        }
        for word in &request.env {
            env.set(word);
        }
        let cwd = [&request.working_dir, &spec.working_dir].into_iter().find(|dir| !dir.is_empty());
        Ok(oci::Process {
            terminal: request.tty,
            console_size: size
                .filter(|[height, width]| request.tty && *height > 0 && *width > 0)
                .map(|[height, width]| oci::ConsoleSize { height: clamp(height), width: clamp(width) }),
            user: oci::User { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.groups },
            args: request.command.clone(),
            env: env.into_words(),
            cwd: cwd.map_or_else(|| "/".to_owned(), Clone::clone),
            capabilities: Some(oci::Capabilities {
                bounding: caps.clone(),
                effective: caps.clone(),
                permitted: caps,
                ..oci::Capabilities::default()
            }),
            apparmor_profile: apparmor::profile(&security, privileged, &self.inner.host),
            selinux_label: self.inner.host.selinux.applied(&record.selinux.process),
            no_new_privileges: security.no_new_privileges.unwrap_or(self.config().no_new_privileges),
            oom_score_adj: Some(spec.oom_score_adj),
            ..oci::Process::default()
        })
    }

    /// What is known of a session.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecState> {
        let session = self.exec(id)?;
        let phase = session.phase();
        Ok(ExecState {
            id: session.id.clone(),
            container: session.container.clone(),
            request: session.request.clone(),
            running: matches!(phase, Phase::Running { .. }),
            exit_code: if let Phase::Ended { code } = phase { Some(code) } else { None },
            pid: if let Phase::Running { pid } = phase { pid } else { 0 },
            can_remove: matches!(phase, Phase::Ended { .. }),
        })
    }

    /// Changes the size of a session's terminal.
    pub async fn exec_resize(&self, id: &str, height: u32, width: u32) -> Result<()> {
        let session = self.exec(id)?;
        if !matches!(session.phase(), Phase::Running { .. }) {
            return Err(Error::Conflict("exec process is not started".to_owned()));
        }
        let container = self.find(session.container.as_str())?;
        container.living_shim()?.resize(Some(&session.id), clamp(height), clamp(width)).await?;
        Ok(())
    }

    /// A client has left a session by its detach keys.
    pub async fn exec_detached(&self, id: &str) {
        if let Ok(session) = self.exec(id)
            && let Ok(container) = self.find(session.container.as_str())
        {
            self.container_event(&container.record(), "exec_detach", &[("execID", id.to_owned())]);
        }
    }

    /// The keeper heard of a session's end.
    pub(super) fn exec_exited(&self, id: &ExecId, exit: &ExitRecord) {
        let session = {
            let mut all = self.execs();
            let Some(session) = all.get(id).cloned() else { return };
            all.end(&session, exit.code);
            session
        };
        if session.silent {
            return;
        }
        if let Ok(container) = self.find(session.container.as_str()) {
            let more = [("execID", id.to_string()), ("exitCode", exit.code.to_string())];
            self.container_event(&container.record(), "exec_die", &more);
        }
    }

    /// Runs a command for the engine itself (a health probe) and gives its code and output.
    pub(crate) async fn probe_exec(
        &self,
        container: &Arc<Container>,
        command: Vec<String>,
        most: usize,
    ) -> Result<(i32, Vec<u8>)> {
        let request = ExecRequest { command, stdout: true, stderr: true, ..ExecRequest::default() };
        let session = self.new_session(container, request, true);
        let guard = Forget { engine: self.clone(), id: session.id.clone() };
        let attachment = self.start_session(&session, None, true).await?;
        let mut output = Vec::new();
        if let Some(mut attachment) = attachment {
            while let Some((_, bytes)) = attachment.output.recv().await {
                let room = most.saturating_sub(output.len());
                output.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
        let mut ended = session.end();
        let code = ended.wait_for(Option::is_some).await.map(|code| *code).unwrap_or(None);
        drop(guard);
        Ok((code.unwrap_or(-1), output))
    }

    /// The container has ended, and with it whatever ran in it.
    pub(super) fn end_execs(&self, container: &Container) {
        let mut all = self.execs();
        let mine: Vec<_> = all.open(&container.id).cloned().collect();
        for session in mine {
            all.end(&session, 137);
        }
    }

    pub(super) fn forget_execs(&self, container: &ContainerId) {
        self.execs().forget(container);
    }

    /// Sessions that run in a container.
    pub(super) fn exec_ids(&self, container: &ContainerId) -> Vec<ExecId> {
        let all = self.execs();
        let mine = all.open(container).filter(|session| !session.silent);
        mine.map(|session| session.id.clone()).collect()
    }

    fn exec(&self, id: &str) -> Result<Arc<ExecSession>> {
        let none = || Error::NoSuchExec(id.to_owned());
        let parsed = ExecId::parse(id).map_err(|_| none())?;
        let session = self.execs().get(&parsed).cloned().ok_or_else(none)?;
        Ok(session)
    }

    fn exec_event(
        &self,
        record: &ContainerRecord,
        session: &ExecSession,
        action: &str,
        more: &[(&str, String)],
    ) {
        let mut all = vec![("execID", session.id.to_string())];
        all.extend_from_slice(more);
        self.container_event(record, &format!("{action}{}", session.line()), &all);
    }
}

/// A probe whose waiting ends early is forgotten and its process ended.
struct Forget {
    engine: Engine,
    id: ExecId,
}

impl Drop for Forget {
    fn drop(&mut self) {
        let Some(session) = self.engine.execs().remove(&self.id) else { return };
        if !matches!(session.phase(), Phase::Running { .. }) {
            return;
        }
        if let Ok(shim) =
            self.engine.find(session.container.as_str()).and_then(|container| container.living_shim())
        {
            tokio::spawn(async move {
                let _ = shim.signal(Some(&session.id), crate::signal::SIGKILL).await;
            });
        }
    }
}
