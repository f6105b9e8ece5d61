//! One container takes the published ports of another, without a moment in which they lead nowhere.
//!
//! The heir is made with the ports it wants and the name of who holds them ([`SandboxSpec::heir_of`]); it starts without
//! them. They are its own when the holder gives them up before it is asked to end ([`Networks::hand_over`]), or when
//! the holder's network is gone, unless that one comes back at once ([`Networks::rest_sandbox`]). Connections that stand
//! stay with the holder.
//!
//! Ports are in one place at any moment: a hand-over that cannot be written down is taken back, and the holder serves on. What
//! falls to the heir at the holder's end is published even when the disk is full; a start of the engine finds it unpublished in
//! the rows, then, and publishes it anew.
//!
//! [`SandboxSpec::heir_of`]: crate::spec::SandboxSpec::heir_of

use gantry_names::ContainerId;

use super::publish::forget_flows;
use super::{Networks, Shared};
use crate::failure::Error;
use crate::ports::hold::Hold;
use crate::record::{Change, Endpoint};
use crate::state::State;

impl Networks {
    /// Whether somebody waits for this container's ports.
    pub fn has_heir(&self, holder: &ContainerId) -> bool {
        self.shared.state().heir(holder).is_some()
    }

    /// Gives the container's published ports to the one that waits for them. Whether there was one. When the heir
    /// cannot have them, the holder keeps them.
    pub fn hand_over(&self, holder: &ContainerId) -> Result<bool, Error> {
        self.shared.hand_over(holder)
    }
}

/// Endpoints as they were and as they are: the holder's and the heir's.
struct Moved {
    before: [Endpoint; 2],
    after: [Endpoint; 2],
}

impl Shared {
    fn hand_over(&self, holder: &ContainerId) -> Result<bool, Error> {
        let Some(moved) = self.move_to_heir(holder)? else { return Ok(false) };
        let rows: Vec<Change> = moved.after.iter().cloned().map(Change::PutEndpoint).collect();
        if let Err(error) = self.write(&rows) {
            self.take_back(&moved.before);
            return Err(error);
        }
        let facts = |state: &mut State| {
            let of = |all: &[Endpoint]| {
                all.iter().filter_map(|endpoint| state.endpoint_facts(endpoint)).collect::<Vec<_>>()
            };
            (of(&moved.before), of(&moved.after))
        };
        self.change_rules(facts, |writer, (before, after)| writer.change_endpoints(before, after))?;
        self.serve_ports(&moved.after[1])?;
        forget_flows(&moved.before[0])?;
        Ok(true)
    }

    /// Decides the move: the table, the rows in memory and what is kept from the host's programs.
    fn move_to_heir(&self, holder: &ContainerId) -> Result<Option<Moved>, Error> {
        // Without the lock: what copies ends before its port is somebody else's.
        drop(self.let_go_for_heir(holder));
        let mut state = self.state();
        let from = state.of(holder).find(|held| !held.record.ports.is_empty());
        let (Some(from), Some(heir)) = (from.map(|held| held.record.clone()), state.heir(holder).cloned())
        else {
            return Ok(None);
        };
        let Some(to) = state.gateway(&heir).cloned() else {
            drop(state);
            self.hold_again(&from);
            return Ok(None);
        };
        state.ports.release(&from.id);
        if let Some(held) = state.endpoints.get_mut(&from.id) {
            held.record.ports.clear();
        }
        let wanted = state.unpublished(&heir);
        let before = [from, to];
        if let Err(error) = self.take_ports(&mut state, &heir, &wanted) {
            drop(state);
            self.take_back(&before);
            return Err(error);
        }
        let now = |before: &Endpoint| state.endpoints.get(&before.id).map(|held| held.record.clone());
        let after = before.each_ref().map(|before| now(before).unwrap_or_else(|| before.clone()));
        Ok(Some(Moved { before, after }))
    }

    /// Makes memory, and what is kept from the host's programs, what they were; the rules have not changed yet.
    fn take_back(&self, before: &[Endpoint]) {
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            for endpoint in before {
                state.ports.release(&endpoint.id);
                for port in &endpoint.ports {
                    state.ports.insert(endpoint.id.clone(), port.clone());
                }
                if let Some(held) = state.endpoints.get_mut(&endpoint.id) {
                    held.record.ports.clone_from(&endpoint.ports);
                    gone.append(&mut held.holds);
                }
            }
        }
        // Without the lock: what serves may want it at its end.
        drop(gone);
        before.iter().for_each(|endpoint| self.hold_again(endpoint));
    }

    /// What keeps the holder's ports from the host's programs, when somebody waits for them.
    fn let_go_for_heir(&self, holder: &ContainerId) -> Vec<Hold> {
        let mut state = self.state();
        if state.heir(holder).is_none() {
            return Vec::new();
        }
        let theirs = state.endpoints.values_mut().filter(|held| held.record.container == *holder);
        theirs.flat_map(|held| std::mem::take(&mut held.holds)).collect()
    }

    /// The holder is gone: what its heir waited for is published.
    pub(super) fn settle_heir(&self, gone: &ContainerId) -> Result<(), Error> {
        let heir = self.state().heir(gone).cloned();
        heir.map_or(Ok(()), |heir| self.publish_due(&heir))
    }

    /// Publishes what an heir waits for no longer, if it is not published yet.
    pub(super) fn publish_due(&self, heir: &ContainerId) -> Result<(), Error> {
        let standing = {
            let mut state = self.state();
            let waits = state.sandboxes.get(heir).is_some_and(|sandbox| sandbox.spec.heir_of.is_some());
            let wanted = if waits { state.due(heir) } else { Vec::new() };
            if wanted.is_empty() {
                return Ok(());
            }
            self.take_ports(&mut state, heir, &wanted)?;
            state.gateway(heir).cloned()
        };
        let Some(endpoint) = standing else { return Ok(()) };
        let written = self.write(&[Change::PutEndpoint(endpoint.clone())]);
        // What it had before is in the new facts as well; elements that are there stay.
        self.write_rules(&endpoint)?;
        written
    }
}
