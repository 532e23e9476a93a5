//! A search for account members by address finds what reading everything finds, or reads everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convoke::model::{Email, MemberId};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::server::{Reply, Request, Server, email, id, paged};

/// The address and the user's address of a member, by number.
type Row = (usize, Option<String>, Option<String>);

/// The order in which a server lists addresses.
#[derive(Clone, Copy, Debug)]
enum Listed {
    ByAddress,
    ByLocalPart,
    ByBytes,
    ByLocalBytes,
    Unsorted,
    /// Each page is sorted, but the pages are not.
    ShuffledPages,
}

/// A server's list, and how it changes after some requests.
#[derive(Clone, Debug)]
struct Account {
    rows: Vec<Row>,
    listed: Listed,
    page_size: usize,
    /// After this number of requests, the member at the first place is gone and one appears at the second.
    change: Option<(usize, usize, Option<usize>)>,
}

impl Account {
    /// The list before the change, and after it.
    fn versions(&self) -> [Vec<Row>; 2] {
        let before = self.sorted(self.rows.clone());
        let Some((_, gone, appears)) = self.change.filter(|_| !before.is_empty()) else {
            return [before.clone(), before];
        };
        let mut after = before.clone();
        after.remove(gone % before.len());
        if let Some(place) = appears {
            let like = before[place % before.len()].1.clone().unwrap_or_else(|| "a@x".to_owned());
            after.push((90_000, Some(format!("{like}.new")), None));
        }
        [before, self.sorted(after)]
    }

    fn sorted(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let address = |row: &Row| row.2.clone().or_else(|| row.1.clone()).unwrap_or_default();
        let local = |text: String| text.split('@').next().unwrap_or_default().to_owned();
        match self.listed {
            Listed::ByAddress | Listed::ShuffledPages => rows.sort_by_key(|row| address(row).to_ascii_lowercase()),
            Listed::ByLocalPart => rows.sort_by_key(|row| local(address(row).to_ascii_lowercase())),
            Listed::ByBytes => rows.sort_by_key(address),
            Listed::ByLocalBytes => rows.sort_by_key(|row| local(address(row))),
            Listed::Unsorted => {}
        }
        if matches!(self.listed, Listed::ShuffledPages) {
            let mut pages: Vec<&[Row]> = rows.chunks(self.page_size).collect();
            let whole = rows.len() / self.page_size;
            pages[..whole].sort_by_key(|page| page[0].0 * 7919 % 1013);
            rows = pages.concat();
        }
        rows
    }

    async fn serve(&self) -> Server {
        let ([before, after], page_size, change) = (self.versions(), self.page_size, self.change);
        Server::start(move |seen, request| {
            let changed = change.is_some_and(|(after, ..)| seen >= after);
            answer(request, if changed { &after } else { &before }, page_size)
        })
        .await
    }
}

fn answer(request: &Request, rows: &[Row], page_size: usize) -> Reply {
    let size = request.number("per_page").unwrap().min(page_size);
    let page = rows.chunks(size).nth(request.page() - 1).unwrap_or_default();
    let shown = |(number, address, user): &Row| json!({ "id": id(*number), "email": address, "status": "accepted", "user": { "email": user } });
    let result: Vec<_> = page.iter().map(shown).collect();
    let info = json!({ "page": request.page(), "per_page": size, "count": page.len(), "total_count": rows.len() });
    Reply::json(&json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info }))
}

/// Everybody with one of these addresses.
fn meant(rows: &[Row], wanted: &BTreeSet<Email>) -> BTreeSet<MemberId> {
    let has = |text: &Option<String>| {
        text.as_ref().and_then(|text| text.parse().ok()).is_some_and(|email: Email| wanted.contains(&email))
    };
    rows.iter().filter(|(_, address, user)| has(address) || has(user)).map(|(number, ..)| id(*number)).collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let local = prop_oneof![4 => "[a-c][a-c]{0,3}(\\.[a-c]{1,2})?", 1 => "[a-c-]{1,2}[0-9]{1,3}"];
    let address = (local, prop_oneof![6 => "x\\.org", 1 => "y\\.org", 1 => "[a-c]\\.org"]);
    let odd = prop_oneof![400 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    (vec((address, odd), 0..300), any::<bool>(), any::<bool>()).prop_map(|(rows, capitals, odd_ones)| {
        let row = |(number, ((local, domain), odd)): (usize, ((String, String), u8))| {
            let mut address = format!("{local}@{domain}");
            if capitals {
                address = address.replacen(['a', 'b'], if number % 3 == 0 { "A" } else { "b" }, 1);
            }
            match if odd_ones { odd } else { 0 } {
                0 => (number, Some(address.clone()), Some(address)),
                1 => (number, None, None),
                _ => (number, Some(address), Some(format!("other{number}@x.org"))),
            }
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

fn account() -> impl Strategy<Value = Account> {
    let listed = prop_oneof![
        Just(Listed::ByAddress),
        Just(Listed::ByLocalPart),
        Just(Listed::ByBytes),
        Just(Listed::ByLocalBytes),
        Just(Listed::Unsorted),
        Just(Listed::ShuffledPages),
    ];
    let change = proptest::option::weighted(0.4, (1..10_usize, any::<usize>(), proptest::option::of(any::<usize>())));
    (rows(), listed, 2..13_usize, change).prop_map(|(rows, listed, page_size, change)| Account {
        rows,
        listed,
        page_size,
        change,
    })
}

fn found(result: &BTreeMap<MemberId, convoke::model::Person>, wanted: &BTreeSet<Email>) -> BTreeSet<MemberId> {
    let meant = result.iter().filter(|(_, person)| person.emails.iter().any(|email| wanted.contains(email)));
    meant.map(|(id, _)| *id).collect()
}

async fn check(account: Account, places: Vec<usize>, sampled: Vec<usize>, absent: bool) -> Result<(), TestCaseError> {
    let server = account.serve().await;
    let [before, after] = account.versions();
    let listed = |place: &usize| before.get(place % before.len().max(1)).and_then(|row| row.1.as_ref()?.parse().ok());
    let mut wanted: BTreeSet<Email> = places.iter().filter_map(listed).collect();
    wanted.extend(absent.then(|| "bb.nobody@x.org".parse().unwrap()));
    let sample = sampled.iter().filter_map(listed).collect();
    let mut search = server.patient_client(Duration::from_secs(30)).member_search(sample);
    let (people, everybody) =
        search.find(&wanted, false).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let pages = before.len().div_ceil(account.page_size);
    if everybody {
        // A complete reading of a list that changes meanwhile has rules of its own.
        prop_assert!(account.change.is_some() || found(&people, &wanted) == meant(&before, &wanted));
        return Ok(());
    }
    // Who is there before and after the change is found, and nobody else.
    let (before, after) = (meant(&before, &wanted), meant(&after, &wanted));
    let (found, always) = (found(&people, &wanted), before.intersection(&after).copied().collect());
    prop_assert!(found.is_subset(&before.union(&after).copied().collect()));
    if !matches!(account.listed, Listed::Unsorted | Listed::ShuffledPages) {
        prop_assert!(found.is_superset(&always), "found {:?} of {:?}", found, always);
    }
    let again = server.seen().len() - server.seen().iter().map(Request::page).collect::<BTreeSet<_>>().len();
    prop_assert!(server.seen().len() - again <= pages / 2, "{} requests for {pages} pages", server.seen().len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn search_finds_what_a_complete_reading_finds(
        account in account(),
        places in vec(any::<usize>(), 1..3),
        sampled in vec(any::<usize>(), 0..30),
        absent in prop::bool::weighted(0.1),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(account, places, sampled, absent))?;
    }
}

/// The number of requests that find the member with this number among this many, with 50 on a page. Others are known.
async fn cost(total: usize, number: usize, known: &[usize]) -> usize {
    let server = Server::start(move |_, request| paged(request, total, 50)).await;
    let wanted = BTreeSet::from([email(number).parse().unwrap()]);
    let sample = known.iter().map(|number| email(*number).parse().unwrap()).collect();
    let (people, everybody) = server.client().member_search(sample).find(&wanted, false).await.unwrap();
    assert!(!everybody && people.keys().eq([&id(number)]), "{number}: {people:?}");
    server.seen().len()
}

#[tokio::test]
async fn search_costs_the_logarithm_of_the_pages() {
    // Known addresses may mislead, but never cost a request more.
    let evenly: Vec<usize> = (0..2_000).step_by(7).collect();
    let samples = [vec![], evenly, (0..100).collect(), (1_900..2_000).collect()];
    for known in &samples {
        for number in [0, 1, 48, 777, 1234, 1967, 1998, 1999] {
            assert!(cost(2_000, number, known).await <= 2 + 6, "{number}");
            assert!(cost(100_000, number * 50 + number % 50, known).await <= 2 + 11, "{number}");
        }
        // At the border of two pages, one of them is read again.
        for number in [49, 50, 999, 1000, 1949, 1950] {
            assert!(cost(2_000, number, known).await <= 2 + 6 + 1, "{number}");
        }
    }
}

#[tokio::test]
async fn known_addresses_lead_to_the_page() {
    let known: Vec<usize> = (0..2_000).step_by(7).collect();
    let mut costs = Vec::new();
    for number in (25..2_000).step_by(50) {
        costs.push(cost(2_000, number, &known).await);
    }
    costs.sort_unstable();
    // The first page, the last one, and the right one.
    assert!(costs[costs.len() / 2] <= 3, "{costs:?}");
}

#[tokio::test]
async fn unsorted_list_is_read_completely() {
    let server = Server::start(|_, request| {
        let Reply::Answer { status, headers, body } = paged(request, 2000, 50) else { panic!() };
        let body = String::from_utf8(body).unwrap().replace(&email(49), "aaron@example.com");
        Reply::Answer { status, headers, body: body.into_bytes() }
    });
    let server = server.await;
    // Also somebody on a page that is read anyway: others with the address could be anywhere.
    for (searches, number) in [(1, 1234), (2, 3)] {
        let wanted = BTreeSet::from([email(number).parse().unwrap()]);
        let (people, everybody) = server.client().member_search(BTreeSet::new()).find(&wanted, false).await.unwrap();
        assert!(everybody, "{number}");
        assert_eq!((people.len(), server.seen().len()), (2000, 40 * searches));
    }
}

#[tokio::test]
async fn member_who_moves_over_the_border_of_two_pages_is_not_hidden() {
    // Two members share an address, and are the first two of page 21. When that page is requested, page 20 was read.
    // Meanwhile somebody left on page 3 and somebody joined at the end of page 21, so one of the two is now on page 20.
    let has_moved = AtomicBool::new(false);
    let server = Server::start(move |_, request| {
        let mut people: Vec<usize> = (0..2000).collect();
        if has_moved.fetch_or(request.page() == 21, Ordering::Relaxed) || request.page() == 21 {
            people.remove(120);
            people.insert(1049, 5000);
        }
        let numbers = people.iter().skip((request.page() - 1) * 50).take(50);
        let row = |number: &usize| {
            let email = match number {
                1001 => email(1000),
                5000 => "person01049a@example.com".to_owned(),
                number => email(*number),
            };
            json!({ "id": id(*number), "email": email, "status": "accepted", "user": { "email": email } })
        };
        let rows: Vec<_> = numbers.map(row).collect();
        let info = json!({ "page": request.page(), "per_page": 50, "count": 50, "total_count": 2000 });
        Reply::json(&json!({ "success": true, "errors": [], "messages": [], "result": rows, "result_info": info }))
    })
    .await;
    let wanted = BTreeSet::from([email(1000).parse().unwrap()]);
    // The sample lets the search begin at page 20.
    let sample = (100..1000).step_by(100).chain((1100..2000).step_by(100)).chain([1950]);
    let sample = sample.map(|number| email(number).parse().unwrap()).collect();
    let (people, _) = server.client().member_search(sample).find(&wanted, false).await.unwrap();
    let pages: Vec<usize> = server.seen().iter().map(Request::page).collect();
    let first = |page: usize| pages.iter().position(|number| *number == page);
    assert!(first(20) < first(21), "{pages:?}");
    assert_eq!(found(&people, &wanted), BTreeSet::from([id(1000), id(1001)]));
}

#[tokio::test]
async fn pages_of_earlier_searches_are_kept() {
    let server = Server::start(|_, request| paged(request, 2000, 50)).await;
    let mut search = server.client().member_search(BTreeSet::new());
    for number in [1234, 1235, 3, 1996] {
        let wanted = BTreeSet::from([email(number).parse().unwrap()]);
        search.find(&wanted, false).await.unwrap();
    }
    let mut pages: Vec<usize> = server.seen().iter().map(Request::page).collect();
    pages.sort_unstable();
    pages.dedup();
    assert_eq!(pages.len(), server.seen().len());
    assert!(pages.len() <= 8, "{pages:?}");
}
