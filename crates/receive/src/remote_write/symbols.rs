//! The texts of a request of version 2.0, to which its labels refer.

use crate::outcome::{Fault, Outcome};
use crate::protobuf::{Read, Value};

/// A reference while it is held.
const REF_BYTES: usize = 8;

pub(super) fn read_refs(value: Value<'_>, refs: &mut Vec<u64>, outcome: &mut Outcome) -> Read<()> {
    let before = refs.len();
    value.varints(|at| refs.push(at))?;
    outcome.spend(REF_BYTES * (refs.len() - before))
}

/// Names and values that the references stand for, or why they stand for nothing.
pub(super) fn resolve<'b>(refs: &[u64], symbols: &[Option<&'b str>], labels: &mut Vec<(&'b str, &'b str)>) -> Result<(), Fault> {
    let text = |at: u64| match usize::try_from(at).ok().and_then(|at| symbols.get(at)) {
        Some(Some(text)) => Ok(*text),
        Some(None) => Err(Fault::new("invalid_symbol", format!("symbol {at} is not UTF-8: send UTF-8"))),
        None => Err(Fault::new("invalid_symbol", format!("there is no symbol {at}: the request has {}, counted from 0", symbols.len()))),
    };
    let (pairs, rest) = refs.as_chunks::<2>();
    if !rest.is_empty() {
        let why = format!("there are {} label references: send a name and a value for each label", refs.len());
        return Err(Fault::new("invalid_symbol", why));
    }
    for [name, value] in pairs {
        labels.push((text(*name)?, text(*value)?));
    }
    Ok(())
}
