//! What a build tells while it runs. Doors turn it into their dialect: the classic door into Docker's text.

use std::sync::Arc;

/// A step's number, counted from one over all stages of the plan.
pub type StepNumber = usize;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    Started {
        /// Which.
        step: StepNumber,
        /// Of how many.
        total: usize,
        /// Name of its stage, or its number.
        stage: String,
        /// The instruction as written.
        text: String,
    },
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
    /// Output of a RUN.
    Output {
        /// Which.
        step: StepNumber,
        /// It went to standard error.
        stderr: bool,
        /// The bytes as they came.
        bytes: Vec<u8>,
    },
    /// A step is done; the state after it as an image's short id.
    Done {
        /// Which.
        step: StepNumber,
        /// Twelve digits.
        id: String,
    },
    /// Something the user should know.
    Warning {
        /// A sentence.
        text: String,
    },
}

/// Takes the events of one build. Cheap to clone; called from several stages at once.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Every event goes to `sink`, which may block to slow the build down.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
