//! Endings. In this order: reaped, recorded on disk, output read to its end, log written, attachments flushed, told, and
//! for the container: removed.

use std::time::Instant;

use gantry_logs::now_ns;
use gantry_shim_protocol::{Event, ExitRecord, Response, Status};
use rustix::process::{WaitOptions, WaitStatus, wait};

use super::connection::Mode;
use super::poll::{DRAIN_PATIENCE, FLUSH_PATIENCE};
use super::process::{Life, Process};
use super::pump::{Found, stream_of};
use super::{FIRST, Keeper, REMEMBERED};

const SIGKILL: i32 = 9;

impl Keeper {
    /// Collects every child that has ended: processes of the container, orphans that have become ours, the log's
    /// helper.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let number = self.processes.iter().find(|(_, p)| p.pid() == Some(pid)).map(|(number, _)| *number);
            match number {
                Some(number) => self.ended(number, status),
                None => self.log.reaped(pid),
            }
        }
    }

    fn ended(&mut self, number: u32, status: WaitStatus) {
        self.look_for_oom();
        let Some(process) = self.processes.get_mut(&number) else { return };
        let signal = status.terminating_signal();
        let code = status.exit_status().unwrap_or_else(|| 128 + signal.unwrap_or(0));
        let record = match process.forced_code {
            Some(code) => ExitRecord { code, signal: None, at_ns: now_ns(), oom: false },
            None => {
                let oom = self.oom_seen && (number == FIRST || signal == Some(SIGKILL));
                ExitRecord { code, signal, at_ns: now_ns(), oom }
            }
        };
        if number == FIRST
            && let Err(err) = record.write(&self.bundle)
        {
            eprintln!("{}", gantry_errdefs::chain(&err));
        }
        process.stdin = None;
        process.life = Life::Drains { record, since: Instant::now() };
    }

    /// Moves every ending as far as it goes.
    pub(super) fn advance_endings(&mut self) {
        if self.oom_looks > 0 {
            self.look_for_oom();
        }
        let ending: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, p)| matches!(p.life, Life::Drains { .. } | Life::Flushes { .. }))
            .map(|(number, _)| *number)
            .collect();
        for number in ending {
            self.drain(number);
            self.finish(number);
        }
    }

    /// Reads what a dead process has left in its pipes. Processes that it left behind may still hold the other end: while
    /// somebody listens, they have a moment to say the rest.
    fn drain(&mut self, number: u32) {
        let Some(Life::Drains { record, since }) = self.processes.get(&number).map(|process| &process.life)
        else {
            return;
        };
        let (record, in_time) = (record.clone(), since.elapsed() < DRAIN_PATIENCE);
        for which in [0, 1] {
            loop {
                if self.is_congested(number, which) {
                    return;
                }
                if self.read_output(number, which) != Found::Bytes {
                    break;
                }
                self.flush_attached(number);
            }
        }
        let listened =
            |process: &Process| process.outputs.iter().any(Option::is_some) && !process.attached.is_empty();
        if in_time && self.processes.get(&number).is_some_and(listened) {
            return;
        }
        if number == FIRST {
            for which in [0, 1] {
                self.log.end(stream_of(which));
            }
            self.log.close();
        }
        self.log.flush();
        if let Some(process) = self.processes.get_mut(&number) {
            process.outputs = [None, None];
            process.life = Life::Flushes { record, since: Instant::now() };
        }
    }

    fn flush_attached(&mut self, number: u32) {
        let Some(process) = self.processes.get(&number) else { return };
        for attached in &process.attached {
            if let Some(connection) = self.connections.get_mut(attached) {
                connection.flush();
            }
        }
    }

    /// Tells an exit once its attachments have all output, or have had time enough.
    fn finish(&mut self, number: u32) {
        self.flush_attached(number);
        let Some(process) = self.processes.get(&number) else { return };
        let Life::Flushes { record, since } = &process.life else { return };
        let delivered =
            |attached: &u64| self.connections.get(attached).is_none_or(|c| c.is_flushed() || c.broken);
        let logged = number != FIRST || self.log.is_settled();
        if !(logged && process.attached.iter().all(delivered)) && since.elapsed() < FLUSH_PATIENCE {
            return;
        }
        let record = record.clone();
        let Some(process) = self.processes.remove(&number) else { return };
        self.release(&process.attached);
        self.tell(&Event::Exited { session: process.session.clone(), record: record.clone() });
        match process.session {
            Some(session) => {
                if self.remembered.len() == REMEMBERED {
                    self.remembered.pop_front();
                }
                self.remembered.push_back((session, record));
            }
            None => self.container_is_over(record),
        }
    }

    /// Attachments of a process that is no more end once they have everything.
    pub(super) fn release(&mut self, attached: &[u64]) {
        for number in attached {
            if let Some(connection) = self.connections.get_mut(number) {
                connection.mode = Mode::Closing;
                connection.flush();
            }
        }
    }

    fn container_is_over(&mut self, record: ExitRecord) {
        self.status = Status::Stopped;
        self.exit = Some(record);
        self.oom = None;
        self.oom_looks = 0;
        // Whoever waits for the exit goes on while we remove.
        self.flush_connections();
        if let Err(failure) = self.runtime.delete() {
            eprintln!("remove the container: {failure}");
        }
        self.deleted = true;
        // Sessions that were only prepared will never run.
        let prepared: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, process)| matches!(process.life, Life::Prepared(_)))
            .map(|(number, _)| *number)
            .collect();
        for number in prepared {
            if let Some(process) = self.processes.remove(&number) {
                self.release(&process.attached);
            }
        }
        if !self.leaving.is_empty() {
            self.log.abandon();
        }
        for number in self.leaving.clone() {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.send(&Response::Ok);
            }
        }
        // The runtime may have killed sessions: they are our children.
        self.reap();
    }
}
