//! A build's events as the classic builder tells them: one step after the other, in the order of the file, although
//! stages are built side by side. What a later step says early is kept until its turn.

use std::collections::BTreeMap;

use gantry_api::stream::{JsonMessage, JsonProgress};
use gantry_build::progress::{Event, Started, StepNumber, Transfer};

/// Events in, messages out.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Say why a step was not in the cache.
    explain: bool,
    /// Say what became of containers.
    remove: bool,
    /// Which step a trigger belongs to.
    within: BTreeMap<StepNumber, StepNumber>,
    steps: BTreeMap<StepNumber, Told>,
    /// The step whose words go out at once.
    current: StepNumber,
}

/// What a step has said, and whether that is all.
#[derive(Debug, Default)]
struct Told {
    messages: Vec<JsonMessage>,
    /// Begun and not yet done, the step's triggers included.
    open: usize,
    done: bool,
}

impl Story {
    /// A story from its beginning.
    pub(crate) fn new(explain: bool, remove: bool) -> Story {
        Story { explain, remove, current: 1, ..Story::default() }
    }

    /// Takes an event; gives what can be told now.
    pub(crate) fn hear(&mut self, event: Event) -> Vec<JsonMessage> {
        let line = |text: String| vec![JsonMessage::stream(format!("{text}\n"))];
        let (step, messages) = match event {
            Event::Started(started) => return self.begin(&started),
            Event::Cached { step } => (step, line(" ---> Using cache".to_owned())),
            Event::Missed { step, because } if self.explain => {
                (step, line(format!(" ---> Not cached: {because}")))
            }
            Event::Missed { .. } => return Vec::new(),
            Event::Running { step, container } => (step, line(format!(" ---> Running in {container}"))),
            Event::Removed { step, container } if self.remove => {
                (step, line(format!(" ---> Removed intermediate container {container}")))
            }
            Event::Removed { .. } => return Vec::new(),
            Event::Output { step, stderr, bytes } => (step, vec![output(stderr, &bytes)]),
            Event::Transfer { step, what } => (step, vec![transfer(what)]),
            Event::Done { step, id } => {
                let messages = if id.is_empty() { Vec::new() } else { line(format!(" ---> {id}")) };
                return self.end(step, messages);
            }
            Event::Failed { step, .. } => return self.end(step, Vec::new()),
            Event::Warning { text } => return line(text),
        };
        self.say(step, messages)
    }

    /// What was held back when the build has ended: a failed build tells all of it.
    pub(crate) fn rest(&mut self) -> Vec<JsonMessage> {
        std::mem::take(&mut self.steps).into_values().flat_map(|told| told.messages).collect()
    }

    fn begin(&mut self, started: &Started) -> Vec<JsonMessage> {
        let Started { step, total, within, text, .. } = started;
        if let Some(from) = within {
            self.within.insert(*step, *from);
        }
        let shown = within.unwrap_or(*step);
        if shown >= self.current {
            self.steps.entry(shown).or_default().open += 1;
        }
        let messages = match within {
            // A trigger is no step of the file.
            Some(_) => vec![JsonMessage::stream(format!("# Executing build trigger: {text}\n"))],
            None => {
                vec![JsonMessage::stream(format!("Step {step}/{total} : {text}")), JsonMessage::stream("\n")]
            }
        };
        self.say(*step, messages)
    }

    fn say(&mut self, step: StepNumber, messages: Vec<JsonMessage>) -> Vec<JsonMessage> {
        let step = self.within.get(&step).copied().unwrap_or(step);
        // A FROM is over before its triggers are: what belongs to the past is told at once.
        if step <= self.current {
            return messages;
        }
        self.steps.entry(step).or_default().messages.extend(messages);
        Vec::new()
    }

    fn end(&mut self, step: StepNumber, messages: Vec<JsonMessage>) -> Vec<JsonMessage> {
        let mut now = self.say(step, messages);
        let shown = self.within.get(&step).copied().unwrap_or(step);
        if shown < self.current {
            return now;
        }
        let told = self.steps.entry(shown).or_default();
        told.open = told.open.saturating_sub(1);
        told.done |= step == shown;
        // A later step has begun, or will: then this one, triggers and all, is over.
        while self.steps.get(&self.current).is_some_and(|told| told.done && told.open == 0) {
            self.steps.remove(&self.current);
            self.current += 1;
            if let Some(next) = self.steps.get_mut(&self.current) {
                now.append(&mut next.messages);
            }
        }
        now
    }
}

/// Standard error is red, as Docker's builder has it.
fn output(stderr: bool, bytes: &[u8]) -> JsonMessage {
    let text = String::from_utf8_lossy(bytes);
    match stderr {
        true => JsonMessage::stream(format!("\u{1b}[91m{text}\u{1b}[0m")),
        false => JsonMessage::stream(text),
    }
}

fn transfer(what: Transfer) -> JsonMessage {
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let detail = (what.current > 0 || what.total > 0).then(|| JsonProgress {
        current: size(what.current),
        total: size(what.total),
        ..JsonProgress::default()
    });
    // Docker prints an empty detail beside every status of a layer.
    let empty = (!what.id.is_empty()).then(JsonProgress::default);
    JsonMessage {
        status: what.status,
        id: what.id,
        progress_detail: detail.or(empty),
        ..JsonMessage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(step: StepNumber, within: Option<StepNumber>, text: &str) -> Event {
        Event::Started(Started {
            step,
            total: 4,
            stage: "stage-0".into(),
            nameless: true,
            place: None,
            within,
            after: Vec::new(),
            text: text.into(),
        })
    }

    fn text(messages: Vec<JsonMessage>) -> String {
        messages.into_iter().map(|message| message.stream).collect()
    }

    #[test]
    fn steps_are_told_in_the_files_order_however_they_come() {
        let mut story = Story::new(false, true);
        let done = |step: StepNumber| Event::Done { step, id: format!("id{step}") };
        assert_eq!(text(story.hear(started(1, None, "FROM a"))), "Step 1/4 : FROM a\n");
        assert_eq!(text(story.hear(started(3, None, "FROM b"))), "");
        assert_eq!(text(story.hear(done(3))), "");
        assert_eq!(text(story.hear(started(4, None, "RUN y"))), "");
        assert_eq!(text(story.hear(Event::Cached { step: 4 })), "");
        assert_eq!(text(story.hear(done(1))), " ---> id1\n");
        assert_eq!(text(story.hear(started(2, None, "RUN x"))), "Step 2/4 : RUN x\n");
        assert_eq!(
            text(story.hear(Event::Output { step: 2, stderr: false, bytes: b"hi\n".to_vec() })),
            "hi\n"
        );
        assert_eq!(
            text(story.hear(done(2))),
            " ---> id2\nStep 3/4 : FROM b\n ---> id3\nStep 4/4 : RUN y\n ---> Using cache\n"
        );
        assert_eq!(text(story.hear(done(4))), " ---> id4\n");
    }

    #[test]
    fn triggers_are_told_where_their_from_stands() {
        let mut story = Story::new(false, true);
        story.hear(started(1, None, "FROM a"));
        story.hear(started(3, None, "FROM b"));
        story.hear(Event::Done { step: 3, id: "id3".into() });
        assert_eq!(text(story.hear(started(5, Some(3), "RUN t"))), "");
        story.hear(Event::Done { step: 5, id: "id5".into() });
        story.hear(Event::Done { step: 1, id: "id1".into() });
        story.hear(started(2, None, "RUN x"));
        assert_eq!(
            text(story.hear(Event::Done { step: 2, id: "id2".into() })),
            " ---> id2\nStep 3/4 : FROM b\n ---> id3\n# Executing build trigger: RUN t\n ---> id5\n"
        );
    }
}
