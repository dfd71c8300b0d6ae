#![no_main]

use libfuzzer_sys::fuzz_target;

// What is written can be read: names may be ones that the catalogue refuses, but it is YAML.
fuzz_target!(|text: &str| {
    if let Ok(imported) = catalog::backstage::import(&[("catalog-info.yaml", text)]) {
        catalog::yaml::parse(&imported.omd).expect("an import is YAML");
    }
});
