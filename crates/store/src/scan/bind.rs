//! Filters on names that may lie in several places, bound to a file that says which keys its maps have: mostly one place is
//! left, and often it is a column with statistics.

use hashbrown::HashMap;
use model::{Subject, legal_name};

use super::filter::CompiledFilter;
use crate::lake::fields::MAP;
use crate::lake::keys::MapKeys;

/// The filters for a file with these keys; none when no row of it can pass. `moved` are its columns that hold all there is of an
/// attribute, by its key.
pub(crate) fn bind(filters: &[CompiledFilter], keys: &MapKeys, moved: &HashMap<String, String>) -> Option<Vec<CompiledFilter>> {
    let mut bound_filters = Vec::with_capacity(filters.len());
    for filter in filters {
        let subject = match bound(&filter.subject, keys, moved) {
            Subject::AnyOf(mut each) => {
                let without_empty = each.len();
                each.retain(|subject| !is_empty_text(subject));
                if each.len() < without_empty && filter.keeps("") {
                    continue;
                }
                match each.len() {
                    0 => return None,
                    1 => each.remove(0),
                    _ => Subject::AnyOf(each),
                }
            }
            subject => subject,
        };
        if !is_empty_text(&subject) {
            bound_filters.push(filter.on(subject));
        } else if !filter.keeps("") {
            return None;
        }
    }
    bound_filters.sort_by_key(CompiledFilter::cost);
    Some(bound_filters)
}

/// The empty text in every row.
fn is_empty_text(subject: &Subject) -> bool {
    matches!(subject, Subject::FirstOf(each) if each.is_empty())
}

fn bound(subject: &Subject, keys: &MapKeys, moved: &HashMap<String, String>) -> Subject {
    let nothing = || Subject::FirstOf(Vec::new());
    match subject {
        Subject::Column(_) => subject.clone(),
        Subject::Entry { column, key } => match keys.of_column(column) {
            Some(known) if !known.keys.contains(key) => nothing(),
            _ if column == MAP => moved.get(key).map_or_else(|| subject.clone(), |column| Subject::Column(column.clone())),
            _ => subject.clone(),
        },
        Subject::Label { column, name } => match keys.of_column(column) {
            Some(known) => {
                let named = known.keys.iter().filter(|key| legal_name(key) == *name);
                let entries: Vec<_> = named.map(|key| Subject::Entry { column: column.clone(), key: key.clone() }).collect();
                match entries.as_slice() {
                    [] => nothing(),
                    [one] => bound(one, keys, moved),
                    // A row may have one of the keys and not the other, whose empty text is then no value of the label.
                    _ => subject.clone(),
                }
            }
            None => subject.clone(),
        },
        Subject::FirstOf(each) => {
            let mut each: Vec<_> =
                each.iter().map(|subject| bound(subject, keys, moved)).filter(|subject| !is_empty_text(subject)).collect();
            if each.len() == 1 { each.remove(0) } else { Subject::FirstOf(each) }
        }
        Subject::AnyOf(each) => Subject::AnyOf(each.iter().map(|subject| bound(subject, keys, moved)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Filter, Table, Test};

    fn check(subject: Subject, test: Test, expect: Option<Vec<Subject>>) {
        let keys: MapKeys = serde_json::from_str(r#"{"attributes":{"keys":["k8s.pod","k8s_pod","user.id","status"]}}"#).unwrap();
        let moved = [("status".to_owned(), "status".to_owned()), ("gone".to_owned(), "gone".to_owned())].into();
        let compiled =
            CompiledFilter::compile(&Filter { subject: subject.clone(), test }, &Table::Logs.schema(), &Default::default()).unwrap();
        let found = bind(&[compiled], &keys, &moved).map(|filters| filters.into_iter().map(|filter| filter.subject).collect::<Vec<_>>());
        assert_eq!(found, expect, "{subject:?}");
    }

    #[test]
    fn names_are_looked_for_where_they_are() {
        let column = || Subject::Column("trace_id".to_owned());
        let entry = |column: &str, key: &str| Subject::Entry { column: column.to_owned(), key: key.to_owned() };
        let label = |name: &str| Subject::Label { column: "attributes".to_owned(), name: name.to_owned() };
        let (equal, unequal) = (|| Test::Equal("x".to_owned()), || Test::NotEqual("x".to_owned()));
        check(Subject::FirstOf(vec![entry("attributes", "trace_id"), column()]), equal(), Some(vec![column()]));
        let elsewhere = Subject::FirstOf(vec![entry("resource_attributes", "trace_id"), column()]);
        check(elsewhere.clone(), equal(), Some(vec![elsewhere]));
        check(Subject::AnyOf(vec![label("trace_id"), column()]), equal(), Some(vec![column()]));
        check(Subject::AnyOf(vec![label("trace_id"), column()]), unequal(), Some(vec![]));
        check(label("user_id"), equal(), Some(vec![entry("attributes", "user.id")]));
        check(label("k8s_pod"), equal(), Some(vec![label("k8s_pod")]));
        check(label("nope"), equal(), None);
        let status = || Some(vec![Subject::Column("status".to_owned())]);
        check(entry("attributes", "status"), equal(), status());
        check(label("status"), unequal(), status());
        check(Subject::FirstOf(vec![entry("attributes", "status"), entry("attributes", "nope")]), equal(), status());
        check(entry("attributes", "gone"), equal(), None);
        check(label("nope"), unequal(), Some(vec![]));
        check(Subject::AnyOf(vec![label("nope")]), equal(), None);
        check(entry("attributes", "nope"), Test::Equal(String::new()), Some(vec![]));
    }
}
