//! Finds account members by address without reading all pages of the account's members.
//!
//! The list is requested in order of address. Nothing relies on that alone: a search keeps only those orders that fit
//! every row it has read, and an address counts as found when the rows around it show that nobody else can have it.
//! Whatever does not fit, changes meanwhile or is not found makes the search read everything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::answer::ListPage;
use super::client::Client;
use super::error::{ApiError, ApiErrorKind};
use super::listing::Pages;
use super::wire::AccountMember;
use crate::model::{Email, MemberId, Person};

/// The part of an address that a list is sorted by.
type Order = fn(&Email) -> &str;

/// By the whole address, or by the part before the `@` alone.
const ORDERS: [Order; 2] = [Email::folded, |email| local_part(email.folded())];
/// The same parts with capital letters before small letters.
const BYTE_ORDERS: [Order; 2] = [Email::as_str, |email| local_part(email.as_str())];

fn local_part(address: &str) -> &str {
    address.split_once('@').map_or(address, |(local, _)| local)
}

/// So many sampled addresses show better where an address stands than the letters do.
const ENOUGH: usize = 5;

/// A search among the account's members. It keeps the pages that it has read.
#[derive(Debug)]
pub struct MemberSearch {
    pub client: Client,
    /// Addresses that are probably among those of the members. They show where in the list an address stands; they
    /// decide nothing else.
    sample: BTreeSet<Email>,
    pages: Option<Pages<MemberId, AccountMember>>,
    read: BTreeMap<u64, PageRows>,
    round: u32,
    /// Whether nothing can be concluded from some of the pages: they contradict each other, or do not show an order.
    unusable: bool,
}

#[derive(Debug)]
struct PageRows {
    rows: Vec<(Email, MemberId)>,
    /// The rounds in which the page was read first and last.
    first: u32,
    last: u32,
}

impl PageRows {
    fn was_same_around(&self, round: u32) -> bool {
        self.first < round && round < self.last
    }
}

enum Step {
    Read(BTreeSet<u64>),
    Found,
    Everything,
}

impl MemberSearch {
    pub(super) const fn new(client: Client, sample: BTreeSet<Email>) -> Self {
        Self { client, sample, pages: None, read: BTreeMap::new(), round: 0, unusable: false }
    }

    /// All members with these addresses, and whether these are all members of the account. They are if `everybody` is
    /// asked for, if an address is not found, and if a search would not save half of the pages.
    ///
    /// # Errors
    ///
    /// As [`Client::account_members`].
    pub async fn find(
        &mut self,
        wanted: &BTreeSet<Email>,
        everybody: bool,
    ) -> Result<(BTreeMap<MemberId, Person>, bool), ApiError> {
        loop {
            match if everybody { Step::Everything } else { self.step(wanted) } {
                Step::Everything => return Ok((self.everything().await?, true)),
                Step::Read(numbers) => self.read(numbers).await?,
                Step::Found => {
                    let found = self.rows_read().filter(|(email, _)| wanted.contains(email)).map(|(_, id)| *id);
                    let row = |id| Some((id, self.pages.as_ref()?.rows.get(&id)?.clone().into_person()));
                    return Ok((found.filter_map(row).collect(), false));
                }
            }
        }
    }

    /// Sends the next requests that a search for these addresses needs, to overlap them with other requests. Errors are
    /// left to [`Self::find`].
    pub async fn advance(&mut self, wanted: &BTreeSet<Email>) {
        if let Step::Read(numbers) = self.step(wanted) {
            // The search has kept nothing of a page that failed, so it will ask again.
            let _ = self.read(numbers).await;
        }
    }

    async fn everything(&mut self) -> Result<BTreeMap<MemberId, Person>, ApiError> {
        let listing = self.client.account_listing();
        let rows = match self.pages.take() {
            None => listing.read().await?.0,
            Some(mut pages) => match listing.read_rest(&mut pages).await {
                Ok(()) => pages.rows,
                Err(error) if error.kind != ApiErrorKind::Incomplete => return Err(error),
                Err(_) => listing.read().await?.0,
            },
        };
        Ok(rows.into_iter().map(|(id, member)| (id, member.into_person())).collect())
    }

    async fn read(&mut self, numbers: BTreeSet<u64>) -> Result<(), ApiError> {
        self.round += 1;
        if let Err(error) = self.read_pages(numbers).await {
            self.pages = None;
            self.unusable = error.kind == ApiErrorKind::Incomplete;
            if !self.unusable {
                self.read.clear();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn read_pages(&mut self, numbers: BTreeSet<u64>) -> Result<(), ApiError> {
        let client = self.client.clone();
        let listing = client.account_listing();
        client.history().pages_expected += numbers.len() as u64;
        let per_page = self.pages.as_ref().map_or(listing.per_page, |pages| listing.size_of(pages));
        let reading = numbers.into_iter().map(async |number| (number, listing.page(number, per_page).await));
        for (number, page) in join_all(reading).await {
            let page = page?.result;
            let contradiction = |why| listing.contradiction(why);
            let rows = self.rows(&page).map_err(contradiction)?;
            match (self.read.get_mut(&number), &mut self.pages) {
                (Some(known), _) if known.rows == rows => known.last = self.round,
                (Some(_), _) => return Err(contradiction("its pages changed while they were read".to_owned())),
                (None, pages) => {
                    pages
                        .get_or_insert_with(|| Pages::new(|member| member.id))
                        .add(number, per_page, page)
                        .map_err(contradiction)?;
                }
            }
            let (first, last) = (self.round, self.round);
            self.read.entry(number).or_insert(PageRows { rows, first, last });
        }
        Ok(())
    }

    /// The rows of a page by address. Without a count, or with a row of which the place in the order is not certain, the
    /// list cannot be searched.
    fn rows(&mut self, page: &ListPage<AccountMember>) -> Result<Vec<(Email, MemberId)>, String> {
        let counted = page.info()?.total_count.is_some();
        let rows: Vec<_> = page.rows().iter().filter_map(|row| Some((row.address()?.clone(), row.id))).collect();
        self.unusable |= !counted || rows.len() < page.rows().len();
        Ok(rows)
    }

    fn step(&self, wanted: &BTreeSet<Email>) -> Step {
        if wanted.is_empty() {
            return Step::Found;
        }
        let Some(pages) = self.pages.as_ref().filter(|_| !self.unusable) else {
            return if self.unusable { Step::Everything } else { Step::Read(BTreeSet::from([1])) };
        };
        let count = pages.layout.map_or(0, |layout| layout.pages);
        // The first page, the last one, and a bisection of the others for each address.
        let bound = (wanted.len() as u64).saturating_mul(bisections(count.saturating_sub(2))).saturating_add(2);
        if bound.saturating_mul(2) > count {
            return Step::Everything;
        }
        let capitals = self.rows_read().any(|(email, _)| email.as_str() != email.folded());
        let orders: Vec<Order> = ORDERS.into_iter().filter(|order| self.fits(*order)).collect();
        // Where capital letters come first, equal addresses can be far apart.
        if orders.is_empty() || (capitals && BYTE_ORDERS.iter().any(|order| self.fits(*order))) {
            return Step::Everything;
        }
        match self.probes(wanted, &orders, count, bound) {
            Step::Read(numbers) if 2 * (self.read.len() + numbers.len()) as u64 > count => Step::Everything,
            step => step,
        }
    }

    fn rows_read(&self) -> impl Iterator<Item = &(Email, MemberId)> {
        self.read.values().flat_map(|page| &page.rows)
    }

    fn fits(&self, order: Order) -> bool {
        self.rows_read().map(|(email, _)| order(email)).is_sorted()
    }

    /// The next pages to read for these addresses in any of these orders, if `bound` pages are to be enough.
    fn probes(&self, wanted: &BTreeSet<Email>, orders: &[Order], count: u64, bound: u64) -> Step {
        let (mut gaps, mut borders) = (BTreeMap::new(), BTreeSet::new());
        let mut probes: BTreeSet<u64> = [count].into_iter().filter(|last| !self.read.contains_key(last)).collect();
        let after_all = count + u64::from(probes.is_empty());
        for email in wanted {
            let mut is_open = false;
            for order in orders {
                let key = order(email);
                // Around the first row with the key, and around the first row after it.
                let around = [|row: &str, key: &str| row < key, |row: &str, key: &str| row <= key]
                    .map(|is_before| self.around(*order, after_all, |row| is_before(row, key)));
                for (lower, upper) in around.into_iter().filter(|(lower, upper)| *upper > lower + 1) {
                    gaps.entry((lower, upper, email)).or_insert(*order);
                    is_open = true;
                }
                let [(first, _), (_, last)] = around;
                if !is_open {
                    let pages = first.max(1)..last;
                    let unread = || pages.clone().filter(|number| !self.read.contains_key(number));
                    is_open = unread().next().is_some();
                    probes.extend(unread());
                    borders.extend(pages.filter_map(|number| self.unconfirmed(number, number + 1)));
                }
            }
            if !is_open && self.rows_read().all(|(row, _)| row != email) {
                return Step::Everything;
            }
        }
        let needed: u64 = gaps.keys().map(|(lower, upper, _)| bisections(upper - lower - 1)).sum();
        let mut spare = bound.saturating_sub((self.read.len() + probes.len()) as u64 + needed);
        let scale = Scale::of(self.rows_read().map(|(email, _)| email).chain(wanted).map(Email::folded));
        for ((lower, upper, email), order) in gaps {
            probes.extend(self.probes_between(lower, upper, order, order(email), &scale, std::mem::take(&mut spare)));
        }
        // Between two readings a row can move over the border of two pages. One page must be the same before and after
        // the other was read.
        match (probes.is_empty(), borders.is_empty()) {
            (false, _) => Step::Read(probes),
            (true, false) => Step::Read(borders),
            (true, true) => Step::Found,
        }
    }

    /// The last page that was read and begins before a place in the order, and the first one that ends behind it. They
    /// are the same page if it has rows of both sides.
    fn around(&self, order: Order, after_all: u64, is_before: impl Fn(&str) -> bool) -> (u64, u64) {
        let begins = |(number, page): (&u64, &PageRows)| {
            page.rows.first().is_some_and(|(row, _)| is_before(order(row))).then_some(*number)
        };
        let ends = |(number, page): (&u64, &PageRows)| {
            page.rows.last().is_some_and(|(row, _)| !is_before(order(row))).then_some(*number)
        };
        let lower = self.read.iter().rev().find_map(begins).unwrap_or_default();
        (lower, self.read.iter().find_map(ends).unwrap_or(after_all))
    }

    /// Of two neighboring pages the one to read again, unless that was done.
    fn unconfirmed(&self, lower: u64, upper: u64) -> Option<u64> {
        let (before, after) = (self.read.get(&lower)?, self.read.get(&upper)?);
        let confirmed = before.was_same_around(after.last) || after.was_same_around(before.last);
        (!confirmed).then_some(if before.last <= after.last { lower } else { upper })
    }

    /// The pages to read between two others for one key in an order.
    fn probes_between(
        &self,
        lower: u64,
        upper: u64,
        order: Order,
        key: &str,
        scale: &Scale,
        spare: u64,
    ) -> BTreeSet<u64> {
        let below = self.read.get(&lower).and_then(|page| page.rows.last()).map(|(email, _)| order(email));
        let above = self.read.get(&upper).and_then(|page| page.rows.first()).map(|(email, _)| order(email));
        if below == Some(key) {
            return BTreeSet::from([lower + 1]);
        }
        if above == Some(key) {
            return BTreeSet::from([upper - 1]);
        }
        let is_between = |key: &&str| below.is_none_or(|below| below < *key) && above.is_none_or(|above| *key < above);
        let sample = || self.sample.iter().map(order).filter(is_between);
        let (sampled, before) = (sample().count(), sample().filter(|sampled| *sampled < key).count());
        let share = match (below, above) {
            _ if sampled >= ENOUGH => Some((before as f64 + 0.5) / (sampled as f64 + 1.0)),
            (Some(below), Some(above)) => Some(scale.share(below, above, key)),
            _ => None,
        };
        // The sample has those of the last page too, as long as that page is not read.
        let between = upper - lower - u64::from(above.is_some());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number of pages")]
        let guess = share.map(|share| lower + 1 + (share * between as f64) as u64);
        spread(lower, upper, guess, spare)
    }
}

/// The most pages that a bisection reads to find one of so many.
const fn bisections(pages: u64) -> u64 {
    (u64::BITS - pages.leading_zeros()) as u64
}

/// The pages to read at once between two others, to find an address that should be on the page `guess`.
///
/// A bisection reads one page after another, [`bisections`] at most. This reads `spare` pages more and those nearest to
/// that page, but only so that the worst case stays within as many pages: what is left must be enough to bisect the
/// widest gap. If nothing suggests a place, as many pages as that allows are read, at equal distances.
fn spread(lower: u64, upper: u64, guess: Option<u64>, spare: u64) -> BTreeSet<u64> {
    let between = upper - lower - 1;
    let spare = spare.min(between - 1);
    let budget = bisections(between) + spare;
    let reach = |probes: u64| (1 << (budget - probes)) - 1;
    let Some(guess) = guess else {
        let fits = |probes: &u64| between - probes <= (probes + 1) * reach(*probes);
        let probes = (1..=budget.min(between)).rev().find(fits).unwrap_or(1);
        return (1..=probes).map(|probe| lower + probe * (between + 1) / (probes + 1)).collect();
    };
    let (probes, reach) = (1 + spare, reach(1 + spare));
    let mut nearest: Vec<u64> = (lower + 1..upper).collect();
    nearest.sort_by_key(|number| number.abs_diff(guess));
    let mut chosen = BTreeSet::from([lower, upper]);
    for number in nearest {
        if chosen.len() as u64 == probes + 2 {
            break;
        }
        chosen.insert(number);
        // Each further probe can divide one gap that is too wide.
        let gaps = chosen.iter().zip(chosen.iter().skip(1)).map(|(before, after)| after - before - 1);
        if chosen.len() as u64 - 2 + gaps.map(|gap| gap / (reach + 1)).sum::<u64>() > probes {
            chosen.remove(&number);
        }
    }
    chosen.into_iter().filter(|number| lower < *number && *number < upper).collect()
}

/// The least and the greatest byte at each place of the known addresses. It turns addresses into numbers.
struct Scale(Vec<(u8, u8)>);

impl Scale {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for text in texts {
            for (place, byte) in text.bytes().enumerate() {
                match ranges.get_mut(place) {
                    Some(range) => *range = (range.0.min(byte), range.1.max(byte)),
                    None => ranges.push((byte, byte)),
                }
            }
        }
        Self(ranges)
    }

    /// Where a text lies between two others, from 0 to 1.
    fn share(&self, below: &str, above: &str, text: &str) -> f64 {
        let (below, above, number) = (self.number(below), self.number(above), self.number(text));
        if above > below { ((number - below) / (above - below)).clamp(0.0, 1.0) } else { 0.5 }
    }

    fn number(&self, text: &str) -> f64 {
        let (mut number, mut weight) = (0.0, 1.0);
        for ((least, greatest), byte) in self.0.iter().zip(text.bytes()) {
            weight /= f64::from(greatest - least) + 1.0;
            number += f64::from(byte.saturating_sub(*least)) * weight;
        }
        number
    }
}
