//! `tyto import`: what other programs' catalogues say, as files of ours.

use std::path::PathBuf;

use catalog::{Diagnostic, backstage, weaver};
use model::{Error, Result};

use crate::check::print;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ImportOptions {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum From {
    /// Backstage's `catalog-info.yaml` files as an `omd.yaml`; what has no place in one is said on stderr
    Backstage(Backstage),
    /// A registry of OpenTelemetry Weaver as a contract; what has no place in one is said on stderr
    Weaver(Weaver),
}

#[derive(clap::Args, Clone, Debug)]
struct Backstage {
    /// Files, or directories with `catalog-info.yaml` files below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

#[derive(clap::Args, Clone, Debug)]
struct Weaver {
    /// Files of semantic conventions, or directories with such files below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Only groups of this id, `*` for any letters; several allowed [default: the whole registry]
    #[arg(long = "group", value_name = "ID")]
    groups: Vec<String>,

    /// A registry that this one depends on, of which comes what is named; several allowed
    #[arg(long = "dependency", value_name = "PATH")]
    dependencies: Vec<PathBuf>,
}

pub(crate) fn run(options: &ImportOptions) -> Result<()> {
    let (file, left_out) = match &options.from {
        From::Backstage(Backstage { paths }) => {
            let texts = backstage::texts(paths).map_err(unusable)?;
            let imported = backstage::import(&borrowed(&texts)).map_err(unusable)?;
            (imported.omd, imported.left_out)
        }
        From::Weaver(Weaver { paths, groups, dependencies }) => {
            let (registry, dependencies) = (weaver::texts(paths).map_err(unusable)?, weaver::texts(dependencies).map_err(unusable)?);
            let wanted = weaver::Wanted { registry: &borrowed(&registry), dependencies: &borrowed(&dependencies), groups };
            let imported = weaver::import(&wanted).map_err(unusable)?;
            (imported.contract, imported.left_out)
        }
    };
    left_out.iter().for_each(|said| eprintln!("tyto: {said}"));
    print(&file)
}

fn unusable(problems: Vec<Diagnostic>) -> Error {
    let lines: Vec<String> = problems.iter().map(|diagnostic| diagnostic.problem.to_string()).collect();
    Error::invalid(lines.join("\n"))
}

fn borrowed(texts: &[(String, String)]) -> Vec<(&str, &str)> {
    texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}
