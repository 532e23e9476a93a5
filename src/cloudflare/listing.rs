//! Reads paged lists. A list counts only if nothing in it is contradictory.
//!
//! The first page reports the number of rows and the page size. The other pages are then read concurrently. Every
//! figure of an answer must match the request, the received rows, the other figures and the other pages. No row may
//! occur twice, and the number of rows must be the reported one. If no page reports a number, pages are read until
//! one is empty, and an empty list is read a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::answer::{ListPage, PageInfo};
use super::call::{Answered, Call};
use super::client::Client;
use super::error::{ApiError, ApiErrorKind, Fate};
use super::pacer::WaitReason;
use super::retry::{Backoff, Retry};

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

/// A list of rows of type `T`, which have ids of type `I`.
#[derive(Debug)]
pub(super) struct Listing<'a, I, T> {
    pub client: &'a Client,
    call: Call,
    /// The page size to request for the first page.
    pub per_page: u64,
    id_of: fn(&T) -> I,
}

impl<'a, I: Ord + Copy + fmt::Display, T: DeserializeOwned> Listing<'a, I, T> {
    /// The list that `call` reads, with `per_page` rows on a page.
    pub(super) fn new(client: &'a Client, call: Call, per_page: u64, id_of: fn(&T) -> I) -> Self {
        Self { client, call: Call { retry: Retry::ReadPage, ..call }, per_page, id_of }
    }

    /// The complete list by id, with the time when its first page was requested. A contradictory list is read again.
    pub(super) async fn read(&self) -> Result<(BTreeMap<I, T>, Instant), ApiError> {
        let mut backoff = Backoff::within(self.client.shared.config.max_wait);
        let mut was_empty = false;
        let mut reads = 0;
        loop {
            reads += 1;
            let error = match self.read_once().await {
                Ok((pages, _)) if pages.rows.is_empty() && !pages.counted && !was_empty => {
                    was_empty = true;
                    if reads < MOST_READS {
                        continue;
                    }
                    self.contradiction("it is empty, and no other reading confirms it".to_owned())
                }
                Ok((pages, began)) => return Ok((pages.rows, began)),
                Err(error) if error.kind != ApiErrorKind::Incomplete => return Err(error),
                Err(error) => error,
            };
            was_empty = false;
            let error = ApiError { attempts: reads, ..error };
            if error.lasting || reads >= MOST_READS {
                return Err(error);
            }
            let why = WaitReason::Failed(error.kind);
            self.client.pause(&self.call, &error, why, Some(backoff.next())).await;
        }
    }

    async fn read_once(&self) -> Result<(Pages<I, T>, Instant), ApiError> {
        self.client.history().pages_expected += 1;
        let Answered { result: first, began, .. } = self.page(1, self.per_page).await?;
        let mut pages = Pages::new(self.id_of);
        pages.add(1, self.per_page, first).map_err(|why| self.contradiction(why))?;
        self.read_rest(&mut pages).await?;
        Ok((pages, began))
    }

    /// Reads the pages that are missing.
    pub(super) async fn read_rest(&self, pages: &mut Pages<I, T>) -> Result<(), ApiError> {
        match pages.layout {
            Some(layout) => self.read_pages(pages, layout).await?,
            None => self.read_to_the_end(pages).await?,
        }
        pages.finish().map_err(|why| self.contradiction(why))
    }

    /// The page size to request: that of the first page, unless the API does not accept such a small size.
    pub(super) fn size_of(&self, pages: &Pages<I, T>) -> u64 {
        let size = pages.layout.map(|layout| layout.page_size);
        size.filter(|size| *size >= LEAST_PER_PAGE).unwrap_or(self.per_page)
    }

    async fn read_pages(&self, pages: &mut Pages<I, T>, layout: PageLayout) -> Result<(), ApiError> {
        let per_page = self.size_of(pages);
        let read = pages.numbers.clone();
        self.client.history().pages_expected += layout.pages.saturating_sub(read.len() as u64);
        let wanted = (2..=layout.pages).filter(|number| !read.contains(number));
        let reading = wanted.map(async |number| (number, self.page(number, per_page).await));
        let mut reading = futures_util::stream::iter(reading).buffer_unordered(self.client.concurrency());
        while let Some((number, page)) = reading.next().await {
            pages.add(number, per_page, page?.result).map_err(|why| self.contradiction(why))?;
        }
        Ok(())
    }

    async fn read_to_the_end(&self, pages: &mut Pages<I, T>) -> Result<(), ApiError> {
        let mut number = 1;
        while pages.filled == number {
            number += 1;
            if number > MOST_PAGES_UNCOUNTED {
                let why = format!("it does not end after {MOST_PAGES_UNCOUNTED} pages");
                // Reading it again cannot help.
                return Err(ApiError { lasting: true, ..self.contradiction(why) });
            }
            self.client.history().pages_expected += 1;
            let page = self.page(number, self.per_page).await?.result;
            pages.add(number, self.per_page, page).map_err(|why| self.contradiction(why))?;
        }
        Ok(())
    }

    /// One page. If it cannot be understood, the list is read again as a whole.
    pub(super) async fn page(&self, number: u64, per_page: u64) -> Result<Answered<ListPage<T>>, ApiError> {
        let mut call = self.call.clone();
        let mut query = call.url.query_pairs_mut();
        query.append_pair("per_page", &per_page.to_string()).append_pair("page", &number.to_string());
        drop(query);
        let answer = self.client.call(&call).await;
        self.client.history().pages_read += 1;
        answer.map_err(|error| match error.kind {
            ApiErrorKind::Malformed if !error.lasting => ApiError { kind: ApiErrorKind::Incomplete, ..error },
            _ => error,
        })
    }

    /// The error for a list that contradicts itself.
    pub(super) fn contradiction(&self, why: String) -> ApiError {
        self.call.error(ApiErrorKind::Incomplete, Fate::Unknown).with_detail(why)
    }
}

/// How the list is divided into pages, by its first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageLayout {
    page_size: u64,
    pub pages: u64,
    /// The number of rows on all pages, if reported.
    total: Option<u64>,
}

impl PageLayout {
    /// The layout that the first page reports; `None` if it does not report a number of rows or pages.
    ///
    /// # Errors
    ///
    /// A contradiction, in words.
    fn new(info: &PageInfo, rows: u64, asked: u64) -> Result<Option<Self>, String> {
        let total = info.total_count;
        let is_last = match (total, info.total_pages) {
            (Some(total), _) => total <= rows,
            (None, Some(pages)) => pages <= 1,
            (None, None) => return Ok(None),
        };
        // Without a page size: if other pages follow, the first one is full.
        let size = info.per_page.filter(|size| *size > 0);
        let page_size = size.unwrap_or(if is_last { asked } else { rows.max(1) });
        let pages = total.map(|total| total.div_ceil(page_size)).or(info.total_pages).map_or(1, |pages| pages.max(1));
        let least = total.unwrap_or((pages - 1).saturating_mul(page_size));
        if least > MOST_ROWS || pages > MOST_PAGES {
            return Err(format!("it claims to have {least} rows on {pages} pages"));
        }
        Ok(Some(Self { page_size, pages, total }))
    }

    /// The minimum and maximum number of rows on a page.
    fn rows_on(self, number: u64) -> (u64, u64) {
        match self.total {
            Some(total) => {
                let before = self.page_size.saturating_mul(number.saturating_sub(1));
                let rows = total.saturating_sub(before).min(self.page_size);
                (rows, rows)
            }
            None if number < self.pages => (self.page_size, self.page_size),
            None => (u64::from(number > 1), self.page_size),
        }
    }
}

/// The pages of one reading that are consistent so far.
#[derive(Debug)]
pub(super) struct Pages<I, T> {
    id_of: fn(&T) -> I,
    pub layout: Option<PageLayout>,
    pub rows: BTreeMap<I, T>,
    numbers: BTreeSet<u64>,
    filled: u64,
    /// The figures that must be the same on all pages.
    figures: PageInfo,
    /// Whether the first page reports a number of rows.
    counted: bool,
}

impl<I: Ord + Copy + fmt::Display, T: DeserializeOwned> Pages<I, T> {
    pub(super) fn new(id_of: fn(&T) -> I) -> Self {
        let (layout, rows, numbers, filled, figures, counted) = Default::default();
        Self { id_of, layout, rows, numbers, filled, figures, counted }
    }

    /// Adds a page that was requested with `asked` rows. The first page comes first.
    ///
    /// # Errors
    ///
    /// A contradiction, in words.
    pub(super) fn add(&mut self, number: u64, asked: u64, page: ListPage<T>) -> Result<(), String> {
        let info = page.info()?;
        let rows = page.rows().len() as u64;
        Self::check_alone(&info, number, rows, asked)?;
        if self.numbers.is_empty() {
            self.counted = info.total_count.or(info.count).is_some();
            self.layout = PageLayout::new(&info, rows, asked)?;
        }
        for (figure, before, now) in [
            ("per_page", &mut self.figures.per_page, info.per_page),
            ("total_count", &mut self.figures.total_count, info.total_count),
            ("total_pages", &mut self.figures.total_pages, info.total_pages),
        ] {
            if let Some((before, now)) = before.zip(now).filter(|(before, now)| before != now) {
                return Err(format!("its {figure} changed from {before} to {now} while it was read"));
            }
            *before = before.or(now);
        }
        if let Some((least, most)) = self.layout.map(|layout| layout.rows_on(number))
            && !(least..=most).contains(&rows)
        {
            return Err(format!("its page {number} has {rows} rows, but {most} are expected"));
        }
        for row in page.result.into_iter().flatten() {
            let id = (self.id_of)(&row);
            if self.rows.insert(id, row).is_some() {
                return Err(format!("it has {id} twice"));
            }
        }
        self.filled += u64::from(rows > 0);
        self.numbers.insert(number);
        Ok(())
    }

    /// Checks a page's figures against its own rows.
    fn check_alone(info: &PageInfo, number: u64, rows: u64, asked: u64) -> Result<(), String> {
        if let Some(page) = info.page.filter(|page| *page != number) {
            return Err(format!("it answers with page {page}, but page {number} was requested"));
        }
        if let Some(count) = info.count.filter(|count| *count != rows) {
            return Err(format!("its page {number} has {rows} rows but reports {count}"));
        }
        if let Some(per_page) = info.per_page.filter(|per_page| rows > *per_page || *per_page > asked) {
            return Err(format!(
                "its page {number} has {rows} rows but reports a page size of {per_page}, although {asked} were requested"
            ));
        }
        if rows > asked {
            return Err(format!("its page {number} has {rows} rows, but {asked} were requested"));
        }
        Ok(())
    }

    /// Checks what only all pages together can show.
    pub(super) fn finish(&self) -> Result<(), String> {
        let rows = self.rows.len() as u64;
        if let Some(total) = self.figures.total_count.filter(|total| *total != rows) {
            return Err(format!("it has {rows} rows but reports {total}"));
        }
        // An empty list has no page, or one empty page.
        let fits = |pages: u64| pages == self.filled || (rows == 0 && pages == 1);
        if let Some(pages) = self.figures.total_pages.filter(|pages| !fits(*pages)) {
            return Err(format!("it has rows on {} pages but reports {pages}", self.filled));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::wire::GroupMember;
    use super::*;
    use crate::model::MemberId;

    const ASKED: u64 = 500;

    fn page(ids: std::ops::Range<u64>, info: Value) -> ListPage<GroupMember> {
        let rows: Vec<_> = ids.map(|id| json!({ "id": format!("{id:032}") })).collect();
        serde_json::from_value(json!({ "result": rows, "result_info": info })).unwrap()
    }

    fn begin(rows: u64, info: Value) -> Result<Pages<MemberId, GroupMember>, String> {
        let mut pages = Pages::new(|member: &GroupMember| member.id);
        pages.add(1, ASKED, page(0..rows, info)).map(|()| pages)
    }

    /// The check of a list with one page.
    fn single(rows: u64, info: Value) -> Result<(), String> {
        begin(rows, info).and_then(|pages| pages.finish())
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
        let second = |ids, info| begun().add(2, 3, page(ids, info)).unwrap_err();
        assert_eq!(second(3..4, json!({})), "its page 2 has 1 rows, but 2 are expected");
        assert_eq!(second(3..5, json!({ "total_count": 6 })), "its total_count changed from 5 to 6 while it was read");
        assert_eq!(second(3..5, json!({ "total_pages": 3 })), "its total_pages changed from 2 to 3 while it was read");
        assert_eq!(second(3..5, json!({ "per_page": 2 })), "its per_page changed from 3 to 2 while it was read");
        assert_eq!(second(3..5, json!({ "page": 1 })), "it answers with page 1, but page 2 was requested");
        assert_eq!(second(2..4, json!({})), "it has 00000000000000000000000000000002 twice");
        assert_eq!(begun().finish().unwrap_err(), "it has 3 rows but reports 5");
    }

    #[test]
    fn pages_that_fit_are_the_whole_list() {
        for info in [json!({ "total_count": 5 }), json!({ "per_page": 3, "total_pages": 2 }), json!({})] {
            let mut pages = begin(3, info.clone()).unwrap();
            pages.add(2, 3, page(3..5, json!({ "page": 2, "count": 2 }))).unwrap();
            pages.finish().unwrap_or_else(|why| panic!("{info}: {why}"));
            assert_eq!(pages.rows.len(), 5);
        }
    }
}
