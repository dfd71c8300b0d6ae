use std::cmp::Ordering;

use model::Result;

use super::super::value::Series;
use super::Call;

/// Sorting means something for an instant only: a range answer is ordered by labels.
pub(super) fn eval(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let mut vector = call.vector(0)?;
    let name = call.function.name;
    if name.starts_with("sort_by_label") {
        let labels = call.args[1..].iter().map(|arg| call.evaluator.text(arg)).collect::<Result<Vec<_>>>()?;
        vector.sort_by(|a, b| {
            let by_labels = labels.iter().map(|label| natural(a.labels.get(label).unwrap_or(""), b.labels.get(label).unwrap_or("")));
            let order = by_labels.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.iter().cmp(b.labels.iter()));
            if name.ends_with("_desc") { order.reverse() } else { order }
        });
        return Ok(vector);
    }
    if call.grid.len() == 1 {
        // Histograms have no place in the order.
        vector.retain(|series| series.column.float(0).is_some());
        let descending = name == "sort_desc";
        vector.sort_by(|a, b| {
            let (a, b) = (a.column.floats[0], b.column.floats[0]);
            match (a.is_nan(), b.is_nan()) {
                (false, false) if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
                (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
                (a, b) => a.cmp(&b),
            }
        });
    }
    Ok(vector)
}

/// Numbers inside texts count as numbers: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (a_digits, b_digits) = (digits(a), digits(b));
        if a_digits > 0 && b_digits > 0 {
            let trimmed = |text: &[u8]| text.iter().position(|byte| *byte != b'0').map_or(Vec::new(), |first| text[first..].to_vec());
            let (a_number, b_number) = (trimmed(&a[..a_digits]), trimmed(&b[..b_digits]));
            let order = a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(&b_number));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[a_digits..], &b[b_digits..]);
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some((x, a_rest)), Some((y, b_rest))) if x == y => (a, b) = (a_rest, b_rest),
            (Some((x, _)), Some((y, _))) => return x.cmp(y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        assert_eq!(natural("a2", "a10"), Ordering::Less);
        assert_eq!(natural("a010", "a10"), Ordering::Equal);
        assert_eq!(natural("", "a"), Ordering::Less);
    }
}
