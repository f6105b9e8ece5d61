//! An object's bytes as they come, asked for again from where they broke off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use object_store::client::{HttpError, HttpResponse};
use object_store::{Error, Result};

use super::wire::{Call, Wire};
use super::{Trouble, content_range};

/// An object that broke off so often without a byte between is given up.
const FRUITLESS: u32 = 3;

/// Where reading stands.
struct Reading {
    wire: Arc<Wire>,
    key: String,
    /// What the object was: another in its place is not gone on with.
    e_tag: Option<String>,
    left: Range<u64>,
    fruitless: u32,
    stream: BoxStream<'static, std::result::Result<Bytes, HttpError>>,
}

/// The bytes of an answer that holds `range` of the object `key`.
pub(super) fn read(
    wire: Arc<Wire>,
    key: &str,
    e_tag: Option<String>,
    range: Range<u64>,
    answer: HttpResponse,
) -> BoxStream<'static, Result<Bytes>> {
    let stream = answer.into_body().bytes_stream().boxed();
    let reading = Reading { wire, key: key.to_owned(), e_tag, left: range, fruitless: 0, stream };
    stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.next().await?.map(|piece| (piece, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let broke = match self.stream.try_next().await {
                Ok(Some(piece)) if piece.is_empty() => continue,
                Ok(Some(piece)) => {
                    self.left.start += piece.len() as u64;
                    self.fruitless = 0;
                    return Ok(Some(piece));
                }
                Ok(None) => Trouble::Answer("an object ended early".to_owned()),
                Err(err) => Trouble::Wire(err),
            };
            self.fruitless += 1;
            if self.fruitless > FRUITLESS {
                return Err(broke.into());
            }
            tracing::debug!(error = %broke, key = self.key, at = self.left.start, "an object of Swift is gone on with");
            self.go_on().await?;
        }
        Ok(None)
    }

    /// Asks for the rest.
    async fn go_on(&mut self) -> Result<()> {
        let mut call = Call::new(Method::GET, &self.key)
            .header("range", &format!("bytes={}-{}", self.left.start, self.left.end - 1));
        if let Some(e_tag) = &self.e_tag {
            call = call.header("if-match", e_tag);
        }
        let answer = self.wire.call(&call).await?;
        let starts = content_range(answer.headers()).map(|(from, _)| from);
        if answer.status() != StatusCode::PARTIAL_CONTENT || starts != Some(self.left.start) {
            return Err(Error::from(Trouble::Answer(
                "the rest of an object was asked for, and something else came".to_owned(),
            )));
        }
        self.stream = answer.into_body().bytes_stream().boxed();
        Ok(())
    }
}
