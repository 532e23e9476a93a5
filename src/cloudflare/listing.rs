//! Reads lists that come in pages, and believes none that is not whole.
//!
//! The first page tells how many entries there are and, by what it holds, how many come on a page; the others are
//! read side by side. A list counts if every page came with as many entries as it must have, no entry came twice,
//! and all of them are as many as every page said. Where nothing is said of how many there are, pages are read until
//! an empty one comes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;

use super::call::{Call, Caller};
use super::error::ApiError;
use super::wire::{self, Page};

/// How often a list that is not whole is read again.
const REREADS: u32 = 3;
/// The smallest page that can be asked for of every list.
const LEAST_PER_PAGE: u64 = 5;
/// A list that claims more entries is not believed.
const MOST_ENTRIES: u64 = 1_000_000;
/// Nor is one that claims more pages.
const MOST_PAGES: u64 = 20_000;
/// No more pages are read where nothing says how many there are.
const MOST_PAGES_UNTOLD: u64 = 2_000;

/// An entry of a list, told from others by its id.
pub(super) trait Entry: DeserializeOwned {
    /// What tells it from others.
    type Id: Ord + Copy + fmt::Display;

    /// Its id.
    fn id(&self) -> Self::Id;
}

impl Entry for wire::Group {
    type Id = crate::model::GroupId;

    fn id(&self) -> Self::Id {
        self.id
    }
}

impl Entry for wire::GroupMember {
    type Id = crate::model::MemberId;

    fn id(&self) -> Self::Id {
        self.id
    }
}

impl Entry for wire::AccountMember {
    type Id = crate::model::MemberId;

    fn id(&self) -> Self::Id {
        self.id
    }
}

/// Why a list could not be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// A page could not be read: no use to go on.
    Page(ApiError),
    /// The pages do not fit together, in words.
    NotWhole(String),
    /// It claims to be longer than any list can be, in words: no use to read it again.
    Absurd(String),
}

impl From<ApiError> for Broken {
    fn from(error: ApiError) -> Self {
        Self::Page(error)
    }
}

/// A list of the API.
#[derive(Debug)]
pub(super) struct Listing<'a, T> {
    caller: &'a Caller,
    /// The call without its page.
    call: Call,
    /// How many entries are asked for, where no page has come yet.
    per_page: u64,
    entries: PhantomData<fn() -> T>,
}

impl<'a, T: Entry> Listing<'a, T> {
    /// The list that `call` reads, with `per_page` entries on a page.
    pub(super) fn new(caller: &'a Caller, call: Call, per_page: u64) -> Self {
        Self { caller, call, per_page, entries: PhantomData }
    }

    /// The whole list by id.
    pub(super) async fn read(&self) -> Result<BTreeMap<T::Id, T>, ApiError> {
        let mut backoff = self.caller.backoff();
        let mut reads = 1;
        loop {
            match self.read_once().await {
                Ok(entries) => return Ok(entries),
                Err(Broken::Page(error)) => return Err(error),
                Err(Broken::Absurd(why)) => return Err(self.call.incomplete(why, reads)),
                Err(Broken::NotWhole(why)) if reads > REREADS => return Err(self.call.incomplete(why, reads)),
                Err(Broken::NotWhole(why)) => {
                    tracing::warn!(operation = %self.call.operation, why, "the list is not whole: reading it again");
                    self.caller.pause(backoff.next()).await;
                }
            }
            reads += 1;
        }
    }

    /// The error of a list that claims to be longer than any can be.
    pub(super) fn absurd(&self, why: String) -> ApiError {
        self.call.incomplete(why, 1)
    }

    async fn read_once(&self) -> Result<BTreeMap<T::Id, T>, Broken> {
        let mut pages = self.begin().await?;
        self.complete(&mut pages).await?;
        pages.into_whole()
    }

    /// Reads the first page.
    pub(super) async fn begin(&self) -> Result<Pages<T>, Broken> {
        Pages::new(self.page(1, None).await?)
    }

    /// Reads the pages that are missing.
    pub(super) async fn complete(&self, pages: &mut Pages<T>) -> Result<(), Broken> {
        match pages.layout {
            Some(layout) => self.read_pages(pages, 2..=layout.pages).await,
            None => self.read_to_the_end(pages).await,
        }
    }

    /// Reads those of the pages that are missing, side by side.
    pub(super) async fn read_pages(
        &self,
        pages: &mut Pages<T>,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), Broken> {
        let mut wanted = numbers.into_iter();
        let mut under_way = FuturesUnordered::new();
        let layout = pages.layout;
        loop {
            while under_way.len() < self.caller.concurrency {
                let Some(number) = wanted.by_ref().find(|number| !pages.has(*number)) else { break };
                under_way.push(async move { (number, self.page(number, layout).await) });
            }
            let Some((number, page)) = under_way.next().await else { return Ok(()) };
            pages.add(number, page?)?;
        }
    }

    async fn read_to_the_end(&self, pages: &mut Pages<T>) -> Result<(), Broken> {
        let mut empty = pages.is_empty();
        for number in 2.. {
            if empty {
                break;
            }
            if number > MOST_PAGES_UNTOLD {
                return Err(Broken::Absurd(format!("it does not end after {MOST_PAGES_UNTOLD} pages")));
            }
            let page = self.page(number, None).await?;
            empty = page.entries.is_empty();
            pages.add(number, page)?;
        }
        Ok(())
    }

    /// One page; of the size that the first one had, if that is known and not smaller than the API allows to ask for.
    async fn page(&self, number: u64, layout: Option<Layout>) -> Result<Page<T>, ApiError> {
        let per_page = layout.map_or(self.per_page, |layout| layout.per_page);
        let per_page = if per_page < LEAST_PER_PAGE { self.per_page } else { per_page };
        let mut call = self.call.clone();
        let mut query = call.message.url.query_pairs_mut();
        query.append_pair("per_page", &per_page.to_string()).append_pair("page", &number.to_string());
        drop(query);
        Ok(self.caller.call(&call).await?.result)
    }
}

/// How a list is cut into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    total: u64,
    per_page: u64,
    /// How many pages there are.
    pub pages: u64,
}

impl Layout {
    fn expected_on(self, number: u64) -> u64 {
        let before = self.per_page.saturating_mul(number.saturating_sub(1));
        self.total.saturating_sub(before).min(self.per_page)
    }
}

/// The pages of one reading, as far as they fit together.
#[derive(Debug)]
pub(super) struct Pages<T: Entry> {
    /// How the list is cut, where the first page says so.
    pub layout: Option<Layout>,
    by_number: BTreeMap<u64, Vec<T::Id>>,
    entries: BTreeMap<T::Id, T>,
    total: Option<u64>,
}

impl<T: Entry> Pages<T> {
    /// Begins with the first page.
    pub(super) fn new(first: Page<T>) -> Result<Self, Broken> {
        let total = first.total();
        // What came is what a page holds, whatever it says: if there is more, the first page is a full one.
        let per_page = first.entries.len() as u64;
        let layout = match total {
            None => None,
            Some(total) if total > MOST_ENTRIES => {
                return Err(Broken::Absurd(format!("it claims to have {total} entries")));
            }
            Some(total) if total > 0 && per_page == 0 => {
                return Err(Broken::NotWhole(format!("its first page is empty where it should have {total} entries")));
            }
            Some(total) if total.div_ceil(per_page.max(1)) > MOST_PAGES => {
                return Err(Broken::Absurd(format!("it claims to have {total} entries, {per_page} on a page")));
            }
            Some(total) => Some(Layout { total, per_page, pages: total.div_ceil(per_page.max(1)).max(1) }),
        };
        let mut pages = Self { layout, by_number: BTreeMap::new(), entries: BTreeMap::new(), total };
        pages.add(1, first)?;
        Ok(pages)
    }

    /// Adds a page, if it fits to the others.
    pub(super) fn add(&mut self, number: u64, page: Page<T>) -> Result<(), Broken> {
        let (came, total) = (page.entries.len() as u64, page.total());
        if let (Some(before), Some(now)) = (self.total, total)
            && before != now
        {
            return Err(Broken::NotWhole(format!("its length changed from {before} to {now} while it was read")));
        }
        self.total = self.total.or(total);
        if let Some(expected) = self.layout.map(|layout| layout.expected_on(number))
            && came != expected
        {
            return Err(Broken::NotWhole(format!("its page {number} has {came} entries where {expected} are due")));
        }
        let mut ids = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let id = entry.id();
            ids.push(id);
            if self.entries.insert(id, entry).is_some() {
                return Err(Broken::NotWhole(format!("it has {id} twice")));
            }
        }
        if self.entries.len() as u64 > MOST_ENTRIES {
            return Err(Broken::Absurd(format!("it has more than {MOST_ENTRIES} entries")));
        }
        self.by_number.insert(number, ids);
        Ok(())
    }

    /// Whether the page has been added.
    pub(super) fn has(&self, number: u64) -> bool {
        self.by_number.contains_key(&number)
    }

    /// The entries of a page that has been added, in the order they came.
    pub(super) fn on(&self, number: u64) -> impl DoubleEndedIterator<Item = &T> {
        self.by_number.get(&number).into_iter().flatten().filter_map(|id| self.entries.get(id))
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries so far.
    pub(super) fn into_entries(self) -> BTreeMap<T::Id, T> {
        self.entries
    }

    /// The entries, if they are all there are.
    pub(super) fn into_whole(self) -> Result<BTreeMap<T::Id, T>, Broken> {
        let read = self.entries.len() as u64;
        match self.total {
            Some(total) if total != read => {
                Err(Broken::NotWhole(format!("it has {read} entries where it says {total}")))
            }
            _ => Ok(self.entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: std::ops::Range<u64>, total: Option<u64>) -> Page<wire::GroupMember> {
        let entries: Vec<_> = ids.map(|id| serde_json::json!({ "id": format!("{id:032}") })).collect();
        serde_json::from_value(serde_json::json!({ "result": entries, "result_info": { "total_count": total } }))
            .unwrap()
    }

    fn why(broken: Result<impl fmt::Debug, Broken>) -> String {
        match broken.unwrap_err() {
            Broken::NotWhole(why) | Broken::Absurd(why) => why,
            Broken::Page(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_pages_follow_from_what_the_first_one_holds() {
        let pages = |came, total| Pages::new(page(0..came, Some(total))).unwrap().layout.unwrap().pages;
        assert_eq!([pages(0, 0), pages(3, 3), pages(3, 4), pages(3, 6), pages(3, 7)], [1, 1, 2, 2, 3]);
    }

    #[test]
    fn an_absurd_length_is_refused_at_once() {
        assert_eq!(
            why(Pages::new(page(0..3, Some(1_000_000_000_000_000_000)))),
            "it claims to have 1000000000000000000 entries"
        );
        assert_eq!(why(Pages::new(page(0..1, Some(50_000)))), "it claims to have 50000 entries, 1 on a page");
    }

    #[test]
    fn pages_that_do_not_fit_together_are_no_list() {
        assert_eq!(why(Pages::new(page(0..0, Some(3)))), "its first page is empty where it should have 3 entries");
        assert_eq!(why(Pages::new(page(0..3, Some(2)))), "its page 1 has 3 entries where 2 are due");
        let begun = || Pages::new(page(0..3, Some(5))).unwrap();
        assert_eq!(why(begun().add(2, page(3..4, Some(5)))), "its page 2 has 1 entries where 2 are due");
        assert_eq!(why(begun().add(2, page(3..5, Some(6)))), "its length changed from 5 to 6 while it was read");
        assert_eq!(why(begun().add(2, page(2..4, Some(5)))), "it has 00000000000000000000000000000002 twice");
        assert_eq!(why(begun().into_whole()), "it has 3 entries where it says 5");
    }

    #[test]
    fn pages_that_fit_are_the_whole_list() {
        let mut pages = Pages::new(page(0..3, Some(5))).unwrap();
        pages.add(2, page(3..5, None)).unwrap();
        assert_eq!(pages.into_whole().unwrap().len(), 5);
    }
}
