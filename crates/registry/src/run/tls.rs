//! Certificates: read at the start, and again when their files change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::RunError;
use crate::config::{Config, ConfigError};

/// What `http.tls` says; `None` means plain HTTP.
pub(super) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, RunError> {
    let tls = &config.http.tls;
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        // Plain HTTP instead would be a bad surprise.
        _ => return Err(wrong("http.tls needs both certificate and key")),
    };
    let versions: &[&rustls::SupportedProtocolVersion] = match tls.minimumtls.as_deref() {
        None | Some("" | "tls1.0" | "tls1.1" | "tls1.2") => rustls::ALL_VERSIONS,
        Some("tls1.3") => &[&rustls::version::TLS13],
        Some(other) => return Err(wrong(&format!("http.tls.minimumtls: {other} is none of tls1.2, tls1.3"))),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|err| broken(&err))?;
    let builder = if tls.clientcas.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for path in &tls.clientcas {
            for certificate in chain(path)? {
                roots.add(certificate).map_err(|err| broken(&err))?;
            }
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        builder.with_client_cert_verifier(verifier.build().map_err(|err| broken(&err))?)
    };
    let pair = Pair::open(certificate.clone(), key.clone(), provider)?;
    Ok(Some(TlsAcceptor::from(Arc::new(builder.with_cert_resolver(Arc::new(pair))))))
}

fn wrong(text: &str) -> RunError {
    RunError::Config(ConfigError::Value(text.to_owned()))
}

fn broken(err: &dyn std::error::Error) -> RunError {
    RunError::Tls(err.to_string())
}

fn failed(path: &Path) -> impl Fn(rustls_pki_types::pem::Error) -> RunError {
    let path = path.display().to_string();
    move |err| RunError::Tls(format!("{path}: {err}"))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, RunError> {
    let chain = CertificateDer::pem_file_iter(path).map_err(failed(path))?;
    chain.collect::<Result<_, _>>().map_err(failed(path))
}

/// When both files were last written.
type Stamp = (SystemTime, SystemTime);

/// A certificate and its key, as they are in their files now.
#[derive(Debug)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    /// What is shown, and the stamp of the files when they were last looked at.
    shown: Mutex<(Arc<CertifiedKey>, Stamp)>,
}

impl Pair {
    fn open(certificate: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, RunError> {
        let stamp = stamp(&certificate, &key).map_err(RunError::io(certificate.display().to_string()))?;
        let shown = Mutex::new((read(&certificate, &key, &provider)?, stamp));
        Ok(Self { certificate, key, provider, shown })
    }

    /// The pair to show. New files that are of no use are told once, and the old pair stays.
    fn now(&self) -> Arc<CertifiedKey> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(stamp) = stamp(&self.certificate, &self.key)
            && stamp != shown.1
        {
            shown.1 = stamp;
            match read(&self.certificate, &self.key, &self.provider) {
                Ok(fresh) => shown.0 = fresh,
                Err(err) => tracing::warn!(error = %err, "the certificate stays the old one"),
            }
        }
        Arc::clone(&shown.0)
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

fn stamp(certificate: &Path, key: &Path) -> io::Result<Stamp> {
    Ok((fs::metadata(certificate)?.modified()?, fs::metadata(key)?.modified()?))
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, RunError> {
    let secret = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    let pair = CertifiedKey::from_der(chain(certificate)?, secret, provider);
    pair.map(Arc::new).map_err(|err| broken(&err))
}
