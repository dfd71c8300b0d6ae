//! Which blocks of a file's rows can hold a text? Bytes between the last row group and the footer, which other readers of
//! Parquet pass over. `docs/formats/lake.md` has the layout.
//!
//! A block is [`format::BLOCK_ROWS`] rows of a row group, as long as a page. Of the logs' bodies it has the grams (three
//! bytes that follow each other: for a substring all of its grams must be there) and the words; of ids and attributes the
//! whole values. A filter says "maybe" or "no", never "yes".
//!
//! Refused: one filter per row group, which says "maybe" to everything in a file of 128 k rows; a positional index, which
//! takes more than the data.

pub(crate) mod format;
mod read;
mod write;

pub(crate) use format::{BLOCK_ROWS, WORD_BYTES_MIN, gram, map_columns, text_column, value, value_columns, value_seed, word, words};
#[cfg(fuzzing)]
pub use read::read_and_ask;
pub(crate) use read::{BlockFilter, FileFilter, GramMaps};
pub(crate) use write::FilterWriter;
