//! Passing our signals on to a container's process.

use gantry_client::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Signals that mean something to a process, by name. Those of our own children, pipes and terminal size stay here.
const PASSED: [(&str, i32); 9] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("ALRM", libc::SIGALRM),
    ("CONT", libc::SIGCONT),
    ("TSTP", libc::SIGTSTP),
];

/// Forwarding, until dropped.
pub struct Forwarding(Vec<JoinHandle<()>>);

/// Forwards signals to the container from now on.
pub fn forward(client: Client, id: String) -> Forwarding {
    let mut tasks = Vec::new();
    for (name, number) in PASSED {
        let Ok(mut arrivals) = signal(SignalKind::from_raw(number)) else { continue };
        let (client, id) = (client.clone(), id.clone());
        tasks.push(tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                // A container that is gone or not yet started takes no signal; Docker says nothing then either.
                let _ = client.container_kill(&id, name).await;
            }
        }));
    }
    Forwarding(tasks)
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
