//! Tells who is missing from a group and who is too many, in one go over the list and one over the group.

use super::people::{Number, People};

/// How everybody stands to the group that is being compared. One list serves all groups: what is marked for one is
/// wiped off after it.
pub(super) struct Standings(Vec<Standing>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Neither in the group nor on its list.
    Outside,
    /// In the group, and not on its list as far as that was seen.
    Present,
    /// On the list.
    Listed,
}

impl Standings {
    /// Everybody stands outside.
    pub fn of(people: &People<'_>) -> Self {
        Self(vec![Standing::Outside; people.len()])
    }

    /// Who is on the list and not present, with their first entry, in the order of the list; and who is present and
    /// not on the list, in the order of those present.
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

    /// Marks somebody, and says how they stood before.
    fn mark(&mut self, number: Number, standing: Standing) -> Option<Standing> {
        self.0.get_mut(number.place()).map(|place| std::mem::replace(place, standing))
    }
}
