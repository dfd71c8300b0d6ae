//! Asks AWS. Path: `mod.rs` (one call: address, attempts, errors) > `credentials.rs` (who asks) > `sign.rs` (Signature Version 4)
//! > the answer, in `xml.rs` or JSON. Knows no service; discovery and `cloudwatch/` do.
//!
//! Refused: the crates of AWS's SDK. Signing alone (`aws-sigv4`) brings its own types, runtime traits and time, a client
//! per service brings megabytes; here are two hundred lines over `ring` and `reqwest`, which are in the tree. The signer of
//! `object_store` signs a request type of its own, and would make this crate depend on stores.

mod credentials;
mod sign;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use model::{Code, Error, Result};
use serde::de::DeserializeOwned;
use url::Url;

use credentials::Keyring;
pub(crate) use credentials::Role;
pub(crate) use sign::Keys;
pub(crate) use xml::Element;
#[cfg(test)]
pub(crate) use xml::parse as parse_xml;

/// For one attempt, its answer included.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Of one call. What AWS throttles, what breaks and what it has no room for is asked again.
const ATTEMPTS_MAX: u32 = 5;
/// Before the second attempt; doubled before each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// What of AWS's own words an error repeats.
const WORDS_BYTES_MAX: usize = 512;

type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What surrounds the process: variables and the time. A value, so that tests can say what it is.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) variable: Arc<Variable>,
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl World {
    pub(crate) fn real() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { variable: Arc::new(variable), now: Arc::new(Utc::now) }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }
}

/// A service of AWS: how it is addressed and which of its protocols is spoken.
#[derive(Debug)]
pub(crate) struct Service {
    /// Of its host name, and what a signature is made for.
    host: &'static str,
    signed_as: &'static str,
    /// Of the variable that sets another address for it: `AWS_ENDPOINT_URL_<variable>`.
    variable: &'static str,
    protocol: Protocol,
}

#[derive(Debug)]
enum Protocol {
    /// Parameters as a form, an answer in XML; with the version of the API.
    Query(&'static str),
    /// With its own version and what stands before an operation's name.
    Json(&'static str, &'static str),
}

impl Service {
    pub(crate) const EC2: Self = Self::query("ec2", "ec2", "EC2", "2016-11-15");
    pub(crate) const STS: Self = Self::query("sts", "sts", "STS", "2011-06-15");
    pub(crate) const ECS: Self = Self::json("ecs", "ECS", "1.1", "AmazonEC2ContainerServiceV20141113");

    pub(crate) const MONITORING: Self = Self::query("monitoring", "monitoring", "CLOUDWATCH", "2010-08-01");
    pub(crate) const TAGGING: Self = Self::json("tagging", "RESOURCE_GROUPS_TAGGING_API", "1.1", "ResourceGroupsTaggingAPI_20170126");

    const fn query(host: &'static str, signed_as: &'static str, variable: &'static str, version: &'static str) -> Self {
        Self { host, signed_as, variable, protocol: Protocol::Query(version) }
    }

    const fn json(host: &'static str, variable: &'static str, version: &'static str, target: &'static str) -> Self {
        Self { host, signed_as: host, variable, protocol: Protocol::Json(version, target) }
    }

    /// What is configured, else what the environment says, else AWS's own address.
    fn url(&self, configured: Option<&str>, region: &str, world: &World) -> Result<Url> {
        let of_environment = || world.get(&format!("AWS_ENDPOINT_URL_{}", self.variable)).or_else(|| world.get("AWS_ENDPOINT_URL"));
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{}.{region}.{domain}", self.host);
        let text = configured.map(str::to_owned).or_else(of_environment).unwrap_or_else(own);
        // An address without a scheme is one of AWS's own.
        let text = if text.contains("://") { text } else { format!("https://{text}") };
        let url = Url::parse(&text).ok().filter(|url| url.has_host() && url.query().is_none());
        url.ok_or_else(|| Error::invalid(format!("cannot ask AWS at {text:?}: it is no URL of a host")))
    }
}

/// How an account of AWS is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) keys: Option<Keys>,
    /// Of the shared files.
    pub(crate) profile: Option<String>,
    /// Taken on by whoever the other options say.
    pub(crate) role: Option<Role>,
    /// Whose STS gives the role, when not that of `region`.
    pub(crate) sts_region: Option<String>,
}

/// One account in one region.
#[derive(Clone)]
pub(crate) struct Aws {
    keyring: Arc<Keyring>,
    http: reqwest::Client,
    world: World,
    endpoint: Option<String>,
    pub(crate) region: String,
    /// Counts attempts by `operation` and `result`.
    counter: &'static str,
}

impl Aws {
    /// Settles the region; credentials are looked for at the first call.
    pub(crate) async fn connect(options: &Options, http: reqwest::Client, world: World, counter: &'static str) -> Result<Self> {
        let region = match &options.region {
            Some(region) => region.clone(),
            None => credentials::region(options.profile.as_deref(), &http, &world).await?,
        };
        let sts_region = options.sts_region.clone().unwrap_or_else(|| region.clone());
        let keyring = Arc::new(Keyring::new(options.clone(), sts_region, http.clone(), world.clone()));
        Ok(Self { keyring, http, world, endpoint: options.endpoint.clone(), region, counter })
    }

    /// Without the configured address, for a second service beside the one that it is for.
    pub(crate) fn at_default_address(&self) -> Self {
        Self { endpoint: None, ..self.clone() }
    }

    /// A call with parameters, of a service that answers in XML.
    pub(crate) async fn query(&self, service: &Service, operation: &str, parameters: &[(String, String)]) -> Result<Element> {
        let Protocol::Query(version) = service.protocol else { panic!("{service:?} speaks JSON") };
        let body = form(operation, version, parameters);
        let answer = self.send(service, operation, FORM, body).await?;
        xml::parse(&answer).map_err(|error| unreadable(operation, error))
    }

    /// A call with a JSON object.
    pub(crate) async fn json<T: DeserializeOwned>(&self, service: &Service, operation: &str, body: &serde_json::Value) -> Result<T> {
        let Protocol::Json(version, _) = service.protocol else { panic!("{service:?} speaks XML") };
        let answer = self.send(service, operation, &format!("application/x-amz-json-{version}"), body.to_string()).await?;
        serde_json::from_slice(&answer).map_err(|error| unreadable(operation, error))
    }

    async fn send(&self, service: &Service, operation: &str, content_type: &str, body: String) -> Result<Bytes> {
        let url = service.url(self.endpoint.as_deref(), &self.region, &self.world)?;
        let (mut attempt, mut renewed) = (1, false);
        loop {
            let keys = self.keyring.keys().await?;
            let call = Call { service, operation, region: &self.region, url: &url, content_type, body: &body };
            let answered = call.once(&self.http, Some(&keys), &self.world).await;
            let result = match &answered {
                Ok(_) => "ok",
                Err(error) if matches!(error.code, Code::Overloaded { .. }) => "throttled",
                Err(error) if matches!(error.code, Code::Unauthenticated | Code::Forbidden | Code::Invalid | Code::NotFound) => "refused",
                Err(_) => "failed",
            };
            metrics::counter!(self.counter, "operation" => operation.to_owned(), "result" => result).increment(1);
            match answered {
                // Credentials may end sooner than they said.
                Err(error) if error.code == Code::Unauthenticated && !renewed => {
                    renewed = true;
                    self.keyring.forget(&keys).await;
                }
                Err(error) if attempt < ATTEMPTS_MAX && is_passing(error.code) => {
                    tokio::time::sleep(backoff(attempt, &self.world)).await;
                    attempt += 1;
                }
                answered => return answered,
            }
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn form(operation: &str, version: &str, parameters: &[(String, String)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation).append_pair("Version", version);
    form.extend_pairs(parameters).finish()
}

fn unreadable(operation: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable(format!("cannot read what AWS answers to {operation}")).because(source)
}

fn is_passing(code: Code) -> bool {
    matches!(code, Code::Overloaded { .. } | Code::Unavailable | Code::Timeout)
}

/// Doubled with each attempt, and up to half as long again by chance, so that callers do not come back together.
fn backoff(attempt: u32, world: &World) -> Duration {
    let wait = BACKOFF_MIN * 2_u32.pow(attempt - 1);
    let chance = (world.now)().timestamp_subsec_nanos() % 1000;
    wait + wait / 2 * chance / 1000
}

struct Call<'a> {
    service: &'a Service,
    operation: &'a str,
    region: &'a str,
    url: &'a Url,
    content_type: &'a str,
    body: &'a str,
}

impl Call<'_> {
    /// One attempt; without keys it is not signed.
    async fn once(&self, http: &reqwest::Client, keys: Option<&Keys>, world: &World) -> Result<Bytes> {
        let host = self.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let mut headers = vec![(CONTENT_TYPE.as_str(), self.content_type.to_owned()), (HOST.as_str(), host)];
        if let Protocol::Json(_, target) = self.service.protocol {
            headers.push(("x-amz-target", format!("{target}.{}", self.operation)));
        }
        if let Some(keys) = keys {
            let scope = sign::Scope { region: self.region, service: self.service.signed_as, time: (world.now)() };
            let authorization = sign::sign(keys, &scope, self.url.path(), &mut headers, self.body.as_bytes());
            headers.push((AUTHORIZATION.as_str(), authorization));
        }
        let mut request = http.post(self.url.clone()).header(USER_AGENT, concat!("Tyto/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers.iter().filter(|(name, _)| *name != HOST.as_str()) {
            request = request.header(*name, value);
        }
        let cannot = |error: reqwest::Error| {
            let code = if error.is_timeout() { Code::Timeout } else { Code::Unavailable };
            Error::new(code, format!("cannot ask {} for {}", self.url, self.operation)).because(error.without_url())
        };
        let answer = request.timeout(ANSWER_TIME_MAX).body(self.body.to_owned()).send().await.map_err(cannot)?;
        let status = answer.status();
        let bytes = read(answer, ANSWER_BYTES_MAX).await?;
        if status.is_success() { Ok(bytes) } else { Err(self.refusal(status, &bytes)) }
    }

    /// AWS's error by its own name.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        let (name, words) = match self.service.protocol {
            Protocol::Query(_) => named_in_xml(body),
            Protocol::Json(..) => named_in_json(body),
        };
        let name = if name.is_empty() { status.to_string() } else { name };
        let words = &words[..words.floor_char_boundary(WORDS_BYTES_MAX)];
        let stop = if words.is_empty() { "" } else { ": " };
        Error::new(code_of(&name, status), format!("cannot do {} in {}: AWS says {name}{stop}{words}", self.operation, self.region))
    }
}

async fn read(mut answer: reqwest::Response, bytes_max: usize) -> Result<Bytes> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| Error::unavailable("cannot read an answer to its end").because(error.without_url());
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Error::new(Code::TooLarge, format!("cannot read an answer: it is over answer_bytes_max, {bytes_max}")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn named_in_xml(body: &[u8]) -> (String, String) {
    let Ok(answer) = xml::parse(body) else { return Default::default() };
    // Most services say `<ErrorResponse><Error>`, EC2 `<Response><Errors><Error>`, gateways before them `<Error>`.
    let error = answer.at("Error").or_else(|| answer.at("Errors/Error")).unwrap_or(&answer);
    (error.text("Code").to_owned(), error.text("Message").to_owned())
}

fn named_in_json(body: &[u8]) -> (String, String) {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let name = text("__type").rsplit('#').next().unwrap_or_default().to_owned();
    let words = if text("message").is_empty() { text("Message") } else { text("message") };
    (name, words.to_owned())
}

fn code_of(name: &str, status: StatusCode) -> Code {
    match name.trim_end_matches("Exception") {
        "Throttling"
        | "ThrottledRequest"
        | "ThrottlingError"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "LimitExceeded"
        | "RequestThrottled"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "EC2ThrottledException" => Code::Overloaded { retry_after_seconds: 1 },
        "ExpiredToken"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "AuthFailure"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Code::Unauthenticated,
        "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired" => Code::Forbidden,
        _ if status == StatusCode::TOO_MANY_REQUESTS => Code::Overloaded { retry_after_seconds: 1 },
        _ if status.is_server_error() => Code::Unavailable,
        _ => Code::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(variables: &'static [(&str, &str)]) -> World {
        let variable = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        World { variable: Arc::new(variable), now: Arc::new(Utc::now) }
    }

    #[test]
    fn services_have_addresses() {
        let none = world(&[]);
        let url = |service: &Service, configured: Option<&str>, region: &str, world: &World| {
            service.url(configured, region, world).map(|url| url.to_string()).map_err(|error| error.what)
        };
        assert_eq!(url(&Service::EC2, None, "eu-west-1", &none).unwrap(), "https://ec2.eu-west-1.amazonaws.com/");
        assert_eq!(url(&Service::STS, None, "cn-north-1", &none).unwrap(), "https://sts.cn-north-1.amazonaws.com.cn/");
        assert_eq!(url(&Service::ECS, Some("http://here:1"), "x", &none).unwrap(), "http://here:1/");
        assert_eq!(url(&Service::EC2, Some("ec2.vpce.amazonaws.com"), "x", &none).unwrap(), "https://ec2.vpce.amazonaws.com/");
        let set = world(&[("AWS_ENDPOINT_URL", "http://all:1"), ("AWS_ENDPOINT_URL_STS", "http://sts:1")]);
        assert_eq!(url(&Service::STS, None, "x", &set).unwrap(), "http://sts:1/");
        assert_eq!(url(&Service::EC2, None, "x", &set).unwrap(), "http://all:1/");
        assert_eq!(
            url(&Service::EC2, Some("http://a?b=c"), "x", &set).unwrap_err(),
            "cannot ask AWS at \"http://a?b=c\": it is no URL of a host"
        );
    }

    #[test]
    fn errors_are_told_by_their_names() {
        let url = Url::parse("http://here").unwrap();
        let check = |service: &Service, status: u16, body: &str, code: Code, what: &str| {
            let call = Call { service, operation: "Do", region: "eu-west-1", url: &url, content_type: FORM, body: "" };
            let error = call.refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!((error.code, error.what.as_str()), (code, what));
        };
        let throttled = Code::Overloaded { retry_after_seconds: 1 };
        let ec2 = "<Response><Errors><Error><Code>AuthFailure</Code><Message>who?</Message></Error></Errors></Response>";
        check(&Service::EC2, 401, ec2, Code::Unauthenticated, "cannot do Do in eu-west-1: AWS says AuthFailure: who?");
        let sts = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>slow</Message></Error></ErrorResponse>";
        check(&Service::STS, 400, sts, throttled, "cannot do Do in eu-west-1: AWS says Throttling: slow");
        let ecs = r#"{"__type":"com.amazonaws#AccessDeniedException","Message":"no"}"#;
        check(&Service::ECS, 400, ecs, Code::Forbidden, "cannot do Do in eu-west-1: AWS says AccessDeniedException: no");
        check(&Service::ECS, 503, "<html>", Code::Unavailable, "cannot do Do in eu-west-1: AWS says 503 Service Unavailable");
    }
}
