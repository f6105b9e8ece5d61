//! Standard streams: pipes, terminals, ends, who reads and who does not.

use gantry_shim_client::AttachTo;
use tokio::io::AsyncWriteExt;

use crate::bed::{Bed, everything, exit, until};

crate::on_every_runtime! {
    output_comes_on_the_stream_it_was_written_to
    a_terminal_is_a_terminal_of_the_asked_size
    input_ends_when_the_attachment_ends_it_and_the_container_is_for_one
    input_stays_open_for_the_next_attachment_otherwise
    without_input_it_reads_nothing
    a_large_output_arrives_whole_at_every_attachment_and_in_the_log
    a_reader_that_does_not_read_stops_the_container_and_not_for_ever_once_it_leaves
    a_large_input_arrives_whole
    signals_are_as_a_fresh_program_expects
}

async fn output_comes_on_the_stream_it_was_written_to(bed: Bed) {
    let wanted = bed.wanted(&["sh", "-c", "echo out; echo err >&2; printf tail"]);
    let (out, err, record) = bed.output(&wanted).await;
    assert_eq!((out.as_str(), err.as_str(), record.code), ("out\ntail", "err\n", 0));
    let log = bed.logged(&wanted);
    assert!(log.contains("out\n") && log.contains("err\n") && log.ends_with("tail"), "{log:?}");
}

async fn a_terminal_is_a_terminal_of_the_asked_size(bed: Bed) {
    let mut wanted = bed.wanted(&["sh"]);
    wanted.config.tty = true;
    wanted.config.open_stdin = true;
    wanted.config.console_size = Some((31, 101));
    wanted.spec["process"]["terminal"] = true.into();
    let (shim, mut attachment) = bed.run(&wanted).await;
    attachment.input.write_all(b"stty size; tty\n").await.unwrap();
    let seen = until(&mut attachment, "/dev/pts/").await;
    assert!(seen.contains("31 101"), "{seen}");
    shim.resize(None, 22, 77).await.unwrap();
    attachment.input.write_all(b"stty size; exit 3\n").await.unwrap();
    until(&mut attachment, "22 77").await;
    everything(attachment).await;
    assert_eq!(exit(&shim).await.code, 3);
    bed.end(&wanted, shim).await;
}

async fn input_ends_when_the_attachment_ends_it_and_the_container_is_for_one(bed: Bed) {
    let mut wanted = bed.wanted(&["cat"]);
    wanted.config.open_stdin = true;
    wanted.config.stdin_once = true;
    let (shim, mut attachment) = bed.run(&wanted).await;
    attachment.input.write_all(b"to cat").await.unwrap();
    attachment.input.shutdown().await.unwrap();
    assert_eq!(everything(attachment).await.0, "to cat");
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn input_stays_open_for_the_next_attachment_otherwise(bed: Bed) {
    let mut wanted = bed.wanted(&["cat"]);
    wanted.config.open_stdin = true;
    let (shim, mut first) = bed.run(&wanted).await;
    first.input.write_all(b"one").await.unwrap();
    first.input.shutdown().await.unwrap();
    until(&mut first, "one").await;
    drop(first);
    let mut second = shim.attach(None, AttachTo::all()).await.unwrap();
    second.input.write_all(b"two").await.unwrap();
    until(&mut second, "two").await;
    shim.close_stdin(None).await.unwrap();
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn without_input_it_reads_nothing(bed: Bed) {
    let wanted = bed.wanted(&["cat"]);
    let (shim, mut attachment) = bed.run(&wanted).await;
    // Written into the void, and no error.
    let _ = attachment.input.write_all(b"nobody reads this").await;
    assert_eq!(everything(attachment).await.0, "");
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn a_large_output_arrives_whole_at_every_attachment_and_in_the_log(bed: Bed) {
    let mut wanted = bed.wanted(&["seq", "1", "300000"]);
    wanted.config.log.options = [("max-file".to_owned(), "50".to_owned())].into();
    let shim = bed.spawn(&wanted).await;
    let first = shim.attach(None, AttachTo::output()).await.unwrap();
    let second = shim.attach(None, AttachTo::output()).await.unwrap();
    shim.start().await.unwrap();
    let (first, second) = tokio::join!(everything(first), everything(second));
    let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert!(first.0 == expected && second.0 == expected);
    exit(&shim).await;
    assert!(bed.logged(&wanted) == expected);
    bed.end(&wanted, shim).await;
}

async fn a_reader_that_does_not_read_stops_the_container_and_not_for_ever_once_it_leaves(bed: Bed) {
    let wanted = bed.wanted(&["sh", "-c", "yes 0123456789 | head -c 20000000; echo done"]);
    let shim = bed.spawn(&wanted).await;
    let lazy = shim.attach(None, AttachTo::output()).await.unwrap();
    let mut diligent = shim.attach(None, AttachTo::output()).await.unwrap();
    shim.start().await.unwrap();
    // 20 MB do not fit into any buffer on the way, so it cannot have ended while one does not read.
    assert!(diligent.output.next().await.unwrap().is_some());
    assert_eq!(shim.state().await.unwrap().exit, None);
    drop(lazy);
    let (seen, _) = everything(diligent).await;
    assert!(seen.ends_with("done\n"));
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn a_large_input_arrives_whole(bed: Bed) {
    let mut wanted =
        bed.wanted(&["sh", "-c", "cat > /all; test $(dd if=/all bs=1M 2>/dev/null | grep -c x) = 400000"]);
    wanted.config.open_stdin = true;
    wanted.config.stdin_once = true;
    let (shim, mut attachment) = bed.run(&wanted).await;
    attachment.input.write_all(&b"0123456789x\n".repeat(400_000)).await.unwrap();
    attachment.input.shutdown().await.unwrap();
    assert_eq!(exit(&shim).await.code, 0);
    bed.end(&wanted, shim).await;
}

async fn signals_are_as_a_fresh_program_expects(bed: Bed) {
    // Signals 32 and 33 are the C library's own: no program can set them, so they are as the tests were started.
    const OWN: u64 = 3 << 31;
    let wanted = bed.wanted(&["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    let (out, _, _) = bed.output(&wanted).await;
    let masks: Vec<u64> = out
        .lines()
        .map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap() & !OWN)
        .collect();
    assert_eq!(masks, [0, 0], "{out}");
}
