#![no_main]

use lang::logql::Pattern;
use libfuzzer_sys::fuzz_target;
use model::patterns::{Learning, PatternLimits, Patterns};

const LIMITS: PatternLimits = PatternLimits { patterns_max: 16, names_max: 32 };

// Bodies with a zero byte between: any are learned, each is found by the text of its pattern, and what is saved comes back.
fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let bodies: Vec<&str> = text.split('\0').collect();
    let (patterns, again) = (Patterns::new(LIMITS), Patterns::new(LIMITS));
    let learn = |patterns: &Patterns| patterns.ids(bodies.iter().map(|body| (*body, None)), Learning::Always);
    let ids = learn(&patterns);
    assert_eq!(ids, learn(&again), "mining is deterministic");
    assert!(patterns.stats().patterns <= LIMITS.patterns_max);
    for (body, id) in bodies.iter().zip(ids) {
        let text = patterns.text(body, id);
        let pattern = Pattern::parse_matching(&text).expect("a text is a pattern");
        assert!(body.is_empty() || pattern.matches(body), "{text:?} does not find {body:?}");
    }
    let saved = patterns.to_bytes();
    assert_eq!(Patterns::from_bytes(&saved, LIMITS).expect("it is whole").to_bytes(), saved);
    // Bytes that nobody wrote.
    let _ = Patterns::from_bytes(bytes, LIMITS);
});
