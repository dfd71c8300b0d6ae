//! `tyto erase`: orders a server to erase, and follows the order to its end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Error, Result};
use serde_json::{Value, json};

use crate::ask::{instant, read_answer, server};

/// How often an erasure is asked after.
const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EraseOptions {
    /// What a row must hold to be erased, FIELD=VALUE; given more than once, all must hold. A field is a column
    /// (business_service, service_name, trace_id, body, ...), attributes.<key>, or for logs body.<path>
    #[arg(long = "match", value_name = "FIELD=VALUE", required_unless_present_any = ["contains", "list"])]
    equals: Vec<String>,

    /// The same for a text that the field contains
    #[arg(long, value_name = "FIELD=TEXT")]
    contains: Vec<String>,

    /// Only of this table: logs, spans, samples or quarantine [default: every table that has the fields]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,

    /// First instant: RFC 3339, Unix seconds, `now`, or `now-1h` (units s, m, h, d) [default: since ever]
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,

    /// The instant that ends it, written like --start [default: for ever]
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,

    /// Your own name for this, a ticket or a case: it stays in the proof for ever
    #[arg(long, default_value = "")]
    reference: String,

    /// Return once the order is accepted, instead of once the bytes are gone
    #[arg(long)]
    no_wait: bool,

    /// Print every erasure, the newest first, and order none
    #[arg(long, conflicts_with_all = ["equals", "contains", "tables", "start", "end", "reference", "no_wait"])]
    list: bool,

    /// The server to order [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    server: Option<String>,
}

pub(crate) async fn run(options: EraseOptions) -> Result<()> {
    let base = format!("{}/api/tyto/v1/erasures", server(options.server.as_deref()));
    if options.list {
        return print(&call(&base, None).await?);
    }
    let mut erasure = call(&base, Some(&order(&options)?)).await?;
    let address = format!("{base}/{}", erasure["id"].as_str().unwrap_or_default());
    let mut said = Value::Null;
    while !options.no_wait && erasure["state"] != "done" {
        let hindered = &erasure["hindered_by"];
        if hindered.is_string() && *hindered != said {
            eprintln!("tyto: not yet: {}", hindered.as_str().unwrap_or_default());
            said = hindered.clone();
        }
        tokio::time::sleep(ASK_EVERY).await;
        erasure = call(&address, None).await?;
    }
    print(&erasure)
}

fn order(options: &EraseOptions) -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let tests = |flag: &str, holds: &str, given: &[String]| {
        let test = |text: &String| {
            let wrong = || Error::invalid(format!("cannot use --{flag} without a value: write FIELD=VALUE, as in attributes.user.id=42"));
            text.split_once('=').map(|(field, value)| json!({ "field": field, holds: value })).ok_or_else(wrong)
        };
        given.iter().map(test).collect::<Result<Vec<_>>>()
    };
    let mut all = tests("match", "equals", &options.equals)?;
    all.extend(tests("contains", "contains", &options.contains)?);
    let mut order = json!({ "match": all, "reference": options.reference, "tables": options.tables });
    for (name, text) in [("start", &options.start), ("end", &options.end)] {
        if let Some(text) = text {
            order[name] = json!(instant(name, text, now)?.to_string());
        }
    }
    Ok(order)
}

async fn call(url: &str, order: Option<&Value>) -> Result<Value> {
    let client = reqwest::Client::new();
    let request = order.map_or_else(|| client.get(url), |order| client.post(url).json(order));
    let cannot = |error: reqwest::Error| Error::unavailable(format!("cannot reach {url}")).because(error);
    let response = request.send().await.map_err(cannot)?;
    let success = response.status().is_success();
    read_answer(success, &response.bytes().await.map_err(cannot)?)
}

fn print(answer: &Value) -> Result<()> {
    use std::io::Write;
    let text = serde_json::to_string_pretty(answer).map_err(|error| Error::internal("cannot write the answer as JSON").because(error))?;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Error::unavailable("cannot write the answer").because(error)),
    }
}
