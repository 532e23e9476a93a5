//! `prune`: finds the entries that ended long ago.

use jiff::SignedDuration;

use super::step::{Action, Step};
use super::{Decision, Scene};

#[derive(Clone, Copy, Debug)]
pub struct Prune {
    pub older_than: SignedDuration,
}

impl Prune {
    pub(super) fn decide(self, scene: &Scene<'_>) -> Decision {
        let mut decision = Decision::default();
        for list in 0..scene.lists.all.len() {
            let keeps = scene.lists.ends_additive(list);
            for found in scene.lists.people(list) {
                let ended = found.window().until.is_some_and(|until| scene.now.duration_since(until) > self.older_than);
                match (ended, keeps) {
                    (false, _) => {}
                    (true, true) => decision.kept += 1,
                    (true, false) => {
                        let (index, person) = (found.index, found.person.clone());
                        decision.steps.push(Step { list, index, person, action: Action::Remove });
                    }
                }
            }
        }
        decision
    }
}
