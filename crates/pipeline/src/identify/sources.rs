//! The order in which the sources of an identity are asked: what the record says itself, OpenTelemetry's attributes for
//! region and environment, the catalogue. `docs/catalogue.md` says it to users.

use catalog::Catalog;
use model::{Identity, Naming, UNASSIGNED};

/// Of one field: its label, which comes first where labels are sent, the other label, the attribute. Senders of attributes
/// mean it with the attribute only: a resource attribute `service` may be anything.
const STATED: [[&str; 3]; 6] = [
    ["business_service", "omd_business_service", "omd.business_service"],
    ["service", "omd_service", "omd.service"],
    ["component", "omd_component", "omd.component"],
    ["region", "omd_region", "omd.region"],
    ["environment", "omd_environment", "omd.environment"],
    ["team", "omd_team", "omd.team"],
];

/// Labels that others give a meaning of their own (kube-prometheus puts the Kubernetes Service as `service` on every series):
/// they count beside a business service only.
const AMBIGUOUS: [&str; 3] = ["service", "component", "team"];

/// What a record says of itself lives as long as the process, as labels of our own counters.
const IDENTITY_BYTES_MAX: usize = 256;
/// Names that begin so are ours.
const RESERVED: &str = "__";

const REGION: [&str; 2] = ["cloud.region", "cloud_region"];
const ENVIRONMENT: [&str; 4] =
    ["deployment.environment.name", "deployment_environment_name", "deployment.environment", "deployment_environment"];

/// Whether [`decide`] looks at the attribute.
pub(super) fn can_decide(name: &str, catalog: &Catalog) -> bool {
    let ours = || STATED.as_flattened().iter().chain(&REGION).chain(&ENVIRONMENT).any(|known| *known == name);
    ours() || catalog.looks_at(name)
}

pub(super) fn decide<'a>(lookup: impl Fn(&str) -> Option<&'a str>, catalog: &Catalog, naming: Naming) -> Identity {
    let first = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| is_usable(value))).unwrap_or_default();
    let [business_names, others @ ..] = &STATED;
    let business_service = first(if naming == Naming::Labels { business_names } else { &business_names[2..] });
    let [service, component, mut region, mut environment, team] = others.each_ref().map(|names| {
        let from = match naming {
            Naming::Attributes | Naming::Settled => 2,
            Naming::Labels => usize::from(business_service.is_empty() && AMBIGUOUS.contains(&names[0])),
        };
        first(&names[from..])
    });
    if region.is_empty() {
        region = first(&REGION);
    }
    if environment.is_empty() {
        environment = first(&ENVIRONMENT);
    }
    let [business_service, service, component, region, environment, team] =
        [business_service, service, component, region, environment, team].map(str::to_owned);
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

/// A value that cannot be taken counts as not stated.
fn is_usable(value: &str) -> bool {
    let reason = match value {
        "" => return false,
        value if value.len() > IDENTITY_BYTES_MAX => "too_long",
        value if value.starts_with(RESERVED) => "reserved",
        _ => return true,
    };
    metrics::counter!("tyto_identity_ignored_values_total", "reason" => reason).increment(1);
    false
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
