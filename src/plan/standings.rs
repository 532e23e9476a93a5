//! Finds the missing and the unexpected members of a group, in one pass over the list and one over the group.

use super::people::{Number, People};

/// The state of each person in the group that is being compared. One list serves all groups and is reset after each.
pub(super) struct Standings(Vec<Standing>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Neither in the group nor on its list.
    Outside,
    /// In the group, and so far not found on its list.
    Present,
    /// On the list.
    Listed,
}

impl Standings {
    /// Nobody is in the group or on its list yet.
    pub fn of(people: &People<'_>) -> Self {
        Self(vec![Standing::Outside; people.len()])
    }

    /// The people on the list who are not present, with their first entry, in the order of the list; and the people
    /// who are present but not on the list, in the order of the group.
    pub fn differ<E: Copy>(&mut self, present: &[Number], list: &[(Number, E)]) -> (Vec<(Number, E)>, Vec<Number>) {
        let (mut missing, mut leaving) = (Vec::new(), Vec::new());
        for number in present {
            self.mark(*number, Standing::Present);
        }
        for (number, entry) in list {
            if self.mark(*number, Standing::Listed) == Some(Standing::Outside) {
                missing.push((*number, *entry));
            }
        }
        for number in present {
            if self.mark(*number, Standing::Outside) == Some(Standing::Present) {
                leaving.push(*number);
            }
        }
        for (number, _) in &missing {
            self.mark(*number, Standing::Outside);
        }
        (missing, leaving)
    }

    /// Sets a person's state, and returns the previous one.
    fn mark(&mut self, number: Number, standing: Standing) -> Option<Standing> {
        self.0.get_mut(number.place()).map(|place| std::mem::replace(place, standing))
    }
}
