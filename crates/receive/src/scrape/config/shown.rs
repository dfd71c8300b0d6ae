//! A configuration as it may be shown to whoever may look at the server: without its secrets.

use catalog::yaml::{Node, Value};

/// Keys whose value is a secret wherever they stand.
const SECRETS: [&str; 6] = ["password", "credentials", "bearer_token", "client_secret", "secret_key", "secrets"];
const SECRET: &str = "<secret>";

/// These sections of a file, in YAML. Every value is written as it was read, and no comment is.
pub(super) fn shown(root: &Node, sections: &[&str]) -> String {
    let mut out = String::new();
    if let Value::Map(entries) = &root.value {
        entries.iter().filter(|(_, key, _)| sections.contains(&key.as_str())).for_each(|(_, key, node)| entry(&mut out, 0, "", key, node));
    }
    out
}

/// `above` is the key of the map that this one is in.
fn entry(out: &mut String, depth: usize, above: &str, key: &str, node: &Node) {
    indent(out, depth);
    text(out, key);
    out.push(':');
    // A private key, beside the path of one.
    let is_secret = SECRETS.contains(&key) || (above == "tls_config" && key == "key");
    value(out, depth + 1, key, node, is_secret);
}

/// What follows a key or a dash.
fn value(out: &mut String, depth: usize, above: &str, node: &Node, is_secret: bool) {
    match &node.value {
        Value::Null => out.push('\n'),
        Value::Text(_) if is_secret => line(out, SECRET),
        Value::Text(value) => line(out, &without_password(value)),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::List(items) => {
            out.push('\n');
            for item in items {
                indent(out, depth);
                out.push('-');
                self::value(out, depth + 1, above, item, is_secret);
            }
        }
        Value::Map(entries) => {
            out.push('\n');
            entries.iter().for_each(|(_, key, node)| entry(out, depth, above, key, node));
        }
    }
}

fn line(out: &mut String, value: &str) {
    out.push(' ');
    text(out, value);
    out.push('\n');
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A text without quotes where it needs none.
fn text(out: &mut String, text: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/')) && text.chars().all(is_plain);
    match plain {
        true => out.push_str(text),
        // A string of JSON is one of YAML.
        false => out.push_str(&serde_json::Value::from(text).to_string()),
    }
}

/// `http://user:<secret>@host` for an address with a password.
fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.split_once('@').filter(|(user, _)| !user.contains('/'))?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:{SECRET}@{host}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use catalog::yaml;

    use super::*;

    #[test]
    fn secrets_are_not_shown_and_the_rest_reads_the_same() {
        let text = r#"
global: {scrape_interval: 15s, external_labels: {a: "x: y"}}
remote_write: [{url: http://a, basic_auth: {password: hunter2}}]
scrape_configs:
  - job_name: a   # hunter2
    basic_auth: {username: me, password: hunter2}
    authorization: {credentials: hunter2}
    bearer_token: hunter2
    tls_config: {key: hunter2, key_file: /k.pem, insecure_skip_verify: true}
    http_headers: {X-Key: {secrets: [hunter2, hunter2], values: ["on"]}}
    http_sd_configs: [{url: "http://me:hunter2@host/sd"}]
    static_configs: [{targets: ["a:1", b], labels: {}}, {targets: []}]
    relabel_configs:
    params:
"#;
        let root = yaml::parse_with_aliases(text).unwrap();
        let shown = shown(&root, &["global", "scrape_configs"]);
        assert!(!shown.contains("hunter2") && !shown.contains("remote_write"), "{shown}");
        assert_eq!(shown.matches("<secret>").count(), 7, "{shown}");
        let again = yaml::parse_with_aliases(&shown).unwrap();
        assert_eq!(self::shown(&again, &["global", "scrape_configs"]), shown);
        for expect in ["  external_labels:\n    a: \"x: y\"\n", "  -\n    job_name: a\n", "key_file: /k.pem", "- \"a:1\"\n", "labels: {}\n"]
        {
            assert!(shown.contains(expect), "{expect:?} in {shown}");
        }
    }
}
