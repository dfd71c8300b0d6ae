//! `tyto check`: whether catalogue files can be used, and what they would change. Ends as `diff` does: 0 when all is well, 1 when there are
//! problems, 2 when nobody can tell, so that CI knows these apart. `tyto schema` prints what editors need.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use catalog::{Level, Published, report};
use model::{Error, Result};

use crate::ask::{ask_server, server};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CheckOptions {
    /// Files, or directories with `omd.yaml` files below them, contracts and boards beside these
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How to print what is found: for people, for code scanning, for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Compare with the catalogue in force there: what others declare counts, and what would change is shown
    #[arg(long, value_name = "URL")]
    against: Option<String>,

    /// End of a file's name in the catalogue in force that PATH replaces; several allowed [default: those that PATH declares half of]
    #[arg(long = "mine", value_name = "END", requires = "against")]
    mine: Vec<String>,

    /// PATH is a part of the catalogue: what it refers to may be declared in other repositories
    #[arg(long, conflicts_with = "against")]
    part: bool,

    /// End with 1 for warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Sarif,
    Json,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SchemaOptions {
    /// Of what kind of file
    #[arg(value_parser = catalog::SCHEMAS)]
    kind: String,
}

pub(crate) const PROBLEMS: u8 = 1;
pub(crate) const TROUBLE: u8 = 2;

pub(crate) async fn run(options: CheckOptions) -> ExitCode {
    match check(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(PROBLEMS),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

/// Prints the report; gives whether the files can be used.
async fn check(options: CheckOptions) -> Result<bool> {
    let texts = catalog::texts(&options.paths).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|diagnostic| diagnostic.problem.to_string()).collect();
        Error::invalid(lines.join("\n"))
    })?;
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let against = match &options.against {
        Some(url) => Some(published(url).await?),
        None => None,
    };
    let checked = catalog::check(&texts, &catalog::CheckOptions { against, mine: options.mine, part: options.part });
    print(&match options.format {
        Format::Text => report::text(&checked, &texts),
        Format::Sarif => format!("{:#}\n", report::sarif(&checked, env!("CARGO_PKG_VERSION"))),
        Format::Json => format!("{:#}\n", report::json(&checked)),
    })?;
    let refused = checked.count(Level::Error) + if options.deny_warnings { checked.count(Level::Warning) } else { 0 };
    Ok(refused == 0)
}

async fn published(url: &str) -> Result<Published> {
    let catalog = ask_server(server(Some(url)), "/api/tyto/v1/catalog", Vec::new()).await?;
    serde_json::from_value(catalog).map_err(|error| Error::unavailable(format!("cannot read the catalogue of {url}")).because(error))
}

pub(crate) fn schema(options: &SchemaOptions) -> Result<()> {
    let schema = catalog::schema(&options.kind).ok_or_else(|| Error::invalid(format!("cannot find schema {:?}", options.kind)))?;
    print(&format!("{schema:#}\n"))
}

/// To stdout; a reader that goes is none of our trouble.
pub(crate) fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::unavailable("cannot write the answer").because(error)),
        _ => Ok(()),
    }
}
