//! The loop that keeps the rules: it hears every change of nftables and writes ours again when somebody took them.

use std::io::{PipeReader, PipeWriter, Read};
use std::thread::JoinHandle;

use gantry_netlink::Socket;
use gantry_netlink::nft::event::{Event, event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Error;

/// A flush and what follows it come as a burst; the rules are written once it is this long quiet.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Under an endless burst they are written all the same after this many pieces.
const PATIENCE: usize = 20;

/// The running loop; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the loop in the calling thread's network namespace. `note` says of a change whether it may have damaged our
    /// rules; `again` writes all of them.
    pub fn start(
        note: impl Fn(&Event) -> bool + Send + 'static,
        again: impl Fn() + Send + 'static,
    ) -> Result<Watch, Error> {
        let io = |cause| Error::Io { what: "watch packet rules".to_owned(), cause };
        let ear = Socket::nftables_events()
            .map_err(|cause| Error::Kernel { what: "watch packet rules".to_owned(), cause })?;
        let (stopped, stop) = std::io::pipe().map_err(io)?;
        let thread = std::thread::Builder::new()
            .name("nft-watch".to_owned())
            .spawn(move || listen(ear, stopped, &note, &again))
            .map_err(io)?;
        Ok(Watch { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn listen(mut ear: Socket, mut stopped: PipeReader, note: &dyn Fn(&Event) -> bool, again: &dyn Fn()) {
    let mut damaged = false;
    let mut pieces = 0;
    loop {
        let mut ready = [PollFd::new(&ear, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)];
        let timeout = damaged.then_some(&QUIET);
        let waited = poll(&mut ready, timeout);
        let (heard, ended) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
        if ended {
            let _ = stopped.read(&mut [0]);
            return;
        }
        if heard {
            match ear.events() {
                // Every one is noted: what the administrator adds must be known when it is flushed.
                Ok(answers) => {
                    for event in answers.iter().filter_map(event) {
                        damaged |= note(&event);
                    }
                }
                // Events were lost: anything may have happened.
                Err(_) => damaged = true,
            }
            pieces += 1;
        }
        if damaged && (matches!(waited, Ok(0)) || pieces > PATIENCE) {
            (damaged, pieces) = (false, 0);
            again();
        }
    }
}
