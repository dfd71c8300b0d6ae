//! Who asks AWS, in the order of AWS's own clients: what is configured, the environment, a web identity (EKS service accounts),
//! the shared files, the container's endpoint (ECS, EKS Pod Identity), the instance's metadata (IMDSv2); then the role that it takes on.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{Error, Result};
use tokio::sync::Mutex;

use super::{Call, Element, FORM, Keys, Options, Protocol, Service, World, form, read, unreadable, xml};

/// For one answer from the machine itself.
const LOCAL_TIME_MAX: Duration = Duration::from_secs(1);
const LOCAL_BYTES_MAX: usize = 1 << 20;
/// Keys are renewed this long before their end.
const RENEWED_BEFORE: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
const INSTANCE_METADATA: &str = "http://169.254.169.254";
const CONTAINER_METADATA: &str = "http://169.254.170.2";

/// One that is taken on by whoever has credentials of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
}

#[derive(Clone)]
struct Held {
    keys: Keys,
    end: Option<DateTime<Utc>>,
}

impl Held {
    fn forever(keys: Keys) -> Self {
        Self { keys, end: None }
    }
}

/// Finds keys and keeps them until shortly before their end.
pub(super) struct Keyring {
    options: Options,
    sts_region: String,
    http: reqwest::Client,
    world: World,
    held: Mutex<Option<Held>>,
}

impl Keyring {
    pub(super) fn new(options: Options, sts_region: String, http: reqwest::Client, world: World) -> Self {
        Self { options, sts_region, http, world, held: Mutex::default() }
    }

    pub(super) async fn keys(&self) -> Result<Keys> {
        let mut held = self.held.lock().await;
        let is_good = |held: &Held| held.end.is_none_or(|end| end - RENEWED_BEFORE > (self.world.now)());
        if let Some(held) = held.as_ref().filter(|held| is_good(held)) {
            return Ok(held.keys.clone());
        }
        let mut found = self.own().await?;
        if let Some(role) = &self.options.role {
            found = self.assume(role, &found.keys).await?;
        }
        let keys = found.keys.clone();
        *held = Some(found);
        Ok(keys)
    }

    /// Keys that AWS did not take are looked for anew.
    pub(super) async fn forget(&self, keys: &Keys) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.keys == *keys) {
            *held = None;
        }
    }

    async fn own(&self) -> Result<Held> {
        let world = &self.world;
        if let Some(keys) = &self.options.keys {
            return Ok(Held::forever(keys.clone()));
        }
        if let Some(profile) = &self.options.profile {
            let missing = || Error::invalid(format!("cannot find keys of the AWS profile {profile:?} in {}", Files::names(world)));
            return Files::read(world).keys(profile).map(Held::forever).ok_or_else(missing);
        }
        if let (Some(id), Some(secret)) = (world.get("AWS_ACCESS_KEY_ID"), world.get("AWS_SECRET_ACCESS_KEY")) {
            return Ok(Held::forever(Keys { id, secret, token: world.get("AWS_SESSION_TOKEN") }));
        }
        if let (Some(file), Some(arn)) = (world.get("AWS_WEB_IDENTITY_TOKEN_FILE"), world.get("AWS_ROLE_ARN")) {
            return self.web_identity(&file, &arn).await;
        }
        let profile = world.get("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        if let Some(keys) = Files::read(world).keys(&profile) {
            return Ok(Held::forever(keys));
        }
        if let Some(held) = self.container().await? {
            return Ok(held);
        }
        self.instance().await.map_err(|error| {
            let looked = "none are configured, in AWS_ACCESS_KEY_ID, in AWS_WEB_IDENTITY_TOKEN_FILE, in the shared files, of the container";
            Error::new(error.code, format!("cannot find AWS credentials: {looked}, or of the instance")).because(error)
        })
    }

    async fn web_identity(&self, file: &str, arn: &str) -> Result<Held> {
        let token = tokio::fs::read_to_string(file).await;
        let token = token.map_err(|error| Error::unavailable(format!("cannot read the web identity token in {file}")).because(error))?;
        let name = self.world.get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "tyto".to_owned());
        let parameters = [("RoleArn", arn), ("RoleSessionName", &name), ("WebIdentityToken", token.trim())];
        self.sts("AssumeRoleWithWebIdentity", &parameters, None).await
    }

    async fn assume(&self, role: &Role, keys: &Keys) -> Result<Held> {
        let mut parameters = vec![("RoleArn", role.arn.as_str()), ("RoleSessionName", "tyto")];
        parameters.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        self.sts("AssumeRole", &parameters, Some(keys)).await
    }

    async fn sts(&self, operation: &str, parameters: &[(&str, &str)], keys: Option<&Keys>) -> Result<Held> {
        let service = &Service::STS;
        let Protocol::Query(version) = service.protocol else { panic!("STS speaks XML") };
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = service.url(None, &self.sts_region, &self.world)?;
        let body = form(operation, version, &parameters);
        let call = Call { service, operation, region: &self.sts_region, url: &url, content_type: FORM, body: &body };
        let answer = call.once(&self.http, keys, &self.world).await?;
        let answer = xml::parse(&answer).map_err(|error| unreadable(operation, error))?;
        let found = answer.at(&format!("{operation}Result/Credentials")).and_then(Held::of_xml);
        found.ok_or_else(|| unreadable(operation, "there are no credentials in it"))
    }

    async fn container(&self) -> Result<Option<Held>> {
        let world = &self.world;
        let Some(url) = world
            .get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            .map(|path| format!("{CONTAINER_METADATA}{path}"))
            .or_else(|| world.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        else {
            return Ok(None);
        };
        let token = match world.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(
                tokio::fs::read_to_string(&file)
                    .await
                    .map_err(|error| Error::unavailable(format!("cannot read the authorization token in {file}")).because(error))?,
            ),
            None => world.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let mut request = self.http.get(&url);
        if let Some(token) = token {
            request = request.header("authorization", token.trim());
        }
        let text = local(request, &url).await?;
        Held::of_json(&text).map(Some).ok_or_else(|| unreadable(&url, "there are no credentials in it"))
    }

    async fn instance(&self) -> Result<Held> {
        let metadata = Metadata::open(&self.http, &self.world).await?;
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let roles = metadata.get(ROLES).await?;
        let role = roles.lines().next().unwrap_or_default().trim();
        let text = metadata.get(&format!("{ROLES}{role}")).await?;
        Held::of_json(&text).ok_or_else(|| unreadable(ROLES, "there are no credentials in it"))
    }
}

impl Held {
    fn of_xml(found: &Element) -> Option<Self> {
        let text = |name| Some(found.text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        let keys = Keys { id: text("AccessKeyId")?, secret: text("SecretAccessKey")?, token: text("SessionToken") };
        Some(Self { keys, end: time(found.text("Expiration")) })
    }

    fn of_json(text: &str) -> Option<Self> {
        let found: serde_json::Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| found.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let keys = Keys { id: text("AccessKeyId")?, secret: text("SecretAccessKey")?, token: text("Token") };
        Some(Self { keys, end: text("Expiration").as_deref().and_then(time) })
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// Asks the machine itself, which answers at once or not at all.
async fn local(request: reqwest::RequestBuilder, url: &str) -> Result<String> {
    let cannot = |error: reqwest::Error| Error::unavailable(format!("cannot ask {url}")).because(error.without_url());
    let answer = request.timeout(LOCAL_TIME_MAX).send().await.map_err(cannot)?.error_for_status().map_err(cannot)?;
    let bytes = read(answer, LOCAL_BYTES_MAX).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an instance of EC2 knows of itself, by IMDSv2.
struct Metadata<'a> {
    http: &'a reqwest::Client,
    url: String,
    token: String,
}

impl<'a> Metadata<'a> {
    async fn open(http: &'a reqwest::Client, world: &World) -> Result<Self> {
        if world.get("AWS_EC2_METADATA_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true")) {
            return Err(Error::unavailable("cannot ask the instance: AWS_EC2_METADATA_DISABLED says not to"));
        }
        let url = world.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE_METADATA.to_owned());
        let url = url.trim_end_matches('/').to_owned();
        let request = http.put(format!("{url}/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", "300");
        let token = local(request, &url).await?;
        Ok(Self { http, url, token })
    }

    async fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.url);
        local(self.http.get(&url).header("x-aws-ec2-metadata-token", &self.token), &url).await
    }
}

/// The region where none is configured.
pub(super) async fn region(profile: Option<&str>, http: &reqwest::Client, world: &World) -> Result<String> {
    if let Some(region) = world.get("AWS_REGION").or_else(|| world.get("AWS_DEFAULT_REGION")) {
        return Ok(region);
    }
    let profile = profile.map(str::to_owned).or_else(|| world.get("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned());
    if let Some(region) = Files::read(world).get(&profile, "region") {
        return Ok(region);
    }
    let of_instance = async { Metadata::open(http, world).await?.get("/latest/meta-data/placement/region").await };
    of_instance.await.map(|region| region.trim().to_owned()).map_err(|error| {
        Error::invalid("cannot tell the AWS region: it is not configured, in AWS_REGION, in the shared files, or of the instance")
            .because(error)
    })
}

/// The shared files of AWS's clients, `credentials` and `config`, by profile.
#[derive(Default)]
struct Files(HashMap<String, HashMap<String, String>>);

impl Files {
    fn paths(world: &World) -> [Option<PathBuf>; 2] {
        let home = world.get("HOME").map(PathBuf::from);
        let path = |variable: &str, name: &str| {
            world.get(variable).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(name)))
        };
        // What both say, `credentials` says.
        [path("AWS_CONFIG_FILE", "config"), path("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
    }

    fn names(world: &World) -> String {
        Self::paths(world).iter().flatten().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
    }

    /// A file that is not there says nothing.
    fn read(world: &World) -> Self {
        let mut files = Self::default();
        for path in Self::paths(world).into_iter().flatten() {
            files.add(&std::fs::read_to_string(path).unwrap_or_default());
        }
        files
    }

    fn add(&mut self, text: &str) {
        let mut section = String::new();
        for line in text.lines() {
            // Settings within a setting stand indented.
            if line.starts_with([' ', '\t', '#', ';']) {
                continue;
            }
            if let Some(name) = line.trim().strip_prefix('[').and_then(|line| line.split(']').next()) {
                let name = name.trim();
                section = name.strip_prefix("profile ").unwrap_or(name).trim().to_owned();
            } else if let Some((key, value)) = line.split_once('=') {
                self.0.entry(section.clone()).or_default().insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
    }

    fn get(&self, profile: &str, key: &str) -> Option<String> {
        self.0.get(profile)?.get(key).filter(|value| !value.is_empty()).cloned()
    }

    fn keys(&self, profile: &str) -> Option<Keys> {
        let get = |key| self.get(profile, key);
        Some(Keys { id: get("aws_access_key_id")?, secret: get("aws_secret_access_key")?, token: get("aws_session_token") })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::extract::Request;
    use axum::response::{IntoResponse, Response};

    use super::*;

    fn world(variables: &[(&str, &str)]) -> World {
        let variables: HashMap<String, String> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let now = || DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().to_utc();
        World { variable: Arc::new(move |name| variables.get(name).cloned()), now: Arc::new(now) }
    }

    fn keyring(options: Options, world: &World) -> Keyring {
        Keyring::new(options, "eu-west-1".to_owned(), reqwest::Client::new(), world.clone())
    }

    fn keys(id: &str, token: Option<&str>) -> Keys {
        Keys { id: id.to_owned(), secret: "s".to_owned(), token: token.map(str::to_owned) }
    }

    /// Answers as the instance, the container and STS do.
    async fn answer(request: Request) -> Response {
        let (request, body) = request.into_parts();
        let header = |name: &str| request.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let json = |id: &str| format!(r#"{{"AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-01T06:00:00Z"}}"#);
        let sts = |name: &str| {
            format!(
                "<R><{name}Result><Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                 <SessionToken>t</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></{name}Result></R>"
            )
        };
        let (knows, signed) = (header("x-aws-ec2-metadata-token") == "open", header("authorization"));
        let path = request.uri.path().to_owned();
        let text = match path.as_str() {
            "/latest/api/token" if request.method == http::Method::PUT => "open".to_owned(),
            "/latest/meta-data/iam/security-credentials/" if knows => "web\n".to_owned(),
            "/latest/meta-data/iam/security-credentials/web" if knows => json("instance"),
            "/latest/meta-data/placement/region" if knows => "ap-south-1".to_owned(),
            "/container" if signed == "pass" => json("container"),
            "/" => {
                let body = axum::body::to_bytes(body, 10_000).await.unwrap();
                match String::from_utf8(body.to_vec()).unwrap() {
                    body if body.contains("WebIdentityToken=jwt") && signed.is_empty() => sts("AssumeRoleWithWebIdentity"),
                    body if body.contains("ExternalId=x") && signed.contains("Credential=base/") => sts("AssumeRole"),
                    _ => String::new(),
                }
            }
            _ => return http::StatusCode::FORBIDDEN.into_response(),
        };
        text.into_response()
    }

    async fn machine() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }

    #[tokio::test]
    async fn credentials_are_found_in_the_order_of_awss_clients() {
        let url = machine().await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let shared = file(
            "credentials",
            "# mine\n[default]\naws_access_key_id = shared\naws_secret_access_key=s\n\n[other]\naws_access_key_id=other\naws_secret_access_key=s\n",
        );
        let config = file("config", "[default]\nregion = eu-north-1\ns3 =\n  region = no\n[profile other]\nregion=eu-south-1\n");
        let (jwt, none) = (file("jwt", "jwt\n"), folder.path().join("none").display().to_string());
        let machine = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str());
        let container_url = format!("{url}/container");
        let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container_url.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass")];
        let files = [("AWS_SHARED_CREDENTIALS_FILE", shared.as_str()), ("AWS_CONFIG_FILE", config.as_str())];
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", jwt.as_str()), ("AWS_ROLE_ARN", "arn:r"), ("AWS_ENDPOINT_URL", url.as_str())];
        let environment = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];

        let check = async |variables: &[(&str, &str)], options: Options, expected: Keys| {
            assert_eq!(keyring(options, &world(variables)).keys().await.unwrap(), expected);
        };
        let mut said = vec![machine];
        check(&said, Options::default(), keys("instance", Some("t"))).await;
        said.extend(container);
        check(&said, Options::default(), keys("container", Some("t"))).await;
        said.extend(files);
        check(&said, Options::default(), keys("shared", None)).await;
        said.extend(web);
        check(&said, Options::default(), keys("AssumeRoleWithWebIdentity", Some("t"))).await;
        said.extend(environment);
        check(&said, Options::default(), keys("env", Some("t"))).await;
        let other = Options { profile: Some("other".to_owned()), ..Options::default() };
        check(&said, other.clone(), keys("other", None)).await;
        check(&said, Options { keys: Some(keys("own", None)), ..other.clone() }, keys("own", None)).await;
        let role = Some(Role { arn: "arn:r".to_owned(), external_id: Some("x".to_owned()) });
        check(&said, Options { keys: Some(keys("base", None)), role, ..other.clone() }, keys("AssumeRole", Some("t"))).await;

        let http = reqwest::Client::new();
        assert_eq!(region(None, &http, &world(&[machine])).await.unwrap(), "ap-south-1");
        assert_eq!(region(None, &http, &world(&files)).await.unwrap(), "eu-north-1");
        assert_eq!(region(Some("other"), &http, &world(&files)).await.unwrap(), "eu-south-1");
        assert_eq!(region(None, &http, &world(&[("AWS_REGION", "x"), files[1]])).await.unwrap(), "x");

        let nobody = world(&[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_SHARED_CREDENTIALS_FILE", &none)]);
        let error = keyring(Options::default(), &nobody).keys().await.unwrap_err();
        assert!(error.chain().starts_with("cannot find AWS credentials: none are configured"), "{}", error.chain());
        let error = keyring(other, &nobody).keys().await.unwrap_err();
        assert!(error.what.contains("AWS profile \"other\"") && error.what.contains(&none), "{}", error.what);
    }

    #[tokio::test]
    async fn keys_are_kept_until_shortly_before_their_end_or_until_refused() {
        let url = machine().await;
        let ring = keyring(Options::default(), &world(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]));
        let first = ring.keys().await.unwrap();
        let end = |held: &Option<Held>| held.as_ref().and_then(|held| held.end);
        assert_eq!(end(&*ring.held.lock().await), time("2026-01-01T06:00:00Z"));
        ring.held.lock().await.as_mut().unwrap().keys.id = "kept".to_owned();
        assert_eq!(ring.keys().await.unwrap().id, "kept");
        ring.held.lock().await.as_mut().unwrap().end = time("2026-01-01T00:04:59Z");
        assert_eq!(ring.keys().await.unwrap().id, "instance", "they end within five minutes");
        ring.held.lock().await.as_mut().unwrap().keys.id = "refused".to_owned();
        ring.forget(&first).await;
        assert_eq!(ring.keys().await.unwrap().id, "refused", "others were refused");
        ring.forget(&Keys { id: "refused".to_owned(), ..first.clone() }).await;
        assert_eq!(ring.keys().await.unwrap(), first);
    }
}
