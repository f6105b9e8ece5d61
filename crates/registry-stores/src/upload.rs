//! A local file becomes a far object, in parts that travel side by side.

use std::fs;
use std::io::{self, Read};
use std::path::Path as File;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::task::JoinSet;

use crate::far::told;

/// Parts under way at once: each is in memory.
const AT_ONCE: usize = 4;
/// Most parts of one object: below S3's 10,000.
pub(crate) const PARTS_MAX: u64 = 9_000;

/// Bytes of one part, so that an object of `size` has few enough.
fn part_size(size: u64, wanted: u64, most: u64) -> u64 {
    wanted.max(size.div_ceil(most))
}

/// Uploads `file` to `key`. After a failure the far place is asked to forget the parts it has.
pub(crate) async fn upload(
    store: &Arc<dyn ObjectStore>,
    file: &File,
    key: &Path,
    wanted: u64,
    most: u64,
) -> io::Result<()> {
    let mut from = fs::File::open(file)?;
    let size = from.metadata()?.len();
    let part = part_size(size, wanted, most);
    if size <= part {
        let mut bytes = Vec::with_capacity(size as usize);
        from.read_to_end(&mut bytes)?;
        return store.put(key, bytes.into()).await.map(drop).map_err(told);
    }
    let mut to = store.put_multipart(key).await.map_err(told)?;
    match parts(&mut from, &mut to, size, part).await {
        Ok(()) => to.complete().await.map(drop).map_err(told),
        Err(err) => {
            if let Err(left) = to.abort().await {
                tracing::warn!(error = %left, key = %key, "the parts of a failed upload stay at the far store");
            }
            Err(err)
        }
    }
}

async fn parts(
    from: &mut fs::File,
    to: &mut Box<dyn MultipartUpload>,
    size: u64,
    part: u64,
) -> io::Result<()> {
    let mut under_way = JoinSet::new();
    let mut left = size;
    while left > 0 {
        let mut bytes = vec![0; left.min(part) as usize];
        from.read_exact(&mut bytes)?;
        left -= bytes.len() as u64;
        if under_way.len() == AT_ONCE {
            ended(under_way.join_next().await)?;
        }
        under_way.spawn(to.put_part(bytes.into()));
    }
    while let Some(one) = under_way.join_next().await {
        ended(Some(one))?;
    }
    Ok(())
}

fn ended(part: Option<Result<object_store::Result<()>, tokio::task::JoinError>>) -> io::Result<()> {
    match part {
        None => Ok(()),
        Some(Ok(done)) => done.map_err(told),
        Some(Err(err)) => Err(io::Error::other(err)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_before_they_are_too_many() {
        assert_eq!(part_size(100, 10, PARTS_MAX), 10);
        let terabyte = 1 << 40;
        assert!(terabyte / part_size(terabyte, 10 << 20, PARTS_MAX) <= PARTS_MAX);
    }
}
