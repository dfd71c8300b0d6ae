//! Which rows of a batch may hold something to hide? A column's texts lie one behind the other, so that one look through all of them finds the few
//! rows that are worth a closer one ([`Masker::apply`]): what a look costs to begin is not paid for each text.

use arrow::array::{Array, StringArray};

use super::{Masker, find};
use crate::transform::record::Columns;

impl Masker {
    /// Whether what it hides can be told by [`Self::mark_suspects`].
    pub(in crate::transform) fn is_known(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Marks rows in which anything may be hidden. Of all others nothing is.
    pub(in crate::transform) fn mark_suspects(&self, columns: &Columns<'_>, rows: &mut [bool]) {
        if self.body {
            self.mark(columns.body, |row| rows[row] = true);
        }
        if self.all_attributes || !self.attributes.is_empty() {
            let (keys, values) = columns.attributes.texts();
            let mut of_row = |entry| {
                if let Some(row) = columns.attributes.row_of(entry) {
                    rows[row] = true;
                }
            };
            // Programs count tokens, too: each line of theirs would be a suspect by its keys.
            let mut last = ("", false);
            if let Some(words) = &self.words {
                each_with(keys, |bytes, from| words.next_name(bytes, from), &mut |entry| {
                    if keys.value(entry) != last.0 {
                        last = (keys.value(entry), self.whole(keys.value(entry)).is_some());
                    }
                    if last.1 {
                        of_row(entry);
                    }
                });
            }
            self.mark(values, of_row);
        }
    }

    fn mark(&self, texts: &StringArray, mut found: impl FnMut(usize)) {
        if let Some(words) = &self.words {
            each_with(texts, |bytes, from| words.next(bytes, from), &mut found);
        }
        if self.kinds.email || self.kinds.secrets {
            each_with(texts, |bytes, from| memchr::memchr(b'@', &bytes[from..]).map(|at| from + at), &mut found);
        }
        if self.kinds.counts() {
            let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
            let (first, end) = (offsets[0] as usize, offsets[texts.len()] as usize);
            let mut entry = 0;
            find::each_run(&bytes[first..end], |(start, end)| {
                let (start, end) = (first + start, first + end);
                while offsets[entry + 1] as usize <= start {
                    entry += 1;
                }
                // Texts may meet in a run: each has its part of it.
                loop {
                    let (begins, ends) = (offsets[entry] as usize, offsets[entry + 1] as usize);
                    let part = (start.max(begins) - begins, end.min(ends) - begins);
                    if find::may_be_number(&bytes[begins..ends], part) {
                        found(entry);
                    }
                    if end <= ends {
                        break;
                    }
                    entry += 1;
                }
            });
        }
    }
}

/// Calls `found` for each text in which `next`, asked for the first place from one on in all texts, finds one.
fn each_with(texts: &StringArray, next: impl Fn(&[u8], usize) -> Option<usize>, found: &mut impl FnMut(usize)) {
    let offsets = texts.value_offsets();
    let (Some(first), Some(end)) = (offsets.first(), offsets.last()) else { return };
    let bytes = &texts.value_data()[..*end as usize];
    let mut from = *first as usize;
    while from < bytes.len() {
        let Some(at) = next(bytes, from) else { return };
        let entry = offsets.partition_point(|begin| *begin as usize <= at) - 1;
        found(entry);
        from = offsets[entry + 1] as usize;
    }
}
