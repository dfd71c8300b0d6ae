use futures::TryStreamExt;
use model::{Answer, Answered, Error, Filter, QueryLimits, Result, Scan, ScanRequest, Subject, Table, Test, TimeRange};

/// Every span of a trace; no span when there is no such trace in the range. Of one that is too large for the query's memory, what fits
/// and a warning: the start of a trace is better than none of it.
pub(crate) async fn by_id(scan: &dyn Scan, trace_id: &str, range: TimeRange, limits: &QueryLimits) -> Result<Answer> {
    let mut request = ScanRequest::new(Table::Spans, range);
    request.filters.push(trace_filter(Test::Equal(canonical_id(trace_id)?)));
    let mut rows = scan.scan(request).await?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    let (max, mut warnings) = (limits.memory_bytes_max, Vec::new());
    while let Some(batch) = rows.try_next().await? {
        bytes += batch.get_array_memory_size();
        if bytes > max {
            warnings.push(format!("the trace is over query_memory_bytes_max = {max} bytes: the rest of its spans is missing"));
            break;
        }
        batches.push(batch);
    }
    Ok(Answer { warnings, ..Answer::new(Answered::Spans(batches)) })
}

/// A plain equality or membership of the id, so that the store's filter on it works.
pub(crate) fn trace_filter(test: Test) -> Filter {
    Filter { subject: Subject::Column("trace_id".to_owned()), test }
}

/// Ids are stored as 32 lower-case hex digits. Older clients and Tempo's own answers cut leading zeros.
fn canonical_id(trace_id: &str) -> Result<String> {
    let digits = trace_id.trim();
    let is_hex = !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hex {
        true => Ok(format!("{:0>32}", digits.to_ascii_lowercase())),
        false => Err(Error::invalid(format!("cannot read trace id {trace_id:?}: it must be 1 to 32 hex digits"))),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical_id;

    #[test]
    fn ids_are_padded_and_lower_case() {
        assert_eq!(canonical_id(" AB12 ").unwrap(), "0000000000000000000000000000ab12");
        assert_eq!(canonical_id(&"F".repeat(32)).unwrap(), "f".repeat(32));
        for bad in ["", "xyz", &"0".repeat(33), "0x12", "é"] {
            assert!(canonical_id(bad).is_err(), "{bad:?}");
        }
    }
}
