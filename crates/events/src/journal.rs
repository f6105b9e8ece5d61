//! Publishing and following.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use crate::file::Files;
use crate::{Actor, Event, Kind, Query};

/// Two files of this size at most: some 30,000 events.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// A follower that is this many events behind is let go: it must not hold the engine's memory.
const QUEUE_EVENTS: usize = 1024;
/// A clock that goes back further was set, not corrected.
const CORRECTION_NS: i64 = 5_000_000_000;

/// The journal. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    files: Files,
    last_ns: i64,
    followers: Vec<(Query, mpsc::Sender<Event>)>,
}

impl Journal {
    /// Opens the journal of a folder.
    pub fn open(dir: &Path) -> io::Result<Journal> {
        Journal::open_bounded(dir, MAX_FILE_BYTES)
    }

    /// [`Journal::open`] with another bound of each of the two files.
    pub fn open_bounded(dir: &Path, max_file_bytes: u64) -> io::Result<Journal> {
        let (files, last) = Files::open(dir, max_file_bytes)?;
        let inner = Inner { files, last_ns: last.unwrap_or(0), followers: Vec::new() };
        Ok(Journal { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Writes an event and tells the followers. They are told even when the disk is full; the error says so.
    pub fn publish(
        &self,
        kind: Kind,
        action: impl Into<String>,
        id: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) -> io::Result<Event> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let time_ns = after(inner.last_ns, now_ns());
        inner.last_ns = time_ns;
        let event =
            Event { time_ns, kind, action: action.into(), actor: Actor { id: id.into(), attributes } };
        let written = inner.files.append(&event);
        inner.followers.retain(|(query, queue)| {
            if query.filters.matches(&event) {
                queue.try_send(event.clone()).is_ok()
            } else {
                !queue.is_closed()
            }
        });
        written.map(|()| event)
    }

    /// How many follow now.
    pub fn followers(&self) -> usize {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.followers.retain(|(_, queue)| !queue.is_closed());
        inner.followers.len()
    }

    /// What was and what comes, without a gap and without a repetition between the two.
    pub fn subscribe(&self, query: Query) -> io::Result<Subscription> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut past = VecDeque::new();
        // As Docker: without `since` nothing is replayed, unless `until` already lies in the past.
        if query.since_ns.is_some() {
            inner.files.replay(|event| {
                if query.wants(&event) {
                    past.push_back(event);
                }
            })?;
        }
        let live = if query.until_ns.is_none_or(|until| until > now_ns()) {
            let (sender, receiver) = mpsc::channel(QUEUE_EVENTS);
            inner.followers.push((query.clone(), sender));
            Some(receiver)
        } else {
            None
        };
        Ok(Subscription { past, live, until_ns: query.until_ns })
    }
}

/// The time of an event. Where a clock is corrected a little, the journal's order stays; where it was years ahead (a board's clock
/// before the network's is asked) nobody would find an event by its time until then.
fn after(last_ns: i64, now_ns: i64) -> i64 {
    if now_ns.saturating_add(CORRECTION_NS) < last_ns { now_ns } else { now_ns.max(last_ns + 1) }
}

/// A stream of events.
pub struct Subscription {
    past: VecDeque<Event>,
    live: Option<mpsc::Receiver<Event>>,
    until_ns: Option<i64>,
}

impl Subscription {
    /// The next event; `None` at the end of the window, or when the reader was too slow.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.past.pop_front() {
            return Some(event);
        }
        let live = self.live.as_mut()?;
        let Some(until) = self.until_ns else { return live.recv().await };
        let left = Duration::from_nanos(u64::try_from(until.saturating_sub(now_ns())).unwrap_or(0));
        let event = tokio::time::timeout(left, live.recv()).await.ok().flatten();
        event.filter(|event| event.time_ns <= until)
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn publish(journal: &Journal, action: &str) -> Event {
        journal.publish(Kind::Container, action, "abc", BTreeMap::new()).unwrap()
    }

    fn everything() -> Query {
        Query { since_ns: Some(0), until_ns: Some(now_ns()), ..Query::default() }
    }

    async fn actions(mut subscription: Subscription) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(event) = subscription.next().await {
            seen.push(event.action);
        }
        seen
    }

    #[tokio::test]
    async fn replay_survives_a_restart_and_joins_the_live_stream_without_gap() {
        let dir = tempfile::tempdir().unwrap();
        publish(&Journal::open(dir.path()).unwrap(), "create");
        let journal = Journal::open(dir.path()).unwrap();
        publish(&journal, "start");
        let mut both = journal.subscribe(Query { since_ns: Some(0), ..Query::default() }).unwrap();
        publish(&journal, "die");
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(both.next().await.unwrap().action);
        }
        assert_eq!(seen, ["create", "start", "die"]);
    }

    #[tokio::test]
    async fn without_since_only_new_events_come() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        publish(&journal, "old");
        let mut live = journal.subscribe(Query::default()).unwrap();
        publish(&journal, "new");
        assert_eq!(live.next().await.unwrap().action, "new");
    }

    #[tokio::test]
    async fn a_torn_end_is_cut_off_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        publish(&Journal::open(dir.path()).unwrap(), "whole");
        let path = dir.path().join("events.log");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[40, 0, 0, 0, 1, 2, 3, 4, b'{']).unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        publish(&journal, "after");
        assert_eq!(actions(journal.subscribe(everything()).unwrap()).await, ["whole", "after"]);
    }

    #[tokio::test]
    async fn the_files_are_bounded_and_keep_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open_bounded(dir.path(), 4096).unwrap();
        for n in 0..500 {
            publish(&journal, &format!("a{n}"));
        }
        let bytes: u64 =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 2 * 4096, "{bytes}");
        let kept = actions(journal.subscribe(everything()).unwrap()).await;
        assert!(kept.len() > 40 && kept.last().unwrap() == "a499", "{kept:?}");
    }

    #[tokio::test]
    async fn a_follower_who_does_not_read_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let mut lazy = journal.subscribe(Query::default()).unwrap();
        for n in 0..QUEUE_EVENTS + 5 {
            publish(&journal, &format!("a{n}"));
        }
        let mut got = 0;
        while lazy.next().await.is_some() {
            got += 1;
        }
        assert_eq!(got, QUEUE_EVENTS);
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed() {
        assert_eq!(after(10, 20), 20);
        assert_eq!(after(20, 10), 21, "corrected");
        assert_eq!(after(CORRECTION_NS + 20, 10), 10, "set");
    }

    #[test]
    fn times_never_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let times: Vec<i64> = (0..200).map(|_| publish(&journal, "a").time_ns).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
