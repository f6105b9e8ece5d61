//! Certificates for one test: an authority, a server and clients of it, as files.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority and its folder.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one; its own certificate is `ca.pem`.
    pub fn new(dir: PathBuf) -> Authority {
        std::fs::create_dir_all(&dir).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.join("ca.pem"), certificate.pem()).unwrap();
        Authority { dir, issuer: Issuer::new(params, key) }
    }

    /// Certifies a name: `<name>-cert.pem` and `<name>-key.pem`, good for 127.0.0.1.
    pub fn certify(&self, name: &str) {
        self.issue(name, CertificateParams::new(vec!["127.0.0.1".to_owned(), name.to_owned()]).unwrap());
    }

    /// One that ended long ago.
    pub fn certify_expired(&self, name: &str) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.issue(name, params);
    }

    /// One for another address.
    pub fn certify_elsewhere(&self, name: &str) {
        self.issue(name, CertificateParams::new(vec!["127.9.9.9".to_owned()]).unwrap());
    }

    fn issue(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.dir.join(format!("{name}-cert.pem")), certificate.pem()).unwrap();
        std::fs::write(self.dir.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> String {
        Path::new(&self.dir).join(name).display().to_string()
    }
}
