//! What text says of itself: is this a time, is this a level, are these pairs? Receivers ask it of lines, pipelines of fields.

mod pairs;
pub mod severity;
pub mod time;

pub use pairs::pairs;
