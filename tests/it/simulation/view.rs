//! What a run can know about a group. It is reconstructed from the answers of the sandbox, independent of `apply`.

use std::collections::BTreeSet;
use std::time::Duration;

use convoke::model::{GroupId, MemberId};
use convoke::sandbox::{Contradiction, Endpoint, Fault, MembershipChange, Request};
use tokio::time::Instant;

use super::chronicle::{Carried, Chronicle};

/// The maximum time from a decision to its request. Answers about other groups that arrive in this time are too late for
/// the decision.
pub const DECIDING: Duration = Duration::from_millis(200);

/// A group by the answers before a request.
#[derive(Clone, Debug)]
pub struct View {
    pub group: GroupId,
    pub members: BTreeSet<MemberId>,
    /// Whether the complete group was shown after the last write.
    pub whole: bool,
    /// Whether the answers leave no doubt what the run concluded from them.
    pub certain: bool,
    /// When the last complete reading began.
    pub read_at: Option<Instant>,
    /// The members whom later requests were to remove, none of which was refused.
    pub gone: BTreeSet<MemberId>,
    /// The instant whose members were shown, and the first request of that reading.
    since: Option<(Instant, u64)>,
}

/// A listing, page by page.
struct Listing {
    began: Instant,
    since: Instant,
    first: u64,
    until: Instant,
    members: BTreeSet<MemberId>,
    pages: usize,
    /// The pages that were not received and not requested again so far.
    missing: BTreeSet<String>,
    certain: bool,
    believed: bool,
}

impl View {
    /// The group as the run could know it at `time` before it sent the request with this number. Within [`DECIDING`], the
    /// run decides on the request and records it in the journal.
    pub fn before(
        time: Duration,
        number: u64,
        group: GroupId,
        run: &Chronicle,
        carried: &Carried,
        history: &[MembershipChange],
    ) -> Self {
        let mut view = Self::planned(group, carried);
        let sent = run.requests.iter().find(|request| request.number == number).map(|request| request.arrived);
        let known = |request: &&Request| {
            request.number < number
                && request.answered.is_some_and(|answered| sent.is_none_or(|sent| answered + time <= sent))
        };
        let mut listing = None;
        let of_group = || run.requests.iter().filter(|request| request.group == Some(group));
        for request in of_group().filter(known) {
            match request.operation {
                Some(Endpoint::ListMembers) => view.turn_page(&mut listing, request, group, history),
                Some(Endpoint::AddMembers | Endpoint::ReplaceMembers | Endpoint::RemoveMember) => {
                    view.take(listing.take(), group, history);
                    view.write(request);
                }
                _ => {}
            }
        }
        // A page that was given up belongs to an earlier reading.
        let first = listing.as_ref().map_or(0, |listing: &Listing| listing.first);
        let next = of_group().find(|request| request.number > first && !known(request));
        let goes_on = next.is_some_and(|next| next.operation == Some(Endpoint::ListMembers) && !is_first_page(next));
        if !goes_on {
            view.take(listing, group, history);
        }
        view
    }

    pub fn at_the_end(group: GroupId, run: &Chronicle, carried: &Carried, history: &[MembershipChange]) -> Self {
        Self::before(Duration::ZERO, u64::MAX, group, run, carried, history)
    }

    fn planned(group: GroupId, carried: &Carried) -> Self {
        let observed = carried.made.group(group).map(|group| group.observed.keys().copied().collect());
        Self {
            group,
            members: observed.unwrap_or_default(),
            whole: false,
            certain: true,
            read_at: None,
            gone: BTreeSet::new(),
            since: None,
        }
    }

    fn turn_page(
        &mut self,
        listing: &mut Option<Listing>,
        request: &Request,
        group: GroupId,
        history: &[MembershipChange],
    ) {
        let lag = match &request.fault {
            Some(Fault::Lag(lag)) => lag.0,
            _ => Duration::ZERO,
        };
        let since = request.arrived.checked_sub(lag).unwrap_or(request.arrived);
        let until = request.answered.unwrap_or(request.arrived);
        let begins = is_first_page(request);
        if begins {
            self.take(listing.take(), group, history);
        }
        let listing = listing.get_or_insert_with(|| Listing {
            began: request.arrived,
            since,
            first: request.number,
            until,
            members: BTreeSet::new(),
            pages: 0,
            missing: BTreeSet::new(),
            certain: begins,
            believed: true,
        });
        (listing.since, listing.until) = (listing.since.min(since), listing.until.max(until));
        match (&request.fault, &request.shown) {
            (
                None
                | Some(
                    Fault::Latency(_)
                    | Fault::Lag(_)
                    | Fault::NumbersAsText
                    | Fault::EditBefore(_)
                    | Fault::EditAfter(_),
                ),
                shown,
            ) if request.status_sent == Some(200) => {
                // An empty list is shown as null.
                listing.members.extend(shown.iter().flatten());
                listing.pages += 1;
                listing.missing.remove(request.query.as_deref().unwrap_or_default());
            }
            // An empty list may have one page or none.
            (Some(Fault::Contradict(Contradiction::TotalPages | Contradiction::PerPage)), shown)
                if shown.iter().flatten().next().is_none() =>
            {
                listing.certain = false;
            }
            // With these faults, an incomplete list looks complete.
            (Some(Fault::Clamp(_) | Fault::OmitResultInfo), _) => {
                listing.certain = false;
                listing.missing.remove(request.query.as_deref().unwrap_or_default());
            }
            (Some(Fault::Contradict(_) | Fault::OmitResult), _) => listing.believed = false,
            // The page was not received. Either it is requested again, or the reading has failed.
            _ => {
                listing.believed &= !begins;
                listing.missing.extend(request.query.clone());
            }
        }
    }

    /// Records a completed listing.
    fn take(&mut self, listing: Option<Listing>, group: GroupId, history: &[MembershipChange]) {
        let Some(listing) = listing.filter(|listing| listing.believed && listing.missing.is_empty()) else {
            return;
        };
        let changed = |change: &MembershipChange| {
            change.group == group && change.at >= listing.since && change.at <= listing.until
        };
        // Pages of different instants may be inconsistent and are then read again.
        let certain = listing.certain && (listing.pages == 1 || !history.iter().any(changed));
        *self = Self {
            group,
            members: listing.members,
            whole: true,
            certain,
            read_at: Some(listing.began),
            gone: BTreeSet::new(),
            since: Some((listing.since, listing.first)),
        };
    }

    /// An answer to a write shows nothing: it may be an echo.
    fn write(&mut self, request: &Request) {
        self.whole = false;
        if request.operation == Some(Endpoint::RemoveMember) {
            let refused = request.status_sent.is_some_and(|status| (400..500).contains(&status));
            self.gone.extend(request.member.filter(|_| !refused));
        }
    }

    /// Whether a membership changed too late to be shown.
    pub fn is_outdated_by(&self, history: &[MembershipChange], group: GroupId, member: MemberId) -> bool {
        let Some((since, first)) = self.since else { return true };
        let later = |change: &MembershipChange| change.at >= since || change.after >= first;
        history.iter().any(|change| (change.group, change.member) == (group, member) && later(change))
    }
}

fn is_first_page(request: &Request) -> bool {
    request.query.as_deref().is_some_and(|query| query.split('&').any(|pair| pair == "page=1"))
}
