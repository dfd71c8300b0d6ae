//! `notify.yaml`: by which servers owners are told, and where the secrets for these lie. It is the operator's, not a part of the catalogue: whoever
//! may write an `omd.yaml` says how a team is reached, but must not be able to have a token sent to a server of their choice.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Error, Result, parse_keep};

use crate::checks::Check;
use crate::fields::{Fields, Reader};
use crate::problem::Problem;
use crate::shape::{self, Shape};
use crate::yaml::{self, Node, Place};
use crate::{FILE_BYTES_MAX, Origin};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// A key or an address is shorter.
const SECRET_BYTES_MAX: u64 = 16_384;

/// What the file says.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Where people open Tyto's page: without a slash at its end, empty where nobody says.
    pub public_url: String,
    /// What breaks a contract still is told again after this long.
    pub digest_every: Duration,
    /// Nothing has broken a rule for this long: it is fixed.
    pub fixed_after: Duration,
    /// Of one channel to one team.
    pub messages_per_hour_max: u32,
    pub email: Option<MailServer>,
    pub slack: Vec<SlackHook>,
    pub github: Option<Github>,
    pub webhook: Option<Webhook>,
}

#[derive(Clone, Debug)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// The sender: an address.
    pub from: String,
    /// The name and password that the server wants.
    pub login: Option<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// The connection becomes encrypted before anything is said, or ends.
    StartTls,
    /// It is from its first byte.
    Tls,
    None,
}

#[derive(Clone, Debug)]
pub struct SlackHook {
    /// As teams write them; empty is every channel that no other hook names.
    pub channels: Vec<String>,
    pub url: Secret,
}

#[derive(Clone, Debug)]
pub struct Github {
    /// Without a slash at its end.
    pub api: String,
    pub token: Secret,
}

#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where teams may have messages posted to: names of hosts, or `*.example.com` for all below one; empty is anywhere.
    pub hosts: Vec<String>,
    /// By which requests are signed.
    pub secret: Option<Secret>,
}

/// Where a secret lies. It is read when it is needed, so that a new one is used without a word.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The environment variable of this name.
    Env(String),
    File(PathBuf),
}

impl Secret {
    /// Without the white space at its ends.
    pub fn read(&self) -> Result<String> {
        let cannot = || Error::unavailable(format!("cannot read the secret in {self:?}"));
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| cannot().because("there is no such text in the environment"))?,
            Self::File(path) => {
                let length = fs::metadata(path).map_err(|error| cannot().because(error))?.len();
                if length > SECRET_BYTES_MAX {
                    return Err(cannot().because("it is too long for a secret"));
                }
                fs::read_to_string(path).map_err(|error| cannot().because(error))?
            }
        };
        match text.trim() {
            "" => Err(cannot().because("it is empty")),
            text => Ok(text.to_owned()),
        }
    }
}

/// Only where it lies.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            digest_every: Duration::from_secs(86_400),
            fixed_after: Duration::from_secs(3600),
            messages_per_hour_max: 6,
            email: None,
            slack: Vec::new(),
            github: None,
            webhook: None,
        }
    }
}

impl Channels {
    /// All or nothing: every problem comes back at once.
    pub fn load(path: &Path) -> std::result::Result<Self, Vec<Problem>> {
        let cannot = |why: String| vec![Problem::of_file(path, why)];
        let length = fs::metadata(path).map_err(|error| cannot(format!("cannot read the file: {error}")))?.len();
        if length > FILE_BYTES_MAX {
            return Err(cannot(format!("cannot read the file: it is over {FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|error| cannot(format!("cannot read the file: {error}")))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The same of a text, with the name that its problems carry.
    pub fn parse(file: &str, text: &str) -> std::result::Result<Self, Vec<Problem>> {
        let mut reader = ChannelsReader(Reader { file: file.to_owned(), ..Reader::default() });
        let read = match yaml::parse(text) {
            Ok(root) => reader.file(&root),
            Err((place, what)) => {
                reader.0.problem(place, Check::Syntax, what);
                Self::default()
            }
        };
        match reader.0.diagnostics.is_empty() {
            true => Ok(read),
            false => Err(reader.0.diagnostics.into_iter().map(|diagnostic| diagnostic.problem).collect()),
        }
    }

    /// The hook of a channel as a team writes it.
    pub fn slack_of(&self, channel: &str) -> Option<&SlackHook> {
        let named = self.slack.iter().find(|hook| hook.channels.iter().any(|name| name == channel));
        named.or_else(|| self.slack.iter().find(|hook| hook.channels.is_empty()))
    }
}

struct ChannelsReader(Reader);

impl ChannelsReader {
    fn file(&mut self, root: &Node) -> Channels {
        let otherwise = Channels::default();
        let Some(fields) = self.0.fields(root, &shape::NOTIFY) else { return otherwise };
        let ways = shape::NOTIFY.any_of;
        if ways.iter().all(|way| !fields.contains_key(way)) {
            self.0.problem(
                root.place,
                Check::MissingKey,
                format!("cannot tell anybody anything: the file has none of {}", ways.join(", ")),
            );
        }
        Channels {
            public_url: self.url(&fields, "public_url").unwrap_or_default(),
            digest_every: self.duration(&fields, "digest_every").unwrap_or(otherwise.digest_every),
            fixed_after: self.duration(&fields, "fixed_after").unwrap_or(otherwise.fixed_after),
            messages_per_hour_max: self.per_hour(&fields).unwrap_or(otherwise.messages_per_hour_max),
            email: self.map(&fields, "email", &shape::NOTIFY_EMAIL).and_then(|(place, fields)| self.email(place, &fields)),
            slack: self.slack(&fields),
            github: self.map(&fields, "github", &shape::NOTIFY_GITHUB).and_then(|(_, fields)| {
                let api = self.url(&fields, "api").unwrap_or_else(|| "https://api.github.com".to_owned());
                Some(Github { api, token: self.secret(&fields, "token")? })
            }),
            webhook: self
                .map(&fields, "webhook", &shape::NOTIFY_WEBHOOK)
                .map(|(_, fields)| Webhook { hosts: self.hosts(&fields), secret: self.secret(&fields, "secret") }),
        }
    }

    fn map<'n>(&mut self, fields: &Fields<'n>, key: &'static str, shape: &Shape) -> Option<(Place, Fields<'n>)> {
        let node = *fields.get(key)?;
        Some((node.place, self.0.fields(node, shape)?))
    }

    fn email(&mut self, place: Place, fields: &Fields<'_>) -> Option<MailServer> {
        let tls = self.tls(fields);
        let server = fields.get("server").and_then(|node| self.server(node, tls));
        let from = fields.get("from").and_then(|node| {
            let text = self.0.text(node, "from")?;
            if !is_address(&text) {
                self.0.problem(node.place, Check::BadValue, format!("cannot write from {text:?}: it is one address, tyto@example.com"));
                return None;
            }
            Some(text)
        });
        let (user, password) = (self.0.optional_text(fields, "user"), self.secret(fields, "password"));
        let login = match (user.is_empty(), password) {
            (false, Some(password)) => Some((user, password)),
            (true, None) => None,
            _ if !fields.contains_key("password") || !fields.contains_key("user") => {
                let what = "cannot log in with a part of it: \"user\" needs \"password\", and the reverse";
                self.0.problem(place, Check::MissingKey, what);
                None
            }
            _ => None,
        };
        if login.is_some() && tls == MailTls::None {
            self.0.problem(place, Check::BadValue, "cannot send a password that everybody can read: say tls: starttls or tls: tls");
        }
        let (host, port) = server?;
        Some(MailServer { host, port, tls, from: from?, login })
    }

    fn tls(&mut self, fields: &Fields<'_>) -> MailTls {
        let Some(node) = fields.get("tls") else { return MailTls::StartTls };
        match self.0.text(node, "tls").as_deref() {
            Some("starttls") | None => MailTls::StartTls,
            Some("tls") => MailTls::Tls,
            Some("none") => MailTls::None,
            Some(other) => {
                let what = format!("cannot use {other:?} as \"tls\"");
                let known = ["starttls", "tls", "none"];
                self.0.unknown((node.place, Check::BadValue), other, &what, &known, "it is starttls, tls or none");
                MailTls::StartTls
            }
        }
    }

    /// `host` or `host:port`; the port is else that of the way of encrypting.
    fn server(&mut self, node: &Node, tls: MailTls) -> Option<(String, u16)> {
        let text = self.0.text(node, "server")?;
        let otherwise = match tls {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
            None => (text.as_str(), Some(otherwise)),
        };
        match port.filter(|_| is_host(host)) {
            Some(port) => Some((host.to_owned(), port)),
            None => {
                self.0.problem(node.place, Check::BadValue, format!("cannot find {text:?}: write the server as host or host:port"));
                None
            }
        }
    }

    fn slack(&mut self, fields: &Fields<'_>) -> Vec<SlackHook> {
        let (mut hooks, mut said): (Vec<SlackHook>, Vec<(String, Origin)>) = (Vec::new(), Vec::new());
        for node in self.0.optional_list(fields, "slack") {
            let Some(fields) = self.0.fields(node, &shape::NOTIFY_SLACK) else { continue };
            let mut channels = Vec::new();
            for node in self.0.optional_list(&fields, "channels") {
                let Some(name) = self.0.text(node, "channels") else { continue };
                self.once(&name, node.place, &mut said);
                channels.push(name);
            }
            if !fields.contains_key("channels") {
                self.once("", node.place, &mut said);
            } else if channels.is_empty() {
                self.0.problem(
                    fields["channels"].place,
                    Check::BadValue,
                    "cannot use an empty list: leave \"channels\" out for all others",
                );
            }
            hooks.extend(self.secret(&fields, "url").map(|url| SlackHook { channels, url }));
        }
        hooks
    }

    fn hosts(&mut self, fields: &Fields<'_>) -> Vec<String> {
        let mut hosts = Vec::new();
        for node in self.0.optional_list(fields, "hosts") {
            let Some(text) = self.0.text(node, "hosts") else { continue };
            if is_host(text.strip_prefix("*.").unwrap_or(&text)) {
                hosts.push(text.to_ascii_lowercase());
            } else {
                let what = format!("cannot find {text:?}: write a host without its port, or *.example.com");
                self.0.problem(node.place, Check::BadValue, what);
            }
        }
        if let Some(node) = fields.get("hosts").filter(|node| matches!(&node.value, yaml::Value::List(items) if items.is_empty())) {
            self.0.problem(node.place, Check::BadValue, "cannot use an empty list: leave \"hosts\" out for all, or \"webhook\" for none");
        }
        hosts
    }

    fn once(&mut self, channel: &str, place: Place, said: &mut Vec<(String, Origin)>) {
        let at = self.0.origin(place);
        match said.iter().find(|(other, _)| other == channel) {
            Some((_, other)) => {
                let which = if channel.is_empty() { "all other channels".to_owned() } else { format!("channel {channel:?}") };
                self.0.problem(place, Check::DuplicateName, format!("cannot declare the hook of {which} twice: it stands at {other}"));
            }
            None => said.push((channel.to_owned(), at)),
        }
    }

    fn secret(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Secret> {
        let node = *fields.get(key)?;
        if matches!(node.value, yaml::Value::Text(_)) {
            // Not even in the message.
            let what = format!("cannot take {key:?} itself: write where it lies, {{env: NAME}} or {{file: PATH}}");
            self.0.problem(node.place, Check::WrongType, what);
            return None;
        }
        let fields = self.0.fields(node, &shape::SECRET)?;
        let said = |key: &str| fields.get(key).copied();
        let (node, secret): (_, fn(String) -> Secret) = match (said("env"), said("file")) {
            (Some(node), None) => (node, Secret::Env),
            (None, Some(node)) => (node, |path| Secret::File(path.into())),
            _ => {
                self.0.problem(node.place, Check::MissingKey, format!("cannot find {key:?}: it has one of env, file"));
                return None;
            }
        };
        let text = self.0.text(node, key)?;
        if text.is_empty() || text.contains(['=', '\0']) && matches!(secret(String::new()), Secret::Env(_)) {
            self.0.problem(node.place, Check::BadValue, format!("cannot find {key:?} at {text:?}"));
            return None;
        }
        Some(secret(text))
    }

    fn url(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<String> {
        let node = *fields.get(key)?;
        let text = self.0.text(node, key)?;
        if !is_url(&text) {
            let what = format!("cannot open {text:?}: an address begins with https:// or http:// and a host");
            self.0.problem(node.place, Check::BadValue, what);
            return None;
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Duration> {
        let node = *fields.get(key)?;
        let text = self.0.text(node, key)?;
        let of = |unit: char, seconds: u64| {
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(count.saturating_mul(seconds)))
        };
        let found = of('s', 1).or_else(|| of('m', 60)).or_else(|| parse_keep(&text).ok());
        let found = found.filter(|duration| !duration.is_zero() && *duration <= YEAR);
        if found.is_none() {
            let what = format!("cannot use {text:?} as {key:?}: write a number with s, m, h, d or w, at most a year");
            self.0.problem(node.place, Check::BadValue, what);
        }
        found
    }

    fn per_hour(&mut self, fields: &Fields<'_>) -> Option<u32> {
        let node = *fields.get("messages_per_hour_max")?;
        let text = self.0.text(node, "messages_per_hour_max")?;
        let count = text.parse().ok().filter(|count| (1..=shape::MESSAGES_PER_HOUR).contains(&u64::from(*count)));
        if count.is_none() {
            let what = format!("cannot use {text:?} as \"messages_per_hour_max\": it is 1 to {}", shape::MESSAGES_PER_HOUR);
            self.0.problem(node.place, Check::BadValue, what);
        }
        count
    }
}

impl Webhook {
    /// Whether messages may be posted to a host.
    pub fn allows(&self, host: &str) -> bool {
        let is_it = |allowed: &String| match allowed.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == allowed,
        };
        self.hosts.is_empty() || self.hosts.iter().any(is_it)
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
}

/// Whether people, or we, can open it.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && !text.contains(char::is_whitespace)
}

/// One address of mail and nothing else: it stands in headers, and in what is said to a mail server.
pub(crate) fn is_address(text: &str) -> bool {
    let has_both = text.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    has_both && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;:\\\"()".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r##"
public_url: https://tyto.example.com/
digest_every: 12h
fixed_after: 90s
messages_per_hour_max: 3
email:
  server: smtp.example.com
  from: tyto@example.com
  user: tyto
  password: {file: /run/secrets/smtp}
slack:
  - channels: ["#payments", "#till"]
    url: {env: SLACK_PAYMENTS}
  - url: {env: SLACK}
github:
  token: {env: GITHUB_TOKEN}
webhook: {}
"##;

    #[test]
    fn a_whole_file_is_read() {
        let channels = Channels::parse("notify.yaml", WHOLE).unwrap();
        assert_eq!((channels.public_url.as_str(), channels.digest_every.as_secs()), ("https://tyto.example.com", 43_200));
        assert_eq!((channels.fixed_after.as_secs(), channels.messages_per_hour_max), (90, 3));
        let email = channels.email.clone().unwrap();
        assert_eq!((email.host.as_str(), email.port, email.tls), ("smtp.example.com", 587, MailTls::StartTls));
        assert_eq!(email.login, Some(("tyto".to_owned(), Secret::File("/run/secrets/smtp".into()))));
        assert_eq!(channels.slack_of("#till").unwrap().url, Secret::Env("SLACK_PAYMENTS".into()));
        assert_eq!(channels.slack_of("#other").unwrap().url, Secret::Env("SLACK".into()));
        assert_eq!(channels.github.unwrap().api, "https://api.github.com");
        assert!(channels.webhook.unwrap().secret.is_none());
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let problems = Channels::parse("notify.yaml", text).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, expect, "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        check(
            "digest_every: soon\nwebhok: {}\n",
            &[
                "notify.yaml:2:1: cannot use key \"webhok\" in the file: did you mean \"webhook\"?",
                "notify.yaml:1:1: cannot tell anybody anything: the file has none of email, slack, github, webhook",
                "notify.yaml:1:15: cannot use \"soon\" as \"digest_every\": write a number with s, m, h, d or w, at most a year",
            ],
        );
        check(
            "email: {server: 'a:b', from: 'a b@c', tls: startls, user: x}\n",
            &[
                "notify.yaml:1:44: cannot use \"startls\" as \"tls\": did you mean \"starttls\"?",
                "notify.yaml:1:17: cannot find \"a:b\": write the server as host or host:port",
                "notify.yaml:1:30: cannot write from \"a b@c\": it is one address, tyto@example.com",
                "notify.yaml:1:8: cannot log in with a part of it: \"user\" needs \"password\", and the reverse",
            ],
        );
        check(
            "email: {server: a, from: a@b, tls: none, user: x, password: {env: P}}\n",
            &["notify.yaml:1:8: cannot send a password that everybody can read: say tls: starttls or tls: tls"],
        );
        check(
            "slack: [{url: {env: A}}, {url: {env: B}}, {channels: [], url: {env: C, file: d}}]\nmessages_per_hour_max: 0\n",
            &[
                "notify.yaml:2:24: cannot use \"0\" as \"messages_per_hour_max\": it is 1 to 60",
                "notify.yaml:1:26: cannot declare the hook of all other channels twice: it stands at notify.yaml:1:9",
                "notify.yaml:1:54: cannot use an empty list: leave \"channels\" out for all others",
                "notify.yaml:1:63: cannot find \"url\": it has one of env, file",
            ],
        );
        check(
            "github: {api: example.com, token: {env: T}}\n",
            &["notify.yaml:1:15: cannot open \"example.com\": an address begins with https:// or http:// and a host"],
        );
    }

    #[test]
    fn webhooks_lead_where_they_may() {
        let hosts = "webhook: {hosts: [hooks.example.com, '*.Till.example.com']}";
        let webhook = Channels::parse("notify.yaml", hosts).unwrap().webhook.unwrap();
        let allowed =
            ["hooks.example.com", "a.till.example.com", "till.example.com", ".till.example.com", "evilhooks.example.com", "127.0.0.1"];
        assert_eq!(allowed.map(|host| webhook.allows(host)), [true, true, false, false, false, false]);
        assert!(Channels::parse("notify.yaml", "webhook: {}").unwrap().webhook.unwrap().allows("127.0.0.1"));
        check(
            "webhook: {hosts: ['a:80', '*']}",
            &[
                "notify.yaml:1:19: cannot find \"a:80\": write a host without its port, or *.example.com",
                "notify.yaml:1:27: cannot find \"*\": write a host without its port, or *.example.com",
            ],
        );
        check(
            "webhook: {hosts: []}",
            &["notify.yaml:1:18: cannot use an empty list: leave \"hosts\" out for all, or \"webhook\" for none"],
        );
    }

    #[test]
    fn a_secret_that_stands_in_the_file_is_refused_and_not_told() {
        check(
            "github: {token: ghp_0123}\n",
            &["notify.yaml:1:17: cannot take \"token\" itself: write where it lies, {env: NAME} or {file: PATH}"],
        );
    }

    #[test]
    fn a_secret_is_read_from_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = Secret::File(path.clone());
        assert!(secret.read().unwrap_err().chain().contains("cannot read the secret in file"));
        fs::write(&path, "hush\n").unwrap();
        assert_eq!(secret.read().unwrap(), "hush");
        fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().chain().contains("it is empty"));
    }
}
