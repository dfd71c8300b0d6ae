#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(query) = lang::logql::parse(text) else { return };
    let printed = query.to_string();
    match lang::logql::parse(&printed) {
        Ok(again) => assert_eq!(again.to_string(), printed, "{text:?} prints as {printed:?}, which means something else"),
        // A chain of operators prints with a parenthesis for each, which may be more than is read.
        Err(error) if error.to_string().contains("nested deeper") => {}
        Err(error) => panic!("{text:?} prints as {printed:?}, which is no query: {error}"),
    }
});
