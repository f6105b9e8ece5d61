//! attach, exec, logs, top, stats, limits.

use gantry_engine::record::ContainerRecord;
use gantry_engine::spec::Resources;
use gantry_engine::{AttachRequest, Attachment, ExecRequest, LogsRequest, Output, WaitCondition};
use gantry_errdefs::{Class, Classified};
use gantry_events::Query;
use tokio::io::AsyncWriteExt;

use crate::setup::{Home, PATIENCE};

impl Home {
    /// Waits until the record is as wished.
    pub async fn until(&self, id: &str, wished: impl Fn(&ContainerRecord) -> bool) {
        // Every change that is waited for is told by an event after it.
        let mut events = self.engine.events(Query::default()).unwrap();
        let look = async {
            while !wished(&self.engine.container_inspect(id, false).await.unwrap().record) {
                events.next().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            panic!("never: {:?}", self.engine.container_inspect(id, false).await.unwrap().record);
        }
    }

    /// Runs a command in a container and gives what it prints.
    pub async fn exec(&self, id: &str, command: &[&str]) -> String {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let request = ExecRequest { command, stdout: true, stderr: true, ..ExecRequest::default() };
        let exec = self.engine.exec_create(id, request).await.unwrap().to_string();
        drain(self.engine.exec_attach_start(&exec, None).await.unwrap()).await.0
    }

    /// Follows the log until it holds a text.
    pub async fn until_log(&self, id: &str, wanted: &str) {
        let request = LogsRequest { stdout: true, stderr: true, follow: true, ..Default::default() };
        let mut logs = self.engine.container_logs(id, request).await.unwrap();
        let look = async {
            while let Some(line) = logs.lines.recv().await {
                if String::from_utf8_lossy(&line.unwrap().line).contains(wanted) {
                    return;
                }
            }
            panic!("the log ended without {wanted:?}");
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it is logged");
    }
}

async fn drain(mut attachment: Attachment) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let read = async {
        while let Some((stream, bytes)) = attachment.output.recv().await {
            match stream {
                Output::Stdout => out.extend_from_slice(&bytes),
                Output::Stderr => err.extend_from_slice(&bytes),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the streams end");
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

const ALL: AttachRequest =
    AttachRequest { stdin: true, stdout: true, stderr: true, logs: false, stream: true };

#[tokio::test(flavor = "multi_thread")]
async fn attached_before_the_start_nothing_is_missed() {
    let home = Home::new().await;
    let id = home
        .create(&["sh", "-c", "cat; echo err >&2"], |spec| (spec.open_stdin, spec.stdin_once) = (true, true))
        .await;
    let mut attachment = home.engine.container_attach(&id, ALL).await.unwrap();
    let mut stdin = attachment.stdin.take().unwrap();
    home.engine.container_start(&id).await.unwrap();
    stdin.write_all(b"typed\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(drain(attachment).await, ("typed\n".to_owned(), "err\n".to_owned()));
    assert_eq!(home.wait(&id).await, 0);
    assert_eq!(home.log(&id).await, "typed\nerr\n");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_one_and_has_its_size() {
    let home = Home::new().await;
    let id = home
        .create(&["sh", "-c", "tty; stty size"], |spec| {
            (spec.tty, spec.open_stdin, spec.console_size) = (true, true, [33, 77]);
        })
        .await;
    let mut attachment = home.engine.container_attach(&id, ALL).await.unwrap();
    let _stdin = attachment.stdin.take();
    assert!(attachment.tty);
    home.engine.container_start(&id).await.unwrap();
    let (out, _) = drain(attachment).await;
    assert!(out.contains("/dev/pts/0") && out.contains("33 77"), "{out:?}");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_runs_beside_and_its_end_is_known() {
    let home = Home::new().await;
    let id = home.run(&["sleep", "1000"], |_| ()).await;
    let request = |command: &[&str]| ExecRequest {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: vec!["EXTRA=1".into()],
        user: "web".into(),
        working_dir: "/tmp".into(),
        stdin: true,
        stdout: true,
        stderr: true,
        ..ExecRequest::default()
    };
    let exec = home
        .engine
        .exec_create(&id, request(&["sh", "-c", "id -u; pwd; echo $EXTRA $FROM; cat; exit 9"]))
        .await
        .unwrap();
    let exec = exec.to_string();
    let mut attachment = home.engine.exec_attach_start(&exec, None).await.unwrap();
    let mut stdin = attachment.stdin.take().unwrap();
    stdin.write_all(b"in").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(drain(attachment).await.0, "33\n/tmp\n1 image\nin");
    // Who has read to the end knows the end.
    assert_eq!(home.engine.exec_inspect(&exec).await.unwrap().exit_code, Some(9));
    assert_eq!(home.engine.exec_start_detached(&exec).await.unwrap_err().class(), Class::Conflict);

    let absent = home.engine.exec_create(&id, request(&["/no/such"])).await.unwrap().to_string();
    let (told, _) = drain(home.engine.exec_attach_start(&absent, None).await.unwrap()).await;
    assert!(told.starts_with("OCI runtime exec failed: exec failed: "), "{told}");
    assert_eq!(home.engine.exec_inspect(&absent).await.unwrap().exit_code, Some(127));

    home.engine.container_kill(&id, "").await.unwrap();
    let err = home.engine.exec_create(&id, request(&["true"])).await.unwrap_err();
    assert_eq!(err.to_string(), format!("container {id} is not running"));
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_tailed_and_followed_to_the_end() {
    let home = Home::new().await;
    let id = home.run(&["sh", "-c", "seq 1 100; sleep 0.3; echo last"], |_| ()).await;
    home.until_log(&id, "last").await;
    home.wait(&id).await;
    let request = LogsRequest { stdout: true, stderr: true, tail: Some(2), ..Default::default() };
    let mut logs = home.engine.container_logs(&id, request).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = logs.lines.recv().await {
        lines.push(String::from_utf8_lossy(&line.unwrap().line).into_owned());
    }
    assert_eq!(lines, ["100\n", "last\n"]);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_failed_is_no_exit() {
    let home = Home::new().await;
    let id = home.create(&["/no/such"], |_| ()).await;
    let mut next = home.engine.container_wait(&id, WaitCondition::NextExit).await.unwrap();
    let mut removed = home.engine.container_wait(&id, WaitCondition::Removed).await.unwrap();
    home.engine.container_start(&id).await.unwrap_err();
    // Whoever would tell of an exit has had the time to.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(next.try_recv().is_err() && removed.try_recv().is_err());
    home.engine.container_remove(&id, false, false, false).await.unwrap();
    assert_eq!(next.await.unwrap().code, 127);
    assert_eq!(removed.await.unwrap().code, 127);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_has_the_whole_log_before_the_removal_is_answered() {
    let home = Home::new().await;
    for _ in 0..5 {
        let id = home.run(&["sh", "-c", "echo first; sleep 1000"], |_| ()).await;
        home.until_log(&id, "first").await;
        let request = LogsRequest { stdout: true, stderr: true, follow: true, ..Default::default() };
        let mut logs = home.engine.container_logs(&id, request).await.unwrap();
        let (told, heard) = tokio::sync::watch::channel(None);
        tokio::spawn(async move {
            let mut lines = 0;
            while logs.lines.recv().await.is_some() {
                lines += 1;
            }
            told.send_replace(Some(lines));
        });
        home.engine.container_remove(&id, true, false, false).await.unwrap();
        assert_eq!(*heard.borrow(), Some(1));
    }
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_shown_and_changed() {
    let home = Home::new().await;
    let id = home
        .run(&["sleep", "1000"], |spec| {
            spec.resources = Resources { memory: 64 << 20, pids_limit: Some(50), ..Resources::default() };
        })
        .await;
    let sample = home.engine.container_stats(&id).await.unwrap();
    assert!(sample.running && sample.pids >= 1 && sample.system_cpu > 0);
    assert_eq!((sample.memory_limit, sample.pids_limit), (64 << 20, 50));
    let asked = Resources { memory: 96 << 20, memory_swap: 192 << 20, ..Resources::default() };
    home.engine.container_update(&id, asked, None).await.unwrap();
    assert_eq!(home.engine.container_stats(&id).await.unwrap().memory_limit, 96 << 20);
    let top = home.engine.container_top(&id, "").await.unwrap();
    assert!(top.processes.len() == 1 && top.processes[0].last().unwrap() == "sleep 1000", "{top:?}");
    home.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_much_memory_is_killed_and_told() {
    let home = Home::new().await;
    let id = home
        .run(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"], |spec| {
            spec.resources = Resources { memory: 16 << 20, memory_swap: 16 << 20, ..Resources::default() };
        })
        .await;
    assert_ne!(home.wait(&id).await, 0);
    let state = home.engine.container_inspect(&id, false).await.unwrap().record.state;
    assert!(state.exit().unwrap().oom_killed, "{state:?}");
    home.close().await;
}
