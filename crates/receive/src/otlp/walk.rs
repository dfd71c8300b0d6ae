//! The shape that all three OTLP requests share: resources hold scopes, scopes hold items.

use super::value::{Encoder, Owner, OwnerKind, Place};
use crate::outcome::{ITEM_BYTES, Outcome, Rules};
use crate::protobuf::{Read, Reader};

/// Where items come from. Each counts it whole against the limit of a request: who reads an item gets it whole.
pub(super) struct Origin {
    pub(super) resource: Owner,
    pub(super) scope: Owner,
    pub(super) place: Place,
}

impl Origin {
    /// What each item costs for standing in this resource and scope, once it is read.
    pub(super) fn copied_bytes(&self) -> usize {
        self.resource.bytes + self.scope.bytes
    }
}

/// What a signal does with its items.
pub(super) trait Signal {
    /// The sender's own words for the two levels: `resourceLogs`, `scopeLogs`.
    const LEVELS: [&'static str; 2];

    fn tools(&mut self) -> (&mut Outcome, &mut Encoder);

    fn begin_resource(&mut self, _resource: &Owner) {}

    fn item(&mut self, index: usize, bytes: &[u8], origin: &Origin) -> Read<()>;

    fn end_resource(&mut self, _place: Place) -> Read<()> {
        Ok(())
    }
}

/// A resource may stand after its scopes on the wire, so each level is walked once for its owner and once for its content.
pub(super) fn walk<S: Signal>(body: &[u8], rules: &Rules<'_>, signal: &mut S) -> Read<()> {
    let place = Place { levels: S::LEVELS, resource: 0, scope: None };
    let mut origin = Origin { resource: Owner::default(), scope: Owner::default(), place };
    each(body, 1, |resource, container| {
        signal.tools().0.spend(ITEM_BYTES)?;
        origin.place = Place { resource, ..place };
        let (outcome, encoder) = signal.tools();
        origin.resource.read(container, OwnerKind::Resource, rules, outcome, encoder, origin.place)?;
        signal.begin_resource(&origin.resource);
        each(container, 2, |scope, container| {
            signal.tools().0.spend(ITEM_BYTES)?;
            origin.place = Place { resource, scope: Some(scope), ..place };
            let (outcome, encoder) = signal.tools();
            origin.scope.read(container, OwnerKind::Scope, rules, outcome, encoder, origin.place)?;
            each(container, 2, |index, item| {
                signal.tools().0.spend(ITEM_BYTES)?;
                signal.item(index, item, &origin)
            })
        })?;
        signal.end_resource(Place { resource, ..place })
    })
}

/// How many items there are, as far as the request can be read.
pub(super) fn count(body: &[u8]) -> usize {
    let mut items = 0;
    let all = each(body, 1, |_, resource| {
        each(resource, 2, |_, scope| {
            each(scope, 2, |_, _| {
                items += 1;
                Ok(())
            })
        })
    });
    // What cannot be read is told by who reads it.
    all.map_or(0, |()| items)
}

/// Calls `take` with the index and bytes of every message of that field number.
pub(super) fn each(container: &[u8], number: u32, mut take: impl FnMut(usize, &[u8]) -> Read<()>) -> Read<()> {
    let mut reader = Reader::new(container);
    let mut index = 0;
    while let Some((found, value)) = reader.next()? {
        if found == number {
            take(index, value.bytes()?)?;
            index += 1;
        }
    }
    Ok(())
}

/// A count or flags column is null when nothing was said.
pub(super) fn non_zero(value: u64) -> Option<i64> {
    i64::try_from(value).ok().filter(|value| *value != 0)
}
