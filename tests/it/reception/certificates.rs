//! Certificates for tests: an authority, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use scanside::reception::tls::TlsFiles;
use std::path::PathBuf;
use std::time::SystemTime;

/// An authority in a folder of its own.
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// An authority that has signed a certificate for each of these names, good for 127.0.0.1.
    pub fn new(names: &[&str]) -> Self {
        Self::make(names, None)
    }

    /// The same, and the certificate of `short` ends then.
    pub fn until(names: &[&str], short: &str, end: SystemTime) -> Self {
        Self::make(names, Some((short, end)))
    }

    fn make(names: &[&str], ends: Option<(&str, SystemTime)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: String, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes a certificate for its own signer if it has the signer's name.
        let called = &mut authority.distinguished_name;
        called.push(DnType::CommonName, "authority of a test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        write("ca.pem".into(), &authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        for name in names {
            let who = vec![(*name).to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(who).unwrap();
            params.distinguished_name.push(DnType::CommonName, *name);
            if let Some((_, end)) = ends.filter(|(short, _)| short == name) {
                params.not_after = end.into();
            }
            let key = KeyPair::generate().unwrap();
            let signed = params.signed_by(&key, &issuer).unwrap();
            write(format!("{name}.pem"), &signed.pem());
            write(format!("{name}.key"), &key.serialize_pem());
        }
        Self { folder }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The files of one of them, with the authority.
    pub fn of(&self, name: &str) -> TlsFiles {
        TlsFiles {
            certificate: self.file(&format!("{name}.pem")),
            key: self.file(&format!("{name}.key")),
            client_ca: self.file("ca.pem"),
        }
    }
}
