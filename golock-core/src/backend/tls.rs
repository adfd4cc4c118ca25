//! TLS by rustls, for backends whose drivers leave it to them: with the system's certificate authorities or those of a file, and
//! with a provider of cryptography of its own, for the process-wide one is the application's affair. Types of rustls show here.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub use rustls;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

    /// The certificate authorities in `file`, and no others. Those that can't be read are left out, as the system's are.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`] if it can't be read, or has none.
    pub fn roots_in(&self, file: &PemFile) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(self.certificates(file)?);
        if added == 0 {
            return Err(self.failed(format!("{file} has no certificate of an authority")));
        }
        Ok(roots)
    }

    /// Completes a configuration with what the client shows: the `certificate` (and after it, in the same file, those that lead to its
    /// authority) with its `key`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Tls`] if a file can't be read, or has none, or if the key is another's.
    pub fn with_client_certificate(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
        certificate: &PemFile,
        key: &PemFile,
    ) -> Result<ClientConfig, StoreError> {
        let chain = self.certificates(certificate)?;
        // What the parser says of a key that it can't read may repeat it.
        let no_key = |_| {
            self.failed(format!("{key} has no private key (PKCS#8, PKCS#1 or SEC1 in PEM, not encrypted)"))
        };
        let der = PrivateKeyDer::from_pem_slice(&self.content(key)?).map_err(no_key)?;
        builder
            .with_client_auth_cert(chain, der)
            .map_err(|error| self.failed(format!("{certificate} can't be shown with {key}: {error}")))
    }

    fn certificates(&self, file: &PemFile) -> Result<Vec<CertificateDer<'static>>, StoreError> {
        let content = self.content(file)?;
        match CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>() {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(self.failed(format!("{file} has no certificate in PEM"))),
            Err(_) => Err(self.failed(format!("{file} is not PEM throughout"))),
        }
    }

    fn content(&self, file: &PemFile) -> Result<Vec<u8>, StoreError> {
        std::fs::read(&file.path).map_err(|error| self.failed(format!("{file} can't be read: {error}")))
    }

    fn failed(&self, why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::new(self.backend, Operation::Connect, StoreErrorKind::Tls, why)
    }
}

/// A file of certificates or of a key, in PEM, and the option that names it.
#[derive(Clone)]
pub struct PemFile {
    option: &'static str,
    path: String,
}

impl PemFile {
    /// The file at `path`, as `option` says. It is not read yet.
    pub fn new(option: &'static str, path: impl Into<String>) -> Self {
        Self { option, path: path.into() }
    }
}

impl fmt::Display for PemFile {
    /// Without a path that other parts of a URL seem to have slipped into, by a wrong separator: they may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.contains(['=', '@']) {
            write!(f, "the file of {}", self.option)
        } else {
            write!(f, "the file of {} ({:?})", self.option, self.path)
        }
    }
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PemFile({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::path::PathBuf;

    use rustls::RootCertStore;

    use super::{PemFile, Tls};
    use crate::store::{StoreError, StoreErrorKind};

    /// A file of that content, removed when this is dropped.
    struct Written(PathBuf);

    impl Written {
        fn new(name: &str, content: &str) -> Self {
            let path = std::env::temp_dir().join(format!("golock-core-{}-{name}.pem", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }

        fn named_by(&self, option: &'static str) -> PemFile {
            PemFile::new(option, self.0.to_str().unwrap())
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn section(label: &str) -> String {
        format!("-----BEGIN {label}-----\nc2VjcmV0\n-----END {label}-----\n")
    }

    fn said(error: &StoreError) -> String {
        assert_eq!(error.kind(), StoreErrorKind::Tls);
        error.source().unwrap().to_string()
    }

    fn refused_roots(file: &PemFile) -> String {
        said(&Tls::of("test").roots_in(file).unwrap_err())
    }

    fn refused_identity(certificate: &PemFile, key: &PemFile) -> String {
        let tls = Tls::of("test");
        let builder = tls.builder().unwrap().with_root_certificates(RootCertStore::empty());
        said(&tls.with_client_certificate(builder, certificate, key).unwrap_err())
    }

    #[test]
    fn file_without_authorities_is_refused_by_its_name() {
        for (name, content, why) in [
            ("empty", String::new(), "has no certificate in PEM"),
            ("text", "certificate".to_owned(), "has no certificate in PEM"),
            ("key", section("PRIVATE KEY"), "has no certificate in PEM"),
            ("cut", "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n".to_owned(), "is not PEM throughout"),
            ("nonsense", section("CERTIFICATE"), "has no certificate of an authority"),
        ] {
            let written = Written::new(name, &content);
            let said = refused_roots(&written.named_by("ca"));
            assert!(said.contains(why), "{said}");
            assert!(said.contains("of ca") && said.contains(written.0.to_str().unwrap()), "{said}");
        }
        let said = refused_roots(&PemFile::new("ca", "/no/such/file.pem"));
        assert!(said.starts_with("the file of ca (\"/no/such/file.pem\") can't be read: "), "{said}");
    }

    #[test]
    fn path_that_a_password_may_be_part_of_is_not_shown() {
        for path in ["ca.pem;password=secret", "ca.pem secret@host"] {
            let file = PemFile::new("ca", path);
            assert!(refused_roots(&file).starts_with("the file of ca can't be read: "));
            assert!(!format!("{file} {file:?}").contains("secret"));
        }
    }

    #[test]
    fn keys_are_known_by_three_labels_and_never_shown() {
        let certificate = Written::new("certificate", &section("CERTIFICATE"));
        let refusal = |name: &str, content: &str| {
            let key = Written::new(name, content);
            let said = refused_identity(&certificate.named_by("cert"), &key.named_by("key"));
            assert!(said.contains("of key") && said.contains(key.0.to_str().unwrap()), "{said}");
            // As bytes, too.
            assert!(!said.contains("c2VjcmV0") && !said.contains("99, 50, 86"), "{said}");
            said
        };
        for (name, label) in
            [("pkcs8", "PRIVATE KEY"), ("pkcs1", "RSA PRIVATE KEY"), ("sec1", "EC PRIVATE KEY")]
        {
            // It is no key, but was taken for one.
            let said = refusal(name, &section(label));
            assert!(said.contains("can't be shown with"), "{said}");
        }
        for (name, content) in [
            ("encrypted", section("ENCRYPTED PRIVATE KEY")),
            ("of-a-certificate", section("CERTIFICATE")),
            ("in-one-line", section("PRIVATE KEY").replace('\n', "")),
            ("without-an-end", "-----BEGIN PRIVATE KEY----- c2VjcmV0".to_owned()),
        ] {
            let said = refusal(name, &content);
            assert!(said.contains("has no private key"), "{said}");
        }
    }
}
