//! Remote write 2.0 as its specification's messages have it.

use model::samples::SamplesView;
use model::{Decoded, ReceiveLimits};
use prost::Message;
use receive::{Rules, remote_write};

const NOW: i64 = 1_700_000_000_000_000_000;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(int64, tag = "17")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

fn request(timeseries: Vec<TimeSeries>) -> Request {
    // 0 to 10.
    let symbols = ["", "__name__", "jobs_total", "job", "node", "trace_id", "abc", "Jobs.", "1", "h_bucket", "h"];
    Request { symbols: symbols.map(str::to_owned).to_vec(), timeseries }
}

fn sample(timestamp: i64, value: f64) -> Sample {
    Sample { value, timestamp, start_timestamp: 0 }
}

fn decode(body: &[u8]) -> Decoded {
    let rules = Rules { limits: &ReceiveLimits::default(), now_unix_nano: NOW, protocol: "test" };
    remote_write::decode_remote_write_2(body, &rules).expect("valid")
}

fn refusals(decoded: &Decoded) -> Vec<(&str, &str)> {
    decoded.rejections.iter().map(|refused| (refused.reason, refused.field.as_str())).collect()
}

#[test]
fn a_request_comes_back_by_value() {
    let counter = TimeSeries {
        labels_refs: vec![3, 4, 1, 2],
        samples: vec![sample(1000, 1.5), Sample { start_timestamp: 1500, ..sample(2000, 0.5) }],
        exemplars: vec![Exemplar { labels_refs: vec![5, 6], value: 1.5, timestamp: 1000 }],
        metadata: Some(Metadata { kind: 1, help_ref: 7, unit_ref: 8 }),
        created_timestamp: 400,
        ..TimeSeries::default()
    };
    let buckets = TimeSeries {
        labels_refs: vec![1, 9],
        samples: vec![sample(1000, 2.0)],
        metadata: Some(Metadata { kind: 3, help_ref: 7, unit_ref: 0 }),
        ..TimeSeries::default()
    };
    let native = TimeSeries {
        labels_refs: vec![1, 10],
        histograms: vec![Histogram { count_int: Some(0), sum: 0.0, timestamp: 3000, start_timestamp: 2500 }],
        metadata: Some(Metadata { kind: 3, help_ref: 7, unit_ref: 0 }),
        ..TimeSeries::default()
    };
    let decoded = decode(&request(vec![counter, buckets, native]).encode_to_vec());
    assert_eq!(refusals(&decoded), []);
    let view = SamplesView::of(&decoded.records).expect("canonical");
    assert_eq!(view.label_set(0).to_string(), r#"{__name__="jobs_total", job="node"}"#);
    assert_eq!((view.timestamps(0).expect("times"), view.floats(0).expect("floats")), (&[1000, 2000][..], &[1.5, 0.5][..]));
    assert_eq!(view.starts(0).expect("starts"), [400, 1500], "a sample's own start counts more than its series'");
    let mut seen = Vec::new();
    view.for_each_exemplar(0, |exemplar| seen.push((exemplar.trace_id.to_owned(), exemplar.value))).expect("exemplars");
    assert_eq!(seen, [("abc".to_owned(), 1.5)]);
    assert_eq!((view.label_set(1).to_string(), view.starts(1).expect("starts").len()), (r#"{__name__="h_bucket"}"#.to_owned(), 0));
    assert_eq!((view.histograms(2).expect("histograms").len(), view.starts(2).expect("starts")), (1, &[2500][..]));
    let texts = |name: &str| {
        let texts: &arrow::array::StringArray = model::schema::column(&decoded.records, name).expect("a column");
        texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts("type"), ["counter", "", "histogram", "histogram"], "what h_bucket is, is said of h");
    assert_eq!((texts("help")[0].as_str(), texts("unit")[0].as_str(), texts("name")[3].as_str()), ("Jobs.", "1", "h"));
}

#[test]
fn what_makes_no_sense_is_refused_by_its_place() {
    let series =
        |labels_refs: &[u32]| TimeSeries { labels_refs: labels_refs.to_vec(), samples: vec![sample(1, 1.0)], ..TimeSeries::default() };
    let bad_exemplar = TimeSeries { exemplars: vec![Exemplar { labels_refs: vec![5], value: 0.0, timestamp: 1 }], ..series(&[1, 2]) };
    let decoded =
        decode(&request(vec![series(&[1]), series(&[1, 11]), series(&[3, 4]), bad_exemplar, series(&[1, 2, 1, 4])]).encode_to_vec());
    let expect = [
        ("invalid_symbol", "timeseries[0].labels"),
        ("invalid_symbol", "timeseries[1].labels"),
        ("missing_metric_name", "timeseries[2].labels"),
        ("invalid_symbol", "timeseries[3].exemplars[0]"),
        ("duplicate_label", "timeseries[4].labels"),
    ];
    assert_eq!(refusals(&decoded), expect);
    assert_eq!(decoded.rejections[1].why, "there is no symbol 11: the request has 11, counted from 0");
    assert_eq!(decoded.records.num_rows(), 1);
    // A message of 1.0 under the name of 2.0.
    let decoded = decode(b"\x0a\x11\x0a\x0d\x0a\x08__name__\x12\x01u\x12\x00");
    assert_eq!(refusals(&decoded), [("wrong_message", "field 1")]);
    assert!(decode(&[]).records.num_rows() == 0);
}

/// Every truncation and thousands of seeded mutations: an answer or an error, never a panic.
#[test]
fn no_bytes_panic() {
    let whole = TimeSeries {
        labels_refs: vec![3, 4, 1, 2],
        samples: vec![sample(1000, 1.5)],
        histograms: vec![Histogram { timestamp: 3000, ..Histogram::default() }],
        exemplars: vec![Exemplar { labels_refs: vec![5, 6], value: 1.5, timestamp: 1000 }],
        metadata: Some(Metadata { kind: 1, help_ref: 7, unit_ref: 8 }),
        created_timestamp: 400,
    };
    let body = request(vec![whole]).encode_to_vec();
    let limits = ReceiveLimits::default();
    let rules = Rules { limits: &limits, now_unix_nano: NOW, protocol: "test" };
    let (mut seed, mut read) = (0x5eed_u64, 0);
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for end in 0..body.len() {
        read += u32::from(remote_write::decode_remote_write_2(&body[..end], &rules).is_ok());
    }
    for _ in 0..5000 {
        let mut bytes = body.clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        read += u32::from(remote_write::decode_remote_write_2(&bytes, &rules).is_ok());
    }
    assert!(read > 100, "{read}: the mutations reach past the first byte");
}
