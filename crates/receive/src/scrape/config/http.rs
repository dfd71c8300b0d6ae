//! How a target or a discovery is asked over HTTP.

use std::path::PathBuf;

use super::fields::{Fields, Reader};

/// A text that is written in the file, or stands in a file of its own and is read at each use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    Inline(String),
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Basic {
        user: Secret,
        password: Option<Secret>,
    },
    /// Sent as `<scheme> <credentials>`.
    Authorization {
        scheme: String,
        credentials: Secret,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) ca: Option<Secret>,
    pub(crate) certificate: Option<Secret>,
    pub(crate) key: Option<Secret>,
    pub(crate) insecure_skip_verify: bool,
    pub(crate) version_min: Option<TlsVersion>,
    pub(crate) version_max: Option<TlsVersion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    V12,
    V13,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpOptions {
    pub(crate) auth: Option<Auth>,
    pub(crate) tls: Tls,
    pub(crate) proxy_url: Option<String>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) proxy_from_environment: bool,
    pub(crate) follow_redirects: bool,
    /// Sent beside our own.
    pub(crate) headers: Vec<(String, Secret)>,
}

/// What counts where nothing is written.
impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            auth: None,
            tls: Tls::default(),
            proxy_url: None,
            no_proxy: None,
            proxy_from_environment: false,
            follow_redirects: true,
            headers: Vec::new(),
        }
    }
}

pub(super) const KEYS: [&str; 14] = [
    "basic_auth",
    "authorization",
    "oauth2",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "follow_redirects",
    "enable_http2",
    "http_headers",
    "refresh_interval",
];

/// Those of [`KEYS`] that a scrape configuration has.
pub(super) fn scrape_keys() -> &'static [&'static str] {
    &KEYS[..KEYS.len() - 1]
}

/// Headers that are made by what else is configured.
const OWN_HEADERS: [&str; 10] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "accept-encoding",
    "proxy-authorization",
    "x-prometheus-scrape-timeout-seconds",
];

impl Reader {
    pub(super) fn http(&mut self, fields: &Fields<'_>) -> HttpOptions {
        self.refuse(fields, "oauth2", "use authorization or basic_auth");
        self.refuse(fields, "proxy_connect_header", "use a proxy that needs no header");
        self.flag(fields, "enable_http2");
        let proxy_url = self.parsed(fields, "proxy_url", "a URL like http://proxy:3128", |text| {
            url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(|_| text.to_owned())
        });
        let proxy_from_environment = self.flag(fields, "proxy_from_environment").unwrap_or(false);
        if proxy_from_environment && (proxy_url.is_some() || fields.get("no_proxy").is_some()) {
            self.problem(fields.place_of("proxy_from_environment"), "cannot use proxy_from_environment beside proxy_url or no_proxy");
        }
        let no_proxy = self.text(fields, "no_proxy").filter(|text| !text.is_empty());
        if no_proxy.is_some() && proxy_url.is_none() && !proxy_from_environment {
            self.problem(fields.place_of("no_proxy"), "cannot use no_proxy without proxy_url");
        }
        HttpOptions {
            auth: self.auth(fields),
            tls: self.tls(fields),
            proxy_url,
            no_proxy,
            proxy_from_environment,
            follow_redirects: self.flag(fields, "follow_redirects").unwrap_or(true),
            headers: self.headers(fields),
        }
    }

    /// The one of several ways to say who asks that is written.
    fn auth(&mut self, fields: &Fields<'_>) -> Option<Auth> {
        const WAYS: [&str; 5] = ["basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file"];
        let written: Vec<&str> = WAYS.into_iter().filter(|name| fields.get(name).is_some()).collect();
        if let [_, second, ..] = written[..] {
            self.problem(fields.place_of(second), format!("cannot use {} together: choose one", written.join(" and ")));
        }
        match *written.first()? {
            "basic_auth" => self.basic(fields),
            "authorization" => self.authorization(fields),
            name @ ("bearer_token" | "bearer_token_file") => {
                let credentials = self.secret(fields, "bearer_token", "bearer_token_file");
                if credentials.is_none() {
                    self.problem(fields.place_of(name), format!("cannot use {name}: it is empty"));
                }
                Some(Auth::Authorization { scheme: "Bearer".to_owned(), credentials: credentials? })
            }
            _ => None,
        }
    }

    fn basic(&mut self, fields: &Fields<'_>) -> Option<Auth> {
        let known = ["username", "username_file", "username_ref", "password", "password_file", "password_ref"];
        let fields = self.fields(fields.get("basic_auth")?, "basic_auth", &known)?;
        self.refuse(&fields, "username_ref", "use username_file");
        self.refuse(&fields, "password_ref", "use password_file");
        let user = self.secret(&fields, "username", "username_file").unwrap_or(Secret::Inline(String::new()));
        Some(Auth::Basic { user, password: self.secret(&fields, "password", "password_file") })
    }

    fn authorization(&mut self, fields: &Fields<'_>) -> Option<Auth> {
        let known = ["type", "credentials", "credentials_file", "credentials_ref"];
        let fields = self.fields(fields.get("authorization")?, "authorization", &known)?;
        self.refuse(&fields, "credentials_ref", "use credentials_file");
        let scheme = self.text(&fields, "type").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let scheme = scheme.unwrap_or_else(|| "Bearer".to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            self.problem(fields.place_of("type"), "cannot use authorization of type Basic: use basic_auth");
        }
        let credentials = self.secret(&fields, "credentials", "credentials_file")?;
        Some(Auth::Authorization { scheme, credentials })
    }

    fn secret(&mut self, fields: &Fields<'_>, inline: &str, file: &str) -> Option<Secret> {
        let text = self.text(fields, inline).filter(|text| !text.is_empty());
        let path = self.path(fields, file);
        if text.is_some() && path.is_some() {
            self.problem(fields.place_of(file), format!("cannot use {inline} and {file} together: choose one"));
        }
        text.map(Secret::Inline).or(path.map(Secret::File))
    }

    fn tls(&mut self, fields: &Fields<'_>) -> Tls {
        const KNOWN: [&str; 13] = [
            "ca",
            "cert",
            "key",
            "ca_file",
            "cert_file",
            "key_file",
            "ca_ref",
            "cert_ref",
            "key_ref",
            "server_name",
            "insecure_skip_verify",
            "min_version",
            "max_version",
        ];
        let Some(node) = fields.get("tls_config").filter(|node| !matches!(node.value, catalog::yaml::Value::Null)) else {
            return Tls::default();
        };
        let Some(fields) = self.fields(node, "tls_config", &KNOWN) else { return Tls::default() };
        for name in ["ca_ref", "cert_ref", "key_ref"] {
            self.refuse(&fields, name, "use a file");
        }
        self.refuse(&fields, "server_name", "ask the target by a name that stands in its certificate");
        let mut version = |name| {
            self.parsed(&fields, name, "TLS12 or TLS13", |text| match text {
                // Older ones are offered by nobody any more: as a lowest version they mean the lowest there is.
                "TLS10" | "TLS11" if name == "min_version" => Some(TlsVersion::V12),
                "TLS12" => Some(TlsVersion::V12),
                "TLS13" => Some(TlsVersion::V13),
                _ => None,
            })
        };
        let (version_min, version_max) = (version("min_version"), version("max_version"));
        let tls = Tls {
            ca: self.secret(&fields, "ca", "ca_file"),
            certificate: self.secret(&fields, "cert", "cert_file"),
            key: self.secret(&fields, "key", "key_file"),
            insecure_skip_verify: self.flag(&fields, "insecure_skip_verify").unwrap_or(false),
            version_min,
            version_max,
        };
        if tls.certificate.is_some() != tls.key.is_some() {
            self.problem(fields.place, "cannot use a client certificate without its key, or a key without its certificate");
        }
        if version_min.zip(version_max).is_some_and(|(min, max)| min > max) {
            self.problem(fields.place_of("min_version"), "cannot use a min_version over max_version");
        }
        tls
    }

    fn headers(&mut self, fields: &Fields<'_>) -> Vec<(String, Secret)> {
        let Some(catalog::yaml::Value::Map(entries)) = fields.get("http_headers").map(|node| &node.value) else { return Vec::new() };
        let mut headers = Vec::new();
        for (place, name, node) in entries {
            if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) || http::HeaderName::try_from(name).is_err() {
                self.problem(*place, format!("cannot set header {name:?}: it is no header's name, or one that is made by other options"));
                continue;
            }
            let Some(fields) = self.fields(node, "a header", &["values", "secrets", "files"]) else { continue };
            for value in self.texts(&fields, "values").into_iter().chain(self.texts(&fields, "secrets")) {
                headers.push((name.clone(), Secret::Inline(value)));
            }
            for file in self.texts(&fields, "files") {
                headers.push((name.clone(), Secret::File(self.folder.join(file))));
            }
        }
        headers
    }
}
