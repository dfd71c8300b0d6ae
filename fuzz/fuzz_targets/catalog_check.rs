#![no_main]

use catalog::{CheckOptions, Level};
use libfuzzer_sys::fuzz_target;

// Files of one catalogue, a NUL between them: omd.yaml, another one, a contract, a board. `tyto check` and the server agree on them.
fuzz_target!(|text: &str| {
    const NAMES: [&str; 4] = ["omd.yaml", "b/omd.yaml", "contracts/a.json", "boards/a.yaml"];
    let texts: Vec<_> = NAMES.into_iter().zip(text.split('\0')).collect();
    let checked = catalog::check(&texts, &CheckOptions::default());
    assert_eq!(checked.count(Level::Error) == 0, catalog::Catalog::parse(&texts).is_ok(), "the check and the server agree");
    catalog::report::text(&checked, &texts);
    catalog::report::sarif(&checked, "0");
});
