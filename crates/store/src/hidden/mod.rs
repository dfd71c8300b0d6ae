//! Rows that nobody shall see any more, at one moment: past their retention, or ordered to be erased.
//!
//! A scan leaves them out, and whoever writes a file anew does not write them. What is asked of a file first is answered
//! by its statistics, so that a file of which nothing is hidden costs nothing.

mod points;
mod target;

use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, not};
use model::logs::text_or_empty;
use model::schema::column;
use model::{Identity, Result, Retention, Table};

use crate::lake::files::FileStats;
pub(crate) use points::within;
pub(crate) use target::{Target, targets};

/// The fields that retention is declared for: the first of an identity.
const SCOPE: usize = 3;

/// What is hidden of one table, as long as nobody says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hiding {
    pub(crate) retention: Arc<Retention>,
    pub(crate) targets: Arc<[Arc<Target>]>,
}

/// The same at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    table: Table,
    now_ns: i64,
    retention: Arc<Retention>,
    targets: Arc<[Arc<Target>]>,
    /// Rows from here on are past nobody's retention.
    cutoff_max: i64,
}

/// What was taken out of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Log records, spans or points.
    pub(crate) records: u64,
    /// Something went, if only an exemplar.
    pub(crate) any: bool,
}

impl Gone {
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.any |= other.any;
    }
}

impl Hiding {
    pub(crate) fn at(&self, table: Table, now_ms: i64) -> Hidden {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let mut hidden = Hidden { table, now_ns, retention: self.retention.clone(), targets: self.targets.clone(), cutoff_max: i64::MIN };
        hidden.cutoff_max = self.retention.scopes(table).iter().map(|(_, keep)| hidden.before(*keep)).max().unwrap_or(i64::MIN);
        hidden
    }
}

impl Hidden {
    /// What one order alone hides.
    pub(crate) fn by(table: Table, target: Arc<Target>) -> Self {
        Hiding { targets: [target].into(), ..Hiding::default() }.at(table, 0)
    }

    /// What retention alone hides.
    pub(crate) fn past(self) -> Self {
        Self { targets: Arc::default(), ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cutoff_max == i64::MIN && self.targets.is_empty()
    }

    fn before(&self, keep: std::time::Duration) -> i64 {
        self.now_ns.saturating_sub(i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Rows of these that end before this instant are past; none is before the least of all.
    fn cutoff(&self, scope: [&str; SCOPE]) -> i64 {
        self.retention.of(self.table, scope).map_or(i64::MIN, |keep| self.before(keep))
    }

    /// Whether a block of rows whose first and last instants are these can hold a hidden one.
    pub(crate) fn may_touch(&self, first: i64, last: i64) -> bool {
        first < self.cutoff_max || self.targets.iter().any(|target| target.time.overlaps(first, last))
    }

    /// Whether a file can hold a hidden row.
    pub(crate) fn touches(&self, stats: &FileStats) -> bool {
        let (first, last) = stats.time(self.table).unwrap_or((i64::MIN, i64::MAX));
        let past = first < self.cutoff_max
            && !self.is_metadata(first, last)
            && self.retention.scopes(self.table).iter().any(|(scope, keep)| may_hold(stats, scope) && first < self.before(*keep));
        past || self.targets.iter().any(|target| target.may_touch(stats, first, last))
    }

    /// Whether retention leaves no row of a file.
    pub(crate) fn is_past(&self, stats: &FileStats) -> bool {
        let Some((first, last)) = stats.time(self.table) else { return false };
        last < self.cutoff_max && !self.is_metadata(first, last) && last < self.oldest_cutoff(stats)
    }

    /// The instant before which rows of everybody who may be in the file are past.
    pub(crate) fn oldest_cutoff(&self, stats: &FileStats) -> i64 {
        let scopes = self.retention.scopes(self.table);
        // As far as all rows are of one scope that has a time of its own, what is said further out does not count for them.
        let (mut own, mut depth) = (["", "", ""], 0);
        for level in 0..SCOPE {
            let Some(only) = only_text(stats, Identity::FIELDS[level]) else { break };
            own[level] = only;
            if scopes.iter().any(|(scope, _)| scope.each_ref().map(String::as_str) == own) {
                depth = level + 1;
            }
        }
        let mut base = ["", "", ""];
        base[..depth].copy_from_slice(&own[..depth]);
        let deeper = scopes.iter().filter(|(scope, _)| depth_of(scope) > depth && may_hold(stats, scope));
        deeper.map(|(_, keep)| self.before(*keep)).chain([self.cutoff(base)]).min().unwrap_or(i64::MIN)
    }

    /// Rows that carry only a metric's metadata have no time and are never past.
    fn is_metadata(&self, first: i64, last: i64) -> bool {
        self.table == Table::Samples && first == 0 && last == 0
    }

    /// The columns that say which rows are hidden, and of samples which points.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let (first, last) = self.table.time_columns();
        let mut names = vec![first, last];
        if self.cutoff_max > i64::MIN {
            names.extend(&Identity::FIELDS[..SCOPE]);
        }
        names.extend(self.targets.iter().flat_map(|target| target.columns()));
        if self.table == Table::Samples {
            names.push("timestamps");
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The first instant at which each row is past, nanoseconds since the Unix epoch; the end of time for rows that are kept for ever.
    pub(crate) fn past_from(&self, records: &RecordBatch) -> Result<Vec<i64>> {
        let (first, last) = self.times(records)?;
        let cutoffs = self.cutoffs(records)?;
        let rows = first.values().iter().zip(last.values()).zip(cutoffs);
        Ok(rows
            .map(|((&first, &last), cutoff)| match cutoff == i64::MIN || self.is_metadata(first, last) {
                true => i64::MAX,
                false => last.saturating_add(self.now_ns.saturating_sub(cutoff)).saturating_add(1),
            })
            .collect())
    }

    fn times<'a>(&self, records: &'a RecordBatch) -> Result<(&'a Int64Array, &'a Int64Array)> {
        let (first, last) = self.table.time_columns();
        Ok((column(records, first)?, column(records, last)?))
    }

    /// The cutoff of each row.
    fn cutoffs(&self, records: &RecordBatch) -> Result<Vec<i64>> {
        if self.cutoff_max == i64::MIN {
            return Ok(vec![i64::MIN; records.num_rows()]);
        }
        let mut fields = Vec::with_capacity(SCOPE);
        for name in &Identity::FIELDS[..SCOPE] {
            fields.push(column::<StringArray>(records, name)?);
        }
        // Rows lie sorted by business service: most have the scope of the row before.
        let mut before: Option<([&str; SCOPE], i64)> = None;
        let cutoffs = (0..records.num_rows()).map(|row| {
            let scope = std::array::from_fn(|level| text_or_empty(fields[level], row));
            let cutoff = match before {
                Some((same, cutoff)) if same == scope => cutoff,
                _ => self.cutoff(scope),
            };
            before = Some((scope, cutoff));
            cutoff
        });
        Ok(cutoffs.collect())
    }

    /// Which rows stay. Of samples, one that stays may still hold hidden points.
    pub(crate) fn kept(&self, records: &RecordBatch) -> Result<BooleanArray> {
        let (first, last) = self.times(records)?;
        let cutoffs = self.cutoffs(records)?;
        let mut hidden: Vec<bool> = (0..records.num_rows())
            .map(|row| last.value(row) < cutoffs[row] && !self.is_metadata(first.value(row), last.value(row)))
            .collect();
        for target in self.targets.iter() {
            let matched = target.matches(records)?;
            let time = target.time;
            for (row, hidden) in hidden.iter_mut().enumerate().filter(|(row, _)| matched.value(*row)) {
                *hidden |= time.contains(first.value(row)) && time.contains(last.value(row));
            }
        }
        Ok(not(&BooleanArray::from(hidden))?)
    }

    /// Takes hidden points out of rows that stay. Columns that are not there are not missed, but for [`Self::columns`].
    pub(crate) fn trim(&self, records: RecordBatch) -> Result<(RecordBatch, Gone)> {
        if self.table != Table::Samples {
            return Ok((records, Gone::default()));
        }
        let (first, last) = self.times(&records)?;
        let cutoffs = self.cutoffs(&records)?;
        let mut matched = Vec::new();
        for target in self.targets.iter() {
            matched.push((target, target.matches(&records)?));
        }
        let partly = |row: usize| {
            let (first, last) = (first.value(row), last.value(row));
            (first < cutoffs[row] && !self.is_metadata(first, last))
                || matched.iter().any(|(target, rows)| rows.value(row) && target.time.overlaps(first, last))
        };
        let stays = |row: usize, time: i64| {
            time >= cutoffs[row] && !matched.iter().any(|(target, rows)| rows.value(row) && target.time.contains(time))
        };
        let touched: Vec<bool> = (0..records.num_rows()).map(partly).collect();
        let (records, points) = points::cut(records.clone(), &touched, stays)?;
        let (records, exemplars) = points::cut_exemplars(records, &self.targets)?;
        Ok((records, Gone { records: points, any: points > 0 || exemplars > 0 }))
    }

    /// The rows that stay, without hidden points, and what went.
    pub(crate) fn clear(&self, records: RecordBatch) -> Result<(RecordBatch, Gone)> {
        if self.is_empty() || records.num_rows() == 0 {
            return Ok((records, Gone::default()));
        }
        let records = model::origin::unpacked(self.table, &records)?;
        let kept = self.kept(&records)?;
        let mut gone = Gone::default();
        let records = match kept.true_count() == kept.len() {
            true => records,
            false => {
                let went = filter_record_batch(&records, &not(&kept)?)?;
                gone = Gone { records: self.table.records_in(&went)?, any: true };
                filter_record_batch(&records, &kept)?
            }
        };
        let (records, trimmed) = self.trim(records)?;
        gone.add(trimmed);
        Ok((records, gone))
    }
}

fn depth_of(scope: &model::Scope) -> usize {
    scope.iter().take_while(|name| !name.is_empty()).count()
}

/// Whether a file can hold rows of this scope.
fn may_hold(stats: &FileStats, scope: &model::Scope) -> bool {
    scope.iter().zip(Identity::FIELDS).filter(|(text, _)| !text.is_empty()).all(|(text, field)| may_be(stats, field, text))
}

/// Whether a file can hold a row with this text in a column.
fn may_be(stats: &FileStats, field: &str, text: &str) -> bool {
    let Some(bounds) = stats.texts.get(field).filter(|bounds| !bounds.unknown) else { return true };
    bounds.range.as_ref().is_some_and(|(low, high)| low.as_str() <= text && text <= high.as_str())
}

/// The text that every row of a file has in a column; null is the empty one.
fn only_text<'a>(stats: &'a FileStats, field: &str) -> Option<&'a str> {
    let bounds = stats.texts.get(field).filter(|bounds| !bounds.unknown)?;
    match &bounds.range {
        None => Some(""),
        Some((low, high)) => (low == high && bounds.nulls == 0).then_some(low.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::files::Bounds;
    use std::time::Duration;

    const HOUR: i64 = 3_600_000_000_000;

    fn retention(declared: &[([&str; 3], u64)]) -> Hidden {
        let mut retention = Retention::default();
        for (scope, hours) in declared {
            retention.keep(Table::Logs, *scope, Duration::from_secs(hours * 3600));
        }
        Hiding { retention: Arc::new(retention), ..Hiding::default() }.at(Table::Logs, 100 * 3_600_000)
    }

    fn stats(hours: (i64, i64), businesses: (&str, &str), service: Option<&str>) -> FileStats {
        let mut stats = FileStats { rows: 10, ..FileStats::default() };
        let range = Some((hours.0 * HOUR, hours.1 * HOUR));
        stats.longs.insert("time_unix_nano".to_owned(), Bounds { range, nulls: 0, unknown: false });
        let text = |low: &str, high: &str| Bounds { range: Some((low.to_owned(), high.to_owned())), nulls: 0, unknown: false };
        stats.texts.insert("business_service".to_owned(), text(businesses.0, businesses.1));
        if let Some(service) = service {
            stats.texts.insert("service".to_owned(), text(service, service));
        }
        stats
    }

    #[test]
    fn a_file_goes_when_the_longest_kept_of_its_rows_are_past() {
        let hidden = retention(&[(["", "", ""], 10), (["b", "", ""], 50), (["b", "x", ""], 5), (["m", "", ""], 1)]);
        let past = |until: i64, businesses, service| hidden.is_past(&stats((1, until), businesses, service));
        assert!(past(89, ("c", "k"), None) && !past(91, ("c", "k"), None), "everybody's ten hours");
        assert!(!past(89, ("a", "c"), None) && past(49, ("a", "c"), None), "b may be in it");
        assert!(past(89, ("l", "n"), None), "m is kept for less, and the others decide");
        assert!(past(98, ("m", "m"), None) && !past(99, ("m", "m"), None), "m alone");
        assert!(!past(89, ("b", "b"), None), "b alone, of services unknown");
        assert!(past(94, ("b", "b"), Some("x")) && !past(96, ("b", "b"), Some("x")), "x of b alone");
        assert!(!retention(&[(["b", "", ""], 1)]).is_past(&stats((1, 2), ("a", "c"), None)), "who is not limited is kept for ever");
    }

    #[test]
    fn a_file_without_a_hidden_row_is_not_touched() {
        let hidden = retention(&[(["b", "", ""], 10)]);
        assert!(hidden.touches(&stats((1, 99), ("a", "c"), None)));
        assert!(!hidden.touches(&stats((1, 99), ("c", "d"), None)), "b is not in it");
        assert!(!hidden.touches(&stats((91, 99), ("a", "c"), None)), "young enough");
        assert!(retention(&[]).is_empty() && !retention(&[]).touches(&stats((1, 99), ("a", "c"), None)));
        assert!(hidden.touches(&FileStats::default()), "nothing is known of it");
    }
}
