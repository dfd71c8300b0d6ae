//! What writer and reader agree on.

use model::Table;
use twox_hash::XxHash3_64;

/// The footer's key that says where the filter lies: version, rows of a block, first byte and bytes, with a space between.
pub(crate) const FILTER_KEY: &str = "tyto.filter";
pub(crate) const VERSION: u64 = 1;
/// Rows of a block, and of a page of every column: what is skipped is not decompressed.
pub(crate) const BLOCK_ROWS: usize = 8192;
/// Bits of a block's map of grams. A block of prose has some thousand different ones.
pub(crate) const GRAM_BITS: usize = 1 << 16;
/// Bits of a block's value filter for each value in it: one in a hundred blocks is read in vain.
pub(crate) const BITS_PER_VALUE: usize = 10;
/// The value filter is made of lanes: a value sets a bit in each of the eight words of one of them.
pub(crate) const LANE_BYTES: usize = 32;
/// Bytes of a word from which on it is kept: shorter ones are in every block.
pub(crate) const WORD_BYTES_MIN: usize = 3;

/// One odd number for each word of a lane, as in Parquet's own bloom filters.
pub(crate) const SALTS: [u32; 8] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The column whose grams and words are kept.
pub(crate) fn text_column(table: Table) -> Option<&'static str> {
    (table == Table::Logs).then_some("body")
}

/// The text columns whose whole values are kept.
pub(crate) fn value_columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs | Table::Spans | Table::Quarantine => &["trace_id"],
        Table::Samples => &[],
    }
}

/// The map columns whose values are kept, each with its column of types.
pub(crate) fn map_columns(table: Table) -> &'static [(&'static str, &'static str)] {
    match table {
        Table::Logs | Table::Spans | Table::Quarantine => {
            &[("attributes", "attribute_types"), ("resource_attributes", "resource_attribute_types")]
        }
        Table::Samples => &[],
    }
}

/// Tells the values of one column, or of one key of a map column, from those of others.
pub(crate) fn value_seed(column: &str, key: Option<&str>) -> u64 {
    let column = XxHash3_64::oneshot(column.as_bytes());
    key.map_or(column, |key| value(column, key))
}

pub(crate) fn value(seed: u64, text: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, text.as_bytes())
}

/// A word in lower case, as far as it is ASCII.
pub(crate) fn word(seed: u64, word: &[u8]) -> u64 {
    if !word.iter().any(u8::is_ascii_uppercase) {
        return XxHash3_64::oneshot_with_seed(seed, word);
    }
    let mut lower = [0; 64];
    match lower.get_mut(..word.len()) {
        Some(lower) => {
            lower.copy_from_slice(word);
            lower.make_ascii_lowercase();
            XxHash3_64::oneshot_with_seed(seed, lower)
        }
        None => XxHash3_64::oneshot_with_seed(seed, &word.to_ascii_lowercase()),
    }
}

/// The bit of three bytes, in lower case as far as they are ASCII.
pub(crate) fn gram(bytes: [u8; 3]) -> u16 {
    grams(&bytes).next().unwrap_or_default()
}

/// The bits of all three bytes of a text that follow each other.
pub(crate) fn grams(text: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let mut folded = 0;
    let followed = text.iter().map(move |byte| {
        folded = folded >> 8 | u32::from(byte.to_ascii_lowercase()) << 16;
        (folded.wrapping_mul(0x9e37_79b1) >> 16) as u16
    });
    followed.skip(2)
}

/// Where the words of a text begin and end: runs of ASCII letters and digits and of whatever is not ASCII.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].iter().position(|&byte| IN_WORD[usize::from(byte)])?;
        let start = at;
        at += text[at..].iter().position(|&byte| !IN_WORD[usize::from(byte)]).unwrap_or(text.len() - at);
        Some((start, at))
    })
}

const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte >= 128 || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// The lane of a value in a filter of so many.
pub(crate) fn lane(hash: u64, lanes: usize) -> usize {
    (((hash >> 32) * lanes as u64) >> 32) as usize
}

/// The bit of a value in one word of its lane.
pub(crate) fn bit(hash: u64, salt: u32) -> u32 {
    1 << ((hash as u32).wrapping_mul(salt) >> 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_digits_and_what_is_not_ascii() {
        let check = |text: &str, expect: &[&str]| {
            let found: Vec<&str> = words(text.as_bytes()).map(|(start, end)| &text[start..end]).collect();
            assert_eq!(found, expect, "{text:?}");
        };
        check("", &[]);
        check("--", &[]);
        check("user=48 größe_mm", &["user", "48", "größe", "mm"]);
        check("end", &["end"]);
    }

    /// These are bytes of files: a change of any of them is a new version. The last was computed by Python's `xxhash`.
    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!((gram(*b"Abc"), gram(*b"abc")), (gram(*b"aBC"), 16_141));
        assert_eq!(word(value_seed("body", None), b"RollBack"), word(value_seed("body", None), b"rollback"));
        assert_eq!((lane(u64::MAX, 7), lane(0, 7)), (6, 0));
        assert_eq!(value(value_seed("attributes", Some("k")), "v"), 0x5a30_d1c0_ff0c_144d);
    }
}
