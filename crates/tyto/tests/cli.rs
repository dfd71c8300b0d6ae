//! The command line as a user meets it.

use std::process::{Command, Output};

fn tyto(arguments: &[&str]) -> Output {
    tyto_with(&[], arguments)
}

fn tyto_with(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tyto"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TYTO_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).output().expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_command_explains_itself() {
    let help = String::from_utf8_lossy(&tyto(&["--help"]).stdout).into_owned();
    for command in ["serve", "demo", "sql", "promql", "logql"] {
        assert!(help.contains(command), "{command} is in\n{help}");
        assert!(tyto(&[command, "--help"]).status.success(), "{command} --help");
    }
}

#[test]
fn every_serve_option_is_on_its_page() {
    let help = String::from_utf8_lossy(&tyto(&["serve", "--help"]).stdout).into_owned();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serve.md")).expect("docs/serve.md");
    let flags: Vec<_> = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2).collect();
    assert!(flags.len() > 8, "{help}");
    for flag in flags.into_iter().filter(|flag| *flag != "--help") {
        let flag = flag.trim_end_matches(['.', ',', '`', '[']);
        assert!(page.contains(flag), "docs/serve.md lacks {flag}");
    }
}

#[test]
fn an_exposed_address_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let refused = tyto(&["serve", "--http", "0.0.0.0:0", "--data-dir", data.to_str().expect("a path")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--insecure"), "{}", stderr(&refused));
    assert!(!data.exists());
}

#[test]
fn a_missing_folder_and_a_missing_server_are_named() {
    let refused = tyto(&["sql", "select 1", "--data-dir", "/nowhere/at/all"]);
    assert!(!refused.status.success() && stderr(&refused).contains("/nowhere/at/all"), "{}", stderr(&refused));
    let refused = tyto(&["promql", "up", "--server", "http://127.0.0.1:1"]);
    assert!(!refused.status.success() && stderr(&refused).contains("127.0.0.1:1"), "{}", stderr(&refused));
}

#[test]
fn a_flag_wins_over_an_exported_server() {
    let exported = [("TYTO_SERVER", "http://127.0.0.1:1")];
    let folder = tyto_with(&exported, &["sql", "select 1", "--data-dir", "/nowhere/at/all"]);
    assert!(stderr(&folder).contains("/nowhere/at/all"), "{}", stderr(&folder));
    let server = tyto_with(&exported, &["sql", "select 1"]);
    assert!(stderr(&server).contains("127.0.0.1:1"), "{}", stderr(&server));
}

#[test]
fn a_log_filter_that_is_none_is_named() {
    let refused = tyto_with(&[("TYTO_LOG", "tyto=loud")], &["sql", "select 1"]);
    assert!(!refused.status.success() && stderr(&refused).contains("TYTO_LOG"), "{}", stderr(&refused));
}
