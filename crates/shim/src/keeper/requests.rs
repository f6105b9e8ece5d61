//! What the engine asks, answered.

use gantry_errdefs::Class;
use gantry_names::ExecId;
use gantry_shim_protocol::{Event, ExecSpec, Failure, Hello, Request, Response, Status, VERSION};
use gantry_sys::signals;

use super::connection::{Attached, Mode};
use super::process::{Life, Process, Streams, resize};
use super::{FIRST, Keeper};
use crate::runtime::failure;

const SIGKILL: i32 = 9;

type Answer = Result<Response, Failure>;

impl Keeper {
    /// Takes every whole message that a connection has sent.
    pub(super) fn take_requests(&mut self, number: u64) {
        loop {
            let Some(connection) = self.connections.get_mut(&number) else { return };
            let taken = match connection.mode {
                Mode::Hello => connection.decoder.take().map(|hello| hello.map(Said::Hello)),
                Mode::Requests => connection.decoder.take().map(|request| request.map(Said::Request)),
                _ => return,
            };
            match taken {
                Ok(None) => return,
                Ok(Some(Said::Hello(hello))) => self.greet(number, &hello),
                Ok(Some(Said::Request(request))) => self.answer(number, request),
                // There is no telling where its next message begins.
                Err(err) => {
                    eprintln!("a connection is refused: {}", gantry_errdefs::chain(&err));
                    let failure = Failure::new(Class::InvalidArgument, gantry_errdefs::chain(&err));
                    connection.send(&Response::Failed(failure));
                    connection.mode = Mode::Closing;
                    return;
                }
            }
        }
    }

    fn greet(&mut self, number: u64, hello: &Hello) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.send(&Hello { version: VERSION.min(hello.version), pid: std::process::id() });
        connection.mode = Mode::Requests;
    }

    fn answer(&mut self, number: u64, request: Request) {
        let answer = match request {
            Request::Attach { session, stdin, stdout, stderr, close_stdin } => {
                return self.attach(number, session.as_ref(), stdin, [stdout, stderr], close_stdin);
            }
            Request::Subscribe => return self.subscribe(number),
            Request::Shutdown => return self.shut_down(number),
            Request::Start => self.start(),
            Request::State => {
                Ok(Response::State { status: self.status, pid: self.pid(), exit: self.exit.clone() })
            }
            Request::Signal { signal, all: true, .. } => self.kill_all(signal),
            Request::Signal { signal, session, .. } => self.signal(session.as_ref(), signal),
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
            Request::Update { resources } => self.runtime.update(&resources).map(|()| Response::Ok),
            Request::ExecCreate(spec) => self.exec_create(spec),
            Request::ExecStart { session } => self.exec_start(&session),
            Request::ExecRemove { session } => self.exec_remove(&session),
            Request::Resize { session, height, width } => self.resize(session.as_ref(), height, width),
            Request::CloseStdin { session } => self.close_stdin(session.as_ref()),
        };
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.send(&answer.unwrap_or_else(Response::Failed));
        }
    }

    /// Lets the container's program run.
    pub(super) fn start(&mut self) -> Answer {
        if self.status != Status::Created || self.pid() == 0 {
            return Err(Failure::new(Class::Conflict, "container is already started"));
        }
        let pid = self.pid();
        match self.runtime.start() {
            Ok(()) => {
                self.status = Status::Running;
                self.tell(&Event::Started { session: None, pid });
                Ok(Response::Started { pid })
            }
            Err(failure) => {
                if let Some(process) = self.processes.get_mut(&FIRST) {
                    process.forced_code = Some(failure.exit_code.unwrap_or(125));
                }
                // It has ended by itself already, unless something stranger happened.
                let _ = signals::kill(pid as i32, SIGKILL);
                Err(failure)
            }
        }
    }

    fn kill_all(&mut self, signal: i32) -> Answer {
        if self.pid() == 0 {
            return Err(gone());
        }
        self.runtime.kill_all(signal)?;
        Ok(Response::Ok)
    }

    fn signal(&mut self, session: Option<&ExecId>, signal: i32) -> Answer {
        let pid = self.find(session).and_then(|number| self.processes[&number].pid()).ok_or_else(gone)?;
        // It cannot be somebody else by now: a child's number is not given away before we reap it.
        signals::kill(pid, signal).map_err(|err| failure("signal", &err))?;
        Ok(Response::Ok)
    }

    fn pause(&mut self) -> Answer {
        self.runtime.pause()?;
        self.status = Status::Paused;
        Ok(Response::Ok)
    }

    fn resume(&mut self) -> Answer {
        self.runtime.resume()?;
        self.status = Status::Running;
        Ok(Response::Ok)
    }

    fn exec_create(&mut self, spec: ExecSpec) -> Answer {
        if self.pid() == 0 {
            return Err(Failure::new(Class::Conflict, "container is not running"));
        }
        if self.find(Some(&spec.session)).is_some() {
            return Err(Failure::new(
                Class::Conflict,
                format!("exec session {} is there already", spec.session),
            ));
        }
        let process = Process::new(Some(spec.session.clone()), spec.tty, Life::Prepared(Box::new(spec)));
        self.processes.insert(self.next_process, process);
        self.next_process += 1;
        Ok(Response::Ok)
    }

    fn exec_start(&mut self, session: &ExecId) -> Answer {
        let number = self.find(Some(session)).ok_or_else(|| no_session(session))?;
        let Life::Prepared(spec) = &self.processes[&number].life else {
            return Err(Failure::new(
                Class::Conflict,
                format!("exec session {session} has been started already"),
            ));
        };
        let spec = spec.clone();
        match self.run_session(number, &spec) {
            Ok(pid) => {
                self.tell(&Event::Started { session: Some(session.clone()), pid });
                Ok(Response::Started { pid })
            }
            Err(failure) => {
                if let Some(process) = self.processes.remove(&number) {
                    self.release(&process.attached);
                }
                Err(failure)
            }
        }
    }

    fn run_session(&mut self, number: u32, spec: &ExecSpec) -> Result<u32, Failure> {
        let (stdio, streams) =
            Streams::make(spec.tty, spec.stdin).map_err(|err| failure("make streams", &err))?;
        let made = self.runtime.exec(spec.session.as_str(), &spec.process, stdio)?;
        let size = spec.process.get("consoleSize").and_then(|size| {
            let side = |name: &str| size.get(name)?.as_u64()?.try_into().ok();
            Some((side("height")?, side("width")?))
        });
        let Some(process) = self.processes.get_mut(&number) else { return Err(gone()) };
        process.life = Life::Running { pid: made.pid };
        if let Err(err) = process.join(streams, made.console, size) {
            let _ = signals::kill(made.pid, SIGKILL);
            return Err(failure("join streams", &err));
        }
        // Somebody may have ended the input before it was there.
        let ended = process.attached.iter().filter_map(|attached| self.connections.get(attached)).any(|connection| {
            matches!(&connection.mode, Mode::Attached(a) if a.stdin && a.close_stdin && connection.input_ended)
        });
        if ended {
            process.close_stdin();
        }
        Ok(made.pid as u32)
    }

    fn exec_remove(&mut self, session: &ExecId) -> Answer {
        self.remembered.retain(|(remembered, _)| remembered != session);
        let Some(number) = self.find(Some(session)) else { return Ok(Response::Ok) };
        if !matches!(self.processes[&number].life, Life::Prepared(_)) {
            return Err(Failure::new(Class::Conflict, format!("exec session {session} runs")));
        }
        if let Some(process) = self.processes.remove(&number) {
            self.release(&process.attached);
        }
        Ok(Response::Ok)
    }

    fn resize(&mut self, session: Option<&ExecId>, height: u16, width: u16) -> Answer {
        let number = self.find(session).ok_or_else(gone)?;
        let process = &self.processes[&number];
        // Clients ask without looking: where there is no terminal there is nothing to do, as with Docker.
        if let (true, Some(master)) = (process.tty, &process.outputs[0]) {
            resize(master, height, width).map_err(|err| failure("resize", &err))?;
        }
        Ok(Response::Ok)
    }

    fn close_stdin(&mut self, session: Option<&ExecId>) -> Answer {
        let number = self.find(session).ok_or_else(gone)?;
        if let Some(process) = self.processes.get_mut(&number) {
            process.close_stdin();
        }
        Ok(Response::Ok)
    }

    fn attach(
        &mut self,
        number: u64,
        session: Option<&ExecId>,
        stdin: bool,
        wants: [bool; 2],
        close_stdin: bool,
    ) {
        let found = self.find(session);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let Some(process) = found else {
            connection.send(&Response::Failed(gone()));
            return;
        };
        connection.send(&Response::Ok);
        // A session's input has one writer's length; the container's has it when it was created so.
        let close_stdin = close_stdin || session.is_some() || self.config.stdin_once;
        connection.mode = Mode::Attached(Attached { process, stdin, wants, close_stdin });
        let early = std::mem::take(&mut connection.decoder).into_rest();
        if let Some(process) = self.processes.get_mut(&process) {
            process.attached.push(number);
        }
        if !early.is_empty() || self.connections[&number].input_ended {
            self.take_input(number, &early);
        }
    }

    fn subscribe(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.send(&Response::Ok);
        connection.mode = Mode::Subscribed;
        for process in self.processes.values() {
            if let Some(pid) = process.pid()
                && (process.session.is_some() || self.status != Status::Created)
            {
                connection.send(&Event::Started { session: process.session.clone(), pid: pid as u32 });
            }
        }
        for (session, record) in &self.remembered {
            connection.send(&Event::Exited { session: Some(session.clone()), record: record.clone() });
        }
        if let Some(record) = &self.exit {
            connection.send(&Event::Exited { session: None, record: record.clone() });
        }
    }

    fn shut_down(&mut self, number: u64) {
        self.leaving.push(number);
        if self.exit.is_some() {
            // Who asks may remove the log's folder next.
            self.log.abandon();
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.send(&Response::Ok);
            }
            return;
        }
        let pid = self.pid();
        if pid != 0 {
            // A frozen process dies when it is thawed: the runtime's own way knows that.
            if let Err(failure) = self.runtime.kill_all(SIGKILL) {
                eprintln!("kill: {failure}");
            }
            if self.status == Status::Paused {
                let _ = self.runtime.resume();
            }
            let _ = signals::kill(pid as i32, SIGKILL);
        }
    }
}

/// What a connection may say.
enum Said {
    Hello(Hello),
    Request(Request),
}

fn gone() -> Failure {
    Failure::new(Class::NotFound, "process is not running")
}

fn no_session(session: &ExecId) -> Failure {
    Failure::new(Class::NotFound, format!("no exec session {session}"))
}
