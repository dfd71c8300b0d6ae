//! Who really calls whom, to hold against what somebody finds out.

use std::collections::BTreeSet;

use crate::company::Component;
use crate::operations::{JOURNEYS, Operation, Target};

/// One who calls or is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Of nobody's, where business service and service are empty.
    Component {
        business_service: String,
        service: String,
        name: String,
    },
    /// By the host that clients name.
    Database(String),
    Queue(String),
    External(String),
    User,
}

/// Every pair of the streaming company that some journey brings together.
pub fn truth() -> BTreeSet<(Party, Party)> {
    let mut pairs = BTreeSet::new();
    for journey in &JOURNEYS {
        pairs.insert((Party::User, party(journey.root.component)));
        walk(journey.root, &mut pairs);
    }
    pairs
}

fn walk(operation: &'static Operation, pairs: &mut BTreeSet<(Party, Party)>) {
    let caller = party(operation.component);
    for call in operation.calls {
        let called = match call.target {
            Target::Service(next) => {
                walk(next, pairs);
                party(next.component)
            }
            Target::Store(access) => Party::Database(access.system.host().to_owned()),
            Target::Queue(consumer) => {
                let queue = Party::Queue(consumer.route.to_owned());
                pairs.insert((queue.clone(), party(consumer.component)));
                walk(consumer, pairs);
                queue
            }
            Target::Provider => Party::External(call.target.peer().to_owned()),
        };
        pairs.insert((caller.clone(), called));
    }
}

fn party(component: Component) -> Party {
    let spec = component.spec();
    let of = |name: fn(&crate::company::Owner) -> &'static str| spec.owner.as_ref().map(name).unwrap_or_default().to_owned();
    Party::Component {
        business_service: of(|owner| owner.business_service),
        service: of(|owner| owner.service),
        name: spec.name.to_owned(),
    }
}
