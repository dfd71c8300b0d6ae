use std::sync::atomic::{AtomicI64, Ordering};

use model::Decoded;
use model::samples::{SamplesBuilder, SeriesRow};

use super::*;

const WINDOW_MS: i64 = 1000;

struct Guarded {
    guard: Guard,
    now_ms: Arc<AtomicI64>,
}

fn guarded(limits: CardinalityLimits) -> Guarded {
    let now_ms = Arc::new(AtomicI64::new(0));
    let clock = now_ms.clone();
    Guarded { guard: Guard::new(limits, Arc::new(move || clock.load(Ordering::Relaxed))), now_ms }
}

fn limits(label_values_max: usize) -> CardinalityLimits {
    CardinalityLimits { label_values_max, window_ms: WINDOW_MS, ..CardinalityLimits::default() }
}

impl Guarded {
    /// The label sets that are left of series of these business services and users.
    fn send(&self, series: &[(&str, &str)]) -> Vec<String> {
        let mut builder = SamplesBuilder::default();
        for (_, user) in series {
            builder.float(1, 1.0);
            builder.push_series(&SeriesRow { name: "logins", ..SeriesRow::default() }, [("job", "shop"), ("user", *user)].into_iter());
        }
        let records = builder.finish();
        let mut columns = records.columns().to_vec();
        let owners: StringArray = series.iter().map(|(owner, _)| Some(*owner)).collect();
        columns[records.schema_ref().index_of("business_service").unwrap()] = Arc::new(owners) as ArrayRef;
        let records = RecordBatch::try_new(records.schema(), columns).unwrap();
        let records = self.guard.guard(Identified(Decoded::new(Table::Samples, records, "test"))).unwrap().0.records;
        let labels = AttributesView::of(&records, "labels", None).unwrap();
        let ids: &Int64Array = column(&records, "series_id").unwrap();
        (0..records.num_rows())
            .map(|row| {
                assert_eq!(ids.value(row), series_id("logins", labels.iter(row)), "the number is that of the labels that are left");
                assert_eq!(labels.get(row, "job"), Some("shop"), "only the offending label goes");
                labels.get(row, "user").unwrap().to_owned()
            })
            .collect()
    }

    fn shown(&self) -> Vec<(String, String, u64, bool, u64)> {
        let labels = self.guard.labels(10).into_iter();
        labels.map(|label| (label.identity.business_service, label.label, label.values, label.overflows, label.replaced_series)).collect()
    }
}

#[test]
fn only_what_is_too_many_is_replaced_and_it_recovers() {
    let guarded = guarded(limits(3));
    assert_eq!(
        guarded.send(&[("pay", "a"), ("pay", "b"), ("video", "a"), ("pay", "c"), ("pay", "d"), ("pay", "a")]),
        ["a", "b", "a", "c", OVERFLOW_VALUE, "a"]
    );
    assert_eq!(
        guarded.send(&[("video", "d"), ("pay", "e"), ("pay", "c")]),
        ["d", OVERFLOW_VALUE, "c"],
        "another owner's labels are its own"
    );
    let shown = guarded.shown();
    assert_eq!(shown[0], ("pay".to_owned(), "user".to_owned(), 5, true, 2));
    assert_eq!(shown[1], ("video".to_owned(), "user".to_owned(), 2, false, 0));

    guarded.now_ms.store(WINDOW_MS, Ordering::Relaxed);
    assert_eq!(guarded.shown()[0].2, 3, "what was let in");
    // Three new ones, and those of the window before.
    assert_eq!(guarded.send(&[("pay", "d"), ("pay", "a"), ("pay", "e"), ("pay", "f"), ("pay", "b")]), ["d", "a", "e", OVERFLOW_VALUE, "b"]);
    guarded.now_ms.store(4 * WINDOW_MS, Ordering::Relaxed);
    assert!(guarded.shown().is_empty(), "after a rest nothing is held");
    assert_eq!(guarded.send(&[("pay", "f")]), ["f"]);
}

#[test]
fn what_finds_no_room_is_let_in() {
    let few_values = guarded(CardinalityLimits { values_held_max: 3, ..limits(100) });
    assert_eq!(few_values.send(&[("pay", "a"), ("pay", "b"), ("pay", "c")]), ["a", "b", "c"]);
    assert_eq!(few_values.shown()[0].2, 2, "job, a and b");
    let few_labels = guarded(CardinalityLimits { labels_held_max: 1, ..limits(1) });
    assert_eq!(few_labels.send(&[("pay", "a"), ("pay", "b")]), ["a", "b"]);
    assert_eq!(few_labels.shown().len(), 1);
}

#[test]
fn many_values_are_estimated() {
    let guarded = guarded(limits(100));
    let users: Vec<String> = (0..20_000).map(|user| format!("user-{user}")).collect();
    let series: Vec<_> = users.iter().map(|user| ("pay", user.as_str())).collect();
    let left = guarded.send(&series);
    assert_eq!(left.iter().filter(|user| *user == OVERFLOW_VALUE).count(), 19_900);
    let (.., values, overflows, replaced) = guarded.shown()[0].clone();
    assert!(overflows && replaced == 19_900 && (18_000..22_000).contains(&values), "{values}");
}
