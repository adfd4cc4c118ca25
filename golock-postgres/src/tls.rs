//! TLS by rustls, as the URL asks for it.

use std::sync::Arc;

use golock_core::StoreError;
use golock_core::backend::tls::{PemFile, Tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::BACKEND;
use crate::url::Server;

/// The files that a URL names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates {
    /// Whom to trust. `None`: whom this system trusts.
    pub(crate) authorities: Option<PemFile>,
    /// What to show, and the key to it.
    pub(crate) own: Option<(PemFile, PemFile)>,
}

/// What opens TLS connections to `server`. The files that it names are read here.
///
/// * `sslmode=require`: TLS, and the certificate must be one for the host, from an authority of the file that the URL names, or else
///   one that this system trusts.
/// * `sslmode=prefer` (the default): TLS if the server has it, whatever its certificate. As in libpq, it keeps out
///   whoever only listens; whoever stands in between could as well say that the server has no TLS. A verified
///   certificate would promise more than that, and fail on every server that signed its own.
/// * `sslmode=disable`: none. No certificate is loaded.
pub(crate) fn connector(server: &Server) -> Result<MakeRustlsConnect, StoreError> {
    let tls = Tls::of(BACKEND);
    let builder = tls.builder()?;
    let builder = match (server.get_ssl_mode(), &server.certificates.authorities) {
        (SslMode::Prefer, _) => {
            let any = AnyCertificate(tls.provider().clone());
            builder.dangerous().with_custom_certificate_verifier(Arc::new(any))
        }
        (SslMode::Require, Some(file)) => builder.with_root_certificates(tls.roots_in(file)?),
        (SslMode::Require, None) => builder.with_root_certificates(tls.system_roots("sslmode=require")?),
        _ => builder.with_root_certificates(RootCertStore::empty()),
    };
    let config = match &server.certificates.own {
        Some((certificate, key)) => tls.with_client_certificate(builder, certificate, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
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

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use golock_conformance::security::Authority;
    use golock_core::{StoreError, StoreErrorKind};

    use super::connector;
    use crate::url::parse;

    fn opened(options: &str) -> Result<(), StoreError> {
        connector(&parse(&format!("postgres://user@host?{options}"), Duration::from_secs(5))?).map(drop)
    }

    #[track_caller]
    fn refused(options: &str, why: &str) {
        let error = opened(options).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Tls);
        let said = error.source().unwrap().to_string();
        assert!(said.contains(why), "{said}");
    }

    /// A directory of this test, removed when this is dropped.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("golock-postgres-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn with(&self, name: &str, content: &str) -> String {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_read_before_anything_is_opened() {
        let (directory, authority) = (Directory::new(), Authority::new());
        let (mine, another) = (authority.certificate("me"), authority.certificate("another"));
        let roots = directory.with("ca.pem", &(authority.pem() + &Authority::new().pem()));
        let certificate = directory.with("me.pem", &mine.pem);
        let key = directory.with("my.key", &mine.key);
        let both = directory.with("both.pem", &(mine.key + &mine.pem));
        let other_key = directory.with("other.key", &another.key);
        let nothing = directory.with("nothing.pem", "");

        opened(&format!("sslrootcert={roots}")).unwrap();
        opened(&format!("sslrootcert={roots}&sslcert={certificate}&sslkey={key}")).unwrap();
        opened(&format!("sslcert={both}&sslkey={both}")).unwrap();

        refused("sslrootcert=/no/such/ca.pem", "of sslrootcert (\"/no/such/ca.pem\") can't be read");
        refused("sslrootcert=", "of sslrootcert (\"\") can't be read");
        refused(&format!("sslrootcert={nothing}"), "of sslrootcert (");
        refused(&format!("sslcert={nothing}&sslkey={key}"), "of sslcert (");
        refused(&format!("sslcert={certificate}&sslkey={nothing}"), "of sslkey (");
        refused(&format!("sslcert={certificate}&sslkey={other_key}"), "of sslcert (");
        refused(&format!("sslcert={certificate}&sslkey=/no/such.key"), "of sslkey (\"/no/such.key\") can't");
    }
}
