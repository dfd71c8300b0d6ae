//! Runs `tests/cases/present/*.test`: requests, what the engine is asked, and the exact answers. `UPDATE=1` rewrites them.
//!
//! A case is `# title`, `> METHOD path`, headers as `name: value`, `= fixture` (see `fake/mod.rs`), a body after `<`, then
//! `----` and what is expected: a line `ask ...` per question, the status with its content type, the body.

#![allow(clippy::unwrap_used)]

mod fake;

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

async fn run(case: &str) -> String {
    let (mut request, mut fixture, mut body) = (Request::builder(), "empty", String::new());
    for line in case.lines().filter(|line| !line.starts_with('#')) {
        if let Some((method, path)) = line.strip_prefix("> ").and_then(|line| line.split_once(' ')) {
            request = request.method(method).uri(path);
        } else if let Some(name) = line.strip_prefix("= ") {
            fixture = name;
        } else if let Some(text) = line.strip_prefix("< ") {
            body.push_str(text);
        } else if let Some((name, value)) = line.split_once(": ") {
            request = request.header(name, value);
        }
    }
    let (router, fake) = fake::router(fixture);
    let response = router.oneshot(request.body(Body::from(body)).expect("the case is a request")).await.expect("routers do not fail");
    let mut out = String::new();
    let asked = std::mem::take(&mut *fake.asked.lock().unwrap());
    asked.iter().for_each(|ask| writeln!(out, "ask {}", without_now(ask)).unwrap());
    let kind = response.headers().get("content-type").map_or("-", |kind| kind.to_str().unwrap());
    write!(out, "{} {kind}", response.status().as_u16()).unwrap();
    for name in ["allow", "retry-after"] {
        if let Some(value) = response.headers().get(name) {
            write!(out, " {name}={}", value.to_str().unwrap()).unwrap();
        }
    }
    out.push('\n');
    match to_bytes(response.into_body(), usize::MAX).await {
        Ok(body) => match String::from_utf8(body.into()) {
            Ok(text) => out.push_str(&text),
            Err(error) => error.as_bytes().iter().for_each(|byte| write!(out, "{byte:02x}").unwrap()),
        },
        Err(error) => write!(out, "the body breaks off: {error}").unwrap(),
    }
    out.trim_end().to_owned() + "\n"
}

/// Times of the last days are written RECENT: they come from the clock, where the request names none.
fn without_now(text: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let mut out = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        match digits.parse::<u128>() {
            Ok(time) if [time, time.saturating_mul(1_000_000)].iter().any(|time| now.abs_diff(*time) < 3 * 86_400_000_000_000) => {
                out.extend(["RECENT", &part[digits.len()..]])
            }
            _ => out.push_str(part),
        }
    }
    out
}

#[tokio::test]
async fn cases() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/present");
    let update = std::env::var_os("UPDATE").is_some();
    let (mut ran, mut failed) = (0, Vec::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rewritten = String::new();
        for case in text.split_inclusive("\n====\n") {
            let body = case.trim_end_matches("====\n");
            let (asked, expected) = body.split_once("\n----\n").expect("a case has a line ----");
            let actual = run(asked).await;
            if actual.trim_end() != expected.trim_end() {
                failed.push(format!("{} in {}\nexpected\n{expected}\nactual\n{actual}", asked.lines().next().unwrap(), path.display()));
            }
            let end = if case.ends_with("====\n") { "====\n" } else { "" };
            write!(rewritten, "{asked}\n----\n{actual}{end}").unwrap();
            ran += 1;
        }
        if update {
            std::fs::write(&path, rewritten).unwrap();
        }
    }
    assert!(ran > 50, "the cases are there");
    assert!(update || failed.is_empty(), "{}", failed.join("\n\n"));
}
