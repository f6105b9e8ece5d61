//! An open database and the line of its writers: whoever writes at the same time waits for the disk once.
//!
//! `redb` has one writer at a time and waits for the disk at each durable commit. So a writer behind whom others stand leaves its
//! change in memory; the last in the line writes for all before it, and only then is any of them told that it is done. Who reads
//! meanwhile may see what is not on the disk yet, as with any change whose writer has not been answered.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use redb::{Database, Durability, WriteTransaction};

use crate::StoreError;

/// So many changes wait for the disk together at most: a line that never ends must not keep its first.
const MOST_TOGETHER: u64 = 64;

/// An open database.
pub(crate) struct Opened {
    pub(crate) db: Database,
    line: Mutex<Line>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    /// Writers that came and do not write yet.
    standing: u64,
    /// Changes so far, how many of them are on their way to the disk, and how many are there.
    made: u64,
    asked: u64,
    written: u64,
    /// Times that the disk was waited for.
    waits: u64,
    /// What the database failed of. What is not written by then never is.
    failed: Option<Cause>,
}

/// An I/O error, to be told to many.
#[derive(Debug, Clone)]
enum Cause {
    Number(i32),
    Text(io::ErrorKind, String),
}

/// A writer whose turn it is. Dropped without a commit it has changed nothing.
pub(crate) struct Turn<'a> {
    opened: &'a Opened,
    is_settled: bool,
}

impl Opened {
    pub(crate) fn new(db: Database) -> Opened {
        Opened { db, line: Mutex::default(), told: Condvar::new() }
    }

    /// Stands in the line until it is our turn.
    pub(crate) fn turn(&self) -> Result<(Turn<'_>, WriteTransaction), StoreError> {
        let standing = Standing::in_line(self);
        let begun = self.db.begin_write().map_err(StoreError::from);
        drop(standing);
        let turn = Turn { opened: self, is_settled: false };
        match begun {
            Ok(tx) => Ok((turn, tx)),
            Err(err) => {
                self.fail(&err);
                Err(err)
            }
        }
    }

    /// Whether nothing failed so far, and the database still takes changes.
    pub(crate) fn is_sound(&self) -> bool {
        self.line().failed.is_none() && self.db.begin_write().is_ok()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Counts are changed in one step each; a panic elsewhere leaves them whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `change` and all before it are on the disk.
    fn note_written(&self, change: u64) {
        let mut line = self.line();
        line.written = line.written.max(change);
        line.waits += 1;
        self.told.notify_all();
    }

    /// What waits for the disk now will never be there.
    fn fail(&self, err: &StoreError) {
        let cause = match err.io() {
            Some(io) => {
                io.raw_os_error().map_or_else(|| Cause::Text(io.kind(), io.to_string()), Cause::Number)
            }
            None => Cause::Text(io::ErrorKind::Other, err.to_string()),
        };
        let mut line = self.line();
        line.failed.get_or_insert(cause);
        self.told.notify_all();
    }

    /// Waits until somebody has written `change` to the disk.
    fn wait(&self, change: u64) -> Result<(), StoreError> {
        let waits = |line: &mut Line| line.written < change && line.failed.is_none();
        let line = self.told.wait_while(self.line(), waits).unwrap_or_else(PoisonError::into_inner);
        match &line.failed {
            Some(cause) if line.written < change => Err(StoreError::failed_beside(cause.error())),
            _ => Ok(()),
        }
    }

    /// Writes to the disk what waits for it, when nobody else is there to do so.
    fn write_left(&self) {
        let is_left = |line: &Line| line.standing == 0 && line.written < line.made && line.failed.is_none();
        if !is_left(&self.line()) {
            return;
        }
        let written = self.db.begin_write().map_err(StoreError::from).and_then(|tx| {
            let made = self.line().made;
            tx.commit()?;
            Ok(made)
        });
        match written {
            Ok(made) => self.note_written(made),
            Err(err) => self.fail(&err),
        }
    }
}

/// One who stands in the line.
struct Standing<'a>(&'a Opened);

impl Standing<'_> {
    fn in_line(opened: &Opened) -> Standing<'_> {
        opened.line().standing += 1;
        Standing(opened)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.line().standing -= 1;
    }
}

impl Turn<'_> {
    /// Commits; on the disk when this returns.
    pub(crate) fn commit(mut self, mut tx: WriteTransaction) -> Result<(), StoreError> {
        let opened = self.opened;
        let (change, is_last) = {
            let mut line = opened.line();
            line.made += 1;
            let is_last = line.standing == 0 || line.made - line.asked >= MOST_TOGETHER;
            if is_last {
                line.asked = line.made;
            }
            (line.made, is_last)
        };
        let durability = if is_last { Durability::Immediate } else { Durability::None };
        tx.set_durability(durability).expect("no savepoint is ever made");
        if let Err(err) = tx.commit().map_err(StoreError::from) {
            opened.fail(&err);
            return Err(err);
        }
        self.is_settled = true;
        if is_last {
            opened.note_written(change);
            return Ok(());
        }
        opened.wait(change)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.opened.write_left();
        }
    }
}

impl Cause {
    fn error(&self) -> io::Error {
        match self {
            Cause::Number(number) => io::Error::from_raw_os_error(*number),
            Cause::Text(kind, text) => io::Error::new(*kind, text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use redb::{ReadableDatabase, TableDefinition};

    const ROWS: TableDefinition<'static, u64, u64> = TableDefinition::new("rows");

    fn opened(dir: &tempfile::TempDir) -> Arc<Opened> {
        Arc::new(Opened::new(Database::create(dir.path().join("db")).unwrap()))
    }

    fn put(tx: &WriteTransaction, row: u64) {
        tx.open_table(ROWS).unwrap().insert(row, row).unwrap();
    }

    fn rows(opened: &Opened) -> u64 {
        use redb::ReadableTableMetadata;
        opened.db.begin_read().unwrap().open_table(ROWS).unwrap().len().unwrap()
    }

    /// Lets `count` writers stand behind `first`; gives their threads once all of them stand.
    fn stand(opened: &Arc<Opened>, count: u64) -> Vec<std::thread::JoinHandle<Result<(), StoreError>>> {
        let threads = (1..=count).map(|row| {
            let opened = Arc::clone(opened);
            std::thread::spawn(move || {
                let (turn, tx) = opened.turn()?;
                put(&tx, row);
                turn.commit(tx)
            })
        });
        let threads = threads.collect();
        let deadline = Instant::now() + Duration::from_secs(30);
        while opened.line().standing < count {
            assert!(Instant::now() < deadline, "{} of {count} stand", opened.line().standing);
            std::thread::sleep(Duration::from_millis(1));
        }
        threads
    }

    #[test]
    fn writers_at_once_wait_for_the_disk_once() {
        let dir = tempfile::tempdir().unwrap();
        let opened = opened(&dir);
        let (turn, tx) = opened.turn().unwrap();
        put(&tx, 0);
        let threads = stand(&opened, 20);
        turn.commit(tx).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        assert_eq!((rows(&opened), opened.line().waits), (21, 1));
    }

    #[test]
    fn a_writer_alone_does_not_wait_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let opened = opened(&dir);
        for row in 0..3 {
            let (turn, tx) = opened.turn().unwrap();
            put(&tx, row);
            turn.commit(tx).unwrap();
        }
        assert_eq!((rows(&opened), opened.line().waits), (3, 3));
    }

    #[test]
    fn a_line_without_end_does_not_keep_its_first() {
        let dir = tempfile::tempdir().unwrap();
        let opened = opened(&dir);
        let (turn, tx) = opened.turn().unwrap();
        put(&tx, 0);
        let threads = stand(&opened, MOST_TOGETHER + 5);
        turn.commit(tx).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        assert_eq!((rows(&opened), opened.line().waits), (MOST_TOGETHER + 6, 2));
    }

    #[test]
    fn the_last_in_the_line_writes_for_the_others_also_when_it_changes_nothing_itself() {
        let dir = tempfile::tempdir().unwrap();
        let opened = opened(&dir);
        let (turn, tx) = opened.turn().unwrap();
        put(&tx, 0);
        let behind = Arc::clone(&opened);
        let gives_up = std::thread::spawn(move || {
            let (turn, tx) = behind.turn().unwrap();
            put(&tx, 1);
            tx.abort().unwrap();
            drop(turn);
        });
        while opened.line().standing == 0 {
            std::thread::yield_now();
        }
        turn.commit(tx).unwrap();
        gives_up.join().unwrap();
        assert_eq!((rows(&opened), opened.line().waits), (1, 1));
    }

    #[test]
    fn what_a_failed_disk_did_not_take_is_told_to_each() {
        let dir = tempfile::tempdir().unwrap();
        let opened = opened(&dir);
        let (turn, tx) = opened.turn().unwrap();
        put(&tx, 0);
        let behind = Arc::clone(&opened);
        let fails = std::thread::spawn(move || {
            let (turn, tx) = behind.turn().unwrap();
            drop(tx);
            behind.fail(&StoreError::Io(io::Error::from_raw_os_error(28)));
            drop(turn);
        });
        while opened.line().standing == 0 {
            std::thread::yield_now();
        }
        let told = turn.commit(tx).unwrap_err();
        fails.join().unwrap();
        assert!(told.is_full_disk() && told.wants_reopening() && !told.is_previous_io(), "{told}");
        assert!(told.to_string().contains("No space left on device"), "{told}");
        assert!(!opened.is_sound(), "it is opened anew, or everyone after is told the same");
    }
}
