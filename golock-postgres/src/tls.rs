//! TLS by rustls, as `sslmode` in the URL asks for it.

use std::sync::Arc;

use golock_core::StoreError;
use golock_core::backend::tls::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::BACKEND;

/// What opens TLS connections for `config`.
///
/// * `sslmode=require`: TLS, and the certificate must be one that this system trusts for the host.
/// * `sslmode=prefer` (the default): TLS if the server has it, whatever its certificate. As in libpq, it keeps out
///   whoever only listens; whoever stands in between could as well say that the server has no TLS. A verified
///   certificate would promise more than that, and fail on every server that signed its own.
/// * `sslmode=disable`: none. No certificate is loaded.
pub(crate) fn connector(config: &Config) -> Result<MakeRustlsConnect, StoreError> {
    let tls = Tls::of(BACKEND);
    let builder = tls.builder()?;
    let builder = match config.get_ssl_mode() {
        SslMode::Prefer => {
            let any = AnyCertificate(tls.provider().clone());
            builder.dangerous().with_custom_certificate_verifier(Arc::new(any))
        }
        SslMode::Require if has_tcp_host(config) => {
            builder.with_root_certificates(tls.system_roots("sslmode=require")?)
        }
        _ => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(MakeRustlsConnect::new(builder.with_no_client_auth()))
}

/// TLS is for TCP only.
fn has_tcp_host(config: &Config) -> bool {
    !config.get_hostaddrs().is_empty() || config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)))
}

/// Takes any certificate, as long as the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
