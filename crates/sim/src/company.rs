//! Who works here: components, sites, countries, titles and plans, as tables. `omd.yaml` says the same for the catalogue.

/// The company's `omd.yaml`: business services, their services and components, owners, and the rules that recognise them.
const OMD_YAML: &str = include_str!("omd.yaml");

/// All that it has declared in git, as names of files and what stands in them: beside `omd.yaml` the attributes of log records, what they
/// must keep, what is done to them, and what people watch who are no engineers.
pub const CATALOGUE: [(&str, &str); 9] = [
    ("omd.yaml", OMD_YAML),
    ("contracts/logs.json", include_str!("contracts/logs.json")),
    ("contracts/company.json", include_str!("contracts/company.json")),
    ("contracts/payments.json", include_str!("contracts/payments.json")),
    ("pipelines/privacy.yaml", include_str!("pipelines/privacy.yaml")),
    ("pipelines/payments.yaml", include_str!("pipelines/payments.yaml")),
    ("boards/registrations.yaml", include_str!("boards/registrations.yaml")),
    ("boards/play-starts.yaml", include_str!("boards/play-starts.yaml")),
    ("boards/payments.yaml", include_str!("boards/payments.yaml")),
];

pub(crate) const NAMESPACE: &str = "streaming";

/// How a component writes its technical log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Json,
    Logfmt,
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Component {
    PlayerApi,
    PlaybackSession,
    DrmLicense,
    ManifestService,
    MarkersApi,
    AuthApi,
    TokenService,
    ProfileApi,
    RegistrationApi,
    CheckoutApi,
    PaymentGateway,
    TaxService,
    SubscriptionService,
    LedgerWorker,
    RecommendationApi,
    RankingService,
    CatalogueApi,
    SearchApi,
    ArtworkService,
    AdDecision,
    AdEventsWorker,
    GeoLookup,
}

impl Component {
    pub(crate) fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        SPECS.iter().map(|spec| spec.component)
    }
}

#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) component: Component,
    /// `service.name`.
    pub(crate) name: &'static str,
    /// Business service, service and team; `None` for the component nobody has claimed.
    pub(crate) owner: Option<Owner>,
    /// Whether the component says so itself in `omd.*` attributes; the others are recognised by the catalogue.
    pub(crate) explicit: bool,
    pub(crate) language: &'static str,
    pub(crate) style: Style,
    pub(crate) version: [u16; 3],
    pub(crate) memory_mib: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) business_service: &'static str,
    pub(crate) service: &'static str,
    pub(crate) team: &'static str,
}

const fn owner(business_service: &'static str, service: &'static str, team: &'static str) -> Option<Owner> {
    Some(Owner { business_service, service, team })
}

const PLAYBACK: Option<Owner> = owner("video-playback", "playback", "playback-core");
const PLAYBACK_DRM: Option<Owner> = owner("video-playback", "playback", "content-protection");
const MARKERS: Option<Owner> = owner("video-playback", "markers", "markers");
const AUTHENTICATION: Option<Owner> = owner("login", "authentication", "identity");
const PROFILES: Option<Owner> = owner("login", "profiles", "identity");
const REGISTRATION: Option<Owner> = owner("login", "registration", "growth");
const CHECKOUT: Option<Owner> = owner("payments", "checkout", "checkout");
const SUBSCRIPTIONS: Option<Owner> = owner("payments", "subscriptions", "billing");
const RANKING: Option<Owner> = owner("recommendations", "personalisation", "personalisation");
const TITLES: Option<Owner> = owner("catalogue", "titles", "catalogue");
const DISCOVERY: Option<Owner> = owner("catalogue", "discovery", "search");
const ADS: Option<Owner> = owner("advertising", "ad-delivery", "ads");

#[rustfmt::skip]
static SPECS: [Spec; 22] = [
    Spec { component: Component::PlayerApi, name: "player-api", owner: PLAYBACK, explicit: false, language: "java", style: Style::Json, version: [8, 14, 2], memory_mib: 620 },
    Spec { component: Component::PlaybackSession, name: "playback-session", owner: PLAYBACK, explicit: false, language: "go", style: Style::Logfmt, version: [3, 41, 0], memory_mib: 180 },
    Spec { component: Component::DrmLicense, name: "drm-license", owner: PLAYBACK_DRM, explicit: false, language: "cpp", style: Style::Plain, version: [5, 2, 9], memory_mib: 140 },
    Spec { component: Component::ManifestService, name: "manifest-service", owner: PLAYBACK, explicit: false, language: "go", style: Style::Logfmt, version: [2, 19, 4], memory_mib: 210 },
    Spec { component: Component::MarkersApi, name: "markers-api", owner: MARKERS, explicit: false, language: "nodejs", style: Style::Json, version: [1, 33, 1], memory_mib: 260 },
    Spec { component: Component::AuthApi, name: "auth-api", owner: AUTHENTICATION, explicit: false, language: "java", style: Style::Json, version: [6, 7, 3], memory_mib: 540 },
    Spec { component: Component::TokenService, name: "token-service", owner: AUTHENTICATION, explicit: false, language: "rust", style: Style::Logfmt, version: [4, 0, 6], memory_mib: 48 },
    Spec { component: Component::ProfileApi, name: "profile-api", owner: PROFILES, explicit: false, language: "java", style: Style::Json, version: [9, 1, 0], memory_mib: 510 },
    Spec { component: Component::RegistrationApi, name: "registration-api", owner: REGISTRATION, explicit: false, language: "python", style: Style::Plain, version: [2, 8, 5], memory_mib: 190 },
    Spec { component: Component::CheckoutApi, name: "checkout-api", owner: CHECKOUT, explicit: true, language: "java", style: Style::Json, version: [12, 3, 1], memory_mib: 580 },
    Spec { component: Component::PaymentGateway, name: "payment-gateway", owner: CHECKOUT, explicit: true, language: "go", style: Style::Logfmt, version: [7, 5, 2], memory_mib: 130 },
    Spec { component: Component::TaxService, name: "tax-service", owner: CHECKOUT, explicit: true, language: "dotnet", style: Style::Json, version: [4, 6, 2], memory_mib: 240 },
    Spec { component: Component::SubscriptionService, name: "subscription-service", owner: SUBSCRIPTIONS, explicit: true, language: "java", style: Style::Json, version: [5, 22, 0], memory_mib: 530 },
    Spec { component: Component::LedgerWorker, name: "ledger-worker", owner: SUBSCRIPTIONS, explicit: true, language: "python", style: Style::Plain, version: [1, 12, 7], memory_mib: 170 },
    Spec { component: Component::RecommendationApi, name: "recommendation-api", owner: RANKING, explicit: false, language: "python", style: Style::Json, version: [10, 4, 0], memory_mib: 720 },
    Spec { component: Component::RankingService, name: "ranking-service", owner: RANKING, explicit: false, language: "cpp", style: Style::Logfmt, version: [3, 15, 8], memory_mib: 1100 },
    Spec { component: Component::CatalogueApi, name: "catalogue-api", owner: TITLES, explicit: false, language: "nodejs", style: Style::Json, version: [7, 0, 12], memory_mib: 320 },
    Spec { component: Component::SearchApi, name: "search-api", owner: DISCOVERY, explicit: false, language: "java", style: Style::Plain, version: [4, 9, 1], memory_mib: 640 },
    Spec { component: Component::ArtworkService, name: "artwork-service", owner: TITLES, explicit: false, language: "rust", style: Style::Logfmt, version: [2, 3, 0], memory_mib: 64 },
    Spec { component: Component::AdDecision, name: "ad-decision", owner: ADS, explicit: false, language: "go", style: Style::Json, version: [6, 18, 3], memory_mib: 230 },
    Spec { component: Component::AdEventsWorker, name: "ad-events-worker", owner: ADS, explicit: false, language: "go", style: Style::Logfmt, version: [1, 44, 0], memory_mib: 110 },
    Spec { component: Component::GeoLookup, name: "geo-lookup", owner: None, explicit: false, language: "go", style: Style::Plain, version: [0, 9, 4], memory_mib: 72 },
];

/// One region's installation in one environment.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) region: &'static str,
    pub(crate) environment: &'static str,
    /// Of the whole company's traffic.
    pub(crate) share: f64,
    /// Local time, hours east of UTC: each region has its own evening.
    pub(crate) utc_offset_hours: i64,
    pub(crate) countries: &'static [Country],
}

#[derive(Debug)]
pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) currency: &'static str,
    /// What one euro of list price costs here.
    pub(crate) price_factor: f64,
    pub(crate) tax_rate: f64,
    pub(crate) share: f64,
}

const fn country(code: &'static str, name: &'static str, currency: &'static str, price_factor: f64, tax_rate: f64, share: f64) -> Country {
    Country { code, name, currency, price_factor, tax_rate, share }
}

static EUROPE: [Country; 6] = [
    country("DE", "Germany", "EUR", 1.0, 0.19, 30.0),
    country("GB", "United Kingdom", "GBP", 0.9, 0.20, 24.0),
    country("FR", "France", "EUR", 1.0, 0.20, 18.0),
    country("ES", "Spain", "EUR", 0.9, 0.21, 12.0),
    country("PL", "Poland", "PLN", 3.6, 0.23, 9.0),
    country("SE", "Sweden", "SEK", 10.5, 0.25, 7.0),
];
static AMERICA: [Country; 4] = [
    country("US", "United States", "USD", 1.1, 0.07, 58.0),
    country("BR", "Brazil", "BRL", 4.1, 0.17, 19.0),
    country("MX", "Mexico", "MXN", 16.0, 0.16, 13.0),
    country("CA", "Canada", "CAD", 1.4, 0.13, 10.0),
];
static ASIA: [Country; 4] = [
    country("JP", "Japan", "JPY", 140.0, 0.10, 36.0),
    country("IN", "India", "INR", 42.0, 0.18, 34.0),
    country("KR", "South Korea", "KRW", 1250.0, 0.10, 18.0),
    country("AU", "Australia", "AUD", 1.6, 0.10, 12.0),
];

pub(crate) static SITES: [Site; 4] = [
    Site { region: "eu-central-1", environment: "production", share: 0.42, utc_offset_hours: 1, countries: &EUROPE },
    Site { region: "us-east-1", environment: "production", share: 0.34, utc_offset_hours: -5, countries: &AMERICA },
    Site { region: "ap-northeast-1", environment: "production", share: 0.21, utc_offset_hours: 9, countries: &ASIA },
    Site { region: "eu-central-1", environment: "staging", share: 0.03, utc_offset_hours: 1, countries: &EUROPE },
];

impl Site {
    pub(crate) fn is_production(&self) -> bool {
        self.environment == "production"
    }
}

/// What members watch. The first is the series whose finale everybody waits for.
pub(crate) static TITLES_ON_AIR: [&str; 20] = [
    "Harbour Nine",
    "The Salt Road",
    "Paper Lanterns",
    "A Winter in Tromsø",
    "Second Orbit",
    "The Quiet Jury",
    "Cinder & Ash",
    "Marigold Street",
    "Low Tide",
    "Night Bus 14",
    "The Cartographers",
    "Orchard of Glass",
    "Brother Wolf",
    "Kitchen of Dreams",
    "Static",
    "The Last Lighthouse",
    "Moss",
    "Eleven Rooms",
    "The Understudy",
    "Polar Circle Rally",
];

pub(crate) static DEVICES: [&str; 6] = ["smart-tv", "android", "ios", "web", "console", "set-top-box"];

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Net of tax, in euros.
    pub(crate) price: f64,
    pub(crate) share: f64,
}

pub(crate) static PLANS: [Plan; 3] = [
    Plan { name: "basic", price: 5.03, share: 45.0 },
    Plan { name: "standard", price: 8.39, share: 38.0 },
    Plan { name: "premium", price: 12.60, share: 17.0 },
];

pub(crate) static PAYMENT_METHODS: [&str; 4] = ["card", "paypal", "direct_debit", "gift_card"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_yaml_ng::Value;

    use super::*;

    #[test]
    fn every_component_stands_in_its_own_row() {
        for (index, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.component as usize, index, "{}", spec.name);
        }
    }

    #[test]
    fn catalogue_says_what_the_table_says() {
        let file: Value = serde_yaml_ng::from_str(OMD_YAML).expect("omd.yaml is YAML");
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let mut claimed = BTreeMap::new();
        for business in file["business_services"].as_sequence().expect("business services") {
            assert!(business["owners"].as_sequence().is_some_and(|owners| owners.iter().all(|owner| text(owner, "email").contains('@'))));
            for service in business["services"].as_sequence().expect("services") {
                for component in service["components"].as_sequence().expect("components") {
                    assert!(component["match"].as_sequence().is_some_and(|rules| !rules.is_empty()));
                    claimed.insert(text(component, "name"), (text(business, "name"), text(service, "name")));
                }
            }
        }
        assert_eq!(file["business_services"].as_sequence().map(Vec::len), Some(6));
        for spec in &SPECS {
            let expected = spec.owner.map(|owner| (owner.business_service.to_owned(), owner.service.to_owned()));
            assert_eq!(claimed.get(spec.name), expected.as_ref(), "{}", spec.name);
        }
        assert_eq!(SPECS.iter().filter(|spec| spec.owner.is_none()).count(), 1, "one component is unclaimed on purpose");
    }
}
