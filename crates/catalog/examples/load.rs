//! How long a big company's catalogue takes to read: `cargo run --release --example load -- [COMPONENTS] [CONTRACTS]`, 5000 and 2000 unless
//! said. Files are as repositories have them: one a service, with ten components each.

use std::fmt::Write;
use std::time::Instant;

use catalog::{Catalog, CheckOptions};

const SERVICES_A_BUSINESS: usize = 25;
const COMPONENTS_A_SERVICE: usize = 10;

fn main() -> Result<(), String> {
    let mut counts =
        std::env::args().skip(1).map(|count| count.parse::<usize>().map_err(|error| format!("cannot read {count:?}: {error}")));
    let components = counts.next().transpose()?.unwrap_or(5000);
    let contracts = counts.next().transpose()?.unwrap_or(2000);
    let texts = texts(components, contracts).map_err(|error| error.to_string())?;
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let started = Instant::now();
    let catalog = Catalog::parse(&texts).map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())?;
    let parsed = started.elapsed();
    let started = Instant::now();
    let checked = catalog::check(&texts, &CheckOptions::default());
    println!(
        "{} components and {} contracts in {} files of {bytes} bytes: read in {parsed:.2?}, checked in {:.2?}, {} problems; {} business services",
        checked.components,
        checked.contracts,
        checked.files,
        started.elapsed(),
        checked.diagnostics.len(),
        catalog.business_services.len(),
    );
    Ok(())
}

fn texts(components: usize, contracts: usize) -> Result<Vec<(String, String)>, std::fmt::Error> {
    let services = components.div_ceil(COMPONENTS_A_SERVICE);
    let mut platform = "retention: {logs: 30d}\nbusiness_services:\n".to_owned();
    for business in 0..services.div_ceil(SERVICES_A_BUSINESS) {
        writeln!(platform, "  - name: business-{business}\n    owners: [{{team: team-{business}, slack: \"#team-{business}\"}}]")?;
    }
    let mut texts = vec![("platform/omd.yaml".to_owned(), platform)];
    for service in 0..services {
        let mut text =
            format!("services:\n  - name: service-{service}\n    of: business-{}\n    components:\n", service / SERVICES_A_BUSINESS);
        for component in service * COMPONENTS_A_SERVICE..((service + 1) * COMPONENTS_A_SERVICE).min(components) {
            writeln!(text, "      - name: component-{component}\n        tier: {}\n        match:", component % 5)?;
            writeln!(text, "          - service.name: component-{component}\n          - k8s.deployment.name: \"c{component}-*\"")?;
            let (one, other) = ((component + 1) % components, (component * 7 + 3) % components);
            if one != component && other != component && one != other {
                writeln!(text, "        depends_on: [component-{one}, component-{other}, {{database: db-{component}}}]")?;
            }
            if contracts > 0 {
                writeln!(text, "        contract: contract-{}", component % contracts)?;
            }
        }
        texts.push((format!("service-{service}/omd.yaml"), text));
    }
    for contract in 0..contracts {
        let mut text = "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\",\n".to_owned();
        writeln!(
            text,
            " \"allOf\": [{{\"$ref\": \"contract-0.json#/$defs/core\"}}], \"$defs\": {{\"core\": {{\"required\": [\"field.0\"]}}}},\n \"properties\": {{"
        )?;
        // A table of logs has so many declared columns and no more; the contracts of a company share most of them.
        let fields: Vec<String> = (0..20)
            .map(|field| format!("  \"field.{}\": {{\"type\": \"string\", \"maxLength\": 100}}", (contract * 3 + field) % 400))
            .collect();
        writeln!(text, "{}\n }}}}", fields.join(",\n"))?;
        texts.push((format!("platform/contracts/contract-{contract}.json"), text));
    }
    Ok(texts)
}
