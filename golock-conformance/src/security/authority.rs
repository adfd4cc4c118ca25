//! A certificate authority for one test run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Signs certificates that only those trust who were told to.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server shows, and the key that it proves it with; both as PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub pem: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// One that nobody knows yet.
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let mut params = params([]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of golock's tests");
        Self { issuer: made(CertifiedIssuer::self_signed(params, made(KeyPair::generate()))) }
    }

    /// A certificate for a server that is called `host`, and nothing else.
    pub fn certificate(&self, host: &str) -> Certificate {
        let key = made(KeyPair::generate());
        let certificate = made(params([host.to_owned()]).signed_by(&key, &self.issuer));
        Certificate { pem: certificate.pem(), key: key.serialize_pem() }
    }

    /// Its own certificate, as PEM: what a client is told to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The same in a file, for those who want to be told of one.
    pub fn file(&self) -> AuthorityFile {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("golock-{}-{}.pem", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        made(std::fs::write(&path, self.pem()));
        AuthorityFile(path)
    }

    /// A client that trusts this authority and no other.
    pub fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        made(roots.add(self.issuer.der().clone()));
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        made(builder.with_safe_default_protocol_versions())
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// A file with an authority's certificate, removed when this is dropped.
#[derive(Debug)]
pub struct AuthorityFile(PathBuf);

impl AuthorityFile {
    /// Where it is: a name that ends in `.pem`.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        // One that stays harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Certificate {
    /// A server that shows it.
    pub fn server(&self) -> ServerConfig {
        let chain = vec![made(CertificateDer::from_pem_slice(self.pem.as_bytes()))];
        let key = made(PrivateKeyDer::from_pem_slice(self.key.as_bytes()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = made(builder.with_safe_default_protocol_versions()).with_no_client_auth();
        made(builder.with_single_cert(chain, key))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

fn params(names: impl Into<Vec<String>>) -> CertificateParams {
    made(CertificateParams::new(names))
}

fn made<T, E: fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("a certificate could not be made: {error}"))
}
