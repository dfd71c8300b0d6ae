use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake_core::logstore::object_store::local::LocalFileSystem;
use deltalake_core::logstore::object_store::path::Path;
use deltalake_core::logstore::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::Disk;
use crate::disk::write_whole;

/// The local file system as the Delta library sees it, writing through [`Disk`]: a commit or a checkpoint is durable and
/// whole once its call returns, or it is not there. The library's own store syncs nothing, so a power cut could take a
/// commit whose log frames were already let go, or leave half a checkpoint that nobody can open.
#[derive(Clone, Debug)]
pub(crate) struct DurableFiles {
    local: Arc<LocalFileSystem>,
    disk: Arc<dyn Disk>,
}

impl DurableFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { local: Arc::new(LocalFileSystem::new()), disk }
    }

    async fn write(&self, path: PathBuf, parts: Vec<Bytes>, replace: bool) -> Result<PutResult> {
        let disk = self.disk.clone();
        let name = path.display().to_string();
        let written = tokio::task::spawn_blocking(move || write_whole(&*disk, &path, &parts, replace)).await.map_err(failed)?;
        match written {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: name, source: error.into() })
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableFiles")
    }
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(not_implemented("a conditional update")),
        };
        self.write(self.local.path_to_filesystem(location)?, payload.iter().cloned().collect(), replace).await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.local.path_to_filesystem(location)?;
        Ok(Box::new(Upload { files: self.clone(), path, parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    /// Expired commits. One that a power cut brings back is deleted again.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let files = self.clone();
        let delete = move |location: Result<Path>| {
            let files = files.clone();
            async move {
                let location = location?;
                files.disk.remove(&files.local.path_to_filesystem(&location)?).map_err(failed)?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_implemented("copying"))
    }
}

/// A large checkpoint. Held until it is complete: the table state that it is made of is in memory, too.
#[derive(Debug)]
struct Upload {
    files: DurableFiles,
    path: PathBuf,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.parts.extend(part.iter().cloned());
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.files.write(self.path.clone(), std::mem::take(&mut self.parts), true).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "DurableFiles", source: error.into() }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "DurableFiles".to_owned() }
}
