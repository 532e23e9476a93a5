//! Reads paged lists. A list counts only if nothing in it is contradictory.
//!
//! The first page reports the number of rows and the page size. The other pages are then read concurrently. Every
//! figure of an answer must match the request, the received rows, the other figures and the other pages. No row may
//! occur twice, and the number of rows must be the reported one. If no page reports a number, pages are read until
//! one is empty, and an empty list is read a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::answer::{ListPage, PageInfo};
use super::call::{Call, Caller};
use super::error::{ApiError, ApiErrorKind};
use super::pacer::WaitReason;
use super::retry::Retry;
use super::wire;

/// How often a contradictory list is read, including the first time.
const MOST_READS: u32 = 4;
/// The smallest page size that every list accepts.
const LEAST_PER_PAGE: u64 = 5;
/// A list that claims more rows is not accepted.
const MOST_ROWS: u64 = 1_000_000;
/// A list that claims more pages is not accepted.
const MOST_PAGES: u64 = 20_000;
/// The maximum number of pages if no answer reports their number.
const MOST_PAGES_UNCOUNTED: u64 = 2_000;

/// A row of a list, identified by its id.
pub(super) trait ListRow: DeserializeOwned {
    type Id: Ord + Copy + fmt::Display;

    fn id(&self) -> Self::Id;
}

macro_rules! rows {
    ($($row:ty: $id:ty),*) => {
        $(impl ListRow for $row {
            type Id = $id;

            fn id(&self) -> Self::Id {
                self.id
            }
        })*
    };
}

rows!(
    wire::Group: crate::model::GroupId,
    wire::GroupMember: crate::model::MemberId,
    wire::AccountMember: crate::model::MemberId
);

/// Why a reading of a list does not count.
#[derive(Debug)]
pub(super) enum Broken {
    Page(ApiError),
    /// A contradiction, as a text for the error.
    Contradiction(String),
    /// The list is longer than any real list. Reading it again cannot help.
    Endless(String),
}

impl Broken {
    /// The error of a page that another reading of the list cannot mend.
    pub(super) fn final_error(self) -> Option<ApiError> {
        match self {
            Self::Page(error) => (error.kind != ApiErrorKind::Malformed || error.lasting).then_some(error),
            Self::Contradiction(_) | Self::Endless(_) => None,
        }
    }
}

impl From<ApiError> for Broken {
    fn from(error: ApiError) -> Self {
        Self::Page(error)
    }
}

#[derive(Debug)]
pub(super) struct Listing<'a, T> {
    pub caller: &'a Caller,
    call: Call,
    /// The page size to request for the first page.
    pub per_page: u64,
    /// When the first page of the last reading was requested.
    began: Mutex<Option<Instant>>,
    rows: PhantomData<fn() -> T>,
}

impl<'a, T: ListRow> Listing<'a, T> {
    /// The list that `call` reads, with `per_page` rows on a page.
    pub(super) fn new(caller: &'a Caller, call: Call, per_page: u64) -> Self {
        let call = Call { retry: Retry::ReadPage, ..call };
        Self { caller, call, per_page, began: Mutex::default(), rows: PhantomData }
    }

    /// When the last reading began, after all waiting.
    pub(super) fn began(&self) -> Option<Instant> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The complete list by id. A contradictory list is read again.
    pub(super) async fn read(&self) -> Result<BTreeMap<T::Id, T>, ApiError> {
        let mut backoff = self.caller.backoff();
        let mut was_empty = false;
        for reads in 1.. {
            let broken = match self.read_once().await {
                Ok(pages) if pages.is_empty() && !pages.counted && !was_empty => {
                    was_empty = true;
                    if reads < MOST_READS {
                        continue;
                    }
                    Broken::Contradiction(
                        "some of its readings are empty, others are not, and none has a count".to_owned(),
                    )
                }
                Ok(pages) => return Ok(pages.rows),
                Err(broken) => broken,
            };
            was_empty = false;
            let error = match broken {
                Broken::Endless(why) => return Err(self.call.incomplete(why, reads)),
                Broken::Contradiction(why) => self.call.incomplete(why, reads),
                Broken::Page(error) if error.kind == ApiErrorKind::Malformed && !error.lasting => {
                    ApiError { kind: ApiErrorKind::Incomplete, attempts: reads, ..error }
                }
                Broken::Page(error) => return Err(error),
            };
            if reads >= MOST_READS {
                return Err(error);
            }
            let why = WaitReason::Failed(error.kind);
            self.caller.pause(&self.call, &error, why, Some(backoff.next())).await;
        }
        // The loop ends only by returning.
        Err(self.call.incomplete("it was never read".to_owned(), 0))
    }

    async fn read_once(&self) -> Result<Pages<T>, Broken> {
        self.caller.expect_pages(1);
        let mut pages = Pages::begin(self.page(1, self.per_page).await?, self.per_page)?;
        self.read_rest(&mut pages).await?;
        Ok(pages)
    }

    pub(super) async fn read_rest(&self, pages: &mut Pages<T>) -> Result<(), Broken> {
        match pages.layout {
            Some(layout) => self.read_pages(pages, layout).await?,
            None => self.read_to_the_end(pages).await?,
        }
        pages.finish()
    }

    /// The page size to request: that of the first page, unless the API does not accept such a small size.
    pub(super) fn size_of(&self, pages: &Pages<T>) -> u64 {
        let size = pages.layout.map(|layout| layout.page_size);
        size.filter(|size| *size >= LEAST_PER_PAGE).unwrap_or(self.per_page)
    }

    async fn read_pages(&self, pages: &mut Pages<T>, layout: PageLayout) -> Result<(), Broken> {
        let per_page = self.size_of(pages);
        let read = pages.numbers.clone();
        self.caller.expect_pages(layout.pages.saturating_sub(read.len() as u64));
        let mut wanted = (2..=layout.pages).filter(|number| !read.contains(number));
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < self.caller.concurrency {
                let Some(number) = wanted.next() else { break };
                under_way.push(async move { (number, self.page(number, per_page).await) });
            }
            let Some((number, page)) = under_way.next().await else { return Ok(()) };
            pages.add(number, per_page, page?)?;
        }
    }

    async fn read_to_the_end(&self, pages: &mut Pages<T>) -> Result<(), Broken> {
        let mut more = !pages.is_empty();
        for number in 2.. {
            if !more {
                break;
            }
            if number > MOST_PAGES_UNCOUNTED {
                return Err(Broken::Endless(format!("it does not end after {MOST_PAGES_UNCOUNTED} pages")));
            }
            self.caller.expect_pages(1);
            let page = self.page(number, self.per_page).await?;
            more = !page.rows.is_empty();
            pages.add(number, self.per_page, page)?;
        }
        Ok(())
    }

    pub(super) async fn page(&self, number: u64, per_page: u64) -> Result<ListPage<T>, ApiError> {
        let mut call = self.call.clone();
        let mut query = call.url.query_pairs_mut();
        query.append_pair("per_page", &per_page.to_string()).append_pair("page", &number.to_string());
        drop(query);
        let begin = || {
            if number == 1 {
                *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            true
        };
        let answer = self.caller.call_if(&call, &begin).await;
        self.caller.count_page();
        Ok(answer?.result)
    }
}

/// How the list is divided into pages, by its first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageLayout {
    page_size: u64,
    pages: u64,
    /// The number of rows on all pages, if reported.
    total: Option<u64>,
}

impl PageLayout {
    /// The layout that the first page reports; `None` if it does not report a number of rows or pages.
    fn new(info: &PageInfo, rows: u64, asked: u64) -> Result<Option<Self>, Broken> {
        let size = info.per_page.filter(|size| *size > 0);
        if let Some(total) = info.total_count {
            // Without a page size: if there are more rows than received, the first page is full.
            let page_size = size.unwrap_or(if total > rows { rows } else { asked });
            if total > 0 && rows == 0 {
                return contradiction(format!("its first page is empty, but it should have {total} rows"));
            }
            let pages = total.div_ceil(page_size.max(1)).max(1);
            if total > MOST_ROWS || pages > MOST_PAGES {
                return contradiction(format!("it claims to have {total} rows on {pages} pages"));
            }
            return Ok(Some(Self { page_size, pages, total: Some(total) }));
        }
        let Some(pages) = info.total_pages else { return Ok(None) };
        if pages > MOST_PAGES {
            return contradiction(format!("it claims to have {pages} pages"));
        }
        let page_size = size.unwrap_or(if pages > 1 { rows } else { asked });
        Ok(Some(Self { page_size, pages: pages.max(1), total: None }))
    }

    /// The minimum and maximum number of rows on a page.
    fn rows_on(self, number: u64) -> (u64, u64) {
        match self.total {
            Some(total) => {
                let before = self.page_size.saturating_mul(number.saturating_sub(1));
                let rows = total.saturating_sub(before).min(self.page_size);
                (rows, rows)
            }
            None if number < self.pages => (self.page_size.max(1), self.page_size),
            None => (u64::from(number > 1), self.page_size),
        }
    }
}

fn contradiction<T>(why: String) -> Result<T, Broken> {
    Err(Broken::Contradiction(why))
}

/// The pages of one reading that are consistent so far.
#[derive(Debug)]
pub(super) struct Pages<T: ListRow> {
    layout: Option<PageLayout>,
    rows: BTreeMap<T::Id, T>,
    numbers: BTreeSet<u64>,
    filled: u64,
    /// The page size that the pages reported so far.
    per_page: Option<u64>,
    total_count: Option<u64>,
    total_pages: Option<u64>,
    /// Whether the first page reports a number of rows.
    counted: bool,
}

impl<T: ListRow> Pages<T> {
    /// Starts with the first page, which was requested with `asked` rows.
    pub(super) fn begin(first: ListPage<T>, asked: u64) -> Result<Self, Broken> {
        let info = first.info().map_err(Broken::Contradiction)?;
        let mut pages = Self {
            layout: None,
            rows: BTreeMap::new(),
            numbers: BTreeSet::new(),
            filled: 0,
            per_page: None,
            total_count: None,
            total_pages: None,
            counted: info.total_count.or(info.count).is_some(),
        };
        let rows = first.rows.len() as u64;
        Self::check_alone(&info, 1, rows, asked)?;
        pages.layout = PageLayout::new(&info, rows, asked)?;
        pages.add(1, asked, first)?;
        Ok(pages)
    }

    /// Adds a page that was requested with `asked` rows.
    pub(super) fn add(&mut self, number: u64, asked: u64, page: ListPage<T>) -> Result<(), Broken> {
        let info = page.info().map_err(Broken::Contradiction)?;
        let rows = page.rows.len() as u64;
        Self::check_alone(&info, number, rows, asked)?;
        for (figure, before, now) in [
            ("per_page", &mut self.per_page, info.per_page),
            ("total_count", &mut self.total_count, info.total_count),
            ("total_pages", &mut self.total_pages, info.total_pages),
        ] {
            if let (Some(before), Some(now)) = (*before, now)
                && before != now
            {
                return contradiction(format!("its {figure} changed from {before} to {now} while it was read"));
            }
            *before = before.or(now);
        }
        if let Some((least, most)) = self.layout.map(|layout| layout.rows_on(number))
            && !(least..=most).contains(&rows)
        {
            return contradiction(format!("its page {number} has {rows} rows, but {most} are expected"));
        }
        for row in page.rows {
            let id = row.id();
            if self.rows.insert(id, row).is_some() {
                return contradiction(format!("it has {id} twice"));
            }
        }
        if self.rows.len() as u64 > MOST_ROWS {
            return Err(Broken::Endless(format!("it has more than {MOST_ROWS} rows")));
        }
        self.filled += u64::from(rows > 0);
        self.numbers.insert(number);
        Ok(())
    }

    /// Checks a page's figures against its own rows.
    fn check_alone(info: &PageInfo, number: u64, rows: u64, asked: u64) -> Result<(), Broken> {
        if let Some(page) = info.page.filter(|page| *page != number) {
            return contradiction(format!("it answers with page {page}, but page {number} was requested"));
        }
        if let Some(count) = info.count.filter(|count| *count != rows) {
            return contradiction(format!("its page {number} has {rows} rows but reports {count}"));
        }
        if let Some(per_page) = info.per_page.filter(|per_page| rows > *per_page || *per_page > asked) {
            return contradiction(format!(
                "its page {number} has {rows} rows but reports a page size of {per_page}, although {asked} were requested"
            ));
        }
        if rows > asked {
            return contradiction(format!("its page {number} has {rows} rows, but {asked} were requested"));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn row(&self, id: T::Id) -> Option<&T> {
        self.rows.get(&id)
    }

    pub(super) fn into_rows(self) -> BTreeMap<T::Id, T> {
        self.rows
    }

    /// The number of pages, if the first one reports it.
    pub(super) fn count(&self) -> Option<u64> {
        self.layout.map(|layout| layout.pages)
    }

    /// Checks what only all pages together can show.
    pub(super) fn finish(&self) -> Result<(), Broken> {
        let rows = self.rows.len() as u64;
        if let Some(total) = self.total_count.filter(|total| *total != rows) {
            return contradiction(format!("it has {rows} rows but reports {total}"));
        }
        // An empty list has no page, or one empty page.
        let fits = |pages: u64| pages == self.filled || (rows == 0 && pages == 1);
        if let Some(pages) = self.total_pages.filter(|pages| !fits(*pages)) {
            return contradiction(format!("it has rows on {} pages but reports {pages}", self.filled));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ASKED: u64 = 500;

    fn page(ids: std::ops::Range<u64>, info: Value) -> ListPage<wire::GroupMember> {
        let rows: Vec<_> = ids.map(|id| json!({ "id": format!("{id:032}") })).collect();
        serde_json::from_value(json!({ "result": rows, "result_info": info })).unwrap()
    }

    fn begin(rows: u64, info: Value) -> Result<Pages<wire::GroupMember>, Broken> {
        Pages::begin(page(0..rows, info), ASKED)
    }

    /// The check of a list with one page.
    fn single(rows: u64, info: Value) -> Result<(), String> {
        begin(rows, info).and_then(|pages| pages.finish()).map_err(why)
    }

    fn why(broken: Broken) -> String {
        match broken {
            Broken::Contradiction(why) | Broken::Endless(why) => why,
            Broken::Page(error) => panic!("{error}"),
        }
    }

    #[test]
    fn pages_follow_from_the_first() {
        let pages = |rows, info| begin(rows, info).unwrap().layout.map(|layout| layout.pages);
        let total = |rows, total: u64| pages(rows, json!({ "total_count": total }));
        assert_eq!(
            [total(0, 0), total(3, 3), total(3, 4), total(3, 6), total(3, 7)].map(Option::unwrap),
            [1, 1, 2, 2, 3]
        );
        assert_eq!(pages(3, json!({ "total_count": 7, "per_page": 3 })), Some(3));
        assert_eq!(pages(3, json!({ "total_pages": 2 })), Some(2));
        assert_eq!(pages(3, json!({ "count": 3 })), None);
    }

    #[test]
    fn consistent_figures_are_accepted() {
        for (rows, info) in [
            (3, Value::Null),
            (3, json!({ "page": 1, "per_page": 500, "count": 3, "total_count": 3, "total_pages": 1 })),
            (3, json!({ "page": "1", "per_page": "100", "count": "3", "total_count": "3", "total_pages": "1" })),
            (3, json!({ "page": 1.0, "per_page": 3, "count": 3.0, "total_count": 3, "total_pages": 1 })),
            (3, json!({ "total_pages": 1 })),
            (0, json!({ "page": 1, "per_page": 0, "count": 0, "total_count": 0, "total_pages": 0 })),
            (0, json!({ "total_count": 0, "total_pages": 1 })),
            (0, json!({ "total_pages": 0 })),
        ] {
            assert_eq!(single(rows, info.clone()), Ok(()), "{rows} rows, {info}");
        }
    }

    #[test]
    fn inconsistent_figure_is_a_contradiction() {
        for (rows, info) in [
            (3, json!({ "count": 4 })),
            (3, json!({ "count": "2" })),
            (3, json!({ "page": 2 })),
            (3, json!({ "page": 0 })),
            (3, json!({ "per_page": 2 })),
            (3, json!({ "per_page": 0 })),
            (3, json!({ "per_page": 501 })),
            (3, json!({ "total_count": 2 })),
            (0, json!({ "total_count": 1 })),
            (0, json!({ "count": 1 })),
            (3, json!({ "total_count": 4, "per_page": 500 })),
            (3, json!({ "total_count": 3, "total_pages": 2 })),
            (3, json!({ "total_count": 3, "total_pages": 0 })),
            (3, json!({ "total_pages": 0 })),
            (0, json!({ "total_pages": 2 })),
            (501, Value::Null),
            (3, json!({ "total_count": "three" })),
            (3, json!({ "total_count": 1_000_000_000_000_000_000_u64 })),
            (1, json!({ "total_count": 50_000 })),
            (1, json!({ "total_pages": 50_000 })),
        ] {
            assert!(single(rows, info.clone()).is_err(), "{rows} rows, {info}");
        }
    }

    #[test]
    fn inconsistent_pages_are_rejected() {
        let first = json!({ "total_count": 5, "per_page": 3, "total_pages": 2 });
        let begun = || begin(3, first.clone()).unwrap();
        let second = |ids, info| why(begun().add(2, 3, page(ids, info)).unwrap_err());
        assert_eq!(second(3..4, json!({})), "its page 2 has 1 rows, but 2 are expected");
        assert_eq!(second(3..5, json!({ "total_count": 6 })), "its total_count changed from 5 to 6 while it was read");
        assert_eq!(second(3..5, json!({ "total_pages": 3 })), "its total_pages changed from 2 to 3 while it was read");
        assert_eq!(second(3..5, json!({ "per_page": 2 })), "its per_page changed from 3 to 2 while it was read");
        assert_eq!(second(3..5, json!({ "page": 1 })), "it answers with page 1, but page 2 was requested");
        assert_eq!(second(2..4, json!({})), "it has 00000000000000000000000000000002 twice");
        assert_eq!(why(begun().finish().unwrap_err()), "it has 3 rows but reports 5");
    }

    #[test]
    fn pages_that_fit_are_the_whole_list() {
        for info in [json!({ "total_count": 5 }), json!({ "per_page": 3, "total_pages": 2 }), json!({})] {
            let mut pages = begin(3, info.clone()).unwrap();
            pages.add(2, 3, page(3..5, json!({ "page": 2, "count": 2 }))).unwrap();
            pages.finish().unwrap_or_else(|broken| panic!("{info}: {}", why(broken)));
            assert_eq!(pages.rows.len(), 5);
        }
    }
}
