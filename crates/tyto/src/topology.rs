//! `tyto topology drift`: does what programs do agree with what teams declare? Ends as `diff` does: 0 when it does, 1 when it does not, 2
//! when nobody can tell, so that CI knows these apart.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Error, Result};
use serde_json::{Value, json};

use crate::ask::{Grid, Output, ask_server, instant, server};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TopologyOptions {
    #[command(subcommand)]
    command: TopologyCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum TopologyCommand {
    /// Where what teams declare and what their programs do differ. Exit code 1 when they do, 2 when that cannot be found out
    Drift(DriftOptions),
}

#[derive(clap::Args, Clone, Debug)]
struct DriftOptions {
    /// The server to ask [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    server: Option<String>,

    /// First instant: RFC 3339, Unix seconds, `now`, or `now-1h` (units s, m, h, d) [default: an hour before the end]
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,

    /// Last instant, written like --start [default: now]
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,

    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

const DRIFT: u8 = 1;
const TROUBLE: u8 = 2;

pub(crate) async fn run(options: TopologyOptions) -> ExitCode {
    let TopologyCommand::Drift(options) = options.command;
    match drift(options).await {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(DRIFT),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

/// Prints the report; gives whether there is any drift.
async fn drift(options: DriftOptions) -> Result<bool> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut parameters = Vec::new();
    for (name, text) in [("start", &options.start), ("end", &options.end)] {
        if let Some(text) = text {
            parameters.push((name, instant(name, text, now)?.to_string()));
        }
    }
    let report = ask_server(server(options.server.as_deref()), "/api/tyto/v1/topology/drift", parameters).await?;
    let differs =
        report["drift"].as_bool().ok_or_else(|| Error::unavailable("cannot read the answer: it does not say whether there is drift"))?;
    for warning in report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("tyto: warning: {warning}");
    }
    let out = &mut std::io::stdout().lock();
    let printed = match options.output {
        Output::Json => {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(Into::into).and_then(|()| std::io::Write::write_all(out, b"\n"))
        }
        output => grid(&report).print(output, out),
    };
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::unavailable("cannot write the answer").because(error)),
        _ => Ok(differs),
    }
}

/// One row for each difference.
fn grid(report: &Value) -> Grid {
    let items = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for (name, what) in [("called_not_declared", "called, not declared"), ("unknown_callers", "unknown caller")] {
        let per_second = |edge: &Value| format!("{:.3}/s", edge["requests_per_second"].as_f64().unwrap_or_default());
        rows.extend(items(name).iter().map(|edge| vec![json!(what), edge["from"].clone(), edge["to"].clone(), json!(per_second(edge))]));
    }
    rows.extend(
        items("declared_never_seen")
            .iter()
            .map(|unseen| vec![json!("declared, not seen"), unseen["from"].clone(), unseen["to"].clone(), Value::Null]),
    );
    rows.extend(items("wrong_owner").iter().map(|wrong| {
        let declared: Vec<&str> = wrong["declared"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let said = format!(
            "{} {}; declared: {}",
            wrong["what"].as_str().unwrap_or_default(),
            wrong["seen"].as_str().unwrap_or_default(),
            declared.join(", ")
        );
        vec![json!("wrong owner"), wrong["entity"].clone(), Value::Null, json!(said)]
    }));
    Grid { columns: ["difference", "from", "to", "detail"].map(str::to_owned).into(), rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_a_row() {
        let report = json!({
            "called_not_declared": [{"from": "component:a/b/c", "to": "database:d", "requests_per_second": 0.5}],
            "unknown_callers": [],
            "declared_never_seen": [{"from": "component:a/b/e"}],
            "wrong_owner": [{"entity": "component:a/b/c", "what": "team", "seen": "x", "declared": ["y", "z"]}],
        });
        let mut out = Vec::new();
        grid(&report).print(Output::Csv, &mut out).expect("memory");
        let expected = "difference,from,to,detail\n\"called, not declared\",component:a/b/c,database:d,0.500/s\n\"declared, not seen\",component:a/b/e,,\n\
                        wrong owner,component:a/b/c,,\"team x; declared: y, z\"\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
