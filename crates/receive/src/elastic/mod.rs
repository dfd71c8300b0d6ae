//! Elasticsearch's and OpenSearch's ways to write documents: `listen.rs` > `route.rs` (what an address asks for) > `decode.rs`
//! (`_bulk` and single documents) > `reply.rs` (an item's result, an error); `probes.rs` answers what clients ask before they
//! send.
//!
//! Tyto is no search engine: what changes, deletes or searches documents is refused by name.
//! Source: <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>.

mod decode;
mod listen;
mod probes;
mod reply;
mod route;

pub use decode::{Bulk, decode_bulk, decode_document};
pub use listen::{elasticsearch_port, elasticsearch_router};
