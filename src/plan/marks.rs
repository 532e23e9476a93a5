//! Finds the missing and the unexpected members of a group, in one pass over the list and one over the group.

use super::people::{People, PersonIndex};

/// The state of each person in the group that is being compared. One list serves all groups and is reset after each.
pub(super) struct Marks(Vec<Mark>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Neither in the group nor on its list.
    Outside,
    /// In the group, and so far not found on its list.
    Present,
    /// On the list.
    Listed,
}

impl Marks {
    /// Nobody is in the group or on its list yet.
    pub fn of(people: &People<'_>) -> Self {
        Self(vec![Mark::Outside; people.len()])
    }

    /// The people on the list who are not present, with their first entry, in the order of the list; and the people
    /// who are present but not on the list, in the order of the group.
    pub fn differ<E: Copy>(
        &mut self,
        present: &[PersonIndex],
        list: &[(PersonIndex, E)],
    ) -> (Vec<(PersonIndex, E)>, Vec<PersonIndex>) {
        let (mut missing, mut leaving) = (Vec::new(), Vec::new());
        for index in present {
            self.mark(*index, Mark::Present);
        }
        for (index, entry) in list {
            if self.mark(*index, Mark::Listed) == Some(Mark::Outside) {
                missing.push((*index, *entry));
            }
        }
        for index in present {
            if self.mark(*index, Mark::Outside) == Some(Mark::Present) {
                leaving.push(*index);
            }
        }
        for (index, _) in &missing {
            self.mark(*index, Mark::Outside);
        }
        (missing, leaving)
    }

    /// Sets a person's state, and returns the previous one.
    fn mark(&mut self, index: PersonIndex, mark: Mark) -> Option<Mark> {
        self.0.get_mut(index.place()).map(|place| std::mem::replace(place, mark))
    }
}
