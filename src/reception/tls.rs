//! TLS for the port: PS3.15 B.12 (BCP 195), mutual certificates.
//!
//! Three PEM files make an [`Identity`]: our certificate with its chain, its key, and the authority
//! that signs the certificates of the peers. A peer without a certificate of that authority gets no
//! further than the handshake, in either direction. What is offered: TLS 1.3 and 1.2 with ephemeral
//! keys and authenticated ciphers only. There is no resumption, since a console opens few
//! associations and a forgotten session cannot be stolen.
//!
//! Which title may call is not decided here: certificates open the line, the access list the door.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, InconsistentKeys, RootCertStore, ServerConfig, SupportedCipherSuite,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_cert::der::Decode;

/// Some dozens of certificates. More is not an authority's file.
const LARGEST_FILE: u64 = 1 << 20;

/// How long before its end a certificate is worth a word (DICOM spec 14). A hospital's authority
/// needs weeks.
pub const WARN_BEFORE: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// What BCP 195 recommends (RFC 9325, 4.2), and the three of TLS 1.3.
const SUITES: [SupportedCipherSuite; 7] = [
    ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ring::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ring::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// Where the PEM files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Ours, followed by those between it and the authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who signs the peers' certificates.
    pub client_ca: PathBuf,
}

/// Why there is no TLS. The sentence names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the {what} {path} cannot be read: {source}")]
    Read {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the {what} {path} is larger than any such file")]
    Large { what: &'static str, path: PathBuf },
    #[error("the {what} {path} holds none in PEM form")]
    Empty { what: &'static str, path: PathBuf },
    #[error("the {what} {path} is damaged: {why}")]
    Damaged {
        what: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("the TLS key {key} does not belong to the certificate {certificate}")]
    KeyMismatch { key: PathBuf, certificate: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Our certificate and key, and whom we believe.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    ends: Ends,
    provider: Arc<CryptoProvider>,
}

/// When our certificate and the authority's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub certificate: SystemTime,
    pub authority: SystemTime,
}

impl Ends {
    /// What is to be said about them; nothing while both are far away.
    #[must_use]
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        [
            ("The TLS certificate", self.certificate),
            ("The certificate of the client authority", self.authority),
        ]
        .into_iter()
        .filter_map(|(what, end)| end_words(what, end, now))
        .collect()
    }

    /// Whether one of the two has ended, so that secure calls may fail.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        days(self.certificate, now) < 0 || days(self.authority, now) < 0
    }

    /// Days until our certificate ends; negative when it has.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> i64 {
        days(self.certificate, now)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

const CERTIFICATE: &str = "TLS certificate";
const KEY: &str = "TLS key";
const AUTHORITY: &str = "client authority";

/// Makes our suites those of every TLS client in this process that brings none of its own.
pub fn choose_provider() {
    // An error says that somebody has chosen before, and that was us.
    let _ = provider().install_default();
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        ..ring::default_provider()
    }
}

impl Identity {
    /// Reads and checks the files, each against the others.
    ///
    /// # Errors
    /// [`TlsError`] with the sentence for the person who wrote the settings.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let chain = certificates(CERTIFICATE, &files.certificate)?;
        let key = read(KEY, &files.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| match e {
            pem::Error::NoItemsFound => TlsError::Empty {
                what: KEY,
                path: files.key.clone(),
            },
            // Says what is wrong with the form and nothing of the content.
            other => damaged(KEY, &files.key, &other),
        })?;
        let authority = certificates(AUTHORITY, &files.client_ca)?;
        let ends = Ends {
            certificate: earliest(CERTIFICATE, &files.certificate, &chain)?,
            authority: earliest(AUTHORITY, &files.client_ca, &authority)?,
        };
        let mut roots = RootCertStore::empty();
        for certificate in authority {
            let added = roots.add(certificate);
            added.map_err(|e| damaged(AUTHORITY, &files.client_ca, &e))?;
        }
        let identity = Self {
            chain,
            key,
            roots: Arc::new(roots),
            ends,
            provider: Arc::new(provider()),
        };
        match identity.server_config() {
            Ok(_) => Ok(identity),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::KeyMismatch {
                    key: files.key.clone(),
                    certificate: files.certificate.clone(),
                })
            }
            Err(other) => Err(TlsError::Setup(other.to_string())),
        }
    }

    /// When the certificates end.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// For the port.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let config = self.server_config();
        let config = config.map_err(|e| TlsError::Setup(e.to_string()))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// For our own calls. The peer's certificate must carry the name or address that was called.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn connector(&self) -> Result<Connector, TlsError> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|builder| {
                builder
                    .with_root_certificates(Arc::clone(&self.roots))
                    .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            });
        let mut config = config.map_err(|e| TlsError::Setup(e.to_string()))?;
        config.resumption = Resumption::disabled();
        Ok(Connector(TlsConnector::from(Arc::new(config))))
    }

    fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::clone(&self.roots),
            Arc::clone(&self.provider),
        );
        let verifier = verifier
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// Our end of calls over TLS.
#[derive(Clone)]
pub struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// The same for a library that makes the handshake itself.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.0.config())
    }

    /// The handshake with a peer that was called by this name. The caller sets a deadline.
    ///
    /// # Errors
    /// What went wrong in the handshake.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

fn damaged(what: &'static str, path: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::Damaged {
        what,
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_FILE {
        let path = path.to_owned();
        return Err(TlsError::Large { what, path });
    }
    std::fs::read(path).map_err(failed)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(what, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| damaged(what, path, &e))?;
    if found.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { what, path });
    }
    Ok(found)
}

/// When the first of them ends.
fn earliest(
    what: &'static str,
    path: &Path,
    chain: &[CertificateDer<'_>],
) -> Result<SystemTime, TlsError> {
    let mut ends = Vec::with_capacity(chain.len());
    for certificate in chain {
        let parsed = x509_cert::Certificate::from_der(certificate);
        let parsed = parsed.map_err(|e| damaged(what, path, &e))?;
        ends.push(parsed.tbs_certificate.validity.not_after.to_system_time());
    }
    Ok(ends.into_iter().min().unwrap_or(SystemTime::UNIX_EPOCH))
}

fn days(end: SystemTime, now: SystemTime) -> i64 {
    let whole = |d: Duration| i64::try_from(d.as_secs() / 86_400).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => whole(left),
        Err(past) => -1 - whole(past.duration()),
    }
}

fn end_words(what: &str, end: SystemTime, now: SystemTime) -> Option<String> {
    let left = days(end, now);
    if left < 0 {
        return Some(format!("{what} has ended: calls over TLS may fail"));
    }
    let soon = end.duration_since(now).is_ok_and(|left| left < WARN_BEFORE);
    soon.then(|| match left {
        0 => format!("{what} ends within a day"),
        1 => format!("{what} ends in 1 day"),
        _ => format!("{what} ends in {left} days"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Made {
        folder: tempfile::TempDir,
    }

    impl Made {
        /// A certificate that signs itself, and serves as the authority as well.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let made = rcgen::generate_simple_self_signed(vec!["box".to_owned()]).unwrap();
            let write = |name: &str, text: &str| {
                std::fs::write(folder.path().join(name), text).unwrap();
            };
            write("cert.pem", &made.cert.pem());
            write("key.pem", &made.signing_key.serialize_pem());
            Self { folder }
        }

        fn files(&self) -> TlsFiles {
            let at = |name| self.folder.path().join(name);
            TlsFiles {
                certificate: at("cert.pem"),
                key: at("key.pem"),
                client_ca: at("cert.pem"),
            }
        }
    }

    #[test]
    fn sound_files_make_both_ends() {
        let made = Made::new();
        let identity = Identity::load(&made.files()).unwrap();
        identity.acceptor().unwrap();
        identity.connector().unwrap();
        let now = SystemTime::now();
        let ends = identity.ends();
        assert!(ends.days_left(now) > 365);
        assert!(ends.warnings(now).is_empty());
        for (before, words) in [
            (10, "ends in 10 days"),
            (1, "in 1 day"),
            (0, "within a day"),
        ] {
            let said = ends.warnings(ends.certificate - before * DAY).join(", ");
            assert!(said.contains(words), "{said}");
        }
        let late = ends.certificate + DAY;
        assert!(ends.warnings(late)[0].contains("has ended"));
        assert!(ends.days_left(late) < 0);
    }

    #[test]
    fn what_is_wrong_names_the_file() {
        let made = Made::new();
        let said = |files: &TlsFiles| Identity::load(files).unwrap_err().to_string();
        let mut files = made.files();
        files.certificate = made.folder.path().join("nowhere.pem");
        let words = said(&files);
        assert!(words.contains("nowhere.pem cannot be read"), "{words}");
        let mut files = made.files();
        files.key = files.certificate.clone();
        assert!(said(&files).contains("holds none in PEM form"));
        let other = Made::new();
        let mut files = made.files();
        files.key = other.files().key;
        assert!(said(&files).contains("does not belong to the certificate"));
        let mut files = made.files();
        files.client_ca = made.folder.path().join("bad.pem");
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&files.client_ca, text).unwrap();
        assert!(said(&files).contains("is damaged"));
    }

    #[test]
    fn only_what_bcp_195_recommends_is_offered() {
        for suite in SUITES {
            let name = format!("{:?}", suite.suite());
            let modern = name.starts_with("TLS13_");
            assert!(
                modern || name.contains("ECDHE") && name.contains("GCM"),
                "{name}"
            );
        }
    }
}
