//! The sessions that the engine knows, and how long it remembers those that ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_names::{ContainerId, ExecId};
use tokio::sync::watch;

use super::ExecRequest;

/// How long an ended session can be inspected, as in Docker: its client asks for the exit code after the end.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// With more ended sessions than these, the first of them are forgotten earlier.
const MANY: usize = 1024;
/// But none before its client had the time to ask.
const ASKED_WITHIN: Duration = Duration::from_secs(20);

/// A session in the engine. It is not written down: after a restart of the engine its end is not told.
pub(crate) struct ExecSession {
    pub(super) id: ExecId,
    pub(super) container: ContainerId,
    pub(super) request: ExecRequest,
    phase: Mutex<Phase>,
    ended: watch::Sender<Option<i32>>,
    /// Of the engine's own making (a health probe): no events.
    pub(super) silent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    Running { pid: i32 },
    Ended { code: i32 },
}

impl ExecSession {
    pub(super) fn new(container: ContainerId, request: ExecRequest, silent: bool) -> ExecSession {
        ExecSession {
            id: ExecId::random(),
            container,
            request,
            phase: Mutex::new(Phase::Created),
            ended: watch::Sender::new(None),
            silent,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase(), Phase::Ended { .. })
    }

    /// The one that may start it.
    pub(super) fn begin(&self) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *phase == Phase::Created;
        if first {
            *phase = Phase::Running { pid: 0 };
        }
        first
    }

    /// Its process runs, unless it has ended already.
    pub(super) fn runs(&self, pid: i32) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*phase, Phase::Running { .. }) {
            *phase = Phase::Running { pid };
        }
    }

    /// Its exit code, once it has one.
    pub(super) fn end(&self) -> watch::Receiver<Option<i32>> {
        self.ended.subscribe()
    }

    pub(super) fn line(&self) -> String {
        self.request.command.join(" ")
    }
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    all: HashMap<ExecId, Arc<ExecSession>>,
    /// Those that ended and may be gone from `all`, first to last.
    ended: VecDeque<(Instant, ExecId)>,
}

impl Sessions {
    pub(super) fn insert(&mut self, session: Arc<ExecSession>) {
        self.forget_old(Instant::now());
        self.all.insert(session.id.clone(), session);
    }

    pub(super) fn get(&self, id: &ExecId) -> Option<&Arc<ExecSession>> {
        self.all.get(id)
    }

    pub(super) fn remove(&mut self, id: &ExecId) -> Option<Arc<ExecSession>> {
        self.all.remove(id)
    }

    /// The sessions of one container that have not ended.
    pub(super) fn open(&self, container: &ContainerId) -> impl Iterator<Item = &Arc<ExecSession>> {
        self.all.values().filter(move |session| session.container == *container && !session.has_ended())
    }

    /// Its process has ended, or was never begun: it is remembered for a while, unless nobody can ask for it.
    pub(super) fn end(&mut self, session: &ExecSession, code: i32) {
        let now = Instant::now();
        let before = std::mem::replace(
            &mut *session.phase.lock().unwrap_or_else(PoisonError::into_inner),
            Phase::Ended { code },
        );
        session.ended.send_replace(Some(code));
        if session.silent {
            self.all.remove(&session.id);
        } else if !matches!(before, Phase::Ended { .. }) {
            self.ended.push_back((now, session.id.clone()));
        }
        self.forget_old(now);
    }

    /// The container is gone.
    pub(super) fn forget(&mut self, container: &ContainerId) {
        self.all.retain(|_, session| session.container != *container);
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, _)) = self.ended.front() {
            let age = now.saturating_duration_since(*at);
            if age < ASKED_WITHIN || (age < REMEMBERED && self.ended.len() <= MANY) {
                return;
            }
            if let Some((_, id)) = self.ended.pop_front() {
                self.all.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(count: usize) -> (Sessions, Vec<Arc<ExecSession>>) {
        let mut sessions = Sessions::default();
        let container = ContainerId::random();
        let all: Vec<_> = std::iter::repeat_with(|| {
            Arc::new(ExecSession::new(container.clone(), ExecRequest::default(), false))
        })
        .take(count)
        .collect();
        for session in &all {
            sessions.insert(Arc::clone(session));
            sessions.end(session, 0);
        }
        (sessions, all)
    }

    #[test]
    fn whoever_has_just_ended_can_be_asked_however_many_did() {
        let (sessions, all) = sessions(MANY + 100);
        assert!(all.iter().all(|session| sessions.get(&session.id).is_some()));
    }

    #[test]
    fn the_first_to_end_is_the_first_to_be_forgotten() {
        let (mut sessions, all) = sessions(MANY + 100);
        sessions.forget_old(Instant::now() + ASKED_WITHIN);
        let known: Vec<bool> = all.iter().map(|session| sessions.get(&session.id).is_some()).collect();
        assert_eq!(known.iter().filter(|known| **known).count(), MANY);
        assert!(known[100..].iter().all(|known| *known));
        sessions.forget_old(Instant::now() + REMEMBERED);
        assert!(sessions.all.is_empty() && sessions.ended.is_empty());
    }

    #[test]
    fn a_session_that_ends_twice_is_one() {
        let (mut sessions, all) = sessions(1);
        sessions.end(&all[0], 137);
        assert_eq!((sessions.ended.len(), all[0].phase()), (1, Phase::Ended { code: 137 }));
        assert_eq!(sessions.open(&all[0].container).count(), 0);
        sessions.forget(&all[0].container);
        assert!(sessions.get(&all[0].id).is_none());
    }
}
