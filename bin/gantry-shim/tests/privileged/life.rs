//! A container's life as the engine sees it.

use std::fs;
use std::time::Duration;

use gantry_errdefs::Class;
use gantry_shim_client::{Event, Exit, ExitRecord, Found, ShimError, SpawnError, Status};
use serde_json::json;

use crate::bed::{Bed, LONG, everything, exit, gone, session, until};

crate::on_every_runtime! {
    exit_codes_are_those_of_a_shell
    a_command_that_cannot_be_executed_says_which_way
    a_start_at_spawn_fails_the_spawn_and_leaves_nothing
    states_follow_one_another
    events_are_told_in_order_and_again_to_whoever_comes_late
    the_exit_is_on_disk_when_it_is_told
    the_engine_comes_back_to_a_running_container
    the_engine_comes_back_to_one_that_ended_meanwhile
    a_killed_shim_is_found_and_cleaned_up_after
    terminating_the_shim_does_not_lose_the_container
    children_left_behind_are_killed_with_the_container
    memory_beyond_the_limit_is_told_as_such
    hostile_bytes_on_the_socket_hurt_nobody
    a_fresh_life_in_an_old_bundle_has_no_old_exit
}

async fn exit_codes_are_those_of_a_shell(bed: Bed) {
    for (script, code, signal) in
        [("exit 0", 0, None), ("exit 42", 42, None), ("kill -9 $$; sleep 60", 137, Some(9))]
    {
        // As process 1 it would not die of its own signal: a child does, and the shell reports it.
        let script =
            if signal.is_some() { "sh -c 'kill -9 $$'; exit $?".to_owned() } else { script.to_owned() };
        let (_, _, record) = bed.output(&bed.wanted(&["sh", "-c", &script])).await;
        assert_eq!(record.code, code, "{script}");
    }
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    shim.signal(None, 9).await.unwrap();
    let ExitRecord { code, signal, oom, .. } = exit(&shim).await;
    assert_eq!((code, signal, oom), (137, Some(9), false));
    assert!(matches!(shim.signal(None, 15).await, Err(ShimError::Failed(f)) if f.class == Class::NotFound));
    bed.end(&wanted, shim).await;
}

async fn a_command_that_cannot_be_executed_says_which_way(bed: Bed) {
    for (command, code) in [("/no/such", 127), ("no-such-in-path", 127), ("/etc/not-executable", 126)] {
        let wanted = bed.wanted(&[command]);
        // runc looks for the command at create, ours at start: both are a failed start to the engine.
        let failure = match bed.try_spawn(&wanted).await {
            Err(SpawnError::Failed(failure)) => {
                let bundle = bed.shims.bundle(&wanted.config.id);
                bed.shims.remove(&bundle).await.unwrap();
                failure
            }
            Err(err) => panic!("{command}: {err}"),
            Ok(shim) => {
                let Err(ShimError::Failed(failure)) = shim.start().await else { panic!("{command} started") };
                assert_eq!(exit(&shim).await.code, code, "{command}");
                bed.end(&wanted, shim).await;
                failure
            }
        };
        assert_eq!(failure.exit_code, Some(code), "{command}: {failure}");
        let expected = if code == 126 { "permission denied" } else { "no such file|not found" };
        let told = failure.message.to_lowercase();
        assert!(expected.split('|').any(|text| told.contains(text)), "{told}");
    }
}

async fn a_start_at_spawn_fails_the_spawn_and_leaves_nothing(bed: Bed) {
    let mut wanted = bed.wanted(&["true"]);
    wanted.config.start = true;
    let shim = bed.spawn(&wanted).await;
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;

    let mut wanted = bed.wanted(&["/no/such"]);
    wanted.config.start = true;
    let Err(SpawnError::Failed(failure)) = bed.try_spawn(&wanted).await else { panic!("it started") };
    assert_eq!(failure.exit_code, Some(127));
    bed.nothing_left(&wanted, 0);
}

async fn states_follow_one_another(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let shim = bed.spawn(&wanted).await;
    let pid = shim.pid();
    let state = shim.state().await.unwrap();
    assert_eq!((state.status, state.pid), (Status::Created, pid));
    assert_eq!(shim.start().await.unwrap(), pid);
    assert!(matches!(shim.start().await, Err(ShimError::Failed(f)) if f.class == Class::Conflict));
    assert_eq!(shim.state().await.unwrap().status, Status::Running);
    shim.pause().await.unwrap();
    assert_eq!(shim.state().await.unwrap().status, Status::Paused);
    shim.resume().await.unwrap();
    shim.update(json!({ "pids": { "limit": 77 } })).await.unwrap();
    let limit = fs::read_to_string(format!("/sys/fs/cgroup/pids{}/pids.max", wanted.config.cgroup)).unwrap();
    assert_eq!(limit.trim(), "77");
    shim.signal_all(9).await.unwrap();
    exit(&shim).await;
    let state = shim.state().await.unwrap();
    assert_eq!((state.status, state.pid, state.exit.map(|e| e.code)), (Status::Stopped, 0, Some(137)));
    bed.end(&wanted, shim).await;

    // A frozen container dies of a shutdown, too.
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    shim.pause().await.unwrap();
    bed.end(&wanted, shim).await;
}

async fn events_are_told_in_order_and_again_to_whoever_comes_late(bed: Bed) {
    let mut wanted = bed.wanted(&["cat"]);
    wanted.config.open_stdin = true;
    let shim = bed.spawn(&wanted).await;
    let mut early = shim.events().await.unwrap();
    let pid = shim.start().await.unwrap();
    let spec = session(&["true"], false, false);
    shim.exec_create(spec.clone()).await.unwrap();
    let exec_pid = shim.exec_start(&spec.session).await.unwrap();
    assert!(
        matches!(shim.exec_wait(&spec.session).await.unwrap(), Exit::Recorded(record) if record.code == 0)
    );
    shim.close_stdin(None).await.unwrap();
    exit(&shim).await;
    let session = Some(spec.session.clone());
    assert_eq!(early.next().await.unwrap(), Some(Event::Started { session: None, pid }));
    assert_eq!(early.next().await.unwrap(), Some(Event::Started { session: session.clone(), pid: exec_pid }));
    assert!(matches!(early.next().await.unwrap(), Some(Event::Exited { session: s, .. }) if s == session));
    assert!(matches!(early.next().await.unwrap(), Some(Event::Exited { session: None, .. })));
    let mut late = shim.events().await.unwrap();
    assert!(matches!(late.next().await.unwrap(), Some(Event::Exited { session: s, .. }) if s == session));
    assert!(matches!(late.next().await.unwrap(), Some(Event::Exited { session: None, .. })));
    drop((early, late));
    bed.end(&wanted, shim).await;
}

async fn the_exit_is_on_disk_when_it_is_told(bed: Bed) {
    let wanted = bed.wanted(&["sh", "-c", "echo last words; exit 9"]);
    let (shim, attachment) = bed.run(&wanted).await;
    let told = exit(&shim).await;
    assert_eq!(ExitRecord::read(shim.bundle()).unwrap(), Some(told));
    assert_eq!(bed.logged(&wanted), "last words\n");
    assert_eq!(everything(attachment).await.0, "last words\n");
    bed.end(&wanted, shim).await;
}

async fn the_engine_comes_back_to_a_running_container(bed: Bed) {
    let mut wanted = bed.wanted(&["sh", "-c", "while read line; do echo got $line; done; exit 5"]);
    wanted.config.open_stdin = true;
    let (shim, attachment) = bed.run(&wanted).await;
    let (pid, bundle) = (shim.pid(), shim.bundle().to_owned());
    drop((shim, attachment));
    let Found::Alive(shim, state) = bed.shims.reconnect(&bundle, LONG).await.unwrap() else { panic!("lost") };
    assert_eq!((state.status, state.pid, shim.pid()), (Status::Running, pid, pid));
    let mut attachment = shim.attach(None, gantry_shim_client::AttachTo::all()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut attachment.input, b"back\n").await.unwrap();
    until(&mut attachment, "got back\n").await;
    shim.close_stdin(None).await.unwrap();
    assert_eq!(exit(&shim).await.code, 5);
    bed.end(&wanted, shim).await;
}

async fn the_engine_comes_back_to_one_that_ended_meanwhile(bed: Bed) {
    let wanted = bed.wanted(&[
        "sh",
        "-c",
        "test -e /go || while ! test -e /go; do sleep 0.01; done; echo late; exit 4",
    ]);
    let (shim, attachment) = bed.run(&wanted).await;
    let (shim_pid, bundle) = (shim.shim_pid(), shim.bundle().to_owned());
    let root = format!("/proc/{}/root/go", shim.pid());
    drop((shim, attachment));
    fs::write(root, "").unwrap();
    // Nobody is connected: it records the exit and goes.
    gone(shim_pid).await;
    let Found::Exited(record) = bed.shims.reconnect(&bundle, LONG).await.unwrap() else {
        panic!("no record")
    };
    assert_eq!(record.code, 4);
    assert_eq!(bed.logged(&wanted), "late\n");
    bed.nothing_left(&wanted, 0);
}

async fn a_killed_shim_is_found_and_cleaned_up_after(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let (pid, bundle) = (shim.pid(), shim.bundle().to_owned());
    let waiting = tokio::spawn({
        let shim = shim.clone();
        async move { shim.wait().await }
    });
    let shim_pid = rustix::process::Pid::from_raw(shim.shim_pid() as i32).unwrap();
    rustix::process::kill_process(shim_pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), Exit::Lost);
    gone(shim.shim_pid()).await;
    assert!(matches!(bed.shims.reconnect(&bundle, LONG).await.unwrap(), Found::Nothing));
    let record = bed.shims.clean(&bundle).await.unwrap().unwrap();
    assert_eq!((record.code, record.signal), (137, Some(9)));
    gone(pid).await;
    bed.nothing_left(&wanted, pid);
    assert_eq!(bed.shims.clean(&bundle).await.unwrap(), Some(record), "twice is fine");
}

async fn terminating_the_shim_does_not_lose_the_container(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let shim_pid = rustix::process::Pid::from_raw(shim.shim_pid() as i32).unwrap();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP]
    {
        rustix::process::kill_process(shim_pid, signal).unwrap();
    }
    assert_eq!(shim.state().await.unwrap().status, Status::Running);
    // A live shim's container is nobody else's to clean.
    assert!(bed.shims.clean(shim.bundle()).await.is_err());
    bed.end(&wanted, shim).await;
}

async fn children_left_behind_are_killed_with_the_container(bed: Bed) {
    let mut wanted = bed.wanted(&["sh", "-c", "sleep 600 & exit 0"]);
    // Without a pid namespace of its own, nobody but the cgroup knows them.
    let namespaces = wanted.spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let (shim, _attachment) = bed.run(&wanted).await;
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn memory_beyond_the_limit_is_told_as_such(bed: Bed) {
    let mut wanted = bed.wanted(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"]);
    wanted.spec["linux"]["resources"] = json!({ "memory": { "limit": 30 << 20, "swap": 30 << 20 } });
    let (shim, _attachment) = bed.run(&wanted).await;
    let mut events = shim.events().await.unwrap();
    let record = exit(&shim).await;
    assert!(record.oom, "{record:?}");
    let mut oom = false;
    while let Some(event) = events.next().await.unwrap() {
        oom |= event == Event::Oom;
        if matches!(event, Event::Exited { .. }) {
            break;
        }
    }
    drop(events);
    bed.end(&wanted, shim).await;
    // Whoever subscribed after the kill has the record only.
    assert!(oom || record.oom);
}

async fn hostile_bytes_on_the_socket_hurt_nobody(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 2, b'{', b'}'], &[0, 0, 0, 9]] {
        let folder = fs::File::open(shim.bundle()).unwrap();
        let address = format!("/proc/self/fd/{}/shim.sock", std::os::fd::AsRawFd::as_raw_fd(&folder));
        let mut stream = tokio::net::UnixStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        // Refused or simply closed, but never kept.
        drop(tokio::time::timeout(LONG, read).await.unwrap());
    }
    assert_eq!(shim.state().await.unwrap().status, Status::Running);
    bed.end(&wanted, shim).await;
}

async fn a_fresh_life_in_an_old_bundle_has_no_old_exit(bed: Bed) {
    let mut wanted = bed.wanted(&["sh", "-c", "exit 1"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    assert_eq!(exit(&shim).await.code, 1);
    shim.shutdown().await.unwrap();
    gone(shim.shim_pid()).await;
    wanted.spec["process"]["args"] = json!(["sleep", "600"]);
    let shim = bed.spawn(&wanted).await;
    assert_eq!(ExitRecord::read(shim.bundle()).unwrap(), None);
    let found = bed.shims.reconnect(shim.bundle(), Duration::from_secs(30)).await.unwrap();
    assert!(matches!(found, Found::Alive(_, state) if state.status == Status::Created));
    bed.end(&wanted, shim).await;
}
