//! What an address asks for.

use http::Method;

/// A request, by its address alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    Bulk { index: Option<String> },
    Document { create: bool, index: String, id: Option<String> },
    Probe(Probe),
}

/// What clients ask before they send, and what some do around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Root,
    Health,
    /// A line of text.
    CatHealth,
    License,
    Xpack,
    Nodes,
    /// Whether there is such a thing: a template, a policy, a pipeline, an index.
    Exists,
    /// To make a template, a policy, an index: nothing needs one here, and nothing is made.
    Make {
        index: Option<String>,
    },
    MakePipeline,
    Refresh,
    /// What only a search engine can do.
    Other,
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let decoded: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let get = matches!(*method, Method::GET | Method::HEAD);
        let put = matches!(*method, Method::PUT | Method::POST);
        let document =
            |create, index: &str, id: Option<&str>| Self::Document { create, index: index.to_owned(), id: id.map(str::to_owned) };
        let make = |index: Option<&str>| Self::Probe(Probe::Make { index: index.map(str::to_owned) });
        match *parts.as_slice() {
            ["_bulk"] if put => Self::Bulk { index: None },
            // A type before `_bulk` or in the place of `_doc` is that of Elasticsearch 6 and older, and says nothing.
            [index, "_bulk"] | [index, _, "_bulk"] if put && named(index) => Self::Bulk { index: Some(index.to_owned()) },
            [index, "_doc"] if *method == Method::POST && named(index) => document(false, index, None),
            [index, "_doc", id] if put && named(index) => document(false, index, Some(id)),
            [index, "_create", id] if put && named(index) => document(true, index, Some(id)),
            [index, kind] if *method == Method::POST && named(index) && named(kind) => document(false, index, None),
            [index, kind, id] if put && named(index) && named(kind) => document(false, index, Some(id)),
            [] if get => Self::Probe(Probe::Root),
            ["_cluster", "health", ..] if get => Self::Probe(Probe::Health),
            ["_cat", "health"] if get => Self::Probe(Probe::CatHealth),
            ["_license"] | ["_xpack", "license"] if get => Self::Probe(Probe::License),
            ["_xpack"] if get => Self::Probe(Probe::Xpack),
            ["_nodes", ..] if get => Self::Probe(Probe::Nodes),
            ["_refresh"] | [_, "_refresh"] => Self::Probe(Probe::Refresh),
            ["_ingest", "pipeline", _] if put => Self::Probe(Probe::MakePipeline),
            ["_index_template" | "_template" | "_component_template" | "_data_stream" | "_alias", ..]
            | ["_ilm", "policy", _]
            | ["_plugins", "_ism", "policies", _]
            | ["_ingest", "pipeline", ..]
                if get =>
            {
                Self::Probe(Probe::Exists)
            }
            ["_index_template" | "_template" | "_component_template" | "_data_stream", _]
            | ["_ilm", "policy", _]
            | ["_plugins", "_ism", "policies", _]
                if put =>
            {
                make(None)
            }
            [index] if *method == Method::PUT && named(index) => make(Some(index)),
            [index] | [index, "_mapping" | "_settings" | "_alias"] if get && named(index) => Self::Probe(Probe::Exists),
            _ => Self::Probe(Probe::Other),
        }
    }
}

/// What begins with `_` is the API's.
fn named(name: &str) -> bool {
    !name.starts_with('_')
}

/// Percent-encoded bytes are those bytes; what is not UTF-8 then gets replacement characters.
fn decoded(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| byte == b'%').and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_what_they_ask_for() {
        let check = |request: &str, expect: Call| {
            let (method, path) = request.split_once(' ').expect("two words");
            assert_eq!(Call::of(&method.parse().expect("a method"), path), expect, "{request}");
        };
        let bulk = |index: Option<&str>| Call::Bulk { index: index.map(str::to_owned) };
        let document = |create, id: Option<&str>| Call::Document { create, index: "logs".to_owned(), id: id.map(str::to_owned) };
        check("POST /_bulk", bulk(None));
        check("PUT /logs/_bulk", bulk(Some("logs")));
        check("POST /logs/events/_bulk", bulk(Some("logs")));
        check("POST /%3Clogs-%7Bnow%2Fd%7D%3E/_bulk", bulk(Some("<logs-{now/d}>")));
        check("POST /logs/_doc", document(false, None));
        check("PUT /logs/_doc/a%2Fb", document(false, Some("a/b")));
        check("PUT /logs/_create/1", document(true, Some("1")));
        check("POST /logs/events", document(false, None));
        for (request, probe) in [
            ("GET /", Probe::Root),
            ("HEAD /", Probe::Root),
            ("HEAD /_cat/health", Probe::CatHealth),
            ("GET /_cluster/health", Probe::Health),
            ("GET /_license", Probe::License),
            ("GET /_nodes/_all/http", Probe::Nodes),
            ("HEAD /_index_template/filebeat-9.0.0", Probe::Exists),
            ("PUT /_index_template/filebeat-9.0.0", Probe::Make { index: None }),
            ("PUT /_ilm/policy/filebeat", Probe::Make { index: None }),
            ("PUT /logs", Probe::Make { index: Some("logs".to_owned()) }),
            ("HEAD /logs", Probe::Exists),
            ("PUT /_ingest/pipeline/nginx", Probe::MakePipeline),
            ("POST /logs/_refresh", Probe::Refresh),
            ("POST /logs/_search", Probe::Other),
            ("DELETE /logs", Probe::Other),
            ("GET /_bulk", Probe::Other),
            ("POST /", Probe::Other),
            ("GET /%zz%", Probe::Exists),
        ] {
            check(request, Call::Probe(probe));
        }
    }
}
