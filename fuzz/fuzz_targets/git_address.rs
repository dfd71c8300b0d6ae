#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::{Address, check_source};

// What git would be asked for is no option and no helper program, and what is shown of it means the same repository.
fuzz_target!(|text: &str| {
    if let Ok(address) = Address::parse(text) {
        let shown = address.to_string();
        assert!(!text.starts_with('-') && !text.split('#').next().is_some_and(|url| url.contains("::")), "{text:?}");
        assert!(check_source(address.source()).is_ok(), "{:?}", address.source());
        let again = Address::parse(&shown).expect("what is shown can be written");
        assert_eq!((again.source(), again.to_string()), (address.source(), shown));
    }
});
