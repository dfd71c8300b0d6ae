//! A `TimeSeries` as every sender writes it: labels, then samples, and nothing else. Anything else is left to `decode.rs`.

use crate::protobuf;

/// The bytes of the labels and of the samples; none when the message is not of that shape.
pub(super) fn split(series: &[u8]) -> Option<(&[u8], &[u8])> {
    const LABELS: u8 = 1 << 3 | 2;
    let mut rest = series;
    while let [LABELS, after @ ..] = rest {
        let (length, after) = varint(after)?;
        rest = after.get(usize::try_from(length).ok()?..)?;
    }
    let (labels, samples) = series.split_at(series.len() - rest.len());
    (!labels.is_empty()).then_some((labels, samples))
}

/// Calls `each` with time and value of every sample. None when there is anything but samples of the usual order.
pub(super) fn samples(mut rest: &[u8], mut each: impl FnMut(i64, f64) -> Option<()>) -> Option<()> {
    const SAMPLES: u8 = 2 << 3 | 2;
    const VALUE: u8 = 1 << 3 | 1;
    const TIMESTAMP: u8 = 2 << 3;
    while let Some((tag, after)) = rest.split_first() {
        if *tag != SAMPLES {
            return None;
        }
        let (length, after) = varint(after)?;
        let (mut sample, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        // What is zero may be left out.
        let (mut value, mut time) = (0.0, 0);
        if let Some((&VALUE, after)) = sample.split_first() {
            let (bytes, after) = after.split_first_chunk::<8>()?;
            value = f64::from_le_bytes(*bytes);
            sample = after;
        }
        if let Some((&TIMESTAMP, after)) = sample.split_first() {
            (time, sample) = varint(after)?;
        }
        if !sample.is_empty() {
            return None;
        }
        each(time.cast_signed(), value)?;
    }
    Some(())
}

#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    protobuf::varint(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(series: &[u8]) -> Option<(usize, Vec<(i64, f64)>)> {
        let mut found = Vec::new();
        let (labels, rest) = split(series)?;
        samples(rest, |time, value| {
            found.push((time, value));
            Some(())
        })?;
        Some((labels.len(), found))
    }

    #[test]
    fn labels_and_samples_are_told_apart_and_all_else_is_left_alone() {
        let label = [0x0a, 4, 0x0a, 0, 0x12, 0];
        let one = [0x12, 11, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 7];
        let zero_value = [0x12, 3, 0x10, 0x80, 1];
        let of = |parts: &[&[u8]]| read(&parts.concat());
        assert_eq!(of(&[&label, &label, &one, &zero_value]), Some((12, vec![(7, 1.0), (128, 0.0)])));
        assert_eq!(of(&[&label]), Some((6, vec![])));
        assert_eq!(of(&[&one]), None, "no labels");
        assert_eq!(of(&[&label, &one, &label]), None, "a label behind samples");
        assert_eq!(of(&[&label, &[0x1a, 0]]), None, "an exemplar");
        assert_eq!(of(&[&label, &[0x12, 4, 0x10, 7, 0x18, 0]]), None, "a field of a later version");
        assert_eq!(of(&[&label, &[0x12, 2, 0x10, 0x80]]), None);
        assert_eq!(of(&[&label, &one[..5]]), None);
        assert_eq!(of(&[&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]), None);
    }
}
