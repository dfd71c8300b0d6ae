//! The order in which the sources of an identity are asked: what the record says itself, OpenTelemetry's attributes for
//! region and environment, the catalogue. `docs/catalogue.md` says it to users.

use catalog::Catalog;
use model::{Identity, UNASSIGNED};

/// How a sender writes `omd.business_service`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// OTLP: `omd.business_service` only; a resource attribute `service` may mean anything.
    Attributes,
    /// Series and Loki streams: the label `business_service` first.
    Labels,
}

/// Of one field: the names under `Attributes`, then those that come first under `Labels`.
const STATED: [(&str, &[&str]); 6] = [
    ("omd.business_service", &["business_service", "omd_business_service"]),
    ("omd.service", &["service", "omd_service"]),
    ("omd.component", &["component", "omd_component"]),
    ("omd.region", &["region", "omd_region"]),
    ("omd.environment", &["environment", "omd_environment"]),
    ("omd.team", &["team", "omd_team"]),
];

const REGION: [&str; 2] = ["cloud.region", "cloud_region"];
const ENVIRONMENT: [&str; 4] =
    ["deployment.environment.name", "deployment_environment_name", "deployment.environment", "deployment_environment"];

pub(super) fn decide<'a>(lookup: impl Fn(&str) -> Option<&'a str>, catalog: &Catalog, spelling: Spelling) -> Identity {
    let first =
        |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty())).unwrap_or_default().to_owned();
    let stated = |field: usize| {
        let (attribute, labels) = STATED[field];
        let label = if spelling == Spelling::Labels { first(labels) } else { String::new() };
        if label.is_empty() { first(&[attribute]) } else { label }
    };
    let [business_service, service, component, mut region, mut environment, team] = std::array::from_fn(stated);
    if region.is_empty() {
        region = first(&REGION);
    }
    if environment.is_empty() {
        environment = first(&ENVIRONMENT);
    }
    let mut identity = Identity { business_service, service, component, region, environment, team };
    // A forwarder may pass on what an earlier Tyto did not know.
    if identity.business_service == UNASSIGNED {
        identity.business_service.clear();
    }
    if catalog.has_rules()
        && let Some(declared) = catalog.identify(&lookup)
        && !contradicts(&identity, &declared)
    {
        fill(&mut identity, declared);
    }
    if identity.business_service.is_empty() {
        UNASSIGNED.clone_into(&mut identity.business_service);
    }
    identity
}

/// A record that states its business service knows better than a rule about another one.
fn contradicts(stated: &Identity, declared: &Identity) -> bool {
    let differs = |stated: &str, declared: &str| !stated.is_empty() && stated != declared;
    differs(&stated.business_service, &declared.business_service)
        || !stated.business_service.is_empty()
            && (differs(&stated.service, &declared.service) || differs(&stated.component, &declared.component))
}

fn fill(identity: &mut Identity, declared: Identity) {
    let Identity { business_service, service, component, region, environment, team } = declared;
    let fields = [
        (&mut identity.business_service, business_service),
        (&mut identity.service, service),
        (&mut identity.component, component),
        (&mut identity.region, region),
        (&mut identity.environment, environment),
        (&mut identity.team, team),
    ];
    for (field, value) in fields {
        if field.is_empty() {
            *field = value;
        }
    }
}
