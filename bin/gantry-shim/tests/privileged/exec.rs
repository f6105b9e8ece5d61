//! Exec sessions.

use std::sync::Arc;

use gantry_names::ExecId;
use gantry_shim_client::{AttachTo, Exit, ExitRecord, Shim, ShimError};
use tokio::io::AsyncWriteExt;

use crate::bed::{Bed, LONG, everything, exit, session, until};

crate::on_every_runtime! {
    a_session_has_streams_and_an_exit_of_its_own
    a_session_on_a_terminal_can_be_resized
    a_session_that_cannot_be_executed_says_which_way
    a_session_is_not_kept_open_by_what_it_leaves_behind
    sessions_end_with_the_container
}

async fn exec_exit(shim: &Shim, session: &ExecId) -> ExitRecord {
    match tokio::time::timeout(LONG, shim.exec_wait(session)).await.unwrap().unwrap() {
        Exit::Recorded(record) => record,
        Exit::Lost => panic!("the shim is lost"),
    }
}

async fn a_session_has_streams_and_an_exit_of_its_own(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let spec = session(&["sh", "-c", "cat; echo err >&2; exit 7"], false, true);
    shim.exec_create(spec.clone()).await.unwrap();
    let mut attachment = shim.attach(Some(&spec.session), AttachTo::all()).await.unwrap();
    attachment.input.write_all(b"before the start").await.unwrap();
    attachment.input.shutdown().await.unwrap();
    shim.exec_start(&spec.session).await.unwrap();
    let (out, err) = everything(attachment).await;
    assert_eq!(err, "err\n");
    assert!(out.is_empty() || out == "before the start");
    assert_eq!(exec_exit(&shim, &spec.session).await.code, 7);
    assert_eq!(bed.logged(&wanted), "", "a session is not logged");
    assert!(shim.exec_start(&spec.session).await.is_err());

    let spec = session(&["sleep", "600"], false, false);
    shim.exec_create(spec.clone()).await.unwrap();
    shim.exec_start(&spec.session).await.unwrap();
    shim.signal(Some(&spec.session), 15).await.unwrap();
    let record = exec_exit(&shim, &spec.session).await;
    assert_eq!((record.code, record.signal), (143, Some(15)));
    bed.end(&wanted, shim).await;
}

async fn a_session_on_a_terminal_can_be_resized(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let mut spec = session(&["sh"], true, true);
    spec.process["consoleSize"] = serde_json::json!({ "height": 20, "width": 60 });
    shim.exec_create(spec.clone()).await.unwrap();
    let mut attachment = shim.attach(Some(&spec.session), AttachTo::all()).await.unwrap();
    shim.exec_start(&spec.session).await.unwrap();
    attachment.input.write_all(b"stty size\n").await.unwrap();
    until(&mut attachment, "20 60").await;
    shim.resize(Some(&spec.session), 25, 80).await.unwrap();
    attachment.input.write_all(b"stty size; exit 1\n").await.unwrap();
    until(&mut attachment, "25 80").await;
    everything(attachment).await;
    assert_eq!(exec_exit(&shim, &spec.session).await.code, 1);
    bed.end(&wanted, shim).await;
}

async fn a_session_that_cannot_be_executed_says_which_way(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    for (command, code) in [("/no/such", 127), ("no-such-in-path", 127), ("/etc/not-executable", 126)] {
        let spec = session(&[command], false, false);
        shim.exec_create(spec.clone()).await.unwrap();
        let attachment = shim.attach(Some(&spec.session), AttachTo::output()).await.unwrap();
        let Err(ShimError::Failed(failure)) = shim.exec_start(&spec.session).await else {
            panic!("{command}")
        };
        assert_eq!(failure.exit_code, Some(code), "{command}: {failure}");
        everything(attachment).await;
    }
    bed.end(&wanted, shim).await;
}

async fn a_session_is_not_kept_open_by_what_it_leaves_behind(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let spec = session(&["sh", "-c", "sleep 600 & echo mine"], false, false);
    shim.exec_create(spec.clone()).await.unwrap();
    let attachment = shim.attach(Some(&spec.session), AttachTo::output()).await.unwrap();
    shim.exec_start(&spec.session).await.unwrap();
    assert_eq!(everything(attachment).await.0, "mine\n");
    assert_eq!(exec_exit(&shim, &spec.session).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn sessions_end_with_the_container(bed: Bed) {
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let running = session(&["sleep", "600"], false, false);
    let prepared = session(&["true"], false, false);
    shim.exec_create(running.clone()).await.unwrap();
    shim.exec_create(prepared.clone()).await.unwrap();
    shim.exec_start(&running.session).await.unwrap();
    let attached = shim.attach(Some(&prepared.session), AttachTo::output()).await.unwrap();
    shim.signal(None, 9).await.unwrap();
    assert_eq!(exec_exit(&shim, &running.session).await.code, 137);
    everything(attached).await;
    exit(&shim).await;
    bed.end(&wanted, shim).await;
}

/// Sessions by the thousand: every one's output whole, every one's exit told, nothing left open in the shim.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_leave_nothing_behind() {
    let bed = Bed::new(crate::bed::Runtime::Own);
    let wanted = bed.wanted(&["sleep", "600"]);
    let (shim, _attachment) = bed.run(&wanted).await;
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", shim.shim_pid())).unwrap().count();
    let before = descriptors();
    let room = Arc::new(tokio::sync::Semaphore::new(20));
    let mut sessions = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let (shim, room) = (shim.clone(), room.clone());
        sessions.spawn(async move {
            let _place = room.acquire().await.unwrap();
            let spec = session(&["sh", "-c", &format!("echo {number}; exit {}", number % 100)], false, false);
            shim.exec_create(spec.clone()).await.unwrap();
            let attachment = shim.attach(Some(&spec.session), AttachTo::output()).await.unwrap();
            shim.exec_start(&spec.session).await.unwrap();
            assert_eq!(everything(attachment).await.0, format!("{number}\n"));
            assert_eq!(exec_exit(&shim, &spec.session).await.code, number % 100);
        });
    }
    while let Some(done) = sessions.join_next().await {
        done.unwrap();
    }
    shim.state().await.unwrap();
    assert!(descriptors() <= before + 2, "{} descriptors were {before}", descriptors());
    bed.end(&wanted, shim).await;
}
