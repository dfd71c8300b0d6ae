//! `tyto quarantine`: log records that broke their contract. What waits, one of them, and orders to let them in or throw them away.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Error, Result};
use serde_json::{Map, Value, json};

use crate::ask::{instant, read_answer, server};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct QuarantineOptions {
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum QuarantineCommand {
    /// What waits, by whose it is and what is wrong with it, the largest group first
    List(ListOptions),
    /// One record: what it breaks, and of what kind its attributes are
    Show(ShowOptions),
    /// Send records through the pipeline and the contracts of now; those that break nothing any more are let in, once each
    Replay(SettleOptions),
    /// Throw records away; they stay in the table, marked, for as long as it keeps them
    Discard(SettleOptions),
}

#[derive(clap::Args, Clone, Debug)]
struct ListOptions {
    #[command(flatten)]
    of: Selected,

    /// Print the server's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    at: At,
}

#[derive(clap::Args, Clone, Debug)]
struct ShowOptions {
    /// As `list` and the column quarantine_id have it
    id: String,

    #[command(flatten)]
    at: At,
}

#[derive(clap::Args, Clone, Debug)]
struct SettleOptions {
    #[command(flatten)]
    of: Selected,

    /// This record; several allowed
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Everything that waits
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    at: At,
}

#[derive(clap::Args, Clone, Debug)]
struct At {
    /// The server to ask [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    server: Option<String>,
}

#[derive(clap::Args, Clone, Debug)]
struct Selected {
    /// Of this business service
    #[arg(long, value_name = "NAME")]
    business_service: Option<String>,

    /// Of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,

    /// That break this contract
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,

    /// That break a rule of this keyword: type, enum, required
    #[arg(long, value_name = "KEYWORD")]
    rule: Option<String>,

    /// That break a rule of this attribute
    #[arg(long, value_name = "ATTRIBUTE")]
    path: Option<String>,

    /// Set aside since: RFC 3339, Unix seconds, `now`, or `now-1h` (units s, m, h, d) [default: since ever]
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,

    /// Set aside before, written like --start [default: for ever]
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,
}

impl Selected {
    fn json(&self) -> Result<Map<String, Value>> {
        let texts = [
            ("business_service", &self.business_service),
            ("service", &self.service),
            ("component", &self.component),
            ("contract", &self.contract),
            ("rule", &self.rule),
            ("path", &self.path),
        ];
        let mut json: Map<String, Value> =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        for (name, text) in [("start", &self.start), ("end", &self.end)] {
            if let Some(text) = text {
                json.insert(name.to_owned(), instant(name, text, now)?.to_string().into());
            }
        }
        Ok(json)
    }
}

pub(crate) async fn run(options: QuarantineOptions) -> Result<()> {
    let base = |at: &At| format!("{}/api/tyto/v1/quarantine", server(at.server.as_deref()));
    match options.command {
        QuarantineCommand::List(options) => {
            let pairs: Vec<_> =
                options.of.json()?.into_iter().map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect();
            let answer = call(reqwest::Client::new().get(base(&options.at)).query(&pairs)).await?;
            print(&if options.json { pretty(&answer)? } else { listed(&answer) })
        }
        QuarantineCommand::Show(options) => {
            let mut url = reqwest::Url::parse(&base(&options.at)).map_err(|error| Error::invalid("cannot read --server").because(error))?;
            url.path_segments_mut().map_err(|()| Error::invalid("cannot use --server: it has no path"))?.push(&options.id);
            print(&pretty(&call(reqwest::Client::new().get(url)).await?)?)
        }
        QuarantineCommand::Replay(options) => settle(&format!("{}/replay", base(&options.at)), &options).await,
        QuarantineCommand::Discard(options) => settle(&format!("{}/discard", base(&options.at)), &options).await,
    }
}

async fn settle(url: &str, options: &SettleOptions) -> Result<()> {
    let mut order = options.of.json()?;
    order.insert("ids".to_owned(), json!(options.ids));
    order.insert("all".to_owned(), json!(options.all));
    print(&pretty(&call(reqwest::Client::new().post(url).json(&order)).await?)?)
}

async fn call(request: reqwest::RequestBuilder) -> Result<Value> {
    let cannot = |error: reqwest::Error| Error::unavailable("cannot reach the server").because(error);
    let response = request.send().await.map_err(cannot)?;
    let success = response.status().is_success();
    read_answer(success, &response.bytes().await.map_err(cannot)?)
}

fn pretty(answer: &Value) -> Result<String> {
    serde_json::to_string_pretty(answer).map_err(|error| Error::internal("cannot write the answer as JSON").because(error))
}

/// Three lines a group: how many and whose, what is wrong, and an id to look at.
fn listed(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let groups = answer["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = format!("{} records wait, {} groups", answer["records"], groups.len());
    if let Some(left_out) = answer["groups_left_out"].as_u64() {
        out.push_str(&format!(", and {left_out} smaller ones"));
    }
    for group in groups {
        let owner = ["business_service", "service", "component"].map(|name| text(&group[name])).join("/");
        let (path, rule, expected, found) = (text(&group["path"]), text(&group["rule"]), text(&group["expected"]), text(&group["found"]));
        out.push_str(&format!("\n\n{} of {}", group["records"], owner.trim_end_matches('/')));
        out.push_str(&format!(
            "\n  {path} ({rule}): expected {expected}, found {found}; contract {} at {}",
            text(&group["contract"]),
            text(&group["at"])
        ));
        out.push_str(&format!("\n  tyto quarantine show {}", text(&group["examples"][0])));
    }
    out
}

fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Error::unavailable("cannot write the answer").because(error)),
    }
}
