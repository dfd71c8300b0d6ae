use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::folder::ReadAt;
use super::sums::{Sums, check_footer};

/// An open lake file that several threads may read at once, every byte checked.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    file: Arc<dyn ReadAt>,
    /// None while the footer is being read.
    sums: Option<Arc<Sums>>,
}

impl Handle {
    pub(crate) fn new(file: Arc<dyn ReadAt>) -> Self {
        Self { file, sums: None }
    }

    /// The handle that checks what it reads against the sums of the footer.
    pub(crate) fn checked(self, footer: &ParquetMetaData) -> Result<Self> {
        Ok(Self { sums: Some(Arc::new(Sums::of(footer)?)), ..self })
    }

    pub(crate) fn check_footer(&self) -> Result<()> {
        self.twice(|read| check_footer(self.file.bytes(), read))
    }

    /// What fails its check may be a damaged copy, and then it is read once more from where it was copied from.
    fn twice<R>(&self, check: impl Fn(&dyn Fn(u64, u64) -> Result<Vec<u8>>) -> Result<R>) -> Result<R> {
        let looked = Cell::new((u64::MAX, 0));
        let read = |start: u64, end: u64| {
            let (first, last) = looked.get();
            looked.set((first.min(start), last.max(end)));
            Ok(self.file.read(start, end)?)
        };
        let checked = check(&read);
        let (first, last) = looked.get();
        let unread = matches!(&checked, Err(ParquetError::External(_)));
        match checked.is_err() && !unread && first < last && self.file.forget(first, last) {
            true => check(&read),
            false => checked,
        }
    }
}

impl Length for Handle {
    fn len(&self) -> u64 {
        self.file.bytes()
    }
}

impl ChunkReader for Handle {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(READ_BYTES, At { handle: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let Some(end) = start.checked_add(length as u64).filter(|end| *end <= self.file.bytes()) else {
            return Err(ParquetError::EOF(format!("the file has {} bytes and {length} at {start} are wanted", self.file.bytes())));
        };
        match &self.sums {
            Some(sums) => self.twice(|read| sums.read(start, end, read)),
            None => Ok(self.file.read(start, end)?.into()),
        }
    }
}

/// What is read ahead where the Parquet reader does not say how much it will want.
const READ_BYTES: usize = 32 << 10;

/// Reads on from a place of its own.
pub(crate) struct At {
    handle: Handle,
    position: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.handle.file.bytes().saturating_sub(self.position)).unwrap_or(usize::MAX));
        let bytes = self.handle.get_bytes(self.position, length).map_err(io::Error::other)?;
        buffer[..length].copy_from_slice(&bytes);
        self.position += length as u64;
        Ok(length)
    }
}
