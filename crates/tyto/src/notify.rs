//! `tyto notify test`: whether the owners of records would hear of it when these break their contract.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use ::notify::Answered;
use catalog::{Catalog, Channels};
use model::{Error, Result};

use crate::wiring::{now_ms, unusable};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct NotifyOptions {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum NotifyCommand {
    /// Send a team a test by each of its contacts, and say what was answered: 0 when all took it
    Test(TestOptions),
}

#[derive(clap::Args, Clone, Debug)]
struct TestOptions {
    /// As the catalogue calls it
    #[arg(long, value_name = "NAME")]
    team: String,

    /// As `tyto serve` has it
    #[arg(long, env = "TYTO_CATALOG", value_name = "PATH", value_delimiter = ',', required = true)]
    catalog: Vec<PathBuf>,

    /// As `tyto serve` has it
    #[arg(long, env = "TYTO_NOTIFY_CONFIG", value_name = "FILE")]
    notify_config: PathBuf,
}

pub(crate) async fn run(options: NotifyOptions) -> Result<()> {
    let NotifyCommand::Test(TestOptions { team, catalog, notify_config }) = options.command;
    let catalog = Catalog::load(&catalog).map_err(|problems| unusable("the catalogue", &problems))?;
    let channels = Channels::load(&notify_config).map_err(|problems| unusable("the notification configuration", &problems))?;
    let owner = catalog.owners().find(|owner| owner.team == team).ok_or_else(|| {
        let names: Vec<&str> = catalog.owners().map(|owner| owner.team.as_str()).collect();
        let hint = catalog::closest(&team, &names).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        Error::invalid(format!("cannot find team {team:?} in the catalogue{hint}"))
    })?;
    let answers = ::notify::trial(&channels, owner, now_ms()()).await;
    if answers.is_empty() {
        return Err(Error::invalid(format!("cannot tell team {team:?} anything: no file says how it is reached")));
    }
    let mut lines = String::new();
    for Answered { channel, to, result } in &answers {
        let said = result.as_ref().map_or_else(|why| format!("failed: {why}"), |answer| format!("sent: {answer}"));
        lines.push_str(&format!("{} to {to:?} {said}\n", channel.name()));
    }
    match std::io::stdout().lock().write_all(lines.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(Error::unavailable("cannot write the answers").because(error)),
        _ => {}
    }
    match answers.iter().filter(|answered| answered.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(Error::unavailable(format!("cannot tell team {team:?} by {failed} of {} ways", answers.len()))),
    }
}
