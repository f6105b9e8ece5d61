//! The tiny init, inside a container.

use crate::bed::{Bed, exit, until};

crate::on_every_runtime! {
    it_exits_with_its_commands_code
    it_hands_signals_on
    it_reaps_orphans
    a_command_that_is_not_there_is_told
}

async fn it_exits_with_its_commands_code(bed: Bed) {
    let (out, _, record) =
        bed.output(&bed.wanted(&["/bin/docker-init", "--", "sh", "-c", "echo $$; exit 6"])).await;
    assert_ne!(out.trim(), "1");
    assert_eq!(record.code, 6);
}

async fn it_hands_signals_on(bed: Bed) {
    let script = "trap 'echo caught; exit 8' TERM; echo ready; while true; do sleep 0.01; done";
    let wanted = bed.wanted(&["/bin/docker-init", "--", "sh", "-c", script]);
    let (shim, mut attachment) = bed.run(&wanted).await;
    until(&mut attachment, "ready\n").await;
    shim.signal(None, 15).await.unwrap();
    until(&mut attachment, "caught\n").await;
    assert_eq!(exit(&shim).await.code, 8);
    bed.end(&wanted, shim).await;
}

async fn it_reaps_orphans(bed: Bed) {
    // The inner shell's child outlives it and ends: as a zombie it would be seen until the container ends.
    let script = "sh -c 'true & true'; while ps | grep -q ' [Z] '; do sleep 0.01; done; echo none";
    let (out, _, _) = bed.output(&bed.wanted(&["/bin/docker-init", "--", "sh", "-c", script])).await;
    assert_eq!(out, "none\n");
}

async fn a_command_that_is_not_there_is_told(bed: Bed) {
    let (_, err, record) = bed.output(&bed.wanted(&["/bin/docker-init", "--", "/no/such"])).await;
    assert_eq!(record.code, 127);
    assert!(err.contains("exec /no/such failed"), "{err}");
}
