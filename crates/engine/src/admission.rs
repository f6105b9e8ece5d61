//! Whether a verb may happen in a state. Pure; doing it is elsewhere.

use gantry_errdefs::{Class, Classified};

use crate::record::State;

/// What is asked of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Run its process.
    Start,
    /// End its process politely.
    Stop,
    /// Send a signal.
    Kill,
    /// Freeze.
    Pause,
    /// Thaw.
    Unpause,
    /// Change the name.
    Rename,
    /// Change limits.
    Update,
    /// Take it away.
    Remove {
        /// Kill it first.
        force: bool,
    },
    /// Run another process in it.
    Exec,
    /// Join its streams.
    Attach,
    /// List its processes.
    Top,
    /// Make an image of it.
    Commit,
    /// Read or write its files.
    Archive,
    /// Change the terminal's size.
    Resize,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Yes,
    /// It is so already.
    Already,
    /// Not in this state.
    No(Refusal),
}

/// Why not, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    class: Class,
    text: String,
}

impl Classified for Refusal {
    fn class(&self) -> Class {
        self.class
    }
}

impl Refusal {
    /// It is so already: 304.
    pub fn already(text: impl Into<String>) -> Refusal {
        Refusal { class: Class::NotModified, text: text.into() }
    }
}

/// Decides. `who` is the id and the name for the refusal's text.
pub fn admit(verb: Verb, state: &State, id: &str, name: &str) -> Verdict {
    use State::{Created, Creating, Dead, Exited, Paused, Removing, Restarting, Running};
    let conflict = |text: String| Verdict::No(Refusal { class: Class::Conflict, text });
    let status = state.status();

    // What is half made or half gone admits nothing but its end.
    match (state, verb) {
        (Removing { .. }, Verb::Remove { .. }) => {
            return conflict(format!("removal of container {id} is already in progress"));
        }
        (Dead { .. }, Verb::Remove { .. }) => return Verdict::Yes,
        (Removing { .. } | Dead { .. }, Verb::Start) => {
            return conflict("container is marked for removal and cannot be started".to_owned());
        }
        (Removing { .. } | Dead { .. }, Verb::Stop) => return Verdict::Already,
        (Removing { .. } | Dead { .. } | Creating, _) => {
            return conflict(format!("container {id} is {status}: it is marked for removal"));
        }
        _ => {}
    }
    match verb {
        Verb::Start => match state {
            Paused(_) => conflict("cannot start a paused container, try unpause instead".to_owned()),
            Running(_) => Verdict::Already,
            _ => Verdict::Yes,
        },
        Verb::Stop => match state {
            Running(_) | Paused(_) | Restarting { .. } => Verdict::Yes,
            _ => Verdict::Already,
        },
        Verb::Kill => match state {
            Running(_) | Paused(_) => Verdict::Yes,
            // As Docker: killing a container that waits for its restart ends the waiting.
            Restarting { .. } => Verdict::Yes,
            _ => conflict(format!("container {id} is not running")),
        },
        Verb::Pause => match state {
            Running(_) => Verdict::Yes,
            Paused(_) => conflict(format!("Container {id} is already paused")),
            Restarting { .. } => {
                conflict(format!("container {id} is restarting, wait until the container is running"))
            }
            _ => conflict(format!("container {id} is not running")),
        },
        Verb::Unpause => match state {
            Paused(_) => Verdict::Yes,
            _ => conflict(format!("Container {id} is not paused")),
        },
        Verb::Remove { force } => match state {
            Running(_) | Paused(_) | Restarting { .. } if !force => conflict(if matches!(state, Paused(_)) {
                format!("cannot remove container \"{name}\": container is paused and must be unpaused first")
            } else {
                format!(
                    "cannot remove container \"{name}\": container is {status}: stop the container before removing or \
                     force remove"
                )
            }),
            _ => Verdict::Yes,
        },
        Verb::Exec | Verb::Resize | Verb::Top => match state {
            Running(_) => Verdict::Yes,
            Paused(_) if verb == Verb::Exec => {
                conflict(format!("Container {name} is paused, unpause the container before exec"))
            }
            Paused(_) => Verdict::Yes,
            Restarting { .. } => {
                conflict(format!("container {id} is restarting, wait until the container is running"))
            }
            _ => conflict(format!("container {id} is not running")),
        },
        Verb::Attach => match state {
            Paused(_) => conflict(format!("container {id} is paused, unpause the container before attach")),
            Restarting { .. } => {
                conflict(format!("container {id} is restarting, wait until the container is running"))
            }
            _ => Verdict::Yes,
        },
        Verb::Rename | Verb::Update | Verb::Commit | Verb::Archive => match state {
            Created { .. } | Exited { .. } | Running(_) | Paused(_) | Restarting { .. } => Verdict::Yes,
            _ => conflict(format!("container {id} is {status}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Exit, Process};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn states() -> Vec<State> {
        let process = Process { pid: 7, started_at: Timestamp::UNIX_EPOCH, cgroup: "/gantry/7".into() };
        let exit = Exit {
            code: 0,
            oom_killed: false,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
        };
        vec![
            State::Creating,
            State::Created { failure: None },
            State::Running(process.clone()),
            State::Paused(process),
            State::Restarting { exit: exit.clone() },
            State::Exited { exit: exit.clone(), failure: None },
            State::Removing { exit: None },
            State::Dead { exit: Some(exit), cause: "x".into() },
        ]
    }

    fn verbs() -> Vec<Verb> {
        use Verb::*;
        let mut all = vec![
            Start, Stop, Kill, Pause, Unpause, Rename, Update, Exec, Attach, Top, Commit, Archive, Resize,
        ];
        all.extend([Remove { force: false }, Remove { force: true }]);
        all
    }

    fn yes(verb: Verb, state: &State) -> bool {
        admit(verb, state, "id", "name") == Verdict::Yes
    }

    proptest! {
        #[test]
        fn what_is_admitted_never_breaks_the_life(v in 0..15usize, s in 0..8usize) {
            let (verb, state) = (verbs()[v], states()[s].clone());
            let verdict = admit(verb, &state, "id", "name");
            // A process is started only when there is none, and signalled only when there is one (or is to be one).
            if verdict == Verdict::Yes {
                match verb {
                    Verb::Start => prop_assert!(!state.is_alive()),
                    Verb::Pause => prop_assert!(matches!(state, State::Running(_))),
                    Verb::Unpause => prop_assert!(matches!(state, State::Paused(_))),
                    Verb::Stop | Verb::Kill => {
                        let waits = matches!(state, State::Restarting { .. });
                        prop_assert!(state.is_alive() || waits);
                    }
                    Verb::Exec => prop_assert!(matches!(state, State::Running(_))),
                    Verb::Remove { force: false } => prop_assert!(!state.is_alive()),
                    _ => {}
                }
            }
            // What is being removed or is half made lets nothing in but a removal of the dead.
            if matches!(state, State::Creating | State::Removing { .. }) {
                prop_assert_ne!(&verdict, &Verdict::Yes);
            }
            // Pause and unpause are never both possible; nor are start and stop.
            prop_assert!(!(yes(Verb::Pause, &state) && yes(Verb::Unpause, &state)));
            let restarting = matches!(state, State::Restarting { .. });
            prop_assert!(restarting || !(yes(Verb::Start, &state) && yes(Verb::Stop, &state)));
            // Force removes whatever plain removal does.
            if yes(Verb::Remove { force: false }, &state) {
                let forced = yes(Verb::Remove { force: true }, &state);
                prop_assert!(forced);
            }
            // A refusal is told, with a class that is no success.
            if let Verdict::No(refusal) = verdict {
                prop_assert_eq!(refusal.class(), Class::Conflict);
                prop_assert!(!refusal.to_string().is_empty());
            }
        }
    }

    #[test]
    fn the_words_are_dockers() {
        let states = states();
        let words = |verb, state: &State| match admit(verb, state, "abc", "web") {
            Verdict::No(refusal) => refusal.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(words(Verb::Exec, &states[5]), "container abc is not running");
        assert_eq!(
            words(Verb::Exec, &states[3]),
            "Container web is paused, unpause the container before exec"
        );
        assert_eq!(
            words(Verb::Remove { force: false }, &states[2]),
            "cannot remove container \"web\": container is running: stop the container before removing or force remove"
        );
        assert_eq!(words(Verb::Start, &states[3]), "cannot start a paused container, try unpause instead");
        assert_eq!(words(Verb::Kill, &states[5]), "container abc is not running");
    }
}
