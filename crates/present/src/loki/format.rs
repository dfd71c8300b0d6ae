//! Loki's JSON of answers.

use std::collections::HashMap;

use axum::response::Response;
use model::{Answer, Answered, Direction, Labels, LogEntry, LogStream, QueryStats, Result};

use crate::error::mismatch;
use crate::{json, respond};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Structured metadata and parsed labels are part of the stream's.
    Merged,
    /// They stand with each line, apart.
    Categorized,
}

pub(super) fn result(answer: Answer, encoding: Encoding, direction: Direction) -> Result<Response> {
    let mut head = "{\"status\":\"success\",".to_owned();
    if !answer.warnings.is_empty() {
        head.push_str("\"warnings\":");
        json::texts(&mut head, &answer.warnings);
        head.push(',');
    }
    let start = |head: String, kind: &str, flags: &str| format!("{head}\"data\":{{\"resultType\":\"{kind}\",{flags}\"result\":[");
    let response = match answer.data {
        Answered::Streams(streams) => {
            let entries = streams.iter().map(|stream| stream.entries.len()).sum();
            let tail = tail(&answer.stats, entries);
            match encoding {
                Encoding::Merged => {
                    let streams = merge(streams, direction);
                    respond::joined(start(head, "streams", ""), streams, |out, stream| write(out, &stream, plain_entry), tail)
                }
                Encoding::Categorized => {
                    let start = start(head, "streams", "\"encodingFlags\":[\"categorize-labels\"],");
                    respond::joined(start, streams, |out, stream| write(out, &stream, categorized_entry), tail)
                }
            }
        }
        Answered::Matrix(series) => {
            let write = |out: &mut String, series: model::RangeSeries| {
                out.push_str("{\"metric\":");
                json::labels(out, &series.labels);
                out.push_str(",\"values\":");
                json::list(out, &series.floats, |out, (at_ms, value)| point(out, *at_ms, *value));
                out.push('}');
            };
            let tail = tail(&answer.stats, series.len());
            respond::joined(start(head, "matrix", ""), series, write, tail)
        }
        Answered::Vector(samples) => {
            let write = |out: &mut String, sample: model::InstantSample| {
                out.push_str("{\"metric\":");
                json::labels(out, &sample.labels);
                out.push_str(",\"value\":");
                point(out, sample.at_ms, sample.value);
                out.push('}');
            };
            let tail = tail(&answer.stats, samples.len());
            respond::joined(start(head, "vector", ""), samples, write, tail)
        }
        Answered::Scalar { at_ms, value } => {
            let mut body = format!("{head}\"data\":{{\"resultType\":\"scalar\",\"result\":");
            point(&mut body, at_ms, value);
            body.push_str(tail(&answer.stats, 1).strip_prefix(']').expect("a tail closes a list"));
            respond::json(http::StatusCode::OK, body)
        }
        _ => return Err(mismatch("a LogQL result")),
    };
    Ok(response)
}

fn tail(stats: &QueryStats, entries: usize) -> String {
    let (seconds, scan) = (stats.elapsed_seconds, &stats.scan);
    let lines = scan.rows_scanned + scan.head_rows_scanned;
    let per_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    format!(
        "],\"stats\":{{\"summary\":{{\"bytesProcessedPerSecond\":{},\"linesProcessedPerSecond\":{},\"totalBytesProcessed\":{},\
         \"totalLinesProcessed\":{lines},\"execTime\":{seconds:?},\"queueTime\":0,\"subqueries\":0,\"totalEntriesReturned\":{entries},\
         \"splits\":0,\"shards\":0,\"totalPostFilterLines\":{},\"totalStructuredMetadataBytesProcessed\":0}},\"tyto\":{}}}}}}}",
        per_second(scan.bytes_scanned),
        per_second(lines),
        scan.bytes_scanned,
        scan.rows_returned,
        serde_json::to_string(scan).expect("a struct of numbers is JSON")
    )
}

/// One stream per whole label set, each in the asked order.
pub(super) fn merge(streams: Vec<LogStream>, direction: Direction) -> Vec<LogStream> {
    let mut merged: Vec<LogStream> = Vec::with_capacity(streams.len());
    let mut positions: HashMap<Labels, usize> = HashMap::new();
    let mut joined = vec![];
    for stream in streams {
        for entry in stream.entries {
            let labels = match entry.structured_metadata.is_empty() && entry.parsed.is_empty() {
                true => stream.labels.clone(),
                false => {
                    let mut builder = stream.labels.to_builder();
                    for (name, value) in entry.structured_metadata.iter().chain(entry.parsed.iter()) {
                        builder.set(name, value);
                    }
                    builder.build()
                }
            };
            let position = *positions.entry(labels).or_insert_with_key(|labels| {
                merged.push(LogStream { labels: labels.clone(), entries: Vec::new() });
                joined.push(false);
                merged.len() - 1
            });
            let entries = &mut merged[position].entries;
            joined[position] |= entries.last().is_some_and(|last| match direction {
                Direction::Backward => last.time_ns < entry.time_ns,
                Direction::Forward => last.time_ns > entry.time_ns,
            });
            entries.push(entry);
        }
    }
    // Only what came from two streams can be out of order.
    for (stream, _) in merged.iter_mut().zip(joined).filter(|(_, joined)| *joined) {
        match direction {
            Direction::Backward => stream.entries.sort_by_key(|entry| std::cmp::Reverse(entry.time_ns)),
            Direction::Forward => stream.entries.sort_by_key(|entry| entry.time_ns),
        }
    }
    merged
}

pub(super) fn write(out: &mut String, stream: &LogStream, entry: fn(&mut String, &LogEntry)) {
    out.push_str("{\"stream\":");
    json::labels(out, &stream.labels);
    out.push_str(",\"values\":");
    json::list(out, &stream.entries, entry);
    out.push('}');
}

pub(super) fn plain_entry(out: &mut String, entry: &LogEntry) {
    json::push(out, format_args!("[\"{}\",", entry.time_ns));
    json::text(out, &entry.line);
    out.push(']');
}

pub(super) fn categorized_entry(out: &mut String, entry: &LogEntry) {
    plain_entry(out, entry);
    out.pop();
    out.push_str(",{");
    for (name, labels) in [("structuredMetadata", &entry.structured_metadata), ("parsed", &entry.parsed)] {
        if !labels.is_empty() {
            if !out.ends_with('{') {
                out.push(',');
            }
            json::push(out, format_args!("\"{name}\":"));
            json::labels(out, labels);
        }
    }
    out.push_str("}]");
}

/// Seconds in their shortest form, the value without exponent.
fn point(out: &mut String, at_ms: i64, value: f64) {
    json::push(out, format_args!("[{},\"", at_ms as f64 / 1000.0));
    json::plain_float(out, value);
    out.push_str("\"]");
}
