//! `tyto contract`: `try` in `contract_try.rs`, and here `diff`: two versions of a contract, field by field. Ends as `diff` does: 0 when no record that kept the old one breaks the new
//! one, 1 when one may, 2 when nobody can tell, so that CI knows these apart.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use catalog::{Catalog, FieldChange};
use model::{Error, Result};

use crate::contract_try::{self, TryOptions};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ContractOptions {
    #[command(subcommand)]
    command: ContractCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum ContractCommand {
    /// What is different between two versions, and whether it is breaking. Exit code 1 when it is, 2 when that cannot be found out
    Diff(DiffOptions),
    /// What a draft would have done to the records that came. Exit code 1 when one breaks it, 2 when that cannot be found out
    Try(TryOptions),
}

#[derive(clap::Args, Clone, Debug)]
struct DiffOptions {
    /// The contract as it was; what it takes over lies beside it
    old: PathBuf,

    /// The contract as it is to be
    new: PathBuf,

    /// How to print what is different
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

const BREAKING: u8 = 1;
const TROUBLE: u8 = 2;

pub(crate) async fn run(options: &ContractOptions) -> ExitCode {
    let breaks = match &options.command {
        ContractCommand::Diff(options) => diff(options),
        ContractCommand::Try(options) => contract_try::run(options).await,
    };
    match breaks {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(BREAKING),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

/// Prints what is different; gives whether it is breaking.
fn diff(options: &DiffOptions) -> Result<bool> {
    let ((old, old_name), (new, new_name)) = (read(&options.old)?, read(&options.new)?);
    let changes = catalog::compare((&old.schemas, &old_name), (&new.schemas, &new_name));
    let breaking = changes.iter().any(|change| change.breaking);
    let text = match options.format {
        Format::Text => told(&changes),
        Format::Json => serde_json::json!({ "breaking": breaking, "changes": changes }).to_string(),
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::unavailable("cannot write what is different").because(error))
        }
        _ => Ok(breaking),
    }
}

/// A contract with those beside it, and its name.
fn read(path: &Path) -> Result<(Catalog, String)> {
    let cannot = |error: std::io::Error| Error::invalid(format!("cannot read {}", path.display())).because(error);
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = vec![path.to_owned()];
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        files.extend(entry.ok().map(|entry| entry.path()).filter(|other| is_json(other) && other.file_name() != path.file_name()));
    }
    let texts: Vec<(String, String)> =
        files.iter().map(|file| Ok((file.display().to_string(), std::fs::read_to_string(file).map_err(cannot)?))).collect::<Result<_>>()?;
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let catalog = Catalog::parse(&texts).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Error::invalid(format!("cannot use {}:\n{}", path.display(), lines.join("\n")))
    })?;
    Ok((catalog, path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()))
}

/// A line for each change, those that are breaking first.
fn told(changes: &[FieldChange]) -> String {
    if changes.is_empty() {
        return "nothing is different".to_owned();
    }
    let (breaking, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.breaking);
    let line = |change: &FieldChange, kind: &str| {
        let field = if change.field.is_empty() { "record" } else { &change.field };
        format!("{kind} {field}: {}", change.what)
    };
    let lines: Vec<String> =
        breaking.iter().map(|change| line(change, "breaking")).chain(others.iter().map(|change| line(change, "fine    "))).collect();
    lines.join("\n")
}
