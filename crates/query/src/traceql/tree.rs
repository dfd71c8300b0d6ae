//! Who called whom in a trace, as nested sets: a span's number is below those of all that it called, and their ends below its own.

use std::collections::HashMap;

use lang::traceql::Relation;

/// Of a span in its trace. Numbers are from 1; all three are 0 for one that is connected with nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub left: i64,
    pub right: i64,
    /// The parent's `left`; -1 for a root, 0 when the parent is not there.
    pub parent: i64,
}

/// What a span says of its place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node<'a> {
    pub(crate) id: &'a str,
    pub(crate) parent: &'a str,
    /// Client and server of one call may share an id, as Zipkin's do.
    pub(crate) is_server: bool,
}

fn is_id(id: &str) -> bool {
    id.bytes().any(|byte| byte != b'0')
}

/// The place and the number of children of each.
pub(crate) fn places(nodes: &[Node<'_>]) -> Vec<(Place, i64)> {
    let mut by_id: HashMap<&str, (Option<usize>, Option<usize>)> = HashMap::new();
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| is_id(node.id)) {
        let (other, server) = by_id.entry(node.id).or_default();
        if node.is_server { server } else { other }.get_or_insert(index);
    }
    // The server's side of a call is called by the client's, and calls on.
    let parent_of = |index: usize, node: &Node<'_>| match by_id.get(node.id) {
        Some((Some(client), Some(server))) if *server == index => Some(*client),
        _ => by_id.get(node.parent).and_then(|(other, server)| server.or(*other)).filter(|parent| *parent != index),
    };
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| is_id(node.id)) {
        match parent_of(index, node) {
            Some(parent) => children[parent].push(index),
            None => roots.push((index, if is_id(node.parent) { 0 } else { -1 })),
        }
    }
    let mut places = vec![Place::default(); nodes.len()];
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    for (root, parent) in roots {
        places[root] = Place { left: number(), right: 0, parent };
        let mut open = vec![(root, 0)];
        while let Some((index, child)) = open.last_mut() {
            let (index, at) = (*index, *child);
            *child += 1;
            match children[index].get(at) {
                // A child that is open or closed already would be its own ancestor, or have two parents.
                Some(&child) if places[child].left != 0 => {}
                Some(&child) => {
                    places[child] = Place { left: number(), right: 0, parent: places[index].left };
                    open.push((child, 0));
                }
                None => {
                    places[index].right = number();
                    open.pop();
                }
            }
        }
    }
    places.into_iter().zip(children).map(|(place, children)| (place, children.len() as i64)).collect()
}

/// Of each span of `right`, whether it is that of one of `left`.
pub(crate) fn related(relation: Relation, left: &[(usize, Place)], right: &[(usize, Place)]) -> Vec<bool> {
    let connected = |spans: &[(usize, Place)]| spans.iter().filter(|(_, place)| place.left > 0).copied().collect::<Vec<_>>();
    let others = connected(left);
    let mut lefts: Vec<i64> = others.iter().map(|(_, place)| place.left).collect();
    lefts.sort_unstable();
    let has = |numbers: &[i64], number: i64| numbers.binary_search(&number).is_ok();
    let test: Box<dyn Fn(usize, Place) -> bool> = match relation {
        Relation::Child => Box::new(move |_, place| has(&lefts, place.parent)),
        Relation::Parent => {
            let mut parents: Vec<i64> = others.iter().map(|(_, place)| place.parent).collect();
            parents.sort_unstable();
            Box::new(move |_, place| has(&parents, place.left))
        }
        Relation::Ancestor => Box::new(move |_, place| {
            let next = lefts.partition_point(|left| *left <= place.left);
            lefts.get(next).is_some_and(|left| *left < place.right)
        }),
        Relation::Descendant => {
            // Of nested ones the outermost decide.
            let mut outer: Vec<(i64, i64)> = others.iter().map(|(_, place)| (place.left, place.right)).collect();
            outer.sort_unstable_by_key(|(left, right)| (*left, -right));
            let mut end = 0;
            outer.retain(|(_, right)| {
                let keeps = *right > end;
                end = end.max(*right);
                keeps
            });
            Box::new(move |_, place| {
                let after = outer.partition_point(|(left, _)| *left < place.left);
                after.checked_sub(1).is_some_and(|at| place.right < outer[at].1)
            })
        }
        Relation::Sibling => {
            let mut siblings: HashMap<i64, Vec<usize>> = HashMap::new();
            for (index, place) in others.iter().filter(|(_, place)| place.parent > 0) {
                let of_parent = siblings.entry(place.parent).or_default();
                // Two are enough to know of one that is not the span itself.
                if of_parent.len() < 2 && !of_parent.contains(index) {
                    of_parent.push(*index);
                }
            }
            Box::new(move |index, place| siblings.get(&place.parent).is_some_and(|of_parent| of_parent.iter().any(|other| *other != index)))
        }
    };
    right.iter().map(|(index, place)| place.left > 0 && test(*index, *place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node<'a>(id: &'a str, parent: &'a str) -> Node<'a> {
        Node { id, parent, is_server: false }
    }

    #[test]
    fn every_span_has_its_place() {
        let nodes = [node("b", "a"), node("a", ""), node("c", "b"), node("d", "a"), node("e", "gone"), node("0", "0"), node("f", "f")];
        let places = places(&nodes);
        let place = |left, right, parent, children| (Place { left, right, parent }, children);
        assert_eq!(
            places,
            [
                place(2, 5, 1, 1),
                place(1, 8, -1, 2),
                place(3, 4, 2, 0),
                place(6, 7, 1, 0),
                place(9, 10, 0, 0),
                place(0, 0, 0, 0),
                place(11, 12, 0, 0)
            ]
        );
    }

    #[test]
    fn client_and_server_of_one_id_are_parent_and_child() {
        let nodes = [node("a", ""), Node { id: "a", parent: "", is_server: true }, node("b", "a")];
        let lefts: Vec<_> = places(&nodes).iter().map(|(place, _)| (place.left, place.parent)).collect();
        assert_eq!(lefts, [(1, -1), (2, 1), (3, 2)]);
    }

    #[test]
    fn circles_end() {
        let nodes = [node("a", "b"), node("b", "a"), node("c", "b")];
        assert!(places(&nodes).iter().all(|(place, _)| *place == Place::default()));
    }

    #[test]
    fn relations_are_as_a_look_at_every_pair_finds_them() {
        // A tree of 40 spans, each the child of one before it.
        let ids: Vec<String> = (1..41).map(|id| format!("{id:x}")).collect();
        let nodes: Vec<_> = (0..40usize).map(|at| node(&ids[at], if at == 0 { "" } else { &ids[(at * 7 + 3) % at] })).collect();
        let places: Vec<_> = places(&nodes).into_iter().map(|(place, _)| place).enumerate().collect();
        for seed in 1..30usize {
            let part = |of: usize| places.iter().copied().filter(|(at, _)| (at * seed * 31 + at * at) % of == 0).collect::<Vec<_>>();
            let (left, right) = (part(3), part(2));
            for relation in [Relation::Child, Relation::Parent, Relation::Descendant, Relation::Ancestor, Relation::Sibling] {
                let expect: Vec<bool> = right
                    .iter()
                    .map(|(at, b)| {
                        left.iter().any(|(other, a)| match relation {
                            Relation::Child => b.parent == a.left,
                            Relation::Parent => a.parent == b.left,
                            Relation::Descendant => a.left < b.left && b.right < a.right,
                            Relation::Ancestor => b.left < a.left && a.right < b.right,
                            Relation::Sibling => at != other && a.parent == b.parent && a.parent > 0,
                        })
                    })
                    .collect();
                assert_eq!(related(relation, &left, &right), expect, "{relation:?} {seed}");
            }
        }
    }
}
