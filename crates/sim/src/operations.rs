//! What each component does when it is called, and whom it calls: the company's call trees as tables.

use crate::company::Component;

/// What a member wants; the share is of all journeys that begin.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) root: &'static Operation,
    pub(crate) share: f64,
    /// Whether a season finale brings more of it.
    pub(crate) surges: bool,
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) component: Component,
    /// HTTP method; `process` for what a queue's consumer does.
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    /// Median of its own work, in milliseconds, without what it waits for.
    pub(crate) work_ms: f64,
    /// How often it fails by itself.
    pub(crate) failure: f64,
    pub(crate) calls: &'static [Call],
    pub(crate) event: Option<Event>,
    /// A technical line it writes now and then, with `{member}`, `{title}`, `{device}`, `{country}`, `{n}` to fill.
    pub(crate) detail: &'static str,
}

impl Operation {
    /// The span's name after the conventions for HTTP and messaging.
    pub(crate) fn span_name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }

    pub(crate) fn is_consumer(&self) -> bool {
        self.method == "process"
    }
}

/// A business event that people who are no engineers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    PlayStarted,
    MemberLoggedIn,
    MemberRegistered,
    PaymentTaken,
    SearchMade,
    AdShown,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) target: Target,
    /// How often the call is made at all.
    pub(crate) share: f64,
    /// Begins together with the call before it.
    pub(crate) parallel: bool,
    /// The caller goes on without it when it fails.
    pub(crate) optional: bool,
    /// Attempts when the answer is that the amount does not fit.
    pub(crate) attempts: u32,
}

#[derive(Debug)]
pub(crate) enum Target {
    Service(&'static Operation),
    Store(&'static Access),
    Queue(&'static Operation),
    /// The payment provider, somebody else's service: a client span and nothing behind it.
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Postgres,
    DynamoDb,
    Redis,
}

#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) system: System,
    pub(crate) operation: &'static str,
    /// Table; for Redis the key's prefix.
    pub(crate) collection: &'static str,
    pub(crate) query: &'static str,
    pub(crate) work_ms: f64,
}

const fn to(target: Target) -> Call {
    Call { target, share: 1.0, parallel: false, optional: false, attempts: 1 }
}
const fn service(operation: &'static Operation) -> Call {
    to(Target::Service(operation))
}
const fn store(access: &'static Access) -> Call {
    to(Target::Store(access))
}
const fn queue(consumer: &'static Operation) -> Call {
    to(Target::Queue(consumer))
}

impl Call {
    const fn sometimes(mut self, share: f64) -> Self {
        self.share = share;
        self
    }
    const fn beside(mut self) -> Self {
        self.parallel = true;
        self
    }
    const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
    const fn retried(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

const fn access(system: System, operation: &'static str, collection: &'static str, query: &'static str, work_ms: f64) -> Access {
    Access { system, operation, collection, query, work_ms }
}

use System::{DynamoDb, Postgres, Redis};

static SESSION_CACHE: Access = access(Redis, "GET", "session", "GET session:?", 0.35);
static POSITION_CACHE: Access = access(Redis, "SET", "position", "SET position:? ? EX 86400", 0.4);
static MANIFEST_CACHE: Access = access(Redis, "GET", "manifest", "GET manifest:?", 0.5);
static FEATURE_CACHE: Access = access(Redis, "MGET", "features", "MGET features:? features:?", 0.9);
static ROW_CACHE: Access = access(Redis, "GET", "rows", "GET rows:?", 0.5);
static PACING_CACHE: Access = access(Redis, "INCR", "pacing", "INCR pacing:?", 0.4);
static MARKERS_ITEM: Access = access(DynamoDb, "GetItem", "markers", "", 3.6);
static DEVICE_ITEM: Access = access(DynamoDb, "GetItem", "devices", "", 3.2);
static POSITION_ITEM: Access = access(DynamoDb, "UpdateItem", "watch-positions", "", 4.8);
static CAMPAIGN_QUERY: Access = access(DynamoDb, "Query", "campaigns", "", 5.5);
static AD_EVENTS_WRITE: Access = access(DynamoDb, "BatchWriteItem", "ad-events", "", 7.0);
static ACCOUNT_SELECT: Access =
    access(Postgres, "SELECT", "accounts", "SELECT id, password_hash, state FROM accounts WHERE email = $1", 2.4);
static ACCOUNT_INSERT: Access =
    access(Postgres, "INSERT", "accounts", "INSERT INTO accounts (id, email, country, created_at) VALUES ($1, $2, $3, now())", 4.2);
static PROFILE_SELECT: Access =
    access(Postgres, "SELECT", "profiles", "SELECT * FROM profiles WHERE account_id = $1 ORDER BY position", 2.1);
static SUBSCRIPTION_UPSERT: Access = access(
    Postgres,
    "INSERT",
    "subscriptions",
    "INSERT INTO subscriptions (account_id, plan, renews_at) VALUES ($1, $2, $3) ON CONFLICT (account_id) DO UPDATE SET plan = $2, renews_at = $3",
    5.1,
);
static ORDER_INSERT: Access = access(
    Postgres,
    "INSERT",
    "orders",
    "INSERT INTO orders (id, account_id, net, tax, gross, currency) VALUES ($1, $2, $3, $4, $5, $6)",
    4.4,
);
static LEDGER_INSERT: Access = access(
    Postgres,
    "INSERT",
    "ledger_entries",
    "INSERT INTO ledger_entries (order_id, debit, credit, booked_at) VALUES ($1, $2, $3, now())",
    4.9,
);
static TITLES_SELECT: Access = access(
    Postgres,
    "SELECT",
    "titles",
    "SELECT t.id, t.name, t.rating FROM titles t JOIN availability a ON a.title_id = t.id WHERE a.country = $1 ORDER BY t.rank LIMIT 60",
    6.5,
);
static TITLES_SEARCH: Access = access(
    Postgres,
    "SELECT",
    "titles",
    "SELECT id, name, ts_rank(document, q) FROM titles, websearch_to_tsquery($1) q WHERE document @@ q ORDER BY 3 DESC LIMIT 20",
    11.0,
);

const NONE: &[Call] = &[];

const fn http(component: Component, method: &'static str, route: &'static str, work_ms: f64, calls: &'static [Call]) -> Operation {
    Operation { component, method, route, work_ms, failure: 0.0006, calls, event: None, detail: "" }
}

impl Operation {
    const fn says(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }
    const fn announces(mut self, event: Event) -> Self {
        self.event = Some(event);
        self
    }
}

use Component as C;

static INTROSPECT: Operation =
    http(C::TokenService, "POST", "/v1/tokens/introspect", 0.8, &[store(&SESSION_CACHE)]).says("token accepted for member {member}");
static ISSUE_TOKEN: Operation =
    http(C::TokenService, "POST", "/v1/tokens", 1.6, &[store(&SESSION_CACHE)]).says("token issued for member {member}, {n} minutes");
static PROFILES: Operation = http(C::ProfileApi, "GET", "/v1/accounts/{account_id}/profiles", 2.2, &[store(&PROFILE_SELECT)])
    .says("loaded profiles of account {member}");
static LICENSE: Operation = http(C::DrmLicense, "POST", "/v1/licenses", 4.5, &[store(&DEVICE_ITEM)])
    .says("license issued to {device} for \"{title}\", valid {n} minutes");
static MANIFEST: Operation = http(C::ManifestService, "GET", "/v1/titles/{title_id}/manifest", 3.0, &[store(&MANIFEST_CACHE)])
    .says("manifest built for \"{title}\" on {device}, {n} segments");
pub(crate) static TITLE_MARKERS: Operation = http(C::MarkersApi, "GET", "/v1/titles/{title_id}/markers", 2.6, &[store(&MARKERS_ITEM)])
    .says("markers read for \"{title}\": intro, recap, credits");
static GEO: Operation = http(C::GeoLookup, "GET", "/v1/countries/{ip}", 0.6, NONE).says("resolved 198.51.100.{n} to {country}");
static AD_EVENT: Operation =
    http(C::AdEventsWorker, "process", "ad-events", 2.4, &[store(&AD_EVENTS_WRITE)]).says("batch of {n} ad events written");
static AD_BREAK: Operation =
    http(C::AdDecision, "POST", "/v1/ad-breaks", 6.0, &[store(&PACING_CACHE), store(&CAMPAIGN_QUERY).beside(), queue(&AD_EVENT)])
        .announces(Event::AdShown)
        .says("auction closed with {n} bids for {country}");
static OPEN_SESSION: Operation = http(
    C::PlaybackSession,
    "POST",
    "/v1/sessions",
    3.2,
    &[
        service(&GEO).optional(),
        service(&LICENSE),
        service(&MANIFEST).beside(),
        service(&TITLE_MARKERS).beside().optional(),
        service(&AD_BREAK).sometimes(0.3).optional(),
    ],
)
.says("session opened on {device}, edge cache {n}");
pub(crate) static PLAY: Operation = http(C::PlayerApi, "POST", "/v1/playback", 5.5, &[service(&INTROSPECT), service(&OPEN_SESSION)])
    .announces(Event::PlayStarted)
    .says("bitrate ladder chosen for {device}: {n} rungs");
static HEARTBEAT: Operation =
    http(C::PlayerApi, "POST", "/v1/playback/heartbeats", 1.3, &[store(&POSITION_CACHE), store(&POSITION_ITEM).sometimes(0.4)])
        .says("position saved for member {member} in \"{title}\" at minute {n}");
pub(crate) static RANK: Operation =
    http(C::RankingService, "POST", "/v1/rank", 14.0, &[store(&FEATURE_CACHE)]).says("scored {n} candidates for member {member}");
static ROWS: Operation =
    http(C::RecommendationApi, "GET", "/v1/members/{member_id}/rows", 6.0, &[store(&ROW_CACHE), service(&RANK).sometimes(0.7)])
        .says("composed {n} rows for member {member}");
static ARTWORK: Operation =
    http(C::ArtworkService, "GET", "/v1/artwork/{title_id}", 1.8, NONE).says("served artwork of \"{title}\" for {device}");
static HOME: Operation = http(
    C::CatalogueApi,
    "GET",
    "/v1/home",
    5.0,
    &[service(&INTROSPECT), service(&ROWS).optional(), store(&TITLES_SELECT).beside(), service(&ARTWORK).optional()],
)
.says("home page assembled for {country}, {n} titles");
static TITLE_PAGE: Operation =
    http(C::CatalogueApi, "GET", "/v1/titles/{title_id}", 3.1, &[store(&TITLES_SELECT), service(&ARTWORK).beside().optional()])
        .says("title page \"{title}\" for {country}");
pub(crate) static SEARCH: Operation = http(C::SearchApi, "GET", "/v1/search", 8.0, &[store(&TITLES_SEARCH)])
    .announces(Event::SearchMade)
    .says("{n} hits in index generation 41");
static LOGIN: Operation = http(C::AuthApi, "POST", "/v1/login", 18.0, &[store(&ACCOUNT_SELECT), service(&ISSUE_TOKEN), service(&PROFILES)])
    .announces(Event::MemberLoggedIn)
    .says("password verified for account {member}");
static LEDGER: Operation =
    http(C::LedgerWorker, "process", "ledger-entries", 3.8, &[store(&LEDGER_INSERT)]).says("ledger entry booked, sequence {n}");
static TAX: Operation = http(C::TaxService, "POST", "/v1/tax/quotes", 2.0, NONE).says("quoted tax for {country}");
static CHARGE: Operation =
    http(C::PaymentGateway, "POST", "/v1/charges", 4.0, &[to(Target::Provider)]).says("charge authorised by provider, risk score {n}");
static RENEW: Operation = http(C::SubscriptionService, "PUT", "/v1/subscriptions/{account_id}", 3.6, &[store(&SUBSCRIPTION_UPSERT)])
    .says("subscription of account {member} runs {n} more days");
pub(crate) static CHECKOUT: Operation = http(
    C::CheckoutApi,
    "POST",
    "/v1/checkouts",
    7.5,
    &[service(&INTROSPECT), service(&TAX), service(&CHARGE).retried(3), store(&ORDER_INSERT), service(&RENEW), queue(&LEDGER)],
)
.announces(Event::PaymentTaken)
.says("basket priced for account {member}");
static REGISTER: Operation = http(
    C::RegistrationApi,
    "POST",
    "/v1/registrations",
    24.0,
    &[service(&GEO).optional(), store(&ACCOUNT_INSERT), service(&ISSUE_TOKEN), service(&RENEW)],
)
.announces(Event::MemberRegistered)
.says("e-mail address confirmed, {n} s after the letter was sent");

const fn journey(root: &'static Operation, share: f64, surges: bool) -> Journey {
    Journey { root, share, surges }
}

pub(crate) static JOURNEYS: [Journey; 8] = [
    journey(&PLAY, 27.0, true),
    journey(&HEARTBEAT, 22.0, true),
    journey(&HOME, 20.0, true),
    journey(&TITLE_PAGE, 12.0, true),
    journey(&SEARCH, 9.0, false),
    journey(&LOGIN, 8.0, true),
    journey(&CHECKOUT, 4.0, false),
    journey(&REGISTER, 2.0, false),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_component_is_reached_by_some_journey() {
        fn walk(operation: &'static Operation, reached: &mut BTreeSet<Component>) {
            reached.insert(operation.component);
            for call in operation.calls {
                if let Target::Service(next) | Target::Queue(next) = call.target {
                    walk(next, reached);
                }
            }
        }
        let mut reached = BTreeSet::new();
        JOURNEYS.iter().for_each(|journey| walk(journey.root, &mut reached));
        assert_eq!(reached.len(), Component::all().count());
    }
}
