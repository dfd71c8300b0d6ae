//! Backstage's `catalog-info.yaml` as an `omd.yaml`: <https://backstage.io/docs/features/software-catalog/descriptor-format>.
//!
//! A domain is a business service, and a system in it a service. A system without a domain is both. A component is one. Path: `entity.rs`
//! (documents to entities) > `map.rs` (entities to our declarations, and what is left out) > `write.rs` (these as YAML).

mod entity;
mod map;
mod write;

use std::path::Path;

use crate::files;
use crate::problem::Diagnostic;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// An `omd.yaml`.
    pub omd: String,
    /// What has no place in it, a sentence each.
    pub left_out: Vec<String>,
}

/// The texts of files, and of those called `catalog-info.yaml` in directories and below them.
pub fn texts<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    files::texts_below(paths, "catalog-info.yaml", |file| file.file_stem().is_some_and(|stem| stem == "catalog-info"))
}

/// All files together: entities refer to each other.
pub fn import(texts: &[(&str, &str)]) -> Result<Imported, Vec<Diagnostic>> {
    let entities = entity::read(texts)?;
    let (omd, left_out) = map::map(&entities);
    Ok(Imported { omd: write::yaml(&omd), left_out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    const SHOP: &str = include_str!("../../../../tests/cases/catalog/backstage/catalog-info.yaml");

    #[test]
    fn what_is_imported_is_a_catalogue() {
        let imported = import(&[("catalog-info.yaml", SHOP)]).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/catalog/backstage");
        for (name, actual) in [("omd.yaml", imported.omd.clone()), ("left-out.txt", imported.left_out.join("\n") + "\n")] {
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(folder.join(name), &actual).unwrap();
            }
            assert_eq!(actual, std::fs::read_to_string(folder.join(name)).unwrap(), "{name}");
        }
        let catalog = Catalog::parse(&[("omd.yaml", &imported.omd)]).unwrap();
        assert_eq!(catalog.business_services.len(), 2);
    }

    #[test]
    fn what_is_no_backstage_is_told_with_its_place() {
        let told = |text: &str| import(&[("catalog-info.yaml", text)]).unwrap_err()[0].problem.to_string();
        assert_eq!(told("kind: [\n"), "catalog-info.yaml:2:1: cannot parse YAML: while parsing a node, did not find expected node content");
        assert_eq!(told("a: 1\n---\n- b\n"), "catalog-info.yaml:1:1: cannot read an entity: it has a kind and metadata with a name");
    }
}
