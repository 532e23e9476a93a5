//! The probability of each fault. The same seed gives the same requests the same faults, in any order.

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::Cut;
use super::values::{Delay, Share};

/// The probability of each fault for a request. A request gets at most one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Another seed gives another schedule.
    pub seed: u64,
    /// The request waits.
    pub latency: Share,
    /// The duration of the wait.
    pub latency_time: Delay,
    /// 429 with `Retry-After`.
    pub rate_limited: Share,
    /// The seconds in `Retry-After`.
    pub retry_after: u64,
    /// 429 without `Retry-After`.
    pub rate_limited_bare: Share,
    /// A 5xx in JSON.
    pub server_error: Share,
    /// A 5xx in HTML, as from the edge.
    pub html: Share,
    /// A 5xx in HTML although the request was carried out.
    pub late_html: Share,
    /// The connection is closed before the request is carried out.
    pub cut_before: Share,
    /// The connection is closed after the request was carried out.
    pub cut_after: Share,
    /// The connection is closed in the middle of the answer's body.
    pub cut_body: Share,
    /// A page has fewer entries than were requested.
    pub clamp: Share,
    /// The answer has no `result_info`.
    pub omit_result_info: Share,
    /// The answer has no `result`.
    pub omit_result: Share,
    /// The answer says `success: false` with status 200.
    pub unsuccessful: Share,
    /// Another actor adds a member to a group or removes one, just before or just after the request is carried out.
    pub edit: Share,
    /// A group is renamed or deleted just before the request is carried out.
    pub regroup: Share,
    /// The token is revoked just before the request is carried out.
    pub revoke_token: Share,
    /// The request is carried out, and the answer says `success: false` with status 200.
    pub unsuccessful_after: Share,
    /// A group's members are shown as they were some time ago.
    pub lag: Share,
    /// The maximum age.
    pub lag_time: Delay,
    /// A list contradicts itself, in one of the possible ways.
    pub contradict: Share,
    /// The numbers of a list are correct, but written as text.
    pub numbers_as_text: Share,
    /// A write is not carried out, but answered as if it were.
    pub claim: Share,
    /// A write is carried out some time after its connection was closed or its error answered.
    pub late: Share,
    /// The maximum delay.
    pub late_time: Delay,
    /// A 5xx of the edge: a problem document or HTML, as the client accepts.
    pub edge: Share,
    /// Two groups swap their names just before the request is carried out.
    pub swap_names: Share,
    /// How often the same request can get a fault. After that it gets none, so a client that repeats it succeeds.
    pub per_request: u32,
    /// The maximum number of faults in total. Which requests get them then depends on the order of requests.
    pub limit: Option<u32>,
}

impl Default for Chance {
    fn default() -> Self {
        let never = Share::default();
        Self {
            seed: 0,
            latency: never,
            latency_time: Delay::millis(20),
            rate_limited: never,
            retry_after: 1,
            rate_limited_bare: never,
            server_error: never,
            html: never,
            late_html: never,
            cut_before: never,
            cut_after: never,
            cut_body: never,
            clamp: never,
            omit_result_info: never,
            omit_result: never,
            unsuccessful: never,
            edit: never,
            regroup: never,
            revoke_token: never,
            unsuccessful_after: never,
            lag: never,
            lag_time: Delay::millis(500),
            contradict: never,
            numbers_as_text: never,
            claim: never,
            late: never,
            late_time: Delay::millis(500),
            edge: never,
            swap_names: never,
            per_request: 2,
            limit: None,
        }
    }
}

/// A kind of fault that chance can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChanceKind {
    Latency,
    RateLimited,
    RateLimitedBare,
    ServerError,
    Html,
    LateHtml,
    Cut(Cut),
    Clamp,
    OmitResultInfo,
    OmitResult,
    Unsuccessful,
    Edit,
    Regroup,
    RevokeToken,
    UnsuccessfulAfter,
    Lag,
    Contradict,
    NumbersAsText,
    Claim,
    Late,
    SwapNames,
    Edge,
}

impl Chance {
    /// The order is part of the meaning of a seed: new kinds are added at the end.
    pub(crate) fn shares(&self) -> [(Share, ChanceKind); 24] {
        [
            (self.latency, ChanceKind::Latency),
            (self.rate_limited, ChanceKind::RateLimited),
            (self.server_error, ChanceKind::ServerError),
            (self.html, ChanceKind::Html),
            (self.late_html, ChanceKind::LateHtml),
            (self.cut_before, ChanceKind::Cut(Cut::Before)),
            (self.cut_after, ChanceKind::Cut(Cut::After)),
            (self.cut_body, ChanceKind::Cut(Cut::Body)),
            (self.clamp, ChanceKind::Clamp),
            (self.omit_result_info, ChanceKind::OmitResultInfo),
            (self.omit_result, ChanceKind::OmitResult),
            (self.unsuccessful, ChanceKind::Unsuccessful),
            (self.edit, ChanceKind::Edit),
            (self.rate_limited_bare, ChanceKind::RateLimitedBare),
            (self.regroup, ChanceKind::Regroup),
            (self.revoke_token, ChanceKind::RevokeToken),
            (self.unsuccessful_after, ChanceKind::UnsuccessfulAfter),
            (self.lag, ChanceKind::Lag),
            (self.contradict, ChanceKind::Contradict),
            (self.numbers_as_text, ChanceKind::NumbersAsText),
            (self.claim, ChanceKind::Claim),
            (self.late, ChanceKind::Late),
            (self.swap_names, ChanceKind::SwapNames),
            (self.edge, ChanceKind::Edge),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let sum: u64 = self.shares().iter().map(|(share, _)| u64::from(share.millionths())).sum();
        if sum > u64::from(Share::WHOLE) {
            return Err("chance: the percentages add up to more than 100%".into());
        }
        Ok(())
    }
}
