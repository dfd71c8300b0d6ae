//! What a stage of a pipeline does, by the keys of its file, for whoever says it in words.

use catalog::{Does, ExtractKind, Hidden, MaskKind, ParseFormat, Places, SampleBy, Stage};
use serde_json::{Value, json};

pub(super) fn shown(stage: &Stage) -> Value {
    let (kind, does) = does(&stage.does);
    let when = stage.when.as_ref().map(|when| &when.source);
    json!({ "stage": stage.label, "kind": kind, "conditional": when.is_some(), "when": when, "does": does })
}

fn does(does: &Does) -> (&'static str, Value) {
    match does {
        Does::Parse(parse) => {
            let (format, pattern) = match &parse.format {
                ParseFormat::Json => ("json", None),
                ParseFormat::Logfmt => ("logfmt", None),
                ParseFormat::Regexp(regex) => ("regexp", Some(regex.as_str())),
                ParseFormat::Timestamp => ("timestamp", None),
                ParseFormat::Severity => ("severity", None),
            };
            ("parse", json!({ "format": format, "pattern": pattern, "from": parse.from, "prefix": parse.prefix }))
        }
        Does::Vrl(program) => ("vrl", json!({ "program": program.source })),
        Does::Mask(mask) => {
            let kinds = MaskKind::ALL.iter().filter(|(_, kind)| mask.kinds.contains(kind)).map(|(name, _)| *name);
            let patterns = mask.patterns.iter().map(|pattern| &pattern.name);
            let with = match mask.hidden {
                Hidden::Redact => "redact",
                Hidden::Partial => "partial",
                Hidden::Pseudonym => "pseudonym",
            };
            let does = json!({
                "kinds": kinds.collect::<Vec<_>>(),
                "fields": mask.fields,
                "patterns": patterns.collect::<Vec<_>>(),
                "with": with,
                "in": places(&mask.places),
            });
            ("mask", does)
        }
        Does::Drop(reason) => ("drop", json!({ "reason": reason })),
        Does::Sample(kept) => {
            let by = match kept.by {
                SampleBy::Record => "record",
                SampleBy::Trace => "trace",
            };
            ("sample", json!({ "keep": kept.ratio, "by": by }))
        }
        Does::Dedupe(dedupe) => ("dedupe", json!({ "window_seconds": dedupe.window.as_secs() })),
        Does::Metric(extract) => {
            let kind = match extract.kind {
                ExtractKind::Counter => "counter",
                ExtractKind::Histogram(_) => "histogram",
            };
            ("metric", json!({ "name": extract.name, "kind": kind, "value": extract.value }))
        }
        Does::Event(name) => ("event", json!({ "name": name })),
        Does::Enrich(enrich) => ("enrich", json!({ "table": enrich.file, "from": enrich.from })),
        Does::Route(hint) => ("route", json!({ "hint": hint })),
    }
}

/// As the key `in` names them.
fn places(places: &Places) -> Vec<&str> {
    let whole = [(places.body, "body"), (places.all_attributes, "attributes")];
    let whole = whole.into_iter().filter(|(is_meant, _)| *is_meant).map(|(_, name)| name);
    whole.chain(places.attributes.iter().map(String::as_str)).collect()
}
