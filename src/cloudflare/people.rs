//! Finds a few people in a long list of account members without reading all of it.
//!
//! The list comes at most 50 a page and cannot be filtered by address, but sorted by it: so an address is searched as
//! in a dictionary, page by page. The order speeds the search up and proves nothing: who is not found that way is
//! looked for in the whole list before anybody may call them unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ApiError;
use super::listing::{Broken, Listing, Pages};
use super::wire::AccountMember;
use crate::model::{Email, MemberId, Person};

/// The people with these addresses or ids, and whoever else was seen on the way.
pub(super) async fn find(
    listing: &Listing<'_, AccountMember>,
    emails: &BTreeSet<Email>,
    ids: &BTreeSet<MemberId>,
) -> Result<BTreeMap<MemberId, Person>, ApiError> {
    if emails.is_empty() && ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = match search(listing, emails, ids).await {
        Ok(found) => found,
        Err(Broken::Page(error)) => return Err(error),
        Err(Broken::Absurd(why)) => return Err(listing.absurd(why)),
        // The list changes while it is read: what a second reading in one go may escape.
        Err(Broken::NotWhole(why)) => {
            tracing::debug!(why, "the account's members do not fit together: reading all of them");
            listing.read().await?
        }
    };
    Ok(found.into_iter().map(|(id, member)| (id, member.into_person())).collect())
}

async fn search(
    listing: &Listing<'_, AccountMember>,
    emails: &BTreeSet<Email>,
    ids: &BTreeSet<MemberId>,
) -> Result<BTreeMap<MemberId, AccountMember>, Broken> {
    let mut pages = listing.begin().await?;
    if ids.is_empty()
        && let Some(last) = pages.layout.map(|layout| layout.pages)
        && is_worth_searching(emails.len(), last)
        && find_by_order(listing, &mut pages, emails, last).await?
    {
        return Ok(pages.into_entries());
    }
    listing.complete(&mut pages).await?;
    pages.into_whole()
}

/// Whether searching costs less than reading all pages, if every address takes as many steps as it can.
fn is_worth_searching(sought: usize, pages: u64) -> bool {
    let steps = u64::from(u64::BITS - pages.leading_zeros());
    (sought as u64).saturating_mul(steps) < pages.saturating_sub(1)
}

/// Reads the pages on which the addresses should be, and says whether all of them were.
async fn find_by_order(
    listing: &Listing<'_, AccountMember>,
    pages: &mut Pages<AccountMember>,
    emails: &BTreeSet<Email>,
    last: u64,
) -> Result<bool, Broken> {
    let mut searches: Vec<_> = emails.iter().map(|email| Search { email, from: 1, to: last, next: 1 }).collect();
    loop {
        let mut open = Vec::with_capacity(searches.len());
        for mut search in searches {
            match search.step(pages) {
                Step::Found => {}
                Step::Lost => return Ok(false),
                Step::Read => open.push(search),
            }
        }
        if open.is_empty() {
            return Ok(true);
        }
        let wanted: BTreeSet<u64> = open.iter().map(|search| search.next).collect();
        listing.read_pages(pages, wanted).await?;
        searches = open;
    }
}

/// The search for one address: the pages it may be on, and the one to look at next.
#[derive(Debug)]
struct Search<'a> {
    email: &'a Email,
    from: u64,
    to: u64,
    next: u64,
}

/// What became of a search.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The address is there.
    Found,
    /// It is not where it should be.
    Lost,
    /// The next page is to be read first.
    Read,
}

impl Search<'_> {
    /// Looks at the next page, and at those after it as long as they have been read.
    fn step(&mut self, pages: &Pages<AccountMember>) -> Step {
        while pages.has(self.next) {
            if pages.on(self.next).any(|member| member.answers_to(self.email)) {
                return Step::Found;
            }
            let keys = || pages.on(self.next).filter_map(AccountMember::sort_key);
            match (keys().next(), keys().next_back()) {
                (Some(first), _) if self.email < first => self.to = self.next.saturating_sub(1),
                (_, Some(last)) if self.email > last => self.from = self.next.saturating_add(1),
                _ => return Step::Lost,
            }
            if self.from > self.to {
                return Step::Lost;
            }
            self.next = self.from + (self.to - self.from) / 2;
        }
        Step::Read
    }
}
