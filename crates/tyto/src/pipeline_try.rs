//! `tyto pipeline try`: what a pipeline would do to records of a server or of a file. It runs in this process, over the look-up tables beside
//! the file. Ends as `tyto check` does: 1 where the file cannot be used, 2 where nobody can tell.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Error, Result, Trial, Tried, TriedStage, records_of, records_sql};
use pipeline::{PseudonymKey, try_draft};
use serde_json::Value;

use crate::ask::{ask_sql, instant, printable, server};
use crate::check::print;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PipelineOptions {
    #[command(subcommand)]
    command: PipelineCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum PipelineCommand {
    /// Run a pipeline over records and show each before and after; nothing is stored. Exit code 1 when the file cannot be used, 2 when
    /// that cannot be found out
    Try(TryOptions),
}

#[derive(clap::Args, Clone, Debug)]
struct TryOptions {
    /// The pipeline: `pipelines/<name>.yaml`
    file: PathBuf,

    /// Take the newest records of whoever it matches from this server [default: http://127.0.0.1:7070]
    #[arg(long, value_name = "URL", conflicts_with = "input")]
    against: Option<String>,

    /// How far back [default: 1h]
    #[arg(long, value_name = "TIME", default_value = "1h", conflicts_with = "input")]
    last: String,

    /// Take records from this file instead: one a line, as JSON or as a bare line
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Records at most
    #[arg(long, default_value_t = 20)]
    limit: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The key for pseudonyms, as `tyto serve` has it; without it they are hidden
    #[arg(long, value_name = "FILE")]
    pseudonym_key: Option<PathBuf>,
}

const PROBLEMS: u8 = 1;
const TROUBLE: u8 = 2;

pub(crate) async fn run(options: PipelineOptions) -> ExitCode {
    let PipelineCommand::Try(options) = options.command;
    match run_try(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(PROBLEMS),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::invalid(format!("cannot read {}", path.display())).because(error))
}

/// Gives whether the file can be used.
async fn run_try(options: TryOptions) -> Result<bool> {
    let (name, text) = (options.file.display().to_string(), read(&options.file)?);
    let tables = tables(&options.file)?;
    let tables: Vec<(&str, &str)> = tables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let key = match &options.pseudonym_key {
        Some(path) => Some(PseudonymKey::new(read(path)?.as_bytes())?),
        None => None,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let run = |records: &[Value]| try_draft(&name, &text, &tables, records, key.clone(), now_ms);
    // A file that cannot be used needs no records.
    let unusable = run(&[])?;
    let trial = match (&options.input, unusable.problems.is_empty()) {
        (_, false) => unusable,
        (Some(path), true) => run(&of_lines(&read(path)?, options.limit)?)?,
        (None, true) => {
            let start = instant("last", &format!("now-{}", options.last), now.as_secs_f64())?;
            let drafted = catalog::draft(&name, &text, &tables).map_err(|_| Error::internal("cannot read a file twice"))?;
            let owner = [drafted.selects.business_service.as_str(), &drafted.selects.service, &drafted.selects.component];
            let sql = records_sql(owner, (start * 1e9) as i64, options.limit);
            run(&records_of(&ask_sql(server(options.against.as_deref()), sql).await?))?
        }
    };
    let out = match options.json {
        true => format!("{:#}\n", serde_json::to_value(&trial).map_err(|error| Error::internal("cannot write the trial").because(error))?),
        false => shown(&trial),
    };
    print(&out)?;
    Ok(trial.problems.is_empty())
}

/// The look-up tables beside the file, named as it is.
fn tables(file: &Path) -> Result<Vec<(String, String)>> {
    let folder = file.parent().unwrap_or(Path::new("")).join("tables");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    paths.map(|path| Ok((path.display().to_string(), read(&path)?))).collect()
}

fn of_lines(text: &str, limit: usize) -> Result<Vec<Value>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(limit);
    let record = |(number, line): (usize, &str)| match line.trim_start().starts_with('{') {
        true => {
            serde_json::from_str(line).map_err(|error| Error::invalid(format!("cannot read line {} as JSON", number + 1)).because(error))
        }
        false => Ok(Value::from(line)),
    };
    lines.map(record).collect()
}

fn shown(trial: &Trial) -> String {
    let mut out: String = trial.problems.iter().map(|problem| format!("{problem}\n")).collect();
    for tried in &trial.records {
        let _ = writeln!(out, "- {}", printable(&tried.before.to_string()));
        match tried {
            Tried { dropped: Some(TriedStage { stage, reason, .. }), .. } => {
                let _ = writeln!(out, "  dropped by {stage}: {reason}");
            }
            Tried { after: Some(after), before, .. } if after == before => out.push_str("  as it was\n"),
            Tried { after, .. } => {
                let _ = writeln!(out, "+ {}", printable(&after.as_ref().map(Value::to_string).unwrap_or_default()));
            }
        }
        for TriedStage { stage, what, reason } in &tried.notes {
            let _ = writeln!(out, "  {stage} {what} {reason}");
        }
    }
    if trial.problems.is_empty() {
        let dropped = trial.records.iter().filter(|tried| tried.dropped.is_some()).count();
        let changed = trial.records.iter().filter(|tried| tried.after.as_ref().is_some_and(|after| *after != tried.before)).count();
        let _ = writeln!(out, "{} records: {changed} changed, {dropped} dropped", trial.records.len());
    }
    out
}
