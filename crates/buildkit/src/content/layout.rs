//! A folder that is an OCI image layout, served.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gantry_names::{Digest, Hasher};

use super::{ABORT, INFO, PIECE, READ, STATUS, WRITE};
use crate::grpc::server::Call;
use crate::grpc::{Code, Status};
use crate::proto::Timestamp;
use crate::proto::content::{
    Info, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, WriteAction,
    WriteContentRequest, WriteContentResponse,
};

/// The folder's own mark.
const MARK: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);

/// A folder of blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(PathBuf);

fn failed(error: &std::io::Error) -> Status {
    let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Unknown };
    Status::new(code, error.to_string())
}

fn parsed(text: &str) -> Result<Digest, Status> {
    Digest::parse(text).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))
}

impl Layout {
    /// A layout that is there.
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// A layout that is made where it is missing.
    ///
    /// # Errors
    /// The file system's.
    pub fn make(folder: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(folder.join("blobs/sha256"))?;
        if !folder.join(MARK.0).exists() {
            fs::write(folder.join(MARK.0), MARK.1)?;
        }
        Ok(Self(folder.to_owned()))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// Answers one call.
    pub async fn serve(&self, mut call: Call) {
        match call.method.as_str() {
            INFO => {
                let asked = call.message::<InfoRequest>().await;
                let told = asked.and_then(|asked| self.info(&asked.digest));
                call.reply.answer(told).await;
            }
            READ => {
                let sent = self.read(&mut call).await;
                call.reply.end(&sent.err().unwrap_or_default());
            }
            WRITE => {
                let taken = self.write(&mut call).await;
                call.reply.end(&taken.err().unwrap_or_default());
            }
            // A write begins anew each time: none is half done.
            STATUS => call.reply.end(&Status::new(Code::NotFound, "no such write")),
            ABORT => call.reply.answer(Ok(())).await,
            other => {
                let status = Status::unimplemented(other);
                call.reply.end(&status);
            }
        }
    }

    fn info(&self, digest: &str) -> Result<InfoResponse, Status> {
        let missing = |_| Status::new(Code::NotFound, format!("content {digest}: not found"));
        let found = fs::metadata(self.path(&parsed(digest)?)).map_err(missing)?;
        let time = found.modified().ok().map(Timestamp::of);
        let info = Info {
            digest: digest.to_owned(),
            size: i64::try_from(found.len()).unwrap_or(i64::MAX),
            created_at: time,
            updated_at: time,
            ..Info::default()
        };
        Ok(InfoResponse { info: Some(info) })
    }

    async fn read(&self, call: &mut Call) -> Result<(), Status> {
        let asked = call.message::<ReadContentRequest>().await?;
        let digest = parsed(&asked.digest)?;
        let missing = |_| Status::new(Code::NotFound, format!("content {digest}: not found"));
        let mut file = File::open(self.path(&digest)).map_err(missing)?;
        let mut offset = u64::try_from(asked.offset).unwrap_or_default();
        file.seek(SeekFrom::Start(offset)).map_err(|error| failed(&error))?;
        let mut left = u64::try_from(asked.size).ok().filter(|size| *size > 0).unwrap_or(u64::MAX);
        while left > 0 {
            let mut data = Vec::new();
            let most = left.min(PIECE as u64);
            let read = (&file).take(most).read_to_end(&mut data).map_err(|error| failed(&error))?;
            if read == 0 {
                break;
            }
            let at = i64::try_from(offset).unwrap_or(i64::MAX);
            (offset, left) = (offset + read as u64, left - read as u64);
            call.reply.send(&ReadContentResponse { offset: at, data }).await?;
        }
        Ok(())
    }

    /// Takes a blob in: beside its place, and there when its bytes are what its name says.
    async fn write(&self, call: &mut Call) -> Result<(), Status> {
        let mut open: Option<(tempfile::NamedTempFile, Hasher, u64)> = None;
        while let Some(asked) = call.input.next::<WriteContentRequest>().await? {
            let expected = parsed(&asked.expected)?;
            let path = self.path(&expected);
            if open.is_none() {
                if path.exists() {
                    let text = format!("content {expected}: already exists");
                    return Err(Status::new(Code::AlreadyExists, text));
                }
                let folder = path.parent().unwrap_or(&self.0);
                fs::create_dir_all(folder).map_err(|error| failed(&error))?;
                let file = tempfile::Builder::new()
                    .prefix(".write-")
                    .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                    .tempfile_in(folder);
                open = Some((file.map_err(|error| failed(&error))?, Hasher::new(), 0));
            }
            let Some((file, hasher, written)) = &mut open else { continue };
            let at = u64::try_from(asked.offset).unwrap_or_default();
            if !asked.data.is_empty() && at != *written {
                let text = format!("a write at {at} where {written} bytes are");
                return Err(Status::new(Code::OutOfRange, text));
            }
            file.write_all(&asked.data).map_err(|error| failed(&error))?;
            hasher.update(&asked.data);
            *written += asked.data.len() as u64;
            let mut answer = WriteContentResponse {
                action: asked.action,
                offset: i64::try_from(*written).unwrap_or(i64::MAX),
                total: asked.total,
                ..WriteContentResponse::default()
            };
            if WriteAction::try_from(asked.action) == Ok(WriteAction::Commit) {
                let Some((file, hasher, _)) = open.take() else { continue };
                if hasher.finish() != expected {
                    let text = format!("{expected}: other bytes came");
                    return Err(Status::new(Code::FailedPrecondition, text));
                }
                file.persist(&path).map_err(|error| failed(&error.error))?;
                answer.digest = expected.to_string();
            }
            call.reply.send(&answer).await?;
        }
        Ok(())
    }
}
