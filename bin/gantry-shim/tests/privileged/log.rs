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
