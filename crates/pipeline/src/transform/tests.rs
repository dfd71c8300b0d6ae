use catalog::Catalog;
use model::logs::{LogRow, LogsBuilder, LogsView};
use model::samples::SamplesView;
use model::{AttributeValue, Attributes};

use super::*;

const OMD: &str = "business_services: [{name: pay, owners: [{team: till}], services: [{name: cards, components: [{name: api, match: [{service.name: api}]}]}]}]";

fn catalog(pipelines: &[&str]) -> Catalog {
    let names: Vec<String> = (0..pipelines.len()).map(|at| format!("pipelines/{at}.yaml")).collect();
    let texts = names.iter().map(String::as_str).zip(pipelines.iter().copied()).chain([("omd.yaml", OMD)]);
    Catalog::parse(&texts.collect::<Vec<_>>()).unwrap()
}

/// Records of these bodies, each of the service before the first blank, identified.
fn identified(bodies: &[String], catalog: &Catalog) -> Identified {
    let mut builder = LogsBuilder::default();
    for (at, body) in bodies.iter().enumerate() {
        let mut resource = Attributes::default();
        resource.set("service.name", AttributeValue::Text(body.split(' ').next().unwrap()));
        builder.attributes.push("n", AttributeValue::Int(at as i64));
        let trace_id = format!("{:032x}", (at as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let row = LogRow { time_unix_nano: at as i64, body, trace_id: &trace_id, severity_number: Some(9), ..LogRow::default() };
        builder.push(&row, &resource, &Attributes::default());
    }
    crate::identify::identify(Decoded::new(Table::Logs, builder.finish_packed(), "test"), catalog).unwrap()
}

fn bodies(batch: &Identified) -> Vec<String> {
    let rows = batch.0.rows().unwrap();
    LogsView::of(&rows).unwrap().body.iter().map(|body| body.unwrap().to_owned()).collect()
}

fn of(transform: &Transform, what: &str) -> Vec<(String, String, String, u64)> {
    let counts = transform.counts().into_iter().filter(|count| count.what == what);
    counts.map(|count| (count.stage, count.reason, count.component, count.count)).collect()
}

fn texts(bodies: &[&str]) -> Vec<String> {
    bodies.iter().map(|body| (*body).to_owned()).collect()
}

#[test]
fn who_has_no_pipeline_is_not_touched() {
    let catalog = catalog(&["name: one\nmatch: {component: api}\nstages: [{mask: card}]"]);
    let transform = Transform::default();
    let batch = identified(&texts(&["other 4111111111111111"]), &catalog);
    let before = batch.0.records.clone();
    let (after, outcome) = transform.transform(batch, (1, &catalog), 0, Coming::New).unwrap();
    assert_eq!(after.0.records, before);
    assert_eq!(outcome.dropped(), 0);
    let (after, outcome) = transform
        .transform(identified(&texts(&["api 4111111111111111", "other 4111111111111111"]), &catalog), (1, &catalog), 0, Coming::New)
        .unwrap();
    assert_eq!(bodies(&after), ["api [masked:card]", "other 4111111111111111"]);
    assert!(transform.counts().is_empty(), "nothing is counted before it is stored");
    transform.book(outcome, 0);
    assert_eq!(of(&transform, "masked"), [("1 mask".to_owned(), String::new(), "api".to_owned(), 1)]);
    assert_eq!(of(&transform, "seen"), [(String::new(), String::new(), "api".to_owned(), 1)]);
}

#[test]
fn columns_that_nobody_writes_to_are_those_that_came() {
    let catalog = catalog(&["name: one\nmatch: {component: api}\nstages: [{mask: card}]"]);
    let batch = identified(&texts(&["api 4111111111111111"]), &catalog);
    let before = batch.0.records.clone();
    let (after, _) = Transform::default().transform(batch, (1, &catalog), 0, Coming::New).unwrap();
    for (at, field) in before.schema().fields().iter().enumerate() {
        let same = Arc::ptr_eq(before.column(at), after.0.records.column(at));
        assert_eq!(same, field.name() != "body", "{}", field.name());
    }
}

#[test]
fn the_most_specific_comes_first_and_everybody_last() {
    let all = "name: all\nmatch: {when: 'true'}\nstages: [{vrl: '.body = .body + \" all\"'}]";
    let one = "name: zone\nmatch: {component: api}\nstages: [{vrl: '.body = .body + \" one\"'}]";
    let two = "name: two\nmatch: {business_service: pay}\nstages: [{vrl: '.body = .body + \" two\"'}]";
    let catalog = catalog(&[all, two, one]);
    let (after, _) =
        Transform::default().transform(identified(&texts(&["api", "other"]), &catalog), (1, &catalog), 0, Coming::New).unwrap();
    assert_eq!(bodies(&after), ["api two one all", "other all"]);
}

#[test]
fn another_version_of_the_catalogue_is_another_plan() {
    let transform = Transform::default();
    for (version, hidden, expected) in [(1, "redact", "api [masked:card]"), (2, "partial", "api [masked:card:****1111]")] {
        let catalog = catalog(&[&format!("name: one\nmatch: {{component: api}}\nstages: [{{mask: {{kinds: [card], with: {hidden}}}}}]")]);
        let batch = identified(&texts(&["api 4111111111111111"]), &catalog);
        let (after, _) = transform.transform(batch, (version, &catalog), 0, Coming::New).unwrap();
        assert_eq!(bodies(&after), [expected]);
    }
}

#[test]
fn what_was_not_stored_is_no_repetition() {
    let catalog = catalog(&["name: one\nmatch: {component: api}\nstages: [{vrl: 'del(.attributes.n)'}, {dedupe: 10s}]"]);
    let transform = Transform::default();
    let send = |now_ms: i64| {
        transform.transform(identified(&texts(&["api a", "api a", "api b"]), &catalog), (1, &catalog), now_ms, Coming::New).unwrap()
    };
    let (after, outcome) = send(0);
    assert_eq!((bodies(&after), outcome.dropped()), (texts(&["api a", "api b"]), 1));
    drop(outcome);
    let (after, outcome) = send(1);
    assert_eq!(bodies(&after), ["api a", "api b"], "the first batch was not stored");
    transform.book(outcome, 1);
    let (after, outcome) = send(5_000);
    assert_eq!((bodies(&after), outcome.dropped()), (Vec::new(), 3));
    transform.book(outcome, 5_000);
    let (after, outcome) = send(20_000);
    let rows = after.0.rows().unwrap();
    let view = LogsView::of(&rows).unwrap();
    let repeated: Vec<_> = (0..rows.num_rows()).map(|row| view.attributes.get(row, "dedupe.repeated").map(str::to_owned)).collect();
    assert_eq!(repeated, [Some("3".to_owned()), Some("1".to_owned())]);
    transform.book(outcome, 20_000);
    assert_eq!(of(&transform, "dropped"), [("2 dedupe".to_owned(), "repeated".to_owned(), "api".to_owned(), 5)]);
}

#[test]
fn metrics_are_cumulative_series_with_an_identity() {
    let stages =
        "[{metric: {name: seen_total, labels: {who: component}}}, {metric: {name: n, kind: histogram, value: n, buckets: [0, 1]}}]";
    let catalog = catalog(&[&format!("name: one\nmatch: {{component: api}}\nstages: {stages}")]);
    let transform = Transform::default();
    for round in 0..2 {
        let (_, outcome) =
            transform.transform(identified(&texts(&["api", "api", "api"]), &catalog), (1, &catalog), 0, Coming::New).unwrap();
        transform.book(outcome, 1000 * round);
    }
    let told = transform.told(5000).unwrap();
    assert_eq!((told.len(), told[0].naming), (1, model::Naming::Settled));
    let records = crate::identify::identify(told[0].clone(), &catalog).unwrap().0.records;
    let view = SamplesView::of(&records).unwrap();
    let mut series: Vec<String> = (0..records.num_rows())
        .map(|row| format!("{} {:?} {:?}", view.label_set(row), view.timestamps(row).unwrap(), view.floats(row).unwrap()))
        .collect();
    series.sort();
    let owner = r#"business_service="pay", component="api""#;
    let end = r#"service="cards", team="till""#;
    assert_eq!(
        series,
        [
            format!(r#"{{__name__="n_bucket", {owner}, le="+Inf", {end}}} [0, 5000] [0.0, 6.0]"#),
            format!(r#"{{__name__="n_bucket", {owner}, le="0", {end}}} [0, 5000] [0.0, 2.0]"#),
            format!(r#"{{__name__="n_bucket", {owner}, le="1", {end}}} [0, 5000] [0.0, 4.0]"#),
            format!(r#"{{__name__="n_count", {owner}, {end}}} [0, 5000] [0.0, 6.0]"#),
            format!(r#"{{__name__="n_sum", {owner}, {end}}} [0, 5000] [0.0, 6.0]"#),
            format!(r#"{{__name__="seen_total", {owner}, {}, who="api"}} [0, 5000] [0.0, 6.0]"#, end),
        ]
    );
    assert!(transform.told(5000 + 3_600_000).unwrap().is_empty(), "what counts nothing for an hour is forgotten");
}

/// Of every identity what was received is stored or dropped by rule, whatever the rules and the records are.
#[test]
fn nothing_is_lost() {
    let rules = [
        "drop: '.attributes.n == 3'",
        "drop: {when: 'contains(.body, \"7\")', reason: seven}",
        "sample: 0.5",
        "sample: {keep: 0.3, by: trace}",
        "dedupe: 10s",
        "vrl: '.body = to_string!(.attributes.n)'",
        "vrl: 'del(.attributes.n)'",
        "vrl: 'parse_json!(.body)'",
        "mask: {kinds: [secrets, card, email, phone, iban], fields: [n]}",
        "parse: json",
        "event: x",
    ];
    for seed in 0..200u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let stages = |next: &mut dyn FnMut(usize) -> usize| {
            (0..1 + next(4)).map(|_| format!("  - {}\n", rules[next(rules.len())])).collect::<String>()
        };
        let one = format!("name: one\nmatch: {{component: api}}\nstages:\n{}", stages(&mut next));
        let all = format!("name: all\nmatch: {{when: '.attributes.n != 5'}}\nstages:\n{}", stages(&mut next));
        let catalog = catalog(&[&one, &all]);
        let transform = Transform::default();
        let mut received = [0u64; 2];
        let mut stored = [0u64; 2];
        for batch in 0..3 {
            let sent: Vec<String> = (0..next(20)).map(|_| format!("{} {}", ["api", "other"][next(2)], next(10))).collect();
            sent.iter().for_each(|body| received[usize::from(body.starts_with("other"))] += 1);
            let (after, outcome) = transform.transform(identified(&sent, &catalog), (1, &catalog), batch * 4000, Coming::New).unwrap();
            let rows = after.0.rows().unwrap();
            let components = LogsView::of(&rows).unwrap().identity[2].clone();
            assert_eq!(rows.num_rows() as u64 + outcome.dropped(), sent.len() as u64);
            (0..rows.num_rows()).for_each(|row| stored[usize::from(components.is_null(row))] += 1);
            transform.book(outcome, batch * 4000);
        }
        let dropped =
            |component: &str| of(&transform, "dropped").iter().filter(|(.., of, _)| of == component).map(|(.., count)| count).sum::<u64>();
        assert_eq!([stored[0] + dropped("api"), stored[1] + dropped("")], received, "seed {seed}: {one}{all}");
    }
}

#[test]
fn what_is_said_of_rows_is_said_by_their_places_as_they_came() {
    let refused = |row| vec![RefusedRow { row, why: "breaks".to_owned() }];
    let outcome = Outcome { left: vec![true, false, true, true], ..Outcome::default() };
    assert_eq!(outcome.as_they_came(refused(1), vec![true, false, true]), (refused(2), vec![true, true, false, true]));
    assert_eq!(outcome.as_they_came(Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    assert_eq!(Outcome::default().as_they_came(refused(1), vec![true, false]), (refused(1), vec![true, false]));
}

#[test]
fn what_comes_again_is_masked_and_neither_counted_nor_left_out() {
    const PIPELINE: &str =
        "name: again\nmatch: {component: api}\nstages: [{dedupe: 10s}, {sample: 0}, {metric: {name: seen_total}}, {mask: card}]";
    let catalog = catalog(&[PIPELINE]);
    let transform = Transform::default();
    let sent = || identified(&texts(&["api 4111111111111111", "api 4111111111111111"]), &catalog);
    let (after, outcome) = transform.transform(sent(), (1, &catalog), 0, Coming::New).unwrap();
    assert_eq!((after.0.records.num_rows(), outcome.dropped()), (0, 2));
    let (after, outcome) = transform.transform(sent(), (1, &catalog), 0, Coming::Again).unwrap();
    assert_eq!((bodies(&after), outcome.dropped()), (texts(&["api [masked:card]", "api [masked:card]"]), 0));
    transform.book(outcome, 1);
    assert!(transform.told(10_000).unwrap().is_empty(), "it was counted when it came first");
}
