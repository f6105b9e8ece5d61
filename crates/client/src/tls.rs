//! The TLS settings of a connection to an engine.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::endpoint::TlsFiles;
use crate::error::ClientError;

/// The system's authorities: who is trusted where nobody is named. Distributions differ in the place.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

fn failed(what: &str, path: &Path, cause: impl std::fmt::Display) -> ClientError {
    ClientError::Connect { cause: format!("could not {what} {}: {cause}", path.display()) }
}

/// Builds the TLS configuration from files.
pub(crate) fn config(files: &TlsFiles) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| ClientError::Connect { cause: e.to_string() })?;
    let builder = if files.verify {
        let mut roots = RootCertStore::empty();
        match &files.ca {
            Some(path) => {
                for cert in certificates(path)? {
                    roots.add(cert).map_err(|e| failed("trust", path, e))?;
                }
            }
            None => {
                let bundle = BUNDLES.iter().map(Path::new).find(|path| path.exists());
                // The system's bundle holds old certificates that may be malformed: those trust nobody.
                let _counts = roots
                    .add_parsable_certificates(bundle.map(certificates).transpose()?.unwrap_or_default());
            }
        }
        builder.with_root_certificates(roots)
    } else {
        // `--tls` without `--tlsverify`: encrypted, but to whoever answers. The person asked for it by name.
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(|e| failed("read key", key, e))?;
            builder.with_client_auth_cert(chain, private).map_err(|e| failed("use certificate", cert, e))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read = |e| failed("read certificate", path, e);
    CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)
}

/// What a person can do about TLS that failed with `error`, when it did: rustls tells what was wrong in one word.
pub(crate) fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<rustls::Error>() {
            return advice_on(cause);
        }
        // An I/O error holds its cause beside the chain.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(cause) = held.and_then(|held| held.downcast_ref::<rustls::Error>()) {
            return advice_on(cause);
        }
        next = error.source();
    }
    None
}

fn advice_on(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "the engine's certificate is signed by nobody we trust: name its authority with --tlscacert, or as ca.pem in DOCKER_CERT_PATH"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the engine's certificate has expired",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the engine's certificate is for another name: ask for the engine by a name that is in it",
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the engine wants to know who asks: give a certificate with --tlscert and --tlskey, or as cert.pem and key.pem in DOCKER_CERT_PATH"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied,
        ) => "the engine does not accept our certificate: it is signed by another authority, or has expired",
        rustls::Error::InvalidMessage(_) => "there is an engine without TLS: leave --tls and --tlsverify out",
        _ => return None,
    })
}

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
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
