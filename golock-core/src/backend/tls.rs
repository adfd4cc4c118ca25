//! TLS by rustls, for backends whose drivers leave it to them: with the system's certificate authorities, and with a provider of
//! cryptography of its own, for the process-wide one is the application's affair. Types of rustls show here.

use std::error::Error;
use std::sync::Arc;

pub use rustls;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::store::{Operation, StoreError, StoreErrorKind};

/// The TLS of one backend.
#[derive(Clone, Debug)]
pub struct Tls {
    backend: &'static str,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    /// Of the backend that errors name so.
    pub fn of(backend: &'static str) -> Self {
        Self { backend, provider: Arc::new(default_provider()) }
    }

    /// What signatures are checked with.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// A configuration that lacks what it believes of a server's certificate.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`].
    pub fn builder(&self) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, StoreError> {
        ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failed(error))
    }

    /// The certificate authorities that this system trusts. `asked_by`: what asks for them, for the error.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`] if there are none.
    pub fn system_roots(&self, asked_by: &str) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added > 0 {
            return Ok(roots);
        }
        Err(match found.errors.into_iter().next() {
            Some(error) => self.failed(error),
            None => self.failed(format!("{asked_by}, but this system trusts no certificate authority")),
        })
    }

    fn failed(&self, why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::new(self.backend, Operation::Connect, StoreErrorKind::Tls, why)
    }
}
