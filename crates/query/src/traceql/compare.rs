//! Which values do selected spans have, and which the others?

use std::collections::{BTreeMap, HashMap};

use lang::traceql::{Compare, Value};
use model::{Result, SpanValue, TraceSeries};

use super::fields::{Field, Fields, Slots};
use super::metrics::Steps;
use super::search::span_value;
use crate::guard::{Charge, Guard};

/// Values of each attribute that are told, unless the query says how many.
const TOP_DEFAULT: usize = 10;
/// Different values of one attribute that are counted apart; an attribute of more is no help, and is told to have too many.
const VALUES_MAX: usize = 1000;

/// Counts the values of every attribute, of spans that are selected and of those that are not.
pub(super) struct Comparison {
    selection: Field,
    /// Nanoseconds, the end excluded: only of this time spans are selected.
    time: Option<(i64, i64)>,
    top: usize,
    steps: Steps,
    /// By name; of the others and of the selected.
    sides: [HashMap<String, Values>; 2],
    charge: Charge,
    guard: Guard,
}

#[derive(Default)]
struct Values {
    total: Counts,
    /// By text.
    each: HashMap<String, (SpanValue, Counts)>,
    too_many: bool,
}

/// By step.
#[derive(Default)]
struct Counts(BTreeMap<usize, u64>);

impl Counts {
    fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

const SIDES: [&str; 2] = ["baseline", "selection"];
const TYPE: &str = "__meta_type";

impl Comparison {
    pub(super) fn new(compare: &Compare, slots: &mut Slots, steps: Steps, guard: Guard) -> Result<Self> {
        let top = compare.top.and_then(|top| usize::try_from(top).ok()).filter(|top| *top > 0).unwrap_or(TOP_DEFAULT).min(VALUES_MAX);
        let selection = Field::new(&compare.selection, slots)?;
        Ok(Self { selection, time: compare.time, top, steps, sides: Default::default(), charge: guard.charge(0), guard })
    }

    pub(super) fn add<'v>(
        &mut self,
        fields: &impl Fields,
        step: usize,
        start_ns: i64,
        all: impl FnOnce(&mut dyn FnMut(String, Value<'v>)),
    ) -> Result<()> {
        let in_time = self.time.is_none_or(|(start, end)| (start..end).contains(&start_ns));
        let side = &mut self.sides[usize::from(in_time && self.selection.passes(fields))];
        let mut held = 0;
        all(&mut |name, value| {
            let values = side.entry(name).or_insert_with(|| {
                held += 256;
                Values::default()
            });
            *values.total.0.entry(step).or_default() += 1;
            if values.too_many {
                return;
            }
            let text = format!("{value}");
            if !values.each.contains_key(&text) {
                if values.each.len() == VALUES_MAX {
                    values.too_many = true;
                    values.each = HashMap::new();
                    return;
                }
                held += 2 * text.len() + 192;
            }
            let (_, counts) = values.each.entry(text).or_insert_with(|| (span_value(&value), Counts::default()));
            *counts.0.entry(step).or_default() += 1;
        });
        self.charge.grow(held);
        if held > 0 { self.guard.check() } else { Ok(()) }
    }

    /// Of each side the most frequent values of each attribute, and how many spans have it.
    pub(super) fn series(self) -> Vec<TraceSeries> {
        let Self { steps, sides, top, .. } = self;
        let points = |counts: &Counts| counts.0.iter().map(|(step, count)| (steps.at_ms(*step), *count as f64)).collect();
        let meta = |name: &str, text: &str| (name.to_owned(), SpanValue::Text(text.to_owned()));
        let mut series = Vec::new();
        for (side, kind) in sides.into_iter().zip(SIDES) {
            for (name, values) in side {
                let total = vec![meta(TYPE, &format!("{kind}_total")), (name.clone(), SpanValue::Nil)];
                series.push(TraceSeries { labels: total, points: points(&values.total), exemplars: Vec::new() });
                if values.too_many {
                    let labels = vec![meta(TYPE, kind), meta("__meta_error", "__too_many_values__"), (name, SpanValue::Nil)];
                    series.push(TraceSeries { labels, ..TraceSeries::default() });
                    continue;
                }
                let mut each: Vec<_> = values.each.into_iter().collect();
                each.sort_by(|(a, (_, first)), (b, (_, second))| second.sum().cmp(&first.sum()).then(a.cmp(b)));
                each.truncate(top);
                series.extend(each.into_iter().map(|(_, (value, counts))| TraceSeries {
                    labels: vec![meta(TYPE, kind), (name.clone(), value)],
                    points: points(&counts),
                    exemplars: Vec::new(),
                }));
            }
        }
        series
    }
}
