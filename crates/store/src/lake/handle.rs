use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::sums::{Sums, check_footer};

/// An open lake file that several threads may read at once. `std::fs::File` is no such thing: its clones share one
/// position, and the Parquet reader seeks.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    file: Arc<File>,
    bytes: u64,
    /// None while the footer is being read.
    sums: Option<Arc<Sums>>,
}

impl Handle {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), bytes, sums: None })
    }

    /// The handle that checks what it reads against the sums of the footer.
    pub(crate) fn checked(self, footer: &ParquetMetaData) -> Result<Self> {
        Ok(Self { sums: Some(Arc::new(Sums::of(footer)?)), ..self })
    }

    pub(crate) fn check_footer(&self) -> Result<()> {
        check_footer(self.bytes, |start, end| self.read(start, end))
    }

    fn read(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(end - start)?];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer)
    }
}

impl Length for Handle {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Handle {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(READ_BYTES, At { handle: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let Some(end) = start.checked_add(length as u64).filter(|end| *end <= self.bytes) else {
            return Err(ParquetError::EOF(format!("the file has {} bytes and {length} at {start} are wanted", self.bytes)));
        };
        match &self.sums {
            Some(sums) => sums.read(start, end, |start, end| self.read(start, end)),
            None => Ok(self.read(start, end)?.into()),
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
        let length = buffer.len().min(usize::try_from(self.handle.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX));
        let bytes = self.handle.get_bytes(self.position, length).map_err(io::Error::other)?;
        buffer[..length].copy_from_slice(&bytes);
        self.position += length as u64;
        Ok(length)
    }
}
