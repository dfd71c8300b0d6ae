//! Who may ask through a browser: nobody is asked for a password, so a page of another site must not speak for its reader.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::{error, ui};

/// The names that a server answers to. On a loopback address these are IP addresses, `localhost`, and the names given:
/// a page whose own name was pointed at 127.0.0.1 (DNS rebinding) shows its name here, and gets nothing.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
    /// On an address that others reach, any name may be right, unless some are given.
    any: bool,
}

impl Hosts {
    pub fn of(listening: IpAddr, names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { any: names.is_empty() && !listening.is_loopback(), names }
    }

    fn allow(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        self.any || host.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost") || self.names.contains(&host)
    }
}

/// The router behind the check; every route of it, the fallback too.
pub fn guarded(router: Router, hosts: Hosts) -> Router {
    router.layer(from_fn_with_state(Arc::new(hosts), guard))
}

async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match refusal(&hosts, &request) {
        None => next.run(request).await,
        Some((rule, message)) => {
            metrics::counter!("tyto_http_refused_total", "rule" => rule).increment(1);
            error::plain_json(StatusCode::FORBIDDEN, &message)
        }
    }
}

/// The rule that the request breaks, and what to say of it.
fn refusal(hosts: &Hosts, request: &Request) -> Option<(&'static str, String)> {
    let headers = request.headers();
    // HTTP/2 has it in the address. A client without either is no browser.
    let host = text(headers, &HOST).or_else(|| request.uri().authority().map(Authority::as_str));
    if let Some(host) = host.filter(|host| !hosts.allow(host)) {
        let name = host.split(':').next().unwrap_or_default();
        let message = format!(
            "cannot answer for the host {host:?}: Tyto answers to IP addresses, localhost and the names given by --host-name; \
             if {name:?} is Tyto's name, start it with --host-name {name}"
        );
        return Some(("host", message));
    }
    let path = request.uri().path();
    let api = ui::api_of(path).is_some();
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    // Somebody who follows a link to an API's address reads the answer himself; the page with the link does not.
    let followed = request.method() == Method::GET && text(headers, &HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    let foreign = match site {
        Some(site) => !matches!(site, "same-origin" | "none") && !followed,
        // Browsers leave that header out where there is neither TLS nor localhost.
        None => text(headers, &ORIGIN).is_some_and(|origin| origin.split_once("://").is_none_or(|(_, origin)| Some(origin) != host)),
    };
    (api && foreign).then(|| {
        let message = format!(
            "cannot answer {path} to a page of another site: Tyto's APIs are for its own pages and for programs; ask through a server"
        );
        ("site", message)
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, request: &str, expect: Option<&str>) {
        let mut words = request.split_whitespace();
        let mut builder = Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
        for (name, value) in words.map(|word| word.split_once('=').unwrap()) {
            builder = builder.header(name, value);
        }
        let request = builder.body(axum::body::Body::empty()).unwrap();
        assert_eq!(refusal(hosts, &request).map(|(rule, _)| rule), expect, "{request:?}");
    }

    #[test]
    fn a_loopback_address_answers_to_its_own_names() {
        let hosts = Hosts::of([127, 0, 0, 1].into(), &["Tyto.Example".to_owned()]);
        for host in
            ["127.0.0.1:7070", "[::1]:7070", "10.0.0.1", "localhost:7070", "LOCALHOST", "a.localhost", "tyto.example:80", "localhost."]
        {
            check(&hosts, &format!("GET /api/v1/query host={host}"), None);
        }
        for host in ["evil.example", "evil.example:7070", "localhost.evil.example", "127.0.0.1.evil.example", "a@b@c", "tyto.example.evil"]
        {
            check(&hosts, &format!("GET /api/v1/query host={host}"), Some("host"));
            check(&hosts, &format!("GET / host={host}"), Some("host"));
        }
        check(&hosts, "GET http://evil.example/api/v1/query", Some("host"));
        check(&hosts, "GET /api/v1/query", None);
    }

    #[test]
    fn an_address_that_others_reach_has_any_name_until_one_is_given() {
        check(&Hosts::of([0, 0, 0, 0].into(), &[]), "GET / host=tyto.example", None);
        check(&Hosts::of([0, 0, 0, 0].into(), &["tyto.example".to_owned()]), "GET / host=other.example", Some("host"));
    }

    #[test]
    fn pages_of_other_sites_get_nothing_from_an_api() {
        let hosts = Hosts::of([127, 0, 0, 1].into(), &[]);
        for (request, expect) in [
            ("POST /api/tyto/v1/sql sec-fetch-site=cross-site", Some("site")),
            ("POST /v1/logs sec-fetch-site=same-site", Some("site")),
            ("POST /elasticsearch/_bulk sec-fetch-site=cross-site", Some("site")),
            ("GET /api/v1/query sec-fetch-site=cross-site sec-fetch-mode=no-cors", Some("site")),
            ("GET /api/v1/query sec-fetch-site=cross-site sec-fetch-mode=navigate", None),
            ("POST /-/flush sec-fetch-site=cross-site sec-fetch-mode=navigate", Some("site")),
            ("GET /api/v1/query sec-fetch-site=same-origin", None),
            ("GET /api/v1/query sec-fetch-site=none", None),
            ("GET /logs sec-fetch-site=cross-site", None),
            ("POST /loki/api/v1/push host=10.0.0.1:7070 origin=http://evil.example", Some("site")),
            ("POST /loki/api/v1/push host=10.0.0.1:7070 origin=null", Some("site")),
            ("POST /api/v1/query host=10.0.0.1:7070 origin=http://10.0.0.1:7070", None),
            // A proxy that speaks TLS and changes the host: the browser knows better.
            ("POST /api/v1/query host=127.0.0.1:7070 origin=https://10.0.0.1 sec-fetch-site=same-origin", None),
        ] {
            check(&hosts, request, expect);
        }
    }
}
