//! An object store under a prefix: where a shard's lake lies, and its log if it has no disk.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use model::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use tokio::runtime::Handle;
use url::Url;

use crate::lake::cache::Cache;
use crate::lake::lease::Lease;

/// How an S3 store is reached, beside the standard `AWS_*` environment variables, over which these win.
#[derive(Clone)]
pub struct RemoteOptions {
    /// For example `http://127.0.0.1:9000`; without, Amazon's own of the region.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Access key id and secret; without, those of the environment, of the container or of the machine.
    pub credentials: Option<(String, String)>,
    /// Longest time of one request.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    /// Longest time in which a failed request is tried again, ever less often; then whoever asked gets the error.
    pub retry_timeout: Duration,
    pub retries_max: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            credentials: None,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retry_timeout: Duration::from_secs(20),
            retries_max: 6,
        }
    }
}

/// The secret is nobody's to print.
impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions").field("endpoint", &self.endpoint).field("region", &self.region).finish_non_exhaustive()
    }
}

/// A prefix of an object store. Calls that wait do so on a blocking thread or a thread of their own, never on a task.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    /// Of the prefix, without a slash at its end: `s3://bucket/prefix`.
    url: Arc<str>,
    prefix: Path,
    runtime: Handle,
    /// Of an open shard.
    pub(crate) cache: Option<Arc<Cache>>,
    /// Of a shard open for writing.
    pub(crate) lease: Option<Arc<Lease>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.url)
    }
}

/// What a conditional put came to.
#[derive(Debug)]
pub(crate) enum Put {
    Done(UpdateVersion),
    /// There is an object of that name, or it is not the one that was to be replaced. An earlier try of ours may have made it.
    Conflict,
}

impl Remote {
    /// `url` is `s3://bucket/prefix`. Sends nothing yet. Must be called in a Tokio runtime, which then does its I/O.
    pub fn connect(url: &str, options: &RemoteOptions) -> Result<Self> {
        let cannot = || Error::invalid(format!("cannot use {url:?} as a place for the lake"));
        let parsed = Url::parse(url).map_err(|error| cannot().because(error))?;
        let bucket = parsed.host_str().filter(|_| parsed.scheme() == "s3");
        let bucket = bucket.ok_or_else(|| cannot().because("write s3://bucket/prefix"))?;
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &options.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let mut client = ClientOptions::new().with_timeout(options.request_timeout).with_connect_timeout(options.connect_timeout);
        if builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|endpoint| is_plain(&endpoint)) {
            let said = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|said| said.eq_ignore_ascii_case("true"));
            let loopback = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|endpoint| is_loopback(&endpoint));
            if !said && !loopback {
                return Err(cannot().because("its endpoint is http and others can listen: use https, or say AWS_ALLOW_HTTP=true"));
            }
            client = client.with_allow_http(true);
        }
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
        let retry = RetryConfig { backoff, max_retries: options.retries_max, retry_timeout: options.retry_timeout };
        let store = builder.with_client_options(client).with_retry(retry).build().map_err(|error| cannot().because(error))?;
        Self::over(Arc::new(store), url)
    }

    /// Any object store with conditional puts; the path of `url` is the prefix in it.
    pub fn over(store: Arc<dyn ObjectStore>, url: &str) -> Result<Self> {
        let cannot = || Error::invalid(format!("cannot use {url:?} as a place for the lake"));
        let parsed = Url::parse(url).map_err(|error| cannot().because(error))?;
        let prefix = Path::from_url_path(parsed.path().trim_matches('/')).map_err(|error| cannot().because(error))?;
        let runtime = Handle::try_current().map_err(|error| Error::internal("cannot reach an object store").because(error))?;
        Ok(Self { store, url: url.trim_end_matches('/').into(), prefix, runtime, cache: None, lease: None })
    }

    /// The same store one folder deeper.
    #[must_use]
    pub fn within(&self, folder: &str) -> Self {
        let prefix = folder.split('/').fold(self.prefix.clone(), |prefix, part| prefix.join(part));
        Self { url: format!("{}/{folder}", self.url).into(), prefix, ..self.clone() }
    }

    /// Another place in the same bucket, by its URL.
    pub(crate) fn sibling(&self, url: &str) -> Option<Self> {
        let parsed = Url::parse(url).ok()?;
        let same = Url::parse(&self.url).is_ok_and(|own| own.scheme() == parsed.scheme() && own.host_str() == parsed.host_str());
        let prefix = Path::from_url_path(parsed.path().trim_matches('/')).ok()?;
        same.then(|| Self { url: url.trim_end_matches('/').into(), prefix, ..self.clone() })
    }

    /// As an open shard has it.
    pub(crate) fn opened(&self, cache: Option<Arc<Cache>>, lease: Option<Arc<Lease>>) -> Self {
        Self { cache, lease, ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The whole store, for whoever speaks in its own paths.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The address of an object, for messages.
    pub(crate) fn address(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Blocks until a request is answered.
    pub(crate) fn wait<R>(&self, request: impl Future<Output = R>) -> R {
        self.runtime.block_on(request)
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    fn failed(&self, verb: &str, name: &str, error: object_store::Error) -> io::Error {
        let kind = match &error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Other,
        };
        io::Error::new(kind, Unreachable { what: format!("cannot {verb} {}", self.address(name)), error })
    }

    /// Writes an object whole, whatever had its name.
    pub(crate) async fn put(&self, name: &str, bytes: PutPayload) -> io::Result<()> {
        self.store.put(&self.path(name), bytes).await.map(drop).map_err(|error| self.failed("write", name, error))
    }

    /// Writes an object that must not exist yet.
    pub(crate) async fn put_new(&self, name: &str, bytes: Bytes) -> io::Result<Put> {
        self.put_if(name, bytes, PutMode::Create).await
    }

    /// Writes an object if it is what it was.
    pub(crate) async fn put_over(&self, name: &str, bytes: Bytes, version: UpdateVersion) -> io::Result<Put> {
        self.put_if(name, bytes, PutMode::Update(version)).await
    }

    async fn put_if(&self, name: &str, bytes: Bytes, mode: PutMode) -> io::Result<Put> {
        match self.store.put_opts(&self.path(name), bytes.into(), PutOptions::from(mode)).await {
            Ok(put) => Ok(Put::Done(put.into())),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(Put::Conflict),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    pub(crate) async fn upload(&self, name: &str) -> io::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart(&self.path(name)).await.map_err(|error| self.failed("write", name, error))
    }

    pub(crate) async fn get(&self, name: &str) -> io::Result<(Bytes, UpdateVersion)> {
        let got = self.store.get(&self.path(name)).await.map_err(|error| self.failed("read", name, error))?;
        let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = got.bytes().await.map_err(|error| self.failed("read", name, error))?;
        Ok((bytes, version))
    }

    pub(crate) async fn get_range(&self, name: &str, range: Range<u64>) -> io::Result<Bytes> {
        let length = range.end - range.start;
        let bytes = self.store.get_range(&self.path(name), range).await.map_err(|error| self.failed("read", name, error))?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{} is shorter than it was", self.address(name)))),
        }
    }

    /// Names of the objects in the folder itself with their sizes, sorted.
    pub(crate) async fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await.map_err(|error| self.failed("list", "", error))?;
        let name = |meta: object_store::ObjectMeta| Some((meta.location.filename()?.to_owned(), meta.size));
        let mut names: Vec<_> = listed.objects.into_iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes objects; one that is not there is deleted.
    pub(crate) async fn remove(&self, names: Vec<String>) -> io::Result<()> {
        let Some(first) = names.first().cloned() else { return Ok(()) };
        let paths = names.iter().map(|name| Ok(self.path(name))).collect::<Vec<_>>();
        let deleted = self.store.delete_stream(Box::pin(futures::stream::iter(paths)));
        match deleted.try_for_each(|_| std::future::ready(Ok(()))).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", &first, error)),
        }
    }
}

/// What a store said no to, or did not answer.
#[derive(Debug)]
pub(crate) struct Unreachable {
    what: String,
    error: object_store::Error,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.what, Self::SIGN, self.error)
    }
}

impl std::error::Error for Unreachable {}

impl Unreachable {
    const SIGN: &str = "the object store gave no answer that helps";

    /// Whether an error comes from one of these. Looks at the text: it is all that the Parquet reader keeps.
    pub(crate) fn is_told_by(error: &dyn std::error::Error) -> bool {
        error.to_string().contains(Self::SIGN)
    }
}

fn is_plain(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(url: &str, endpoint: &str) -> Result<Remote> {
        let options = RemoteOptions { endpoint: Some(endpoint.to_owned()), ..RemoteOptions::default() };
        Remote::connect(url, &options)
    }

    #[tokio::test]
    async fn a_place_is_an_s3_url_and_http_stays_on_the_machine() {
        let remote = connect("s3://bucket/a/b/", "http://127.0.0.1:9").unwrap().within("shards/one");
        assert_eq!((remote.url(), remote.prefix().as_ref()), ("s3://bucket/a/b/shards/one", "a/b/shards/one"));
        assert_eq!(remote.address("LOCK"), "s3://bucket/a/b/shards/one/LOCK");
        for (url, endpoint, why) in [
            ("/var/lib", "http://localhost:9", "relative URL"),
            ("gs://bucket", "http://localhost:9", "write s3://bucket/prefix"),
            ("s3://bucket", "http://minio.example:9", "use https"),
        ] {
            let error = connect(url, endpoint).unwrap_err();
            assert!(error.chain().contains(why), "{}", error.chain());
        }
    }
}
