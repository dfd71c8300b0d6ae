//! Type, unit and help of metrics, as their senders gave them.

use std::collections::BTreeSet;

use arrow::array::StringArray;
use futures::TryStreamExt;
use model::logs::text_or_empty;
use model::schema::column;
use model::{Answer, Answered, Code, Error, Filter, MetricFamily, QueryLimits, Result, Scan, ScanRequest, Subject, Table, Test, TimeRange};

use crate::guard::TRUNCATED;

type Family = (String, String, String, String);

/// Sorted by name; a metric whose senders disagree has several families.
pub(crate) async fn families(scan: &dyn Scan, metric: Option<&str>, limit: Option<usize>, limits: &QueryLimits) -> Result<Answer> {
    let mut request = ScanRequest::new(Table::Samples, TimeRange::ALL);
    let column_of = |name: &str| Subject::Column(name.to_owned());
    let described = Subject::FirstOf(["type", "unit", "help"].map(column_of).to_vec());
    request.filters.push(Filter { subject: described, test: Test::NotEqual(String::new()) });
    if let Some(metric) = metric {
        let series = std::iter::once("").chain(SUFFIXES.iter().map(|(_, suffix)| *suffix)).map(|suffix| format!("{metric}{suffix}"));
        request.filters.push(Filter { subject: column_of("name"), test: Test::OneOf(series.collect()) });
    }
    request.columns = Some(["name", "type", "unit", "help"].map(str::to_owned).to_vec());

    let mut found: BTreeSet<Family> = BTreeSet::new();
    let mut rows = scan.scan(request).await?;
    while let Some(batch) = rows.try_next().await? {
        let texts: [&StringArray; 4] = [column(&batch, "name")?, column(&batch, "type")?, column(&batch, "unit")?, column(&batch, "help")?];
        let mut before = [""; 4];
        for row in 0..batch.num_rows() {
            let now = texts.map(|text| text_or_empty(text, row));
            if std::mem::replace(&mut before, now) == now {
                continue;
            }
            let [name, kind, unit, help] = now;
            let name = family_name(name, kind);
            if metric.is_none_or(|metric| metric == name) {
                found.insert((name.to_owned(), kind.to_owned(), unit.to_owned(), help.to_owned()));
            }
        }
        let max = limits.series_max;
        if found.len() > max {
            return Err(Error::new(Code::LimitExceeded, format!("cannot list more than series_max = {max} metric families")));
        }
    }
    let limit = limit.unwrap_or(usize::MAX);
    let cut = found.len() > limit;
    let families = found.into_iter().map(|(name, kind, unit, help)| MetricFamily { name, kind, unit, help });
    let mut answer = Answer::new(Answered::Metadata(families.take(limit).collect()));
    if cut {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    Ok(answer)
}

/// The series that a family of that type is made of.
const SUFFIXES: [(&str, &str); 9] = [
    ("histogram", "_bucket"),
    ("histogram", "_count"),
    ("histogram", "_sum"),
    ("gaugehistogram", "_bucket"),
    ("gaugehistogram", "_gcount"),
    ("gaugehistogram", "_gsum"),
    ("summary", "_count"),
    ("summary", "_sum"),
    ("info", "_info"),
];

fn family_name<'a>(series: &'a str, kind: &str) -> &'a str {
    SUFFIXES.iter().filter(|(of, _)| *of == kind).find_map(|(_, suffix)| series.strip_suffix(suffix)).unwrap_or(series)
}

#[cfg(test)]
mod tests {
    use super::family_name;

    #[test]
    fn series_lead_to_their_family() {
        assert_eq!(family_name("rpc_seconds_bucket", "histogram"), "rpc_seconds");
        assert_eq!(family_name("rpc_seconds_sum", "summary"), "rpc_seconds");
        assert_eq!(family_name("queue_count", "gauge"), "queue_count");
        assert_eq!(family_name("requests_total", "counter"), "requests_total");
    }
}
