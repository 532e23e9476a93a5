//! A scenario: an account, its faults, and a history of steps. All of it is derived from one number.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};

use convoke::sandbox::{Chance, Delay, Invitation, Seed, SeedGroup, SeedPerson, Share};
use fastrand::Rng;
use jiff::Timestamp;

use super::files::DOMAIN;
use super::steps::Step;
use crate::builders::{SeedExt as _, SeedGroupExt as _};

/// The duration of a slow request, and of a very slow one: two of these outdate a reading.
pub const LATENCY: Delay = Delay::millis(2);
pub const LONG_LATENCY: Delay = Delay::millis(6000);

/// The domain of a few people. `email_domains` does not allow it.
const AGENCY: &str = "agency.example";

/// The instant at which every history begins.
pub fn start() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub concurrency: NonZeroUsize,
    pub cast: Cast,
    pub luck: Luck,
    pub steps: Vec<Step>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, concurrency, cast, luck, steps } = self;
        let Cast { people, groups, page_size_cap, token_settles } = cast;
        writeln!(f, "seed {seed}, concurrency {concurrency}, {page_size_cap:?}, {token_settles}, {luck:?}")?;
        people.iter().enumerate().try_for_each(|(index, person)| writeln!(f, "  {index}: {person:?}"))?;
        groups.iter().try_for_each(|group| writeln!(f, "  {group:?}"))?;
        steps.iter().try_for_each(|step| writeln!(f, "- {step:?}"))
    }
}

/// The people and groups of the account at the start.
#[derive(Clone, Debug)]
pub struct Cast {
    pub people: Vec<Somebody>,
    pub groups: Vec<Gathering>,
    pub page_size_cap: Option<NonZeroU32>,
    pub token_settles: u32,
}

#[derive(Clone, Debug)]
pub struct Somebody {
    pub id: String,
    pub email: String,
    pub user_email: Option<String>,
    pub group_email: Option<Option<String>>,
    pub status: Invitation,
    pub joinable: bool,
}

#[derive(Clone, Debug)]
pub struct Gathering {
    pub name: String,
    /// Indices of people.
    pub members: Vec<usize>,
    pub scim: bool,
    pub settling: u32,
}

/// The probability of each kind of fault, in hundredths of a percent.
#[derive(Clone, Copy, Debug)]
pub struct Luck {
    pub fault: u32,
    /// Whether slow requests are very slow.
    pub slow: bool,
    /// The seconds in `Retry-After`.
    pub retry_after: u64,
    pub edit: u32,
    pub regroup: u32,
    pub revoke_token: u32,
    pub lag: u32,
    pub contradict: u32,
    pub claim: u32,
    pub unsuccessful_after: u32,
    pub late: u32,
    pub swap_names: u32,
}

/// The address of the same name at another domain.
pub fn at_domain(email: &str, domain: &str) -> String {
    let (local, _) = email.split_once('@').unwrap();
    format!("{local}@{domain}")
}

pub fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

impl Scenario {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cast = Cast::random(&mut rng);
        let luck = Luck::random(&mut rng);
        let concurrency = NonZeroUsize::new(pick(&mut rng, &[1, 1, 4])).unwrap();
        let steps = Step::history(&mut rng, &cast, start());
        Self { seed, concurrency, cast, luck, steps }
    }

    /// The seed of the sandbox.
    pub fn sandbox_seed(&self) -> Seed {
        let Cast { people, groups, page_size_cap, token_settles } = &self.cast;
        let mut seed = Seed {
            page_size_cap: *page_size_cap,
            token_settles: *token_settles,
            chance: Some(self.luck.chance(self.seed)),
            ..Seed::default().people(people.iter().map(Somebody::seed))
        };
        for Gathering { name, members, scim, settling } in groups {
            let members: Vec<&str> = members.iter().map(|index| people[*index].email.as_str()).collect();
            seed = seed.group(name, SeedGroup { scim: *scim, settling: *settling, ..SeedGroup::of(members) });
        }
        seed
    }
}

impl Luck {
    fn random(rng: &mut Rng) -> Self {
        let often = |rng: &mut Rng, basis_points: u32| if rng.u8(0..4) == 0 { basis_points } else { 0 };
        // Few requests are writes, so faults of writes need a high probability. The sum is below 100%.
        let (claim, late, unsuccessful_after) = pick(rng, &[(0, 0, 0), (500, 500, 500), (1200, 700, 600)]);
        Self {
            fault: pick(rng, &[0, 60, 150, 220]),
            slow: rng.u8(0..6) == 0,
            retry_after: pick(rng, &[0, 0, 1, 2]),
            edit: pick(rng, &[0, 0, 200, 800, 2000]),
            regroup: often(rng, 100),
            revoke_token: often(rng, 70),
            lag: pick(rng, &[0, 0, 300, 1200]),
            contradict: pick(rng, &[0, 0, 200, 800]),
            claim,
            unsuccessful_after,
            late,
            swap_names: often(rng, 100),
        }
    }

    pub const fn latency(self) -> Delay {
        if self.slow { LONG_LATENCY } else { LATENCY }
    }

    fn chance(self, seed: u64) -> Chance {
        let share =
            |basis_points: u32| format!("{}.{:02}%", basis_points / 100, basis_points % 100).try_into().unwrap();
        let fault: Share = share(self.fault);
        Chance {
            seed,
            latency: fault,
            latency_time: Some(self.latency()),
            rate_limited: fault,
            retry_after: Some(self.retry_after),
            rate_limited_bare: share(self.fault / 4),
            server_error: fault,
            html: fault,
            late_html: fault,
            cut_before: fault,
            cut_after: fault,
            cut_body: fault,
            clamp: fault,
            omit_result_info: fault,
            omit_result: fault,
            unsuccessful: share(self.fault / 3),
            edit: share(self.edit),
            regroup: share(self.regroup),
            revoke_token: share(self.revoke_token),
            lag: share(self.lag),
            lag_time: Some(Delay::millis(2000)),
            contradict: share(self.contradict),
            numbers_as_text: share(self.contradict / 4),
            claim: share(self.claim),
            unsuccessful_after: share(self.unsuccessful_after),
            late: share(self.late),
            late_time: Some(Delay::millis(2000)),
            swap_names: share(self.swap_names),
            per_request: Some(u32::MAX),
            ..Chance::default()
        }
    }
}

impl Cast {
    /// The members of a group at the start.
    pub fn members(&self, group: &str) -> &[usize] {
        self.groups.iter().find(|known| known.name == group).map_or(&[], |known| &known.members)
    }

    fn random(rng: &mut Rng) -> Self {
        let mut people: Vec<Somebody> = (0..rng.usize(4..24)).map(|number| Somebody::random(rng, number)).collect();
        // Two members share an address, so it is ambiguous.
        if rng.u8(0..5) == 0 {
            let (one, other) = (rng.usize(..people.len()), rng.usize(..people.len()));
            people[one].user_email = (one != other).then(|| people[other].email.clone());
        }
        let groups = (0..rng.usize(1..6)).map(|number| {
            let percent = pick(rng, &[0, 20, 40, 80]);
            let in_it = |index: &usize| people[*index].status != Invitation::Rejected && rng.u8(0..100) < percent;
            let members = (0..people.len()).filter(in_it).collect();
            let name = format!("Group {}", char::from(b'A' + number as u8));
            Gathering { name, members, scim: rng.u8(0..20) == 0, settling: u32::from(rng.u8(0..20) == 0) }
        });
        let groups = groups.collect();
        let page_size_cap = pick(rng, &[None, None, NonZeroU32::new(1), NonZeroU32::new(3), NonZeroU32::new(7)]);
        Self { people, groups, page_size_cap, token_settles: u32::from(rng.u8(0..12) == 0) }
    }
}

impl Somebody {
    fn random(rng: &mut Rng, number: usize) -> Self {
        let domain = if rng.u8(0..8) == 0 { AGENCY } else { DOMAIN };
        let email = format!("person{number}@{domain}");
        let seldom = |rng: &mut Rng| rng.u8(0..24) == 0;
        Self {
            id: format!("{:032x}", (number as u128 + 1) * 0x0123_4567_89ab_cdef_0011),
            user_email: seldom(rng).then(|| format!("user{number}@example.org")),
            group_email: match rng.u8(0..16) {
                0 => Some(None),
                1 => Some(Some(format!("old{number}@example.net"))),
                _ => None,
            },
            status: match rng.u8(0..16) {
                0 => Invitation::Rejected,
                1 | 2 => Invitation::Pending,
                _ => Invitation::Accepted,
            },
            joinable: rng.u8(0..12) > 0,
            email,
        }
    }

    fn seed(&self) -> SeedPerson {
        let Self { id, email, user_email, group_email, status, joinable } = self.clone();
        let id = Some(id.parse().unwrap());
        SeedPerson { id, status, joinable, user_email, group_email, ..SeedPerson::from(email) }
    }

    /// The address with two letters swapped: it has no owner, and most likely means this person.
    pub fn mistyped(&self) -> String {
        self.email.replacen("er", "re", 1)
    }

    /// The person as a file can name them.
    pub fn named(&self, rng: &mut Rng) -> String {
        match rng.u8(0..12) {
            0 => self.id.clone(),
            1..6 if self.email.ends_with(AGENCY) => self.id.clone(),
            1 => self.email.to_uppercase(),
            2 => self.user_email.clone().unwrap_or_else(|| self.email.clone()),
            _ => self.email.clone(),
        }
    }
}
