//! What free-form lines and documents say, for every receiver of them.
//!
//! A *line* (a file's, a container's, syslog's) is kept byte for byte as the log's body; what it says of its time, level and
//! trace is looked for in it and fills columns. A *document* (Elasticsearch's, a JSON record) has fields: its message is the
//! body, its other fields are attributes.
//!
//! | file | question |
//! |---|---|
//! | `rows.rs` | what becomes of a line or a document: [`Rows::line`], [`Rows::document`] |
//! | `text.rs` | which lines of a text are one log, over `container.rs` (Docker, CRI) and `join.rs` (stack traces) |
//! | `joined.rs` | which records are lines of one log |
//! | `fields.rs` | a JSON object's fields as attributes keep them |
//! | `known.rs` | which field is the message, the time, the level, the trace, the service |
//!
//! Whether a text is a time or a level knows `model/src/said/`.

pub(crate) mod container;
pub(crate) mod fields;
pub(crate) mod join;
pub(crate) mod joined;
pub(crate) mod known;
pub(crate) mod rows;
pub(crate) mod text;

pub(crate) use fields::{Field, Nesting, Value};
pub(crate) use model::said::severity::{self, Level};
pub(crate) use model::said::time;
pub(crate) use rows::{Rows, Said, Taker};
