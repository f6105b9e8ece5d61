//! TLS settings of one host: whom to trust, and who we are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

/// Where distributions keep their bundle of authorities.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that was named cannot be used.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The pieces do not fit together.
    #[error("tls: {0}")]
    Settings(#[from] rustls::Error),
    /// The directory of certificates cannot be read.
    #[error("read certificates: {0}")]
    Io(#[from] io::Error),
}

/// Files of one host: whom to trust beside the system's authorities, and who we are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Trust {
    /// Certificates of authorities.
    pub authorities: Vec<PathBuf>,
    /// A certificate with its key each; the first is shown.
    pub identities: Vec<(PathBuf, PathBuf)>,
}

impl Trust {
    /// What lies in a folder in Docker's shape: `*.crt` are authorities, `x.cert` with `x.key` is what is shown.
    pub fn of_folder(folder: &Path) -> io::Result<Trust> {
        let mut trust = Trust::default();
        if !folder.is_dir() {
            return Ok(trust);
        }
        let files: io::Result<Vec<PathBuf>> =
            std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut files = files?;
        files.sort();
        for file in files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => trust.authorities.push(file),
                Some("cert") => {
                    let key = file.with_extension("key");
                    trust.identities.push((file, key));
                }
                _ => {}
            }
        }
        Ok(trust)
    }

    /// Both together; what `self` says comes first.
    pub fn and(mut self, other: Trust) -> Trust {
        self.authorities.extend(other.authorities);
        self.identities.extend(other.identities);
        self
    }

    /// Every file that is named.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.authorities
            .iter()
            .chain(self.identities.iter().flat_map(|(certificate, key)| [certificate, key]))
    }
}

/// TLS settings. Made once per host and shared.
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the system's authorities and those named, and shows the first identity. `unverified` trusts anybody.
    pub fn open(trust: &Trust, unverified: bool) -> Result<Self, TlsError> {
        let (mut roots, mut own) = (system_roots(), Vec::new());
        for file in &trust.authorities {
            own.extend(add(&mut roots, file)?);
        }
        let client =
            trust.identities.first().map(|(certificate, key)| identity(certificate, key)).transpose()?;
        Self::build(roots, own, client, unverified)
    }

    fn build(
        roots: RootCertStore,
        own: Vec<CertificateDer<'static>>,
        client: Option<Identity>,
        unverified: bool,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if unverified {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else if own.is_empty() {
            builder.with_root_certificates(roots)
        } else {
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|err| rustls::Error::General(err.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Named { usual, own }))
        };
        let config = match client {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundle = named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()));
    if let Some(bundle) = bundle
        && let Ok(certificates) = CertificateDer::pem_file_iter(&bundle)
    {
        // A system's bundle may hold relics no one can read; the others still count.
        roots.add_parsable_certificates(certificates.flatten());
    }
    roots
}

fn file_error(path: &Path) -> impl Fn(rustls_pki_types::pem::Error) -> TlsError {
    move |err| TlsError::File { path: path.to_owned(), cause: err.to_string() }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut added = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(file_error(path))? {
        let certificate = certificate.map_err(file_error(path))?;
        roots
            .add(certificate.clone())
            .map_err(|err| TlsError::File { path: path.to_owned(), cause: err.to_string() })?;
        added.push(certificate);
    }
    Ok(added)
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    if !key.exists() {
        let cause = format!("missing key {} for client certificate", key.display());
        return Err(TlsError::File { path: certificate.to_owned(), cause });
    }
    let chain = CertificateDer::pem_file_iter(certificate).map_err(file_error(certificate))?;
    let chain = chain.collect::<Result<_, _>>().map_err(file_error(certificate))?;
    Ok((chain, PrivateKeyDer::from_pem_file(key).map_err(file_error(key))?))
}

/// Checks as usual, and accepts a certificate that is itself one of those named for the host, though it is an authority's:
/// what `openssl req -x509` makes serves many a private registry.
#[derive(Debug)]
struct Named {
    usual: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.usual.verify_server_cert(certificate, between, name, ocsp, now);
        match checked {
            // Its time has been checked before its kind was; one that is over is another error.
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_)))
                if self.own.iter().any(|own| own == certificate) =>
            {
                let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
                rustls::client::verify_server_name(&parsed, name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Accepts every certificate: what `--insecure-registry` asks for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
