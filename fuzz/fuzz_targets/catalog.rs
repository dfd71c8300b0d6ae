#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problems) = catalog::Catalog::parse(&[("omd.yaml", text)]) {
        assert!(!problems.is_empty(), "a refused file has a reason");
    }
    if let Err(problems) = catalog::Channels::parse("notify.yaml", text) {
        assert!(!problems.is_empty(), "a refused file has a reason");
    }
});
