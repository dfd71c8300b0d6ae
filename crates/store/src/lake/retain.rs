use std::collections::HashMap;
use std::sync::Arc;

use model::{Result, Table};

use super::compact::read;
use super::files::LakeFile;
use super::window::time_of;
use crate::hidden::Hidden;

/// A file is written anew once one row in so many is past: each byte is then written at most four times, as one file shrinks
/// from the whole to nothing.
const PAST_SHARE: usize = 4;

/// When files of mixed retention are worth writing anew. A file never changes, so under one retention each is read for this once.
#[derive(Debug, Default)]
pub(crate) struct Ripeness {
    /// By file name: when a share of its rows is past.
    known: HashMap<String, i64>,
}

/// What retention asks to be done next.
pub(crate) enum Due {
    /// Nobody's rows in these are kept any longer.
    Remove(Vec<Arc<LakeFile>>),
    /// Enough of its rows are past.
    Rewrite(Arc<LakeFile>),
}

impl Ripeness {
    /// What is due of these files at the moment of `hidden`, which is also `now_ns`.
    pub(crate) fn due(&mut self, table: Table, files: &[Arc<LakeFile>], hidden: &Hidden, now_ns: i64) -> Result<Option<Due>> {
        let past: Vec<_> = files.iter().filter(|file| hidden.is_past(&file.stats)).cloned().collect();
        if !past.is_empty() {
            return Ok(Some(Due::Remove(past)));
        }
        self.known.retain(|name, _| files.iter().any(|file| file.name == *name));
        for file in files.iter().filter(|file| hidden.touches(&file.stats)) {
            // One that goes as a whole before long is waited for: as long as it took to fill.
            let (first, last) = time_of(table, file);
            if last.saturating_sub(hidden.oldest_cutoff(&file.stats)) <= last.saturating_sub(first) {
                continue;
            }
            let ripe_ns = match self.known.get(&file.name) {
                Some(&ripe_ns) => ripe_ns,
                None => {
                    let ripe_ns = ripe_from(file, hidden)?;
                    self.known.insert(file.name.clone(), ripe_ns);
                    ripe_ns
                }
            };
            if ripe_ns <= now_ns {
                return Ok(Some(Due::Rewrite(file.clone())));
            }
        }
        Ok(None)
    }
}

/// The instant from which on enough rows of a file are past.
fn ripe_from(file: &LakeFile, hidden: &Hidden) -> Result<i64> {
    let mut past_from = Vec::new();
    for records in read(file, Some(&hidden.columns()))? {
        past_from.extend(hidden.past_from(&records?)?);
    }
    if past_from.is_empty() {
        return Ok(i64::MAX);
    }
    let share = past_from.len().div_ceil(PAST_SHARE) - 1;
    Ok(*past_from.select_nth_unstable(share).1)
}
