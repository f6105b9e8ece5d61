//! The receiving side.

use std::path::Path;

use prost::Message;
use tokio::sync::mpsc;

use super::{Disk, From, To, TransferError};
use crate::grpc::client::Answer;
use crate::grpc::{Outbound, Status};
use crate::proto::session::{Packet, PacketKind};

/// Packets that wait for a slow disk.
const AHEAD: usize = 64;

/// What a transfer brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Files and folders the sender has.
    pub files: u64,
    /// Files whose bytes travelled.
    pub fetched: u64,
    /// Bytes on the wire, lists included.
    pub bytes: u64,
    /// Bytes of all files the sender has.
    pub total: u64,
}

/// Makes `folder` as the sender's is. `told` hears of progress; only what changed since the last time travels.
pub async fn receive(
    folder: &Path,
    outbound: Outbound,
    mut answer: Answer,
    told: impl Fn(Received) + Send + Sync,
) -> Result<Received, TransferError> {
    let disk = Disk::open(folder)?;
    let (packets, queue) = mpsc::channel(AHEAD);
    let (replies, wanted) = mpsc::unbounded_channel();
    let writing = tokio::task::spawn_blocking(move || write(disk, queue, &replies));
    let asking = ask(outbound, wanted);
    let listening = async {
        let mut bytes = 0;
        // The stream ends by the sender's end, after our own word that all is here.
        while let Some(packet) = answer.next::<Packet>().await? {
            bytes += packet.encoded_len() as u64;
            told(Received { bytes, ..Received::default() });
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Error) => {
                    return Err(TransferError::Told(String::from_utf8_lossy(&packet.data).into_owned()));
                }
                Ok(PacketKind::Finish) => {}
                _ => {
                    if packets.send(packet).await.is_err() {
                        // The disk has failed; what it says comes with the join below.
                        break;
                    }
                }
            }
        }
        drop(packets);
        Ok(bytes)
    };
    let (heard, ()) = tokio::join!(listening, asking);
    let written = writing.await.map_err(|error| TransferError::Protocol(error.to_string()))?;
    match (heard, written) {
        (Ok(bytes), Ok(written)) => Ok(Received { bytes, ..written }),
        // What the sender says is the cause; that the disk then waited in vain is not.
        (Err(cause @ TransferError::Told(_)), _) | (Err(cause @ TransferError::Wire(_)), _) => Err(cause),
        (_, Err(cause)) | (Err(cause), _) => Err(cause),
    }
}

/// The same in the serving role, where the sender called us: until it says that it is done. Progress is not told.
pub async fn take(disk: Disk, to: &mut impl To, from: &mut impl From) -> Result<Received, TransferError> {
    let (packets, queue) = mpsc::channel(AHEAD);
    let (replies, mut wanted) = mpsc::unbounded_channel();
    let writing = tokio::task::spawn_blocking(move || write(disk, queue, &replies));
    let asking = async {
        while let Some(packet) = wanted.recv().await {
            to.send(packet).await?;
        }
        Ok::<(), TransferError>(())
    };
    let listening = async {
        while let Some(packet) = from.next().await? {
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Error) => {
                    return Err(TransferError::Told(String::from_utf8_lossy(&packet.data).into_owned()));
                }
                Ok(PacketKind::Finish) => break,
                _ if packets.send(packet).await.is_err() => break,
                _ => {}
            }
        }
        drop(packets);
        Ok(())
    };
    let talked = tokio::try_join!(listening, asking);
    let written = writing.await.map_err(|error| TransferError::Protocol(error.to_string()))?;
    match (talked, written) {
        (Err(cause @ TransferError::Told(_)), _) => Err(cause),
        (_, Err(cause)) | (Err(cause), _) => Err(cause),
        (Ok(_), Ok(written)) => Ok(written),
    }
}

/// Sends what the disk asks for, then the end. When the sender has closed first, its own status says how it went.
async fn ask(mut outbound: Outbound, mut wanted: mpsc::UnboundedReceiver<Packet>) {
    while let Some(packet) = wanted.recv().await {
        if let Err(error) = outbound.send(&packet).await {
            return tracing::debug!(%error, "the sender no longer listens");
        }
    }
    if let Err(error) = outbound.close() {
        tracing::debug!(%error, "the sender no longer listens");
    }
}

fn write(
    mut disk: Disk,
    mut packets: mpsc::Receiver<Packet>,
    replies: &mpsc::UnboundedSender<Packet>,
) -> Result<Received, TransferError> {
    let outcome = apply(&mut disk, &mut packets, replies);
    if let Err(error) = &outcome {
        let packet = Packet {
            kind: PacketKind::Error.into(),
            data: error.to_string().into_bytes(),
            ..Packet::default()
        };
        let _gone = replies.send(packet).is_err();
    }
    outcome
}

fn apply(
    disk: &mut Disk,
    packets: &mut mpsc::Receiver<Packet>,
    replies: &mpsc::UnboundedSender<Packet>,
) -> Result<Received, TransferError> {
    let mut seen = Received::default();
    let mut all_told = false;
    let mut open = 0_u64;
    let reply = |kind: PacketKind, id: u32| {
        let packet = Packet { kind: kind.into(), id, ..Packet::default() };
        replies.send(packet).map_err(|_| Status::unavailable("the sender has gone"))
    };
    while let Some(packet) = packets.blocking_recv() {
        match (PacketKind::try_from(packet.kind), packet.stat) {
            (Ok(PacketKind::Stat), Some(stat)) if !all_told => {
                let id = u32::try_from(seen.files)
                    .map_err(|_| TransferError::Protocol("more files than numbers".into()))?;
                seen.files += 1;
                seen.total = seen.total.saturating_add(u64::try_from(stat.size).unwrap_or_default());
                if disk.tell(id, stat)? {
                    seen.fetched += 1;
                    open += 1;
                    reply(PacketKind::Request, id)?;
                }
            }
            (Ok(PacketKind::Stat), None) => all_told = true,
            (Ok(PacketKind::Data), _) => {
                if packet.data.is_empty() {
                    open = open.saturating_sub(1);
                }
                disk.data(packet.id, &packet.data)?;
            }
            _ => return Err(TransferError::Protocol("a sender sent what only receivers send".into())),
        }
        if all_told && open == 0 {
            disk.finish()?;
            reply(PacketKind::Finish, 0)?;
            return Ok(seen);
        }
    }
    Err(TransferError::Protocol("the sender left before all was sent".into()))
}
