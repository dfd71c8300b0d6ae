//! systemd's journal, as `systemd-journal-upload` sends it: `listen.rs` (a body as long as the journal, part by part) >
//! `decode.rs` (the export format).
//!
//! Source: <https://systemd.io/JOURNAL_EXPORT_FORMATS/>.

mod decode;
mod listen;

pub use decode::decode_journal;
pub use listen::journal_router;
