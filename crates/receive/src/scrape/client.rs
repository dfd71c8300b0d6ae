//! The HTTP client of a scrape configuration or a discovery.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Error, Result};
use reqwest::redirect::Policy;
use reqwest::tls::Version;
use reqwest::{Certificate, Identity, NoProxy, Proxy, Response};

use super::config::{Auth, HttpOptions, PoolConfig, Protocol, Secret, TlsVersion};

/// As Prometheus follows them.
const REDIRECTS_MAX: usize = 10;
/// A connection that is not used again sooner than this is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Of a password's or a token's file.
const SECRET_BYTES_MAX: u64 = 1 << 20;

pub(super) struct Client {
    http: reqwest::Client,
    options: HttpOptions,
}

impl Client {
    /// Certificates and keys are read now, passwords and tokens at each request.
    pub(super) fn new(options: &HttpOptions) -> Result<Self> {
        let cannot = |source: reqwest::Error| Error::invalid("cannot make an HTTP client of this configuration").because(source);
        let redirects = if options.follow_redirects { Policy::limited(REDIRECTS_MAX) } else { Policy::none() };
        let mut builder =
            reqwest::Client::builder().redirect(redirects).referer(false).pool_max_idle_per_host(1).pool_idle_timeout(IDLE_MAX);
        if !options.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(url) = &options.proxy_url {
            let except = options.no_proxy.as_deref().and_then(NoProxy::from_string);
            builder = builder.proxy(Proxy::all(url).map_err(cannot)?.no_proxy(except));
        }
        let tls = &options.tls;
        if let Some(ca) = &tls.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(&read_pem(ca)?).map_err(cannot)?);
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            let pem = [read_pem(certificate)?, b"\n".to_vec(), read_pem(key)?].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(cannot)?);
        }
        let version = |version| match version {
            TlsVersion::V12 => Version::TLS_1_2,
            TlsVersion::V13 => Version::TLS_1_3,
        };
        if let Some(min) = tls.version_min {
            builder = builder.tls_version_min(version(min));
        }
        if let Some(max) = tls.version_max {
            builder = builder.tls_version_max(version(max));
        }
        let http = builder.tls_danger_accept_invalid_certs(tls.insecure_skip_verify).build().map_err(cannot)?;
        Ok(Self { http, options: options.clone() })
    }

    /// Without the passwords and tokens, for requests that are signed.
    pub(super) fn into_http(self) -> reqwest::Client {
        self.http
    }

    /// An answer of status 200; its body is still to come. With `keep` false the connection is closed after it.
    pub(super) async fn get(&self, url: &str, headers: HeaderMap, keep: bool) -> Result<Response> {
        let answer = self.ask(url, headers, keep).await?;
        match answer.status() {
            http::StatusCode::OK => Ok(answer),
            status => Err(Error::unavailable(format!("cannot fetch {url}: server returned HTTP status {status}"))),
        }
    }

    /// The same with any status.
    pub(super) async fn ask(&self, url: &str, mut headers: HeaderMap, keep: bool) -> Result<Response> {
        for (name, secret) in &self.options.headers {
            let name = HeaderName::try_from(name).map_err(|source| Error::invalid("cannot send a header").because(source))?;
            headers.append(name, header(&read(secret).await?)?);
        }
        if let Some(auth) = &self.options.auth {
            let text = match auth {
                Auth::Basic { user, password } => {
                    let password = match password {
                        Some(password) => read(password).await?,
                        None => String::new(),
                    };
                    let pair = format!("{}:{password}", read(user).await?);
                    format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair))
                }
                Auth::Authorization { scheme, credentials } => format!("{scheme} {}", read(credentials).await?),
            };
            headers.insert(AUTHORIZATION, header(&text)?);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Tyto/", env!("CARGO_PKG_VERSION"))));
        if !keep {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let answer = self.http.get(url).headers(headers).send().await;
        answer.map_err(|source| Error::unavailable(format!("cannot fetch {url}")).because(source.without_url()))
    }
}

fn header(text: &str) -> Result<HeaderValue> {
    let mut value =
        HeaderValue::try_from(text).map_err(|_| Error::invalid("cannot send a header: its value holds what no header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(secret: &Secret) -> Result<String> {
    match secret {
        Secret::Inline(text) => Ok(text.clone()),
        Secret::File(path) => {
            let cannot = |why: String| Error::unavailable(format!("cannot read {}: {why}", path.display()));
            let size = tokio::fs::metadata(path).await.map_err(|error| cannot(error.to_string()))?.len();
            if size > SECRET_BYTES_MAX {
                return Err(cannot(format!("{size} bytes are over secret_bytes_max, {SECRET_BYTES_MAX}")));
            }
            let text = tokio::fs::read_to_string(path).await.map_err(|error| cannot(error.to_string()))?;
            Ok(text.trim().to_owned())
        }
    }
}

fn read_pem(secret: &Secret) -> Result<Vec<u8>> {
    match secret {
        Secret::Inline(text) => Ok(text.clone().into_bytes()),
        Secret::File(path) => {
            std::fs::read(path).map_err(|error| Error::unavailable(format!("cannot read {}", path.display())).because(error))
        }
    }
}

/// What every fetch of a pool's targets says of what it wants.
pub(super) fn scrape_headers(config: &PoolConfig, timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut insert = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    insert(ACCEPT, &accept(&config.protocols, &config.escaping));
    insert(ACCEPT_ENCODING, if config.enable_compression { "gzip" } else { "identity" });
    insert(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), &timeout.as_secs_f64().to_string());
    headers
}

/// Wanted forms, the dearest first.
fn accept(protocols: &[Protocol], escaping: &str) -> String {
    let mut weight = 6;
    let mut out = String::new();
    for protocol in protocols {
        let (media_type, is_new) = match protocol {
            Protocol::PrometheusProto => {
                ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", false)
            }
            Protocol::PrometheusText004 => ("text/plain;version=0.0.4", false),
            Protocol::PrometheusText100 => ("text/plain;version=1.0.0", true),
            Protocol::OpenMetrics001 => ("application/openmetrics-text;version=0.0.1", false),
            Protocol::OpenMetrics100 => ("application/openmetrics-text;version=1.0.0", true),
        };
        let escaping = if is_new { format!(";escaping={escaping}") } else { String::new() };
        out.push_str(&format!("{media_type}{escaping};q=0.{weight},"));
        weight -= 1;
    }
    out + &format!("*/*;q=0.{weight}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_said_as_prometheus_says_it() {
        assert_eq!(
            accept(&[Protocol::OpenMetrics100, Protocol::PrometheusText004], "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
        );
    }
}
