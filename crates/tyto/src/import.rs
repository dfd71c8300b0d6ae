//! `tyto import`: what other programs' catalogues say, as an `omd.yaml`.

use std::path::PathBuf;

use catalog::backstage;
use model::{Error, Result};

use crate::check::print;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ImportOptions {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum From {
    /// Backstage's `catalog-info.yaml` files; what has no place in an `omd.yaml` is said on stderr
    Backstage(Backstage),
}

#[derive(clap::Args, Clone, Debug)]
struct Backstage {
    /// Files, or directories with `catalog-info.yaml` files below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(options: &ImportOptions) -> Result<()> {
    let From::Backstage(Backstage { paths }) = &options.from;
    let unusable = |problems: Vec<catalog::Diagnostic>| {
        let lines: Vec<String> = problems.iter().map(|diagnostic| diagnostic.problem.to_string()).collect();
        Error::invalid(lines.join("\n"))
    };
    let texts = backstage::texts(paths).map_err(unusable)?;
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let imported = backstage::import(&texts).map_err(unusable)?;
    imported.left_out.iter().for_each(|said| eprintln!("tyto: {said}"));
    print(&imported.omd)
}
