//! What a build tells while it runs. Doors turn it into their dialect: the classic door into Docker's text.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

/// A step's number: counted from one over the arguments before the first FROM and all stages of the plan; triggers of a
/// base (ONBUILD) have numbers behind them.
pub type StepNumber = usize;

/// Bytes of output on their way to a reader; beyond, the step that writes waits.
const PENDING_LIMIT: usize = 1 << 20;
/// Bytes of a step's last output that a failure repeats.
const TAIL_LIMIT: usize = 4 << 10;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step begins. Its end is [`Event::Done`] or [`Event::Failed`], unless the whole build is cut off.
    Started(Started),
    /// The cache had it.
    Cached {
        /// Which.
        step: StepNumber,
    },
    /// The cache had it not, and which input was new: `--explain`.
    Missed {
        /// Which.
        step: StepNumber,
        /// Why, in a sentence.
        because: String,
    },
    /// A process of this step was started.
    Running {
        /// Which.
        step: StepNumber,
        /// Of the container it runs in; twelve digits.
        container: String,
    },
    /// That process is over and nothing of it is left.
    Removed {
        /// Which.
        step: StepNumber,
        /// As in [`Event::Running`].
        container: String,
    },
    /// Output of a RUN.
    Output {
        /// Which.
        step: StepNumber,
        /// It went to standard error.
        stderr: bool,
        /// The bytes as they came.
        bytes: Vec<u8>,
    },
    /// Something travels: a base image, an address of ADD.
    Transfer {
        /// Which.
        step: StepNumber,
        /// What travels and how far it is.
        what: Transfer,
    },
    /// A step is done; the state after it as an image's short id.
    Done {
        /// Which.
        step: StepNumber,
        /// Twelve digits; none for the empty state.
        id: String,
    },
    /// A step failed, and with it the build.
    Failed {
        /// Which.
        step: StepNumber,
        /// What the user is told.
        error: String,
    },
    /// Something the user should know.
    Warning {
        /// A sentence.
        text: String,
    },
}

/// The beginning of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Which.
    pub step: StepNumber,
    /// How many steps there are, triggers not counted.
    pub total: usize,
    /// Name of its stage, or `stage-` and its number; empty before the first FROM.
    pub stage: String,
    /// The stage has no name of its own.
    pub nameless: bool,
    /// Where it stands among those steps of its stage that make or take files (FROM, RUN, COPY, ADD, WORKDIR), from one,
    /// and how many those are. None for steps that only describe.
    pub place: Option<(usize, usize)>,
    /// It is a trigger of the image this FROM names.
    pub within: Option<StepNumber>,
    /// The steps it stands on.
    pub after: Vec<StepNumber>,
    /// The instruction as written.
    pub text: String,
}

/// How far something that travels has come, in the words of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// What is done with it.
    pub status: String,
    /// A layer's short digest; empty for the whole.
    pub id: String,
    /// Bytes.
    pub current: u64,
    /// Bytes; zero where that is not known.
    pub total: u64,
}

/// Takes the events of one build. Cheap to clone; called from several stages at once.
#[derive(Clone)]
pub struct Progress {
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    pending: Option<Arc<Pending>>,
}

/// The other end of [`Progress::channel`].
#[derive(Debug)]
pub struct Events {
    events: mpsc::UnboundedReceiver<Event>,
    pending: Arc<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: AtomicUsize,
    room: Notify,
}

impl Progress {
    /// Every event goes to `sink`, which must not block.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), pending: None }
    }

    /// Nobody listens.
    pub fn silent() -> Self {
        Self::new(drop)
    }

    /// Events for a reader; one who is slow slows the steps that write. The reader ends when the build has ended.
    pub fn channel() -> (Self, Events) {
        let (tx, events) = mpsc::unbounded_channel();
        let pending = Arc::new(Pending::default());
        // A reader that went away is no reason to stop: who wants that drops the build.
        let sink = Arc::new(move |event| drop(tx.send(event)));
        (Self { sink, pending: Some(Arc::clone(&pending)) }, Events { events, pending })
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        if let (Some(pending), Event::Output { bytes, .. }) = (&self.pending, &event) {
            pending.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        }
        (self.sink)(event);
    }

    /// Waits until the reader has taken most of what was told.
    async fn room(&self) {
        let Some(pending) = &self.pending else { return };
        loop {
            let freed = pending.room.notified();
            if pending.bytes.load(Ordering::Acquire) < PENDING_LIMIT {
                return;
            }
            freed.await;
        }
    }
}

impl Events {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        if let Some(Event::Output { bytes, .. }) = &event {
            self.pending.bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
            self.pending.room.notify_waiters();
        }
        event
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Nobody reads any more: nobody waits for them.
        self.events.close();
        self.pending.bytes.store(0, Ordering::Release);
        self.pending.room.notify_waiters();
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

/// Where a step's output goes: to whoever follows the build, and its end to the failure's text.
#[derive(Debug, Clone)]
pub struct Output {
    progress: Progress,
    step: StepNumber,
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Output {
    /// Output of a step.
    pub fn new(progress: Progress, step: StepNumber) -> Self {
        Self { progress, step, tail: Arc::default() }
    }

    /// The container the step runs in.
    pub fn running(&self, container: &str) {
        self.progress.tell(Event::Running { step: self.step, container: container.to_owned() });
    }

    /// It is gone.
    pub fn removed(&self, container: &str) {
        self.progress.tell(Event::Removed { step: self.step, container: container.to_owned() });
    }

    /// Takes a piece of output; waits while the reader is behind.
    pub async fn put(&self, stderr: bool, bytes: &[u8]) {
        {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(bytes);
            let surplus = tail.len().saturating_sub(TAIL_LIMIT);
            tail.drain(..surplus);
        }
        self.progress.tell(Event::Output { step: self.step, stderr, bytes: bytes.to_vec() });
        self.progress.room().await;
    }

    /// Something that travels for this step.
    pub fn transfer(&self, what: Transfer) {
        self.progress.tell(Event::Transfer { step: self.step, what });
    }

    /// The last lines that were put.
    pub fn tail(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let (front, back) = tail.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_slows_the_step_and_one_who_left_does_not() {
        let (progress, mut events) = Progress::channel();
        let output = Output::new(progress, 1);
        let writer = output.clone();
        let writing = tokio::spawn(async move {
            for _ in 0..40 {
                writer.put(false, &vec![b'x'; 64 << 10]).await;
            }
        });
        // 40 pieces are more than what may be pending: it ends only because somebody reads.
        for _ in 0..20 {
            assert!(events.next().await.is_some());
        }
        assert!(!writing.is_finished());
        drop(events);
        writing.await.unwrap();
        assert_eq!(output.tail().len(), TAIL_LIMIT);
    }
}
