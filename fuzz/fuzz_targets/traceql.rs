#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(query) = lang::traceql::parse(text) else { return };
    // Whether it means something or not, asking must end.
    let _ = lang::traceql::check(&query);
    let printed = query.to_string();
    match lang::traceql::parse(&printed) {
        Ok(again) => assert_eq!(again.to_string(), printed, "{text:?} prints as {printed:?}, which means something else"),
        // A chain of operators prints with a parenthesis for each, and constants with a sign: either may be more than is read.
        Err(error) if ["nested deeper", "operators", "longer than"].iter().any(|limit| error.to_string().contains(limit)) => {}
        Err(error) => panic!("{text:?} prints as {printed:?}, which is no query: {error}"),
    }
});
