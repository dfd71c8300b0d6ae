use super::*;

fn id(patterns: &Patterns, body: &str) -> u64 {
    patterns.id(body, 1, Learning::Always)
}

fn text(patterns: &Patterns, body: &str) -> String {
    patterns.text(body, id(patterns, body))
}

#[test]
fn a_place_with_many_words_is_a_variable() {
    let patterns = Patterns::default();
    let line = |user: &str| format!("session opened for user {user}");
    let users = ["root", "alice", "bob", "carol", "dan"];
    let ids: Vec<u64> = users[..3].iter().map(|user| id(&patterns, &line(user))).collect();
    assert_eq!(text(&patterns, &line("root")), line("root"), "three may be three");
    let fourth = id(&patterns, &line(users[3]));
    assert_eq!(fourth, ids[0], "the oldest id stays");
    assert!(ids.iter().all(|id| patterns.current(*id) == fourth));
    assert_eq!((id(&patterns, &line(users[4])), patterns.stats().patterns), (fourth, 1));
    assert_eq!(text(&patterns, &line("zoe")), "session opened for user <_>");
}

#[test]
fn words_that_say_what_happened_stay() {
    let patterns = Patterns::default();
    let events = ["starting", "stopping", "running", "ready", "failed", "closing", "normal", "halted"];
    let of =
        |line: fn(&str) -> String| events.iter().map(|event| id(&patterns, &line(event))).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(of(|event| event.to_owned()), events.len());
    assert_eq!(of(|event| format!("{event} (7)")), events.len());
    assert_eq!(of(|event| format!("{event} the service")), events.len());
}

#[test]
fn names_need_fewer_than_words() {
    let patterns = Patterns::default();
    let line = |host: &str| format!("lost connection to {host} again");
    assert_eq!(id(&patterns, &line("db-main.example.com")), id(&patterns, &line("cache-a.example.com")));
    assert_eq!(text(&patterns, &line("a.b")), "lost connection to <_> again");
}

#[test]
fn the_same_lines_in_the_same_order_have_the_same_ids() {
    let lines: Vec<String> =
        (0..2_000).map(|at| format!("worker {} did {} in {at} ms", ["a", "b", "c", "d", "e"][at % 5], at % 7)).collect();
    let run = || {
        let patterns = Patterns::default();
        (patterns.ids(lines.iter().map(|line| (line.as_str(), Some(5))), Learning::Always), patterns.to_bytes())
    };
    assert_eq!(run(), run());
}

#[test]
fn first_and_last_are_of_all_that_became_one() {
    let patterns = Patterns::default();
    for (at, user) in ["root", "alice", "bob", "carol"].iter().enumerate() {
        patterns.id(&format!("session opened for user {user}"), 10 - at as i64, Learning::Always);
    }
    assert_eq!(patterns.seen(id(&patterns, "session opened for user root")), Some((1, 10)));
    assert_eq!(patterns.seen(7), None);
}

#[test]
fn what_is_saved_comes_back() {
    let patterns = Patterns::default();
    let lines: Vec<String> =
        (0..200).map(|at| format!("job {} of {} took {at} ms", ["a", "b", "c", "d", "e"][at % 5], ["x", "y"][at % 2])).collect();
    let ids = patterns.ids(lines.iter().map(|line| (line.as_str(), Some(5))), Learning::Always);
    let bytes = patterns.to_bytes();
    let again = Patterns::from_bytes(&bytes, PatternLimits::default()).expect("it is whole");
    assert_eq!(again.to_bytes(), bytes);
    let current = |patterns: &Patterns, ids: &[u64]| ids.iter().map(|id| patterns.current(*id)).collect::<Vec<_>>();
    assert_eq!(current(&again, &ids), current(&patterns, &ids));
    let ids_again = again.ids(lines.iter().map(|line| (line.as_str(), Some(5))), Learning::Always);
    assert_eq!(ids_again, current(&patterns, &ids));
    for cut in 0..bytes.len() {
        assert!(Patterns::from_bytes(&bytes[..cut], PatternLimits::default()).is_err());
        let mut changed = bytes.clone();
        changed[cut] ^= 1;
        assert!(Patterns::from_bytes(&changed, PatternLimits::default()).is_err());
    }
}

#[test]
fn reading_makes_nobody_leave() {
    let patterns = Patterns::new(PatternLimits { patterns_max: 2, names_max: 8 });
    let mine = [id(&patterns, "one thing"), id(&patterns, "another thing here")];
    let other = patterns.id("what nobody has seen before", 1, Learning::WhenThereIsRoom);
    assert!(!mine.contains(&other) && patterns.seen(other).is_none());
    assert_eq!(patterns.id("what nobody has seen before", 1, Learning::WhenThereIsRoom), other);
    assert!(mine.iter().all(|id| patterns.seen(*id).is_some()));
    assert_eq!(patterns.text("what nobody has seen before", other), "what nobody has seen before");
}

/// Two hundred thousand messages that have nothing in common, of many lengths and forms.
#[test]
fn a_hostile_sender_fills_no_memory() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    let mut random = StdRng::seed_from_u64(3);
    let patterns = Patterns::default();
    let steady = "the service answers as always";
    let steady_id = id(&patterns, steady);
    for round in 0..200_000_u32 {
        let words = if round % 100 == 0 { 200 } else { random.random_range(1..8) };
        let word =
            |random: &mut StdRng| (0..random.random_range(1..9)).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect::<String>();
        let mut body = String::new();
        for _ in 0..words {
            body.push_str(&word(&mut random));
            body.push_str([" ", ": ", "=", " [", "] ", "-", " \"", "\" "][random.random_range(0..8)]);
        }
        id(&patterns, &body);
        if round % 1_000 == 0 {
            assert_eq!(id(&patterns, steady), steady_id, "what comes again stays");
        }
    }
    let stats = patterns.stats();
    let limits = PatternLimits::default();
    assert!(stats.patterns <= limits.patterns_max && stats.evicted > 10_000, "{stats:?}");
    let known = patterns.known();
    let entries = known.miner.entries();
    assert!(known.shapes.len() <= 2 * limits.names_max && known.miner.older.len() <= 2 * limits.names_max);
    assert!(entries < 100 * limits.patterns_max, "{entries} entries of 8 to 16 bytes");
    drop(known);
    assert!(patterns.to_bytes().len() < 8 << 20);
}
