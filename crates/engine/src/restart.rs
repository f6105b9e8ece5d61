//! What a restart policy does after an exit. Pure.

use std::time::Duration;

use crate::spec::RestartPolicy;

/// The first wait.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest wait.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run of this length was a good one: the next wait is the first again.
pub const GOOD_RUN: Duration = Duration::from_secs(10);

/// What to do after an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Stay,
    /// Start again after this long.
    Restart(Duration),
}

/// How a run ended, as far as the policy cares.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// How long it ran.
    pub length: Duration,
    /// A person stopped it.
    pub stopped_by_hand: bool,
    /// How often the policy has started it in a row.
    pub restarts: u32,
    /// The wait before this run.
    pub last_delay: Duration,
}

/// Decides.
pub fn after_exit(policy: RestartPolicy, run: Run) -> After {
    let wanted = match policy {
        RestartPolicy::No => false,
        _ if run.stopped_by_hand => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure(most) => run.code != 0 && (most == 0 || run.restarts < most),
    };
    if !wanted {
        return After::Stay;
    }
    if run.length >= GOOD_RUN {
        return After::Restart(FIRST_DELAY);
    }
    After::Restart(run.last_delay.saturating_mul(2).clamp(FIRST_DELAY, LONGEST_DELAY))
}

/// Whether a container that does not run is started when the engine starts. `ran` says that it ran (or waited for its
/// restart) when the engine ended.
pub fn at_engine_start(policy: RestartPolicy, stopped_by_hand: bool, ran: bool, code: i32) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !stopped_by_hand,
        RestartPolicy::OnFailure(_) => ran && code != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(code: i32, restarts: u32, last_ms: u64) -> Run {
        Run {
            code,
            length: Duration::from_secs(1),
            stopped_by_hand: false,
            restarts,
            last_delay: Duration::from_millis(last_ms),
        }
    }

    #[test]
    fn waits_double_to_a_minute_and_a_good_run_resets_them() {
        let mut waits = Vec::new();
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            let After::Restart(wait) =
                after_exit(RestartPolicy::Always, Run { last_delay: last, ..run(0, 0, 0) })
            else {
                panic!("always restarts");
            };
            waits.push(wait.as_millis());
            last = wait;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        let good = Run { length: GOOD_RUN, ..run(0, 0, 60_000) };
        assert_eq!(after_exit(RestartPolicy::Always, good), After::Restart(FIRST_DELAY));
    }

    #[test]
    fn on_failure_counts_and_forgives_success() {
        assert_eq!(after_exit(RestartPolicy::OnFailure(2), run(0, 0, 0)), After::Stay);
        assert_ne!(after_exit(RestartPolicy::OnFailure(2), run(1, 1, 100)), After::Stay);
        assert_eq!(after_exit(RestartPolicy::OnFailure(2), run(1, 2, 200)), After::Stay);
        assert_ne!(after_exit(RestartPolicy::OnFailure(0), run(1, 1000, 200)), After::Stay);
    }

    #[test]
    fn only_always_comes_back_from_a_stop_by_hand_and_only_with_the_engine() {
        let stopped = Run { stopped_by_hand: true, ..run(0, 0, 0) };
        assert_eq!(after_exit(RestartPolicy::Always, stopped), After::Stay);
        assert!(at_engine_start(RestartPolicy::Always, true, false, 0));
        assert!(!at_engine_start(RestartPolicy::UnlessStopped, true, false, 0));
        assert!(at_engine_start(RestartPolicy::UnlessStopped, false, true, 0));
        assert!(!at_engine_start(RestartPolicy::OnFailure(0), false, true, 0));
        assert!(!at_engine_start(RestartPolicy::No, false, true, 1));
    }

    proptest! {
        #[test]
        fn a_wait_is_always_between_the_first_and_the_longest(code in -1..256i32, restarts in 0..100u32, last in prop_oneof![0..200u64, 0..200_000u64, Just(u64::MAX)]) {
            if let After::Restart(wait) = after_exit(RestartPolicy::UnlessStopped, run(code, restarts, last)) {
                prop_assert!(wait >= FIRST_DELAY && wait <= LONGEST_DELAY);
            }
        }
    }
}
