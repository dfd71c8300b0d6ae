//! The embedded web pages, and what is said about an address that nothing answers.

use axum::extract::Request;
use axum::response::Response;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::{error, prometheus, respond};

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Pages;

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Tyto</title>\n\
    <body style=\"font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto\">\n\
    <h1>Tyto runs; its pages are not in this build</h1>\n\
    <p>Build them with <code>npm ci &amp;&amp; npm run build</code> in the folder <code>ui</code>, then build Tyto again.\n\
    <code>make build</code> does both.</p>\n\
    <p>All APIs work: see <a href=\"/api/tyto/v1/openapi.json\">the API's description</a> and <a href=\"/metrics\">Tyto's own metrics</a>.</p>\n\
    </body></html>\n";

/// Names with a hash of their contents never change; Vite puts them here.
const HASHED: &str = "assets/";

/// The API that an address belongs to, whether or not it has such a page.
pub(crate) fn api_of(path: &str) -> Option<&'static str> {
    const APIS: [(&str, &str); 17] = [
        ("/api/tyto", "tyto"),
        ("/api/v2/spans", "zipkin"),
        ("/api/traces", "jaeger"),
        ("/api", "prometheus"),
        ("/prometheus", "prometheus"),
        ("/federate", "prometheus"),
        ("/loki", "loki"),
        ("/tempo", "tempo"),
        ("/tempopb.StreamingQuerier", "tempo"),
        ("/jaeger", "jaeger"),
        ("/v1", "otlp"),
        ("/elasticsearch", "elasticsearch"),
        ("/services/collector", "splunk"),
        ("/firehose", "firehose"),
        ("/upload", "journal"),
        ("/-", "ops"),
        ("/metrics", "ops"),
    ];
    let of = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    APIS.iter().find(|(prefix, _)| of(prefix)).map(|(_, api)| *api)
}

/// The fallback: a file of the pages, or their index for an address inside the app. What looks like an API's never gets
/// a page, which its client would misread.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if let Some(api) = api_of(path) {
        let message = format!("cannot find {path}: this API has no such address");
        return match api {
            "prometheus" => with_status(StatusCode::NOT_FOUND, prometheus::failure("not_found", &message)),
            _ => error::plain_json(StatusCode::NOT_FOUND, &message),
        };
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return error::plain_json(StatusCode::METHOD_NOT_ALLOWED, &format!("cannot {} {path}: pages are read with GET", request.method()));
    }
    let name = path.trim_start_matches('/');
    match Pages::get(name) {
        Some(file) => page(name, file, request.headers()),
        // A missing asset must not be answered with a page that would run as a script; an address inside the app may
        // hold a point, as names of services do, and a browser that goes there accepts a page.
        None if name.starts_with(HASHED) || name.contains('.') && !accepts_html(request.headers()) => {
            error::plain_json(StatusCode::NOT_FOUND, &format!("cannot find {path}: the pages have no such file"))
        }
        None => match Pages::get("index.html") {
            Some(index) => page("index.html", index, request.headers()),
            None => respond::typed(StatusCode::OK, "text/html; charset=utf-8", NOT_BUILT),
        },
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

fn page(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = HeaderValue::from_str(&format!("W/\"{hash}\"")).expect("hex digits in quotes are a header's value");
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| value == tag);
    let mut response = match known {
        true => respond::empty(StatusCode::NOT_MODIFIED),
        false => respond::typed(StatusCode::OK, content_type(name), file.data.into_owned()),
    };
    let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response.headers_mut().insert(ETAG, tag);
    if known {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
