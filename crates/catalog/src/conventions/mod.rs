//! Whether attributes that a contract names are called as OpenTelemetry calls them: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>.
//!
//! A hint that is wrong annoys more than one that is missing helps. So nothing is said of a name that is right, of one that is out of use and said to
//! be so (`deprecated`, `not`), of one beside which the present name stands, nor of what only resembles a name in a namespace of one's own.

mod names;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::checks::Check;
use crate::contracts::CORE_FIELDS;
use crate::fields::Reader;
use crate::problem::distance;
use crate::yaml::{Node, Place, Value};
use names::{CURRENT, RENAMED};

/// Schemas that say what a record may look like. Those under `not` and `if` only ask.
const ALTERNATIVES: [&str; 5] = ["allOf", "anyOf", "oneOf", "then", "else"];
/// Columns whose properties are attributes.
const MAPS: [&str; 2] = ["resource_attributes", "scope_attributes"];

/// A contract's attributes, wherever it names them; each is told once.
pub(crate) fn check(root: &Node, reader: &mut Reader) {
    let mut named = Vec::new();
    gather(root, &CORE_FIELDS, &mut named);
    let all: HashSet<&str> = named.iter().map(|(_, key, _)| *key).collect();
    let mut told = HashSet::new();
    for (place, key, schema) in named {
        if is_out_of_use(schema) || !told.insert(key) {
            continue;
        }
        let Some(present) = present(key).filter(|present| !present.split(' ').any(|name| all.contains(name.trim_end_matches(',')))) else {
            continue;
        };
        let namespace = present.split('.').next().unwrap_or_default().replace('_', "-");
        let what = format!(
            "cannot take {key:?} for a present name: OpenTelemetry calls it {present}, see https://opentelemetry.io/docs/specs/semconv/registry/attributes/{namespace}/"
        );
        reader.problem(place, Check::OtherName, what);
    }
}

/// Properties but for `others`, which are no attributes.
fn gather<'n>(schema: &'n Node, others: &[&str], named: &mut Vec<(Place, &'n str, &'n Node)>) {
    let Value::Map(entries) = &schema.value else { return };
    for (_, keyword, value) in entries {
        match &value.value {
            Value::Map(properties) if keyword == "properties" => {
                for (place, key, property) in properties {
                    match others.contains(&key.as_str()) {
                        true if MAPS.contains(&key.as_str()) => gather(property, &[], named),
                        true => {}
                        false => named.push((*place, key, property)),
                    }
                }
            }
            Value::List(schemas) if ALTERNATIVES.contains(&keyword.as_str()) => {
                schemas.iter().for_each(|schema| gather(schema, others, named));
            }
            _ if ALTERNATIVES.contains(&keyword.as_str()) => gather(value, others, named),
            _ => {}
        }
    }
}

fn is_out_of_use(schema: &Node) -> bool {
    schema.text() == Some("false") || schema.get("not").is_some() || schema.get("deprecated").and_then(Node::text) == Some("true")
}

/// What is called so today; none of what is called so today, and of what nobody knows.
fn present(key: &str) -> Option<&'static str> {
    if CURRENT.binary_search(&key).is_ok() {
        return None;
    }
    let renamed = RENAMED.binary_search_by_key(&key, |(old, _)| old).ok().map(|at| RENAMED[at].1);
    renamed.or_else(|| same_letters(key)).or_else(|| slip(key))
}

/// Names by their letters alone.
static LETTERS: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    let renamed = RENAMED.into_iter().map(|(old, present)| (letters(old), present));
    renamed.chain(CURRENT.into_iter().map(|name| (letters(name), name))).collect()
});

fn letters(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '.' | '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// `user_id`, `userId` and `http.response.statuscode`. One word may be anybody's.
fn same_letters(key: &str) -> Option<&'static str> {
    let is_one_word = !key.contains(|c: char| matches!(c, '.' | '_' | '-') || c.is_ascii_uppercase());
    if is_one_word { None } else { LETTERS.get(&letters(key)).copied() }
}

/// `http.respones.status_code`: a slip in a long part of a name, all else as it is.
fn slip(key: &str) -> Option<&'static str> {
    let namespace = key.get(..=key.find('.')?)?;
    let from = CURRENT.partition_point(|name| *name < namespace);
    let beside = CURRENT[from..].iter().take_while(|name| name.starts_with(namespace));
    let mut near = beside.copied().filter(|name| {
        let mut others = key.split('.').zip(name.split('.')).filter(|(part, right)| part != right);
        let (first, second) = (others.next(), others.next());
        key.matches('.').count() == name.matches('.').count() && second.is_none() && first.is_some_and(|(part, right)| is_slip(part, right))
    });
    let found = near.next();
    // Where it may be either, nobody knows.
    if near.next().is_some() { None } else { found }
}

/// Plurals are words of their own.
fn is_slip(part: &str, right: &str) -> bool {
    const LETTERS_MIN: usize = 5;
    /// From here on two letters may be wrong, as when they change places.
    const LONG_LETTERS_MIN: usize = 8;
    let length = right.len();
    let allowed = if length >= LONG_LETTERS_MIN { 2 } else { 1 };
    length >= LETTERS_MIN
        && part.len().abs_diff(length) <= allowed
        && part.trim_end_matches('s') != right.trim_end_matches('s')
        && distance(part, right) <= allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_agree() {
        assert!(CURRENT.is_sorted() && RENAMED.is_sorted());
        assert!(RENAMED.iter().all(|(old, _)| CURRENT.binary_search(old).is_err()), "what is renamed is no present name");
    }

    #[test]
    fn names_that_are_old_or_slips_have_a_present_name() {
        for (key, expect) in [
            ("http.status_code", "http.response.status_code"),
            ("http.method", "http.request.method"),
            ("http.url", "url.full"),
            ("http.target", "url.path and url.query"),
            ("net.peer.name", "server.address, or client.address on the server's side"),
            ("db.statement", "db.query.text"),
            ("deployment.environment", "deployment.environment.name"),
            ("http_status_code", "http.response.status_code"),
            ("http.response.statuscode", "http.response.status_code"),
            ("user_id", "user.id"),
            ("userId", "user.id"),
            ("service_version", "service.version"),
            ("http.respones.status_code", "http.response.status_code"),
            ("exception.stacktarce", "exception.stacktrace"),
            ("client.adress", "client.address"),
        ] {
            assert_eq!(present(key), Some(expect), "{key}");
        }
    }

    #[test]
    fn nothing_is_said_of_right_names_and_of_ones_own() {
        let own = [
            "http.route",
            "http.response.header.etag",
            "userid",
            "hostname",
            "user.ids",
            "user.ip",
            "container.ip",
            "cloud.regions",
            "order.id",
            "shop.http.method",
            "error.code",
            "error.message",
            "service.owner",
            "db.query.test",
            "log.file.names",
            "device.type",
            "",
            ".",
            "http.",
            "duration_ms",
            "payment.method",
            "member.id",
            "url.paths",
        ];
        for key in own.into_iter().chain(CURRENT) {
            assert_eq!(present(key), None, "{key}");
        }
    }
}
