//! The log under a running container.

use gantry_shim_client::Found;

use crate::bed::{Bed, LONG, Runtime, exit, gone};

async fn rotated(runtime: Runtime, driver: &str) {
    let bed = Bed::new(runtime);
    let mut wanted = bed.wanted(&["seq", "1", "200000"]);
    wanted.config.log.driver = driver.into();
    wanted.config.log.options =
        [("max-size", "500k"), ("max-file", "100")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let (shim, attachment) = bed.run(&wanted).await;
    crate::bed::everything(attachment).await;
    exit(&shim).await;
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(bed.logged(&wanted) == expected, "{driver}");
    bed.end(&wanted, shim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_and_compression_under_load_lose_nothing() {
    for driver in ["json-file", "local"] {
        rotated(Runtime::Runc, driver).await;
        rotated(Runtime::Own, driver).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_engine_is_away() {
    let bed = Bed::new(Runtime::Own);
    let wanted =
        bed.wanted(&["sh", "-c", "seq 1 1000; while ! test -e /go; do sleep 0.01; done; seq 1001 2000"]);
    let (shim, attachment) = bed.run(&wanted).await;
    let (bundle, shim_pid) = (shim.bundle().to_owned(), shim.shim_pid());
    let go = format!("/proc/{}/root/go", shim.pid());
    drop((shim, attachment));
    std::fs::write(go, "").unwrap();
    gone(shim_pid).await;
    assert!(matches!(bed.shims.reconnect(&bundle, LONG).await.unwrap(), Found::Exited(_)));
    let expected: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    assert_eq!(bed.logged(&wanted), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_a_log_runs() {
    let bed = Bed::new(Runtime::Own);
    let mut wanted = bed.wanted(&["echo", "unlogged"]);
    wanted.config.log.driver = "none".into();
    wanted.config.log.path = Default::default();
    let (out, _, record) = bed.output(&wanted).await;
    assert_eq!((out.as_str(), record.code), ("unlogged\n", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_is_dockers_refusal() {
    let bed = Bed::new(Runtime::Own);
    let mut wanted = bed.wanted(&["true"]);
    wanted.config.log.options = [("max-size".to_owned(), "lots".to_owned())].into();
    let err = bed.try_spawn(&wanted).await.map(drop).unwrap_err();
    assert_eq!(err.to_string(), "failed to initialize logging driver: invalid size: 'lots'");
    bed.nothing_left(&wanted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_block_is_complete_when_it_keeps_up() {
    let bed = Bed::new(Runtime::Own);
    let mut wanted = bed.wanted(&["sh", "-c", "seq 1 3000; echo end >&2; printf tail"]);
    wanted.config.log.options =
        [("mode", "non-blocking"), ("max-buffer-size", "4m"), ("max-size", "10k"), ("max-file", "100")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    bed.output(&wanted).await;
    let log = bed.logged(&wanted);
    assert!(log.starts_with("1\n2\n") && log.contains("\n3000\n"), "{log}");
    assert!(log.contains("end\n") && log.ends_with("tail"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_block_loses_what_it_is_too_slow_for_and_says_so() {
    let bed = Bed::new(Runtime::Own);
    let mut wanted = bed.wanted(&["sh", "-c", "yes 0123456789 | head -c 50000000; echo end"]);
    wanted.config.log.options = [("mode", "non-blocking"), ("max-buffer-size", "64k")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let shim = bed.spawn(&wanted).await;
    // The process that writes is stopped: a blocking log would stop the container, too.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shim.shim_pid())).unwrap();
    let writer = children.split_whitespace().find(|pid| **pid != shim.pid().to_string()).unwrap();
    let writer = rustix::process::Pid::from_raw(writer.parse().unwrap()).unwrap();
    rustix::process::kill_process(writer, rustix::process::Signal::STOP).unwrap();
    let attachment = shim.attach(None, gantry_shim_client::AttachTo::output()).await.unwrap();
    shim.start().await.unwrap();
    let (out, _) = crate::bed::everything(attachment).await;
    assert_eq!(out.len(), 50_000_004);
    exit(&shim).await;
    assert!(bed.shim_log(&wanted).contains("output is being lost"));
    rustix::process::kill_process(writer, rustix::process::Signal::CONT).unwrap();
    bed.end(&wanted, shim).await;
}
