//! The sending side.

use std::io::Read;

use tokio::sync::mpsc;

use super::mode::Kind;
use super::{Listed, TransferError};
use crate::grpc::client::Answer;
use crate::grpc::server::Responder;
use crate::grpc::{Inbound, Outbound, Status};
use crate::proto::session::{Packet, PacketKind};

/// Bytes of a file in one packet.
const PIECE: usize = 32 << 10;

/// Packets read ahead of a slow receiver.
const AHEAD: usize = 16;

/// The way to a receiver: a caller's stream, or a server's.
pub trait To: Send {
    /// Sends a packet.
    fn send(&mut self, packet: Packet) -> impl Future<Output = Result<(), Status>> + Send;
}

/// The way from a receiver.
pub trait From: Send {
    /// The next packet.
    fn next(&mut self) -> impl Future<Output = Result<Option<Packet>, Status>> + Send;
}

impl To for Outbound {
    async fn send(&mut self, packet: Packet) -> Result<(), Status> {
        Outbound::send(self, &packet).await
    }
}

impl To for Responder {
    async fn send(&mut self, packet: Packet) -> Result<(), Status> {
        Responder::send(self, &packet).await
    }
}

impl From for Answer {
    async fn next(&mut self) -> Result<Option<Packet>, Status> {
        Answer::next(self).await
    }
}

impl From for Inbound {
    async fn next(&mut self) -> Result<Option<Packet>, Status> {
        Inbound::next(self).await
    }
}

/// Tells `files` and sends what is asked for, until the receiver is done.
pub async fn send(files: Vec<Listed>, to: &mut impl To, from: &mut impl From) -> Result<(), TransferError> {
    let (asked, wanted) = mpsc::unbounded_channel();
    let talk = talk(files, to, wanted);
    let listen = async {
        while let Some(packet) = from.next().await? {
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Request) => {
                    if asked.send(packet.id).is_err() {
                        break;
                    }
                }
                Ok(PacketKind::Finish) => {
                    drop(asked);
                    return Ok(());
                }
                Ok(PacketKind::Error) => {
                    return Err(TransferError::Told(String::from_utf8_lossy(&packet.data).into_owned()));
                }
                _ => return Err(TransferError::Protocol("a receiver sent what only senders send".into())),
            }
        }
        Err(TransferError::Protocol("the receiver left before it was done".into()))
    };
    tokio::try_join!(talk, listen).map(|_| ())
}

async fn talk(
    files: Vec<Listed>,
    peer: &mut impl To,
    mut wanted: mpsc::UnboundedReceiver<u32>,
) -> Result<(), TransferError> {
    let packet = |kind: PacketKind| Packet { kind: kind.into(), ..Packet::default() };
    for file in &files {
        peer.send(Packet { stat: Some(file.stat.clone()), ..packet(PacketKind::Stat) }).await?;
    }
    peer.send(packet(PacketKind::Stat)).await?;
    while let Some(id) = wanted.recv().await {
        let file = usize::try_from(id).ok().and_then(|at| files.get(at));
        let file = file.filter(|file| Kind::of_wire(file.stat.mode) == Kind::File);
        let file = file.ok_or_else(|| TransferError::Protocol(format!("invalid file id {id}")))?;
        let (tx, mut pieces) = mpsc::channel(AHEAD);
        let path = file.path.clone();
        let reading = tokio::task::spawn_blocking(move || read(&path, &tx));
        while let Some(data) = pieces.recv().await {
            peer.send(Packet { id, data, ..packet(PacketKind::Data) }).await?;
        }
        let read = reading.await.map_err(|error| TransferError::Protocol(error.to_string()))?;
        read.map_err(TransferError::io(&file.stat.path))?;
        peer.send(Packet { id, ..packet(PacketKind::Data) }).await?;
    }
    peer.send(packet(PacketKind::Finish)).await?;
    Ok(())
}

fn read(path: &std::path::Path, to: &mpsc::Sender<Vec<u8>>) -> std::io::Result<()> {
    let mut file = std::fs::File::open(path)?;
    loop {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece)?;
        piece.truncate(read);
        if read == 0 || to.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
}
