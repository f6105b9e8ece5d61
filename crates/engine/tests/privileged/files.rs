//! Users, mounts, volumes, cp, diff, export, commit.

use std::io::Read;

use gantry_engine::spec::{
    BindOptions, BindRequest, BindSource, ImageOptions, MountKind, MountRequest, ReadOnly, VolumeOptions,
    VolumesFrom,
};
use gantry_engine::{ChangeKind, CommitRequest, Filters};
use gantry_errdefs::{Class, Classified};
use gantry_names::Reference;
use gantry_volumes::VolumeRequest;

use crate::setup::{Home, spec};

fn bind(source: BindSource, target: &str, read_only: bool) -> BindRequest {
    let read_only = if read_only { ReadOnly::Yes } else { ReadOnly::No };
    BindRequest {
        source,
        target: target.into(),
        mode: String::new(),
        options: BindOptions { read_only, ..BindOptions::default() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_folders_come_from_the_image() {
    let home = Home::new().await;
    let (_, text) = home.output(&["id"], |spec| spec.user = "web".into()).await;
    assert_eq!(text, "uid=33(web) gid=34(web) groups=34(web),50(log)\n");
    let (_, text) = home.output(&["pwd"], |spec| spec.working_dir = "/made/here".into()).await;
    assert_eq!(text, "/made/here\n");
    let bare = |spec: &mut gantry_engine::spec::ContainerSpec| {
        (spec.user, spec.cap_drop, spec.read_only_rootfs) = ("web".into(), vec!["ALL".into()], true);
        spec.working_dir = "/tmp".into();
    };
    let (code, text) = home.output(&["grep", "CapEff", "/proc/self/status"], bare).await;
    assert_eq!((code, text.as_str()), (0, "CapEff:\t0000000000000000\n"));
    let id = home.create(&["id"], |spec| spec.user = "nobody-here".into()).await;
    let err = home.engine.container_start(&id).await.unwrap_err();
    assert_eq!(err.to_string(), "unable to find user nobody-here: no matching entries in passwd file");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_filled_shared_kept_and_taken_over() {
    let home = Home::new().await;
    let named = |spec: &mut gantry_engine::spec::ContainerSpec| {
        spec.binds.push(bind(BindSource::Volume("data".into()), "/data", false));
    };
    let (_, text) = home.output(&["sh", "-c", "cat /data/content; echo mine > /data/own"], named).await;
    assert_eq!(text, "from the image\n");
    let owner = home.create(&["cat", "/data/own"], named).await;
    home.engine.container_start(&owner).await.unwrap();
    home.wait(&owner).await;
    assert_eq!(home.log(&owner).await, "mine\n");
    let (code, text) = home
        .output(&["sh", "-c", "cat /data/own; echo x > /data/own"], |spec| {
            spec.volumes_from =
                vec![VolumesFrom { container: owner.clone(), mode: "ro".into(), read_only: Some(true) }];
        })
        .await;
    assert_ne!(code, 0);
    assert!(text.starts_with("mine\n"), "{text}");
    assert_eq!(home.engine.volume_remove("data", false).await.unwrap_err().class(), Class::Conflict);

    let anonymous = home
        .run(&["true"], |spec| {
            spec.volumes.insert("/anon".into());
        })
        .await;
    home.wait(&anonymous).await;
    assert_eq!(home.engine.volume_list(Filters::new()).await.unwrap().len(), 2);
    home.engine.container_remove(&anonymous, false, true, false).await.unwrap();
    assert_eq!(home.engine.volume_list(Filters::new()).await.unwrap().len(), 1);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_folders_are_bound_and_read_only_means_it() {
    let home = Home::new().await;
    let host = home.dir.path().join("host");
    let path = host.display().to_string();
    let (code, _) = home
        .output(&["sh", "-c", "echo x > /h/f"], |spec| {
            spec.binds.push(bind(BindSource::Path(path.clone()), "/h", false));
        })
        .await;
    assert_eq!(code, 0);
    assert_eq!(std::fs::read_to_string(host.join("f")).unwrap(), "x\n");
    let (code, _) = home
        .output(&["sh", "-c", "echo y > /h/f"], |spec| {
            spec.binds.push(bind(BindSource::Path(path.clone()), "/h", true));
        })
        .await;
    assert_ne!(code, 0);
    let (code, _) = home.output(&["touch", "/new"], |spec| spec.read_only_rootfs = true).await;
    assert_ne!(code, 0);
    let (code, text) = home
        .output(&["sh", "-c", "touch /t/x && grep ' /t ' /proc/mounts"], |spec| {
            spec.tmpfs.insert("/t".into(), "size=1m".into());
        })
        .await;
    assert_eq!(code, 0);
    assert!(text.contains("size=1024k") && text.contains("noexec"), "{text}");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_both_ways_stopped_and_running() {
    let home = Home::new().await;
    let mut tar = gantry_archive::Writer::new(Vec::new());
    tar.append_bytes(&gantry_archive::Entry::file("note", 5), b"hello").unwrap();
    let tar = tar.finish().unwrap();
    let stopped = home.create(&["cat", "/tmp/note"], |_| ()).await;
    let running = home.run(&["sleep", "1000"], |_| ()).await;
    for id in [&stopped, &running] {
        let body = Box::new(std::io::Cursor::new(tar.clone()));
        home.engine.container_extract(id, "/tmp", false, false, body).await.unwrap();
        let stat = home.engine.container_path_stat(id, "/tmp/note").await.unwrap();
        assert_eq!((stat.name.as_str(), stat.size), ("note", 5));
        let (_, write) = home.engine.container_archive(id, "/tmp/note").await.unwrap();
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        let mut reader = gantry_archive::Reader::new(&bytes[..]);
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!(entry.name, b"note");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        let missing = home.engine.container_path_stat(id, "/none").await.unwrap_err();
        assert_eq!(missing.class(), Class::NotFound, "{missing}");
    }
    home.engine.container_start(&stopped).await.unwrap();
    assert_eq!(home.wait(&stopped).await, 0);
    assert_eq!(home.log(&stopped).await, "hello");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_exported_and_committed() {
    let home = Home::new().await;
    let id = home.run(&["sh", "-c", "echo new > /fresh; rm /data/content"], |_| ()).await;
    assert_eq!(home.wait(&id).await, 0);
    let changes = home.engine.container_changes(&id).await.unwrap();
    let has = |kind, path: &str| changes.iter().any(|change| *change == (kind, path.to_owned()));
    assert!(has(ChangeKind::Added, "/fresh") && has(ChangeKind::Deleted, "/data/content"), "{changes:?}");
    let mut bytes = Vec::new();
    home.engine.container_export(&id).await.unwrap()(&mut bytes).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"fresh"));
    let request = CommitRequest {
        container: id.clone(),
        reference: Some(Reference::parse("made:1").unwrap()),
        changes: vec!["CMD [\"cat\", \"/fresh\"]".into()],
        pause: true,
        ..CommitRequest::default()
    };
    home.engine.commit(request).await.unwrap();
    let mut made = spec(&[]);
    (made.image, made.command) = ("made:1".into(), None);
    let id = home.engine.container_create(made, None).await.unwrap().id.to_string();
    home.engine.container_start(&id).await.unwrap();
    assert_eq!((home.wait(&id).await, home.log(&id).await.as_str()), (0, "new\n"));
    let used = home.engine.image_remove("made:1", false, false).await.unwrap_err();
    assert_eq!(used.class(), Class::Conflict);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_archive_is_told() {
    let home = Home::new().await;
    let (progress, _said) = tokio::sync::mpsc::channel(16);
    let bad = Box::new(std::io::Cursor::new(vec![7; 4096]));
    assert!(home.engine.image_load(bad, true, progress).await.is_err());
    home.close().await;
}

/// The second mount cannot be made; the volume of the first was made for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_cannot_be_made_leaves_no_anonymous_volume() {
    let home = Home::new().await;
    let mut wanted = spec(&["true"]);
    wanted.volumes.insert("/a".into());
    wanted.mounts = vec![MountRequest {
        kind: MountKind::Image(ImageOptions::default()),
        source: "nobody".into(),
        target: "/b".into(),
        read_only: false,
        consistency: String::new(),
    }];
    let refused = home.engine.container_create(wanted, None).await.unwrap_err();
    assert_eq!(refused.to_string(), "No such image: nobody:latest");
    assert_eq!(home.engine.volume_list(Default::default()).await.unwrap(), vec![]);
    home.close().await;
}

/// Between a process' end and the engine's hearing of it there is no root to go through any more.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_reached_while_the_process_ends() {
    let home = Home::new().await;
    for _ in 0..10 {
        let id = home.run(&["true"], |_| ()).await;
        let mut running = true;
        while running {
            running = home.engine.container_inspect(&id, false).await.unwrap().record.state.is_alive();
            assert_eq!(home.engine.container_path_stat(&id, "/etc/passwd").await.unwrap().name, "passwd");
        }
    }
    home.close().await;
}

/// An overlay has one writer: two copies into a container that rests, and its start, wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn copies_into_a_container_and_its_start_do_not_meet() {
    let home = Home::new().await;
    let mut writer = gantry_archive::Writer::new(Vec::new());
    for n in 0..50 {
        writer.append_bytes(&gantry_archive::Entry::file(format!("{n}"), 1), b"x").unwrap();
    }
    let tar = writer.finish().unwrap();
    for _ in 0..10 {
        let id = home.create(&["sh", "-c", "ls /tmp | wc -l"], |_| ()).await;
        let copy = || {
            let body = Box::new(std::io::Cursor::new(tar.clone()));
            let (engine, id) = (home.engine.clone(), id.clone());
            tokio::spawn(async move { engine.container_extract(&id, "/tmp", false, false, body).await })
        };
        let (first, second, start) = (copy(), copy(), home.engine.container_start(&id).await);
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        start.unwrap();
        home.wait(&id).await;
        assert_eq!(home.engine.container_path_stat(&id, "/tmp/49").await.unwrap().size, 1);
    }
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_follows_a_mount_to_its_folder_in_the_volume() {
    let home = Home::new().await;
    let path = home
        .engine
        .volume_create(VolumeRequest { name: "data".into(), ..Default::default() })
        .await
        .unwrap()
        .1;
    std::fs::create_dir_all(path.join("sub")).unwrap();
    std::fs::write(path.join("sub/inner"), "x").unwrap();
    let id = home
        .create(&["true"], |spec| {
            spec.mounts = vec![MountRequest {
                kind: MountKind::Volume(VolumeOptions { subpath: "sub".into(), ..Default::default() }),
                source: "data".into(),
                target: "/x".into(),
                read_only: false,
                consistency: String::new(),
            }];
        })
        .await;
    assert_eq!(home.engine.container_path_stat(&id, "/x/inner").await.unwrap().size, 1);
    home.close().await;
}
