//! What holds for every API: limits, cancelling, headers, streaming, the description of the routes.

#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use tower::ServiceExt;

async fn send(fixture: &str, request: Request<Body>) -> Response {
    fake::router(fixture).0.oneshot(request).await.unwrap()
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

async fn bytes(response: Response) -> Vec<u8> {
    to_bytes(response.into_body(), usize::MAX).await.unwrap().into()
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_query() {
    let (router, fake) = fake::router("hang");
    let waiting = tokio::time::timeout(Duration::from_millis(50), router.oneshot(get("/api/v1/query?query=up"))).await;
    assert!(waiting.is_err(), "the engine hangs");
    assert!(fake.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_query_that_hangs_ends_in_time_on_every_api() {
    for (uri, form) in [
        ("/api/v1/query?query=up&timeout=50ms", "\"errorType\":\"timeout\""),
        ("/loki/api/v1/query?query=up", "cannot answer within 200ms"),
        ("/tempo/api/traces/abc", "cannot answer within 200ms"),
        ("/jaeger/api/services", "\"code\":503"),
        ("/api/tyto/v1/overview", "{\"error\":\"cannot answer within 200ms"),
    ] {
        let response = send("hang", get(uri)).await;
        // Prometheus's own status, and the apter one where no client expects that.
        let expect = if uri.starts_with("/api/tyto") { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(response.status(), expect, "{uri}");
        let body = String::from_utf8(bytes(response).await).unwrap();
        assert!(body.contains(form), "{uri}: {body}");
    }
}

/// Each question of the fixture takes most of the time that all of a request's questions have together.
#[tokio::test]
async fn the_time_limit_is_of_the_request_and_not_of_each_question() {
    for uri in [
        "/federate?match[]=a&match[]=b",
        "/loki/api/v1/index/stats?query=%7Ba%3D%22b%22%7D",
        "/jaeger/api/traces?service=a",
        "/api/tyto/v1/overview",
    ] {
        let response = send("slow", get(uri)).await;
        let status = response.status();
        let body = String::from_utf8(bytes(response).await).unwrap();
        assert!(body.contains("cannot answer within 300ms"), "{uri}: {status} {body}");
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_its_query_no_longer_than_the_timeout() {
    let (router, fake) = fake::router("endless table");
    let request = Request::post("/api/tyto/v1/sql").body(Body::from(r#"{"sql": "SELECT 1"}"#)).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while !fake.dropped.load(Ordering::SeqCst) {
        assert!(std::time::Instant::now() < until, "the rows are let go although nobody polls the body");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let broken = to_bytes(response.into_body(), usize::MAX).await.unwrap_err();
    assert!(broken.to_string().contains("cannot send the whole answer"), "{broken}");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_answer() {
    let (router, fake) = fake::router("endless table");
    let request = Request::post("/api/tyto/v1/sql").body(Body::from(r#"{"sql": "SELECT 1"}"#)).unwrap();
    drop(router.oneshot(request).await.unwrap());
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while !fake.dropped.load(Ordering::SeqCst) {
        assert!(std::time::Instant::now() < until, "the rows are let go");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn selectors_and_trace_ids_are_counted() {
    let many = |one: &str, times: usize| vec![one; times].join("&");
    for (path, one, times) in [("/api/v1/series", "match[]=up", 65), ("/jaeger/api/traces", "traceID=a", 201)] {
        let refused = send("series", get(&format!("{path}?{}", many(one, times)))).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
        let body = String::from_utf8(bytes(refused).await).unwrap();
        assert!(body.contains(&times.to_string()), "{body}");
    }
    assert_eq!(send("series", get(&format!("/api/v1/series?{}", many("match[]=up", 64)))).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn look_ups_without_a_start_see_what_is_recent() {
    for uri in
        ["/jaeger/api/services", "/jaeger/api/services/a/operations", "/jaeger/api/operations?service=a", "/jaeger/api/traces?service=a"]
    {
        let (router, fake) = fake::router("words");
        router.oneshot(get(uri)).await.unwrap();
        let asked = fake.asked.lock().unwrap().join("\n");
        let since = asked.split("start_time_unix_nano >= ").nth(1).unwrap_or_else(|| panic!("{uri}: {asked}"));
        let since: u64 = since.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        let ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH + Duration::from_nanos(since)).unwrap();
        assert!(ago < Duration::from_secs(50 * 3600), "{uri}: {ago:?}");
    }
}

#[tokio::test]
async fn no_page_of_another_site_may_ask() {
    let (router, _) = fake::router("vector");
    let guarded = present::guarded(router, present::Hosts::of([127, 0, 0, 1].into(), &[]));
    for (host, path, expect) in [
        ("127.0.0.1:7070", "/api/v1/query?query=up", StatusCode::OK),
        ("evil.example", "/api/v1/query?query=up", StatusCode::FORBIDDEN),
        ("evil.example", "/", StatusCode::FORBIDDEN),
        ("evil.example", "/nothing.js", StatusCode::FORBIDDEN),
    ] {
        let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
        let response = guarded.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expect, "{host}{path}");
        if expect == StatusCode::FORBIDDEN {
            let body = String::from_utf8(bytes(response).await).unwrap();
            assert!(body.contains("--host-name evil.example"), "{body}");
        }
    }
}

#[tokio::test]
async fn bodies_over_their_limit_are_refused() {
    let form = Request::post("/api/v1/query").header("content-type", "application/x-www-form-urlencoded");
    let response = send("vector", form.body(Body::from("query=".to_owned() + &"x".repeat(5 << 20))).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let sql = Request::post("/api/tyto/v1/sql").body(Body::from(" ".repeat(2 << 20))).unwrap();
    assert_eq!(send("table", sql).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_answer_is_hardened_and_no_other_origin_is_let_in() {
    for uri in ["/", "/api/v1/query?query=up", "/nothing.js", "/-/healthy"] {
        let request = Request::get(uri).header("origin", "https://elsewhere.example").body(Body::empty()).unwrap();
        let response = send("vector", request).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{uri}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("script-src"), "{uri}: {policy}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{uri}");
    }
}

#[tokio::test]
async fn answers_are_compressed_when_wished() {
    let request = Request::get("/api/v1/query?query=up").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let response = send("vector", request).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(bytes(response).await.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn a_large_answer_leaves_in_pieces_and_whole() {
    let response = send("large matrix", get("/api/v1/query_range?query=up&start=0&end=10&step=1")).await;
    let (parts, body) = response.into_parts();
    assert!(!parts.headers.contains_key("content-length"));
    let mut pieces = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(piece) = futures::StreamExt::next(&mut stream).await {
        pieces.push(piece.unwrap());
    }
    assert!(pieces.len() > 10, "{} pieces", pieces.len());
    let json: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
    let series = json["data"]["result"].as_array().unwrap();
    assert_eq!(series.len(), fake::LARGE_SERIES);
    assert!(series.iter().all(|series| series["values"].as_array().unwrap().len() == fake::LARGE_POINTS));
}

#[tokio::test]
async fn sql_leaves_as_an_arrow_stream_when_accepted() {
    let request = Request::post("/api/tyto/v1/sql")
        .header("accept", "application/vnd.apache.arrow.stream")
        .body(Body::from(r#"{"sql": "SELECT 1"}"#))
        .unwrap();
    let response = send("table", request).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.arrow.stream");
    let body = bytes(response).await;
    let batches: Vec<_> = arrow::ipc::reader::StreamReader::try_new(body.as_slice(), None).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!(batches[0].schema().field(1).name(), "big");
}

#[tokio::test]
async fn pages_are_served_and_addresses_inside_the_app_too() {
    for uri in ["/", "/logs", "/traces/abc?x=y"] {
        let response = send("empty", get(uri)).await;
        assert_eq!(response.status(), StatusCode::OK, "{uri}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    }
    let dotted = |accept: &str| Request::get("/services/shop.cart").header("accept", accept.to_owned()).body(Body::empty()).unwrap();
    assert_eq!(send("empty", dotted("text/html,*/*;q=0.8")).await.status(), StatusCode::OK);
    assert_eq!(send("empty", dotted("*/*")).await.status(), StatusCode::NOT_FOUND);
}

/// The routes as the source states them: `.route("<path>", <method>(`.
fn routes_in_source() -> Vec<(String, String)> {
    let source = include_str!("../src/tyto/mod.rs");
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    lines
        .map(|line| {
            let (path, rest) = line.split_once("\", ").unwrap();
            (path.to_owned(), rest[..rest.find('(').unwrap()].to_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_openapi_document_has_every_route() {
    let body = bytes(send("empty", get("/api/tyto/v1/openapi.json")).await).await;
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let described: Vec<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())))
        .collect();
    let (mut described, mut routes) = (described, routes_in_source());
    described.sort();
    routes.sort();
    assert!(routes.len() >= 6);
    assert_eq!(described, routes);
    for (path, method) in described {
        let request = Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(format!("/api/tyto/v1{path}").replace("{id}", "7").replace("{name}", "shop"))
            .body(Body::empty());
        let status = send("overview", request.unwrap()).await.status();
        assert!(status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED, "{method} {path}: {status}");
    }
}
