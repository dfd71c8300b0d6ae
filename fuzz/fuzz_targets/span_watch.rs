#![no_main]

use std::time::Duration;

use insight::{SpanOptions, SpanWatch};
use libfuzzer_sys::fuzz_target;
use model::ReceiveLimits;
use model::samples::SamplesView;
use receive::Rules;

const NOW_MS: i64 = 1_700_000_000_000;

// Spans that anybody may send: what is computed from them is canonical, bounded, and the same for the same spans.
fuzz_target!(|body: &[u8]| {
    let limits = ReceiveLimits::default();
    let rules = Rules { limits: &limits, now_unix_nano: NOW_MS * 1_000_000, protocol: "fuzz" };
    let Ok(spans) = receive::otlp::decode_traces(body, &rules) else { return };
    let options = SpanOptions {
        series_max: 4,
        edges_waiting_max: 4,
        span_age_max: Duration::MAX,
        status_message: true,
        dimensions: vec!["a".to_owned()],
        ..SpanOptions::default()
    };
    let told = || {
        let mut watch = SpanWatch::new(&options, 0);
        watch.take(&spans.records, NOW_MS).expect("canonical spans");
        watch.take(&spans.records, NOW_MS + 1).expect("canonical spans");
        let mut series: Vec<String> = Vec::new();
        for batch in watch.emit(NOW_MS + 60_000) {
            let view = SamplesView::of(&batch.records).expect("canonical samples");
            for row in 0..batch.records.num_rows() {
                assert!(view.floats(row).expect("floats").iter().all(|value| *value >= 0.0), "nothing is counted down");
                series.push(format!("{} {:?} {:?}", view.label_set(row), view.timestamps(row), view.histograms(row)));
            }
        }
        series.sort();
        series
    };
    let series = told();
    // Each label set of span metrics has 19 series, each of the graph at most 37; the map's are as many as the spans make.
    assert!(series.iter().filter(|series| series.contains("traces_")).count() <= 5 * (19 + 37), "label sets are bounded");
    assert_eq!(series, told());
});
