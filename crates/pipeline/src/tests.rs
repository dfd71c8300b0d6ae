use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Int64Array, StringArray};
use catalog::Catalog;
use model::logs::{LogRow, LogsBuilder};
use model::samples::{SamplesBuilder, SamplesView, SeriesRow};
use model::schema::column;
use model::{AttributeValue, Attributes, Error, Identity, Naming, Table, Usage, series_id};
use parking_lot::Mutex;

use super::*;

const OMD: &str = r#"
business_services:
  - name: video
    owners: [{team: playback}]
    services:
      - name: markers
        components:
          - name: marker-api
            match: [{service.name: "marker-*"}, {job: markers, __name__: "marker_*"}]
"#;

#[derive(Default)]
struct Shard {
    placed: Mutex<Vec<Placed>>,
    broken: AtomicBool,
}

#[async_trait]
impl Ingest<Placed> for Shard {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::unavailable("cannot append to the log"));
        }
        let accepted_records = batch.records.num_rows() as u64;
        self.placed.lock().push(batch);
        Ok(Ack { accepted_records, ..Ack::default() })
    }
}

/// A pipeline with the catalogue above, and the shard behind it.
fn pipeline() -> (Pipeline, Arc<Shard>) {
    let shard = Arc::new(Shard::default());
    let catalog = Live::of(Catalog::parse(&[("omd.yaml", OMD)]).unwrap());
    (Pipeline::new(Arc::new(catalog), CardinalityLimits::default(), Arc::new(|| 0), shard.clone()), shard)
}

fn send(pipeline: &Pipeline, batch: Decoded) -> Result<Ack> {
    futures::executor::block_on(pipeline.ingest(batch))
}

/// One log record per line; a line is the resource's attributes, then `|`, then the record's own.
fn logs(protocol: &'static str, lines: &[&str]) -> Decoded {
    let mut builder = LogsBuilder::default();
    for line in lines {
        let (resource, own) = line.split_once('|').unwrap_or((line, ""));
        let mut attributes = Attributes::default();
        resource.split_whitespace().filter_map(|pair| pair.split_once('=')).for_each(|(k, v)| attributes.set(k, AttributeValue::Text(v)));
        for (key, value) in own.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            builder.attributes.push(key, AttributeValue::Text(value));
        }
        builder.push(&LogRow { body: "x", ..LogRow::default() }, &attributes, &Attributes::default());
    }
    let naming = if protocol == "loki_push" { Naming::Labels } else { Naming::Attributes };
    Decoded { naming, ..Decoded::new(Table::Logs, builder.finish(), protocol) }
}

fn identities(records: &arrow::array::RecordBatch) -> Vec<String> {
    let records = model::origin::unpacked(Table::Logs, records).unwrap();
    let columns = Identity::FIELDS.map(|name| column::<StringArray>(&records, name).unwrap());
    (0..records.num_rows()).map(|row| columns.map(|column| model::logs::text_or_empty(column, row).to_owned()).join("/")).collect()
}

/// What the records of these lines are filed under: business service / service / component / region / environment / team.
#[track_caller]
fn check_logs(protocol: &'static str, cases: &[(&str, &str)]) {
    let (pipeline, shard) = pipeline();
    let lines: Vec<_> = cases.iter().map(|case| case.0).collect();
    send(&pipeline, logs(protocol, &lines)).unwrap();
    let placed = shard.placed.lock();
    assert_eq!(placed[0].shard, "default");
    let expected: Vec<_> = cases.iter().map(|case| case.1).collect();
    assert_eq!(identities(&placed[0].records), expected);
}

#[test]
fn every_source_of_an_identity_in_its_order() {
    check_logs(
        "otlp_grpc",
        &[
            ("service.name=other", "unassigned/////"),
            ("service.name=marker-7", "video/markers/marker-api///playback"),
            ("service.name=marker-7", "video/markers/marker-api///playback"),
            ("service.name=marker-7 cloud.region=eu deployment.environment=old", "video/markers/marker-api/eu/old/playback"),
            ("deployment.environment=old deployment.environment.name=new", "unassigned////new/"),
            ("omd.business_service=pay service.name=marker-7", "pay/////"),
            ("omd.business_service=video service.name=marker-7 omd.region=us cloud.region=eu", "video/markers/marker-api/us//playback"),
            ("omd.business_service=unassigned service.name=marker-7", "video/markers/marker-api///playback"),
            ("business_service=pay", "unassigned/////"),
            ("service.name=marker-7|omd.business_service=pay omd.component=till", "pay//till///"),
            ("service.name=marker-7|omdurman=x", "video/markers/marker-api///playback"),
            ("", "unassigned/////"),
        ],
    );
}

#[test]
fn loki_streams_state_theirs_as_labels() {
    check_logs(
        "loki_push",
        &[
            ("business_service=pay component=till", "pay//till///"),
            ("service_name=marker-7", "video/markers/marker-api///playback"),
            ("job=x|omd.business_service=no", "unassigned/////"),
            // What others mean by these labels is not known, unless a business service stands beside them.
            ("service=any component=any team=any region=eu", "unassigned///eu//"),
            ("service=any service_name=marker-7", "video/markers/marker-api///playback"),
            ("business_service=pay service=cards team=till", "pay/cards////till"),
            ("omd_service=cards", "unassigned/cards////"),
        ],
    );
}

#[test]
fn entries_that_only_join_alike_are_told_apart() {
    check_logs(
        "otlp_grpc",
        &[("service.nam=emarker-7", "unassigned/////"), ("service.name=marker-7", "video/markers/marker-api///playback")],
    );
}

#[test]
fn series_are_stamped_sorted_and_renumbered() {
    let mut builder = SamplesBuilder::default();
    let series: [(&str, &[(&str, &str)]); 4] = [
        ("marker_hits", &[("instance", "a"), ("job", "markers"), ("service", "own"), ("zone", "1")]),
        ("up", &[("job", "markers")]),
        ("marker_hits", &[("business_service", "pay"), ("cloud_region", "eu"), ("job", "markers")]),
        ("marker_misses", &[("job", "markers")]),
    ];
    for (name, labels) in series {
        builder.float(1000, 1.0);
        builder.float(2000, 2.0);
        builder.push_series(&SeriesRow { name, ..SeriesRow::default() }, labels.iter().copied());
    }
    let records = builder.finish();
    let before = column::<Int64Array>(&records, "series_id").unwrap().clone();
    let (pipeline, shard) = pipeline();
    send(&pipeline, Decoded::new(Table::Samples, records, "remote_write")).unwrap();

    let placed = shard.placed.lock();
    let view = SamplesView::of(&placed[0].records).unwrap();
    let sets: Vec<_> = (0..4).map(|row| view.label_set(row).to_string()).collect();
    assert_eq!(
        sets,
        [
            r#"{__name__="marker_hits", business_service="video", component="marker-api", instance="a", job="markers", service="own", team="playback", zone="1"}"#,
            r#"{__name__="up", job="markers"}"#,
            r#"{__name__="marker_hits", business_service="pay", cloud_region="eu", job="markers", region="eu"}"#,
            r#"{__name__="marker_misses", business_service="video", component="marker-api", job="markers", service="markers", team="playback"}"#,
        ]
    );
    let raw: Vec<_> = view.labels.iter(0).collect();
    assert!(raw.is_sorted(), "{raw:?}");
    assert_eq!(view.series_id.value(0), series_id("marker_hits", view.labels.iter(0)));
    assert_eq!(view.series_id.value(1), before.value(1));
    assert_eq!(identities(&placed[0].records)[1], "unassigned/////");

    let usage = pipeline.usage().usage();
    let records: Vec<_> = usage.iter().map(|(identity, _, usage)| (identity.business_service.as_str(), usage.records)).collect();
    assert_eq!(records, [("pay", 2), ("unassigned", 2), ("video", 4)]);
}

#[test]
fn a_rule_on_a_service_claims_its_series_by_their_job() {
    let mut builder = SamplesBuilder::default();
    for job in ["streaming/marker-eu", "marker-us", "streaming/other", "marker-eu/other"] {
        builder.float(1000, 1.0);
        builder.push_series(&SeriesRow { name: "up", ..SeriesRow::default() }, [("job", job)].into_iter());
    }
    // The name that the series itself gives its service counts before its target's.
    for (job, service_name) in [("other", "marker-us"), ("marker-us", "other")] {
        builder.float(1000, 1.0);
        let labels = [("job", job), ("service_name", service_name)];
        builder.push_series(&SeriesRow { name: "up", ..SeriesRow::default() }, labels.into_iter());
    }
    let (pipeline, shard) = pipeline();
    let batch = Decoded::new(Table::Samples, builder.finish(), "remote_write");
    send(&pipeline, batch).unwrap();
    let found = identities(&shard.placed.lock()[0].records);
    assert_eq!(found.iter().map(|identity| identity.starts_with("video/")).collect::<Vec<_>>(), [true, true, false, false, true, false]);
}

#[test]
fn usage_is_booked_once_a_batch_is_durable() {
    let (pipeline, shard) = pipeline();
    let batch = || logs("otlp_grpc", &["service.name=marker-1", "service.name=marker-1", "a=b"]);
    shard.broken.store(true, Ordering::SeqCst);
    send(&pipeline, batch()).unwrap_err();
    assert!(pipeline.usage().usage().is_empty());
    shard.broken.store(false, Ordering::SeqCst);
    send(&pipeline, batch()).unwrap();
    let usage = pipeline.usage().usage();
    assert_eq!(usage.len(), 2);
    let (unassigned, video) = (&usage[0], &usage[1]);
    assert_eq!((unassigned.0.business_service.as_str(), unassigned.1, unassigned.2.records), ("unassigned", Table::Logs, 1));
    assert_eq!((video.0.component.as_str(), video.2.records), ("marker-api", 2));
    // Per row 36 bytes of numbers, the body "x", the attributes, and the identity.
    let fixed = 4 * 8 + 4 + 1;
    assert_eq!(unassigned.2, Usage { records: 1, bytes: fixed + 2 + "unassigned".len() as u64 });
    assert_eq!(video.2.bytes, 2 * (fixed + "service.namemarker-1videomarkersmarker-apiplayback".len() as u64));
}

#[test]
fn an_identity_that_is_too_long_or_reserved_counts_as_not_stated() {
    let [long, longest] = [257, 256].map(|len| "x".repeat(len));
    check_logs(
        "otlp_grpc",
        &[
            (&format!("omd.business_service={long} service.name=marker-7"), "video/markers/marker-api///playback"),
            (&format!("omd.business_service={longest}"), &format!("{longest}/////")),
            ("omd.business_service=__overflow__", "unassigned/////"),
            (&format!("omd.region={long} cloud.region=eu deployment.environment={long}"), "unassigned///eu//"),
        ],
    );
}

#[tokio::test]
async fn a_large_batch_is_worked_on_elsewhere() {
    let (pipeline, shard) = pipeline();
    pipeline.ingest(logs("otlp_grpc", &["service.name=marker-1"; 20_000])).await.unwrap();
    assert!(identities(&shard.placed.lock()[0].records).iter().all(|identity| identity.starts_with("video/")));
}

#[tokio::test]
async fn what_a_rule_drops_is_taken_and_counts_once_the_rest_is_stored() {
    let shard = Arc::new(Shard::default());
    let dropping = "name: one\nmatch: {component: marker-api}\nstages: [{drop: '.attributes.probe == \"1\"'}]";
    let catalog = Live::of(Catalog::parse(&[("omd.yaml", OMD), ("pipelines/one.yaml", dropping)]).unwrap());
    let pipeline = Pipeline::new(Arc::new(catalog), CardinalityLimits::default(), Arc::new(|| 0), shard.clone());
    let dropped = || pipeline.counts().iter().filter(|count| count.what == "dropped").map(|count| count.count).sum::<u64>();
    let batch = || logs("otlp_grpc", &["service.name=marker-1|probe=1", "service.name=marker-1", "a=b|probe=1"]);

    shard.broken.store(true, Ordering::SeqCst);
    pipeline.ingest(batch()).await.unwrap_err();
    assert_eq!(dropped(), 0, "the sender comes again with it");
    shard.broken.store(false, Ordering::SeqCst);
    assert_eq!(pipeline.ingest(batch()).await.unwrap().accepted_records, 3);
    assert_eq!((dropped(), shard.placed.lock()[0].records.num_rows()), (1, 2));
    let usage = pipeline.usage().usage();
    assert_eq!(usage.iter().map(|(.., usage)| usage.records).sum::<u64>(), 2, "nobody pays for what is dropped");

    let ack = pipeline.ingest(logs("otlp_grpc", &["service.name=marker-1|probe=1"])).await.unwrap();
    assert_eq!((ack.accepted_records, dropped(), shard.placed.lock().len()), (1, 2, 1));
}
