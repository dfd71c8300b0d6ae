//! One context of zstd for each thread: what it needs costs more to make than a page of a few KiB to unpack.

use std::cell::RefCell;
use std::io;

use zstd::bulk::Decompressor;

thread_local! {
    static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Unpacks into a vector of so many bytes at most.
pub(crate) fn unpack(packed: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    with(|context| context.decompress(packed, bytes_max))
}

/// Unpacks to the vector's end, as far as it has room.
pub(crate) fn unpack_onto(packed: &[u8], target: &mut Vec<u8>) -> io::Result<()> {
    let mut end = io::Cursor::new(target);
    end.set_position(end.get_ref().len() as u64);
    with(|context| context.decompress_to_buffer(packed, &mut end)).map(drop)
}

fn with<R>(work: impl FnOnce(&mut Decompressor<'static>) -> io::Result<R>) -> io::Result<R> {
    CONTEXT.with_borrow_mut(|context| match context {
        Some(context) => work(context),
        none => work(none.insert(Decompressor::new()?)),
    })
}
