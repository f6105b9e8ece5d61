//! Sender and receiver of this crate against each other, over a real connection.

use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use gantry_buildkit::fsutil::{self, Filter, Owners, Received};
use gantry_buildkit::grpc::Status;
use gantry_buildkit::grpc::client::Channel;
use gantry_buildkit::grpc::server::{Call, Service, serve};
use gantry_buildkit::proto::session::{Packet, PacketKind, Stat};
use gantry_buildkit::session::{Caller, METHOD, Wanted};

/// A client that exposes one folder.
struct Folder(PathBuf);

impl Service for Folder {
    fn call(self: Arc<Self>, call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let Call { mut input, mut reply, .. } = call;
            let files =
                fsutil::list(&self.0, &Filter::default(), Owners::Root).expect("a folder can be read");
            let sent = fsutil::send(files, &mut reply, &mut input).await;
            reply.end(&sent.map_or_else(|e| Status::unavailable(e.to_string()), |()| Status::default()));
        })
    }
}

/// A client that sends whatever it likes.
struct Liar(Vec<Stat>);

impl Service for Liar {
    fn call(self: Arc<Self>, mut call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            for stat in self.0.iter().cloned().map(Some).chain([None]) {
                let packet = Packet { stat, ..Packet::default() };
                if call.reply.send(&packet).await.is_err() {
                    return;
                }
            }
            while let Ok(Some(packet)) = call.input.next::<Packet>().await {
                if packet.kind == i32::from(PacketKind::Request) {
                    for data in [b"stolen".to_vec(), Vec::new()] {
                        let data = Packet {
                            kind: PacketKind::Data.into(),
                            id: packet.id,
                            data,
                            ..Packet::default()
                        };
                        if call.reply.send(&data).await.is_err() {
                            return;
                        }
                    }
                }
            }
            call.reply.end(&Status::default());
        })
    }
}

async fn fetch(service: impl Service, to: &Path) -> Result<Received, fsutil::TransferError> {
    let (here, there) = tokio::io::duplex(1 << 16);
    tokio::spawn(serve(there, Arc::new(service)));
    let channel = Channel::over(here).await?;
    let mut headers = http::HeaderMap::new();
    headers.append(METHOD, http::HeaderValue::from_static("/moby.filesync.v1.FileSync/DiffCopy"));
    let caller = Caller::new(channel, &headers);
    let (outbound, answer) = caller.files(&Wanted { name: "context".into(), ..Wanted::default() }).await?;
    fsutil::receive(to, outbound, answer, |_| ()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_travels_and_what_is_gone_goes() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| from.path().join(name);
    std::fs::create_dir_all(path("a/deep/er")).unwrap();
    for file in 0..2000 {
        std::fs::write(path(&format!("a/file-{file}")), format!("{file}\n")).unwrap();
    }
    std::fs::write(path("a/deep/er/large"), vec![7; 3 << 20]).unwrap();
    std::fs::write(path("a.txt"), "between a and a/").unwrap();
    std::fs::set_permissions(path("a.txt"), std::fs::Permissions::from_mode(0o6751)).unwrap();
    std::fs::hard_link(path("a.txt"), path("b.txt")).unwrap();
    symlink("../nowhere", path("link")).unwrap();

    let first = fetch(Folder(from.path().into()), to.path()).await.unwrap();
    assert_eq!((first.files, first.fetched), (2007, 2002));
    let there = |name: &str| to.path().join(name);
    assert_eq!(std::fs::read(there("a/deep/er/large")).unwrap(), vec![7; 3 << 20]);
    assert_eq!(std::fs::metadata(there("a.txt")).unwrap().mode() & 0o7777, 0o6751);
    assert_eq!(
        std::fs::metadata(there("a.txt")).unwrap().ino(),
        std::fs::metadata(there("b.txt")).unwrap().ino()
    );
    assert_eq!(std::fs::read_link(there("link")).unwrap(), Path::new("../nowhere"));

    std::fs::write(path("a/file-7"), "changed\n").unwrap();
    std::fs::remove_file(path("a/file-8")).unwrap();
    std::fs::remove_dir_all(path("a/deep")).unwrap();
    std::fs::write(path("a/deep"), "a file where a folder was").unwrap();
    std::fs::remove_file(path("b.txt")).unwrap();
    let second = fetch(Folder(from.path().into()), to.path()).await.unwrap();
    // The name that is no longer linked is fetched once more.
    assert_eq!((second.files, second.fetched), (2003, 3));
    assert!(second.bytes < 200_000, "{second:?}");
    assert_eq!(std::fs::read_to_string(there("a/file-7")).unwrap(), "changed\n");
    assert!(!there("a/file-8").exists() && there("a/deep").is_file() && !there("b.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leaves_the_folder() {
    const LINK: u32 = 1 << 27;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("victim"), "mine").unwrap();
    let target = outside.path().display().to_string();
    let file = |path: &str| Stat { path: path.into(), mode: 0o644, size: 6, ..Stat::default() };
    let link = |path: &str| Stat {
        path: path.into(),
        mode: LINK | 0o777,
        linkname: target.clone(),
        ..Stat::default()
    };
    let hard = |path: &str, to: &str| Stat {
        path: path.into(),
        mode: 0o644,
        linkname: to.into(),
        ..Stat::default()
    };
    let tries = [
        vec![file("../victim")],
        vec![file("/victim")],
        vec![file("a/../../victim")],
        vec![link("a"), file("a/victim")],
        vec![hard("a", "../victim")],
        vec![link("a"), hard("b", "a/victim")],
        vec![file("b"), file("a")],
        vec![file("a"), file("a")],
    ];
    for stats in tries {
        let to = tempfile::tempdir().unwrap();
        let failed = fetch(Liar(stats.clone()), to.path()).await;
        assert!(failed.is_err(), "{stats:?} was taken: {failed:?}");
        assert_eq!(std::fs::read_to_string(outside.path().join("victim")).unwrap(), "mine");
    }
}
