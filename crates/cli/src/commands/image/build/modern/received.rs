//! Results that the engine sends: a folder's files, or an archive's bytes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gantry_buildkit::fsutil::{self, Disk};
use gantry_buildkit::grpc::server::Call;
use gantry_buildkit::grpc::{Code, Inbound, Status};
use gantry_buildkit::proto::control::BytesMessage;

use super::output::Goal;

/// Takes one result in.
pub async fn take(goal: &Goal, mut call: Call) {
    let taken = match goal {
        Goal::Engine | Goal::Layout(_) => Err(Status::new(Code::NotFound, "this result stays in the engine")),
        Goal::Folder(path) => folder(path, &mut call).await,
        Goal::Stdout => bytes(&mut io::stdout(), &mut call.input).await,
        Goal::File(path) => file(path, &mut call.input).await,
    };
    call.reply.end(&taken.err().unwrap_or_default());
}

fn told(path: &Path) -> impl Fn(io::Error) -> Status {
    move |error| {
        Status::new(Code::Unknown, format!("{}: {}", path.display(), crate::terminal::io_text(&error)))
    }
}

async fn folder(path: &Path, call: &mut Call) -> Result<(), Status> {
    fs::create_dir_all(path).map_err(told(path))?;
    let failed = |error: fsutil::TransferError| match error {
        fsutil::TransferError::Wire(status) => status,
        other => Status::new(Code::Unknown, other.to_string()),
    };
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let disk = Disk::open(path).map_err(failed)?.adding_for(user.as_raw(), group.as_raw());
    fsutil::take(disk, &mut call.reply, &mut call.input).await.map(drop).map_err(failed)
}

async fn bytes(out: &mut impl Write, input: &mut Inbound) -> Result<(), Status> {
    let failed = |error: io::Error| Status::new(Code::Unknown, crate::terminal::io_text(&error));
    while let Some(piece) = input.next::<BytesMessage>().await? {
        out.write_all(&piece.data).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// A file that is removed again unless it becomes whole.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What went wrong before is what the person reads.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes beside the file and puts it into place when it is whole; a device or pipe is written into.
async fn file(path: &Path, input: &mut Inbound) -> Result<(), Status> {
    if path.exists() && !path.is_file() {
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(told(path))?;
        return bytes(&mut file, input).await;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = fs::File::create(&beside).map_err(told(path))?;
    let mut unfinished = Unfinished(Some(beside.clone()));
    bytes(&mut file, input).await?;
    fs::rename(&beside, path).map_err(told(path))?;
    unfinished.0 = None;
    Ok(())
}
