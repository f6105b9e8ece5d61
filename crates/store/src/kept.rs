//! A second copy of the database, made when it is closed: one flipped byte in the wrong page of a file that rests makes all of
//! it unreadable, not one row.
//!
//! The copy bears the time of the file it was made of. While both agree nothing was written since, and the copy may stand in for a
//! damaged file without a word of it being older; once they differ it is only shown to the person.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the copy of this database lies.
pub(crate) fn beside(database: &Path) -> PathBuf {
    database.with_extension("db.kept")
}

/// Makes the copy anew. The database is closed.
pub(crate) fn keep(database: &Path) -> io::Result<()> {
    let part = database.with_extension("db.kept.part");
    let kept = copy(database, &part).and_then(|()| fs::rename(&part, beside(database)));
    if kept.is_err() {
        // What stood there is older than the database now, and is taken for that.
        let _ = fs::remove_file(&part);
    }
    kept
}

/// Whether nothing was written to the database since its copy was made.
pub(crate) fn is_current(database: &Path) -> bool {
    let (Ok(is), Ok(was)) = (fs::metadata(database), fs::metadata(beside(database))) else { return false };
    is.len() == was.len() && matches!((is.modified(), was.modified()), (Ok(is), Ok(was)) if is == was)
}

/// Puts the copy in the place of a damaged database; the damaged file stays beside it for a look.
pub(crate) fn restore(database: &Path) -> io::Result<()> {
    let part = database.with_extension("db.part");
    copy(&beside(database), &part)?;
    // A second name first, so that a crash between the two never finds no database: that would be taken for a new one. To keep
    // the damaged file is a favour, no condition.
    let damaged = database.with_extension("db.damaged");
    let _ = fs::remove_file(&damaged);
    let _ = fs::hard_link(database, &damaged);
    fs::rename(&part, database)
}

/// A copy with the same modes and times, on the disk when this returns.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // Taken before: whoever writes meanwhile makes the copy the older one.
    let modified = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    let file = File::options().write(true).open(to)?;
    file.set_modified(modified)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stands_in_only_while_nothing_was_written_since() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("store.db");
        assert!(!is_current(&database));
        fs::write(&database, "whole").unwrap();
        keep(&database).unwrap();
        let time = fs::metadata(&database).unwrap().modified().unwrap();
        fs::write(&database, "whoLe").unwrap();
        File::options().write(true).open(&database).unwrap().set_modified(time).unwrap();
        assert!(is_current(&database));
        restore(&database).unwrap();
        assert_eq!(fs::read_to_string(&database).unwrap(), "whole");
        assert_eq!(fs::read_to_string(dir.path().join("store.db.damaged")).unwrap(), "whoLe");
        File::options()
            .write(true)
            .open(&database)
            .unwrap()
            .set_modified(time + std::time::Duration::from_nanos(1000))
            .unwrap();
        assert!(!is_current(&database));
    }
}
