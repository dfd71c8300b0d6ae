//! `tyto apply`: sends a repository's catalogue files to a server, which takes all of them or none. Ends as `tyto check` does: 0 when they are in force (or
//! could be), 1 when they are refused, 2 when nobody can tell.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use catalog::{CheckOptions, Level, report};
use model::{Error, Result};
use serde_json::{Value, json};

use crate::ask::server;
use crate::check::{PROBLEMS, TROUBLE, print};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ApplyOptions {
    /// Files, or directories with `omd.yaml` files below them: all that the source has, what it had before and is not here goes
    #[arg(required_unless_present = "remove", value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// What the files are called by in the catalogue; only files of this name are replaced [default: the name of the git remote `origin`, such as acme/payments]
    #[arg(long, env = "TYTO_SOURCE", value_name = "NAME")]
    source: Option<String>,

    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Take all files of the source out of the catalogue
    #[arg(long, conflicts_with = "paths", requires = "source")]
    remove: bool,

    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    /// The server to apply to [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    server: Option<String>,
}

/// For the server's answer, which waits for those who apply before.
const ANSWER_MAX: Duration = Duration::from_secs(180);

/// A file as it lies here, and as it is called in its repository.
struct File {
    here: String,
    name: String,
    text: String,
}

pub(crate) async fn run(options: ApplyOptions) -> ExitCode {
    match apply(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(PROBLEMS),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

/// Gives whether the files can be used.
async fn apply(options: ApplyOptions) -> Result<bool> {
    let files = files(&options.paths)?;
    let texts: Vec<(&str, &str)> = files.iter().map(|file| (file.here.as_str(), file.text.as_str())).collect();
    // What can be told here need not be sent. What other repositories declare, the server knows.
    let checked = catalog::check(&texts, &CheckOptions { part: true, ..CheckOptions::default() });
    if checked.count(Level::Error) > 0 {
        print(&if options.json { format!("{:#}\n", report::json(&checked)) } else { report::text(&checked, &texts) })?;
        return Ok(false);
    }
    let head = match options.paths.first() {
        Some(path) => registry::head_of(folder_of(path)).await,
        None => registry::Head::default(),
    };
    let source = options.source.filter(|source| !source.is_empty()).unwrap_or(head.source);
    if source.is_empty() {
        return Err(Error::invalid(
            "cannot tell what these files are called by: there is no git remote called origin, so say --source NAME",
        ));
    }
    registry::check_source(&source)?;
    let author = if head.author.is_empty() { std::env::var("USER").unwrap_or_default() } else { head.author };
    let from = options.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let sent: Vec<Value> = files.iter().map(|file| json!({ "name": file.name, "text": file.text })).collect();
    let body = json!({
        "source": source, "from": from, "commit": head.commit, "author": author, "dry_run": options.dry_run, "files": sent,
    });
    let answer = send(server(options.server.as_deref()), &body).await?;
    print(&if options.json { format!("{answer:#}\n") } else { told(&source, &answer, &files) })?;
    Ok(answer["verdict"] != "refused")
}

fn files(paths: &[PathBuf]) -> Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for path in paths {
        let texts = catalog::texts(&[path]).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|diagnostic| diagnostic.problem.to_string()).collect();
            Error::invalid(lines.join("\n"))
        })?;
        let top = top_of(folder_of(path))?;
        for (here, text) in texts {
            let cannot = |error| Error::invalid(format!("cannot read {here}")).because(error);
            let whole = std::fs::canonicalize(&here).map_err(cannot)?;
            let name = whole.strip_prefix(&top).unwrap_or(&whole).display().to_string();
            let name = name.trim_start_matches('/').to_owned();
            match files.iter().find(|file| file.name == name) {
                // Named by itself and by its directory.
                Some(same) if std::fs::canonicalize(&same.here).is_ok_and(|same| same == whole) => {}
                Some(other) => {
                    return Err(Error::invalid(format!("cannot apply {here} and {} together: both would be called {name}", other.here)));
                }
                None => files.push(File { here, name, text }),
            }
        }
    }
    Ok(files)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !path.is_dir() => {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
        }
        _ => path,
    }
}

/// The top of the checkout that a folder lies in; the folder itself where it lies in none. So a file is called the same from wherever it is applied.
fn top_of(folder: &Path) -> Result<PathBuf> {
    let cannot = |error| Error::invalid(format!("cannot read {}", folder.display())).because(error);
    let folder = std::fs::canonicalize(folder).map_err(cannot)?;
    let top = folder.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&folder);
    Ok(top.to_owned())
}

/// An answer with a verdict is one, whatever its status.
async fn send(server: &str, body: &Value) -> Result<Value> {
    let url = format!("{server}/api/tyto/v1/catalog/apply");
    let cannot = |error: reqwest::Error| Error::unavailable(format!("cannot reach {url}")).because(error);
    let response = reqwest::Client::new().post(&url).timeout(ANSWER_MAX).json(body).send().await.map_err(cannot)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(cannot)?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if answer["verdict"].is_string() {
        return Ok(answer);
    }
    let why = answer["error"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    Err(Error::unavailable(format!("cannot apply at {server}")).because(why))
}

/// Problems as a compiler tells them, what is otherwise, and what became of it.
fn told(source: &str, answer: &Value, files: &[File]) -> String {
    let mut out = String::new();
    for problem in answer["problems"].as_array().into_iter().flatten() {
        let text = |key: &str| problem[key].as_str().unwrap_or_default();
        let file = files.iter().find(|file| file.name == text("file")).map_or(text("file"), |file| file.here.as_str());
        let place = if problem["line"] == 0 { file.to_owned() } else { format!("{file}:{}:{}", problem["line"], problem["column"]) };
        out += &format!("{place}: {}[{}]: {}\n     = fix: {}\n", text("level"), text("check"), text("what"), text("fix"));
    }
    for difference in answer["differences"].as_array().into_iter().flatten() {
        out += &format!("  {}\n", difference["words"].as_str().unwrap_or_default());
    }
    let number = &answer["version"]["number"];
    out += &match answer["verdict"].as_str().unwrap_or_default() {
        "applied" => format!("applied: {source} is in force as version {number}\n"),
        "unchanged" if number.is_null() => format!("unchanged: nothing is in force, and {source} adds nothing\n"),
        "unchanged" => format!("unchanged: version {number} has the same files of {source}\n"),
        "would_apply" => format!("ok: {source} would be taken; nothing is changed\n"),
        _ => format!(
            "refused: what was in force stays, {}\n",
            if number.is_null() { "which is nothing".to_owned() } else { format!("version {number}") }
        ),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_the_same_from_wherever_it_is_applied() {
        let checkout = tempfile::tempdir().expect("a folder");
        let at = |name: &str| checkout.path().join(name);
        std::fs::create_dir_all(at(".git")).expect("made");
        std::fs::create_dir_all(at("billing/contracts")).expect("made");
        std::fs::write(at("billing/omd.yaml"), "").expect("written");
        std::fs::write(at("billing/contracts/a.json"), "{}").expect("written");
        let names = |paths: &[PathBuf]| files(paths).map(|files| files.into_iter().map(|file| file.name).collect::<Vec<_>>());
        let all = ["billing/omd.yaml", "billing/contracts/a.json"];
        assert_eq!(names(&[checkout.path().to_owned()]).expect("read"), all);
        assert_eq!(names(&[at("billing")]).expect("read"), all);
        assert_eq!(names(&[at("billing"), at("billing/omd.yaml")]).expect("read"), all);
    }
}
