//! Files of a client on their way here.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_archive::{Decoder, ExtractOptions, Reader, Room, Root, extract};
use gantry_build::files;
use gantry_build::remote::{RemoteError, web};
use gantry_buildkit::fsutil::{self, Received};
use gantry_buildkit::grpc::client::Answer;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::BytesMessage;
use gantry_buildkit::session::{Caller, Wanted};
use tokio::sync::mpsc;

use super::options::invalid;
use crate::Inner;
use crate::job::Work;
use crate::kept::Place;

/// A Dockerfile longer than this is none.
const DOCKERFILE_LIMIT: u64 = 8 << 20;

/// Progress of a transfer is told anew after as many bytes.
const TELL_EVERY: u64 = 1 << 20;

/// A tar archive begins so at this place.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// First bytes of what a tar archive may be compressed with.
const COMPRESSED: [&[u8]; 4] =
    [&[0x1f, 0x8b, 0x08], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Takes a folder of the client in; `word` is how its progress is called.
pub(crate) async fn receive(
    inner: &Inner,
    caller: &Caller,
    work: &Work<'_>,
    wanted: &Wanted,
    word: &str,
    key: &str,
) -> Result<Place, Status> {
    let io =
        |error: std::io::Error| Status::new(Code::Internal, format!("keeping the build's files: {error}"));
    let place = inner.kept.take(key, &wanted.name).map_err(io)?;
    let part = format!("transferring {word}:");
    let told = AtomicU64::new(0);
    let tell = |so_far: Received| {
        let last = told.load(Ordering::Relaxed);
        if so_far.bytes >= last + TELL_EVERY {
            told.store(so_far.bytes, Ordering::Relaxed);
            work.part(&part, so_far.bytes, 0, false);
        }
    };
    let (outbound, answer) = caller.files(wanted).await?;
    let received = match fsutil::receive(&place.path, outbound, answer, tell).await {
        Ok(received) => received,
        Err(fsutil::TransferError::Wire(status)) => return Err(status),
        Err(error) => {
            // What the disk would not take is not to stand on it half.
            if matches!(error, fsutil::TransferError::Io { .. }) {
                place.give_up();
            }
            return Err(Status::new(Code::Unknown, error.to_string()));
        }
    };
    work.part(&part, received.bytes, 0, true);
    place.weighs(received.total);
    Ok(place)
}

/// Bytes of a context that come in pieces.
pub(crate) enum Pieces {
    /// From the client's session.
    Session(Answer),
    /// From another request.
    Request(mpsc::Receiver<Vec<u8>>),
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        match self {
            Pieces::Session(answer) => Ok(answer.next::<BytesMessage>().await?.map(|piece| piece.data)),
            Pieces::Request(pieces) => Ok(pieces.recv().await),
        }
    }
}

/// Takes in what is uploaded: an archive is unpacked, anything else is a Dockerfile. Whether it was an archive.
pub(crate) async fn upload(inner: &Inner, mut pieces: Pieces) -> Result<(Place, bool), Status> {
    let io =
        |error: std::io::Error| Status::new(Code::Internal, format!("keeping the build's files: {error}"));
    let place = inner.kept.take("", "upload").map_err(io)?;
    let mut file = tempfile::tempfile_in(&place.path).map_err(io)?;
    while let Some(piece) = pieces.next().await? {
        file.write_all(&piece).map_err(io)?;
    }
    let done = tokio::task::spawn_blocking(move || unpack(file, &place.path).map(|archive| (place, archive)));
    done.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?
}

/// Fetches a context from another machine: a repository, an archive or a lone Dockerfile. Whether it is a whole folder.
pub(crate) async fn fetch(inner: &Inner, address: &str, keep_git_dir: bool) -> Result<(Place, bool), Status> {
    let io =
        |error: std::io::Error| Status::new(Code::Internal, format!("keeping the build's files: {error}"));
    let failed = |error: RemoteError| Status::new(Code::Unknown, error.to_string());
    let mut place = inner.kept.take("", "remote").map_err(io)?;
    if let Some(repository) = gantry_git::Repository::parse(address) {
        let found = gantry_git::check_out(&repository, &place.path, keep_git_dir)
            .await
            .map_err(|error| failed(error.into()))?;
        place.narrow(&found.folder).map_err(io)?;
        return Ok((place, true));
    }
    let folder = tempfile::tempdir_in(&place.path).map_err(io)?;
    let name = web::download(address, None, folder.path(), false).await.map_err(failed)?;
    let file = std::fs::File::open(folder.path().join(name)).map_err(io)?;
    drop(folder);
    let done = tokio::task::spawn_blocking(move || unpack(file, &place.path).map(|whole| (place, whole)));
    done.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?
}

/// Unpacks an archive into a folder; what is none becomes its Dockerfile. Whether it was one.
pub(crate) fn unpack(mut file: std::fs::File, folder: &Path) -> Result<bool, Status> {
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        invalid(format!("failed to read the build context: {}", gantry_errdefs::chain(error)))
    };
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(|e| wrong(&e))?;
    (&mut file).take(512).read_to_end(&mut head).map_err(|e| wrong(&e))?;
    file.seek(SeekFrom::Start(0)).map_err(|e| wrong(&e))?;
    let plain = head.get(TAR.0..TAR.0 + TAR.1.len()) == Some(TAR.1);
    if !plain && !COMPRESSED.iter().any(|magic| head.starts_with(magic)) {
        let mut to = std::fs::File::create(folder.join("Dockerfile")).map_err(|e| wrong(&e))?;
        std::io::copy(&mut file, &mut to).map_err(|e| wrong(&e))?;
        return Ok(false);
    }
    let root = Root::open(folder).map_err(|e| wrong(&e))?;
    let room = Room::on_disk_of(&root).map_err(|e| wrong(&e))?;
    let decoder = Decoder::new(file).map_err(|e| wrong(&e))?;
    let mut reader = Reader::new(room.bound(decoder));
    extract(&mut reader, &root, &ExtractOptions { room: Some(room), ..ExtractOptions::default() })
        .and_then(|done| done.refuse_links())
        .and_then(|_| reader.drain())
        .map_err(|e| wrong(&e))?;
    Ok(true)
}

/// The text of a file below a folder; `None` where there is none.
pub(crate) fn text(folder: &Path, name: &str) -> Result<Option<String>, Status> {
    let wrong = |error: &dyn std::fmt::Display| invalid(format!("failed to read {name}: {error}"));
    let root = files::Root::open(folder).map_err(|e| wrong(&e))?;
    if !root
        .stat(name, true)
        .map_err(|e| wrong(&e))?
        .is_some_and(|entry| entry.kind == files::EntryKind::File)
    {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let mut file = root.file(name).map_err(|e| wrong(&e))?.take(DOCKERFILE_LIMIT + 1);
    file.read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    if bytes.len() as u64 > DOCKERFILE_LIMIT {
        return Err(invalid(format!("{name} is larger than {DOCKERFILE_LIMIT} bytes")));
    }
    gantry_dockerfile::text(bytes).map(Some).map_err(|error| invalid(format!("{name}: {error}")))
}
