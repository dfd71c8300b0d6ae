//! The certificate that encrypted ports show, read again when its files change: certificates live for weeks, servers for months.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use model::{Error, Result};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// With whatever stands between it and the authority, its own first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Only clients with a certificate of one of these are served.
    pub client_authorities: Option<PathBuf>,
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Shared by all encrypted ports.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    changed: Vec<Option<SystemTime>>,
    looked_at: Instant,
}

impl Tls {
    /// Refuses files that cannot be read, and a key that is not the certificate's.
    pub fn load(files: TlsFiles) -> Result<Self> {
        let changed = files.changed();
        let current = Current { acceptor: files.read()?, changed, looked_at: Instant::now() };
        Ok(Self { files, current: Mutex::new(current) })
    }

    /// Of the files as they are now. Files that cannot be used leave the last ones in force.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock();
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            let changed = self.files.changed();
            if changed != current.changed {
                current.changed = changed;
                match self.files.read() {
                    Ok(acceptor) => {
                        current.acceptor = acceptor;
                        tracing::info!("certificate {} is read again", self.files.certificate.display());
                    }
                    Err(error) => tracing::error!("the last certificate stays in force: {}", error.chain()),
                }
            }
        }
        current.acceptor.clone()
    }
}

impl TlsFiles {
    fn changed(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_authorities.as_ref()];
        files.into_iter().flatten().map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok()).collect()
    }

    fn read(&self) -> Result<TlsAcceptor> {
        let certificates = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| unreadable("key", &self.key).because(source))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let cannot = |what: &str| Error::invalid(format!("cannot use {what} for TLS"));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|source| cannot("the versions").because(source))?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for authority in self::certificates(file)? {
                    roots.add(authority).map_err(|source| unreadable("authority", file).because(source))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|source| unreadable("authorities", file).because(source))?)
            }
        };
        let pair = format!("certificate {} with key {}", self.certificate.display(), self.key.display());
        let config = builder.with_single_cert(certificates, key).map_err(|source| cannot(&pair).because(source))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|source| unreadable("certificates", file).because(source))?;
    if certificates.is_empty() {
        return Err(unreadable("certificates", file).because("the file holds none in PEM"));
    }
    Ok(certificates)
}

fn unreadable(what: &str, file: &Path) -> Error {
    Error::invalid(format!("cannot read {what} from {}", file.display()))
}
