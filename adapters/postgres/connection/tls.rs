use super::dsn::{Dsn, SslMode};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::config::SslMode as Wanted;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What the driver is told of an [`SslMode`]; the rest is the certificate verifier's.
pub(super) fn wanted(mode: SslMode) -> Wanted {
    match mode {
        SslMode::Disable => Wanted::Disable,
        SslMode::Prefer => Wanted::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wanted::Require,
    }
}

/// What makes TLS sessions as the connection string says. Reads the certificates it names.
///
/// # Errors
/// `InvalidRequest` for certificates that cannot be read.
pub(super) fn connector(dsn: &Dsn) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let verifies_authority = matches!(dsn.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull)
        || dsn.ssl_mode == SslMode::Require && dsn.root_certificates.is_some();
    let authority = if verifies_authority {
        let roots = Arc::new(roots(dsn)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        Some(verifier.map_err(|error| refused("no certificate authority is trusted").with_source(error))?)
    } else {
        None
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| refused("TLS cannot be set up").with_source(error))?;
    let config = match authority {
        Some(authority) if dsn.ssl_mode == SslMode::VerifyFull => builder.with_webpki_verifier(authority),
        authority => {
            let verifier = AnyHost { authority, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let config = match &dsn.client_certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => with_client_certificate(config, certificate, key)?,
    };
    Ok(MakeRustlsConnect::new(config))
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn with_client_certificate(config: Builder, certificate: &Path, key: &Path) -> Result<ClientConfig> {
    let unreadable = |path: &Path, error| refused(&format!("{} cannot be read", path.display())).with_source(error);
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable(certificate, error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    let config = config.with_client_auth_cert(chain, secret);
    config.map_err(|error| refused("the client certificate and its key do not go together").with_source(error))
}

/// The file `sslrootcert` names, else `~/.postgresql/root.crt` as with libpq, else (or for the word `system`) the
/// authorities this machine trusts.
fn roots(dsn: &Dsn) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let usual = || {
        let path = Path::new(&std::env::var_os("HOME")?).join(".postgresql/root.crt");
        path.is_file().then_some(path)
    };
    let file = dsn.root_certificates.clone().or_else(usual);
    match file.filter(|path| path != Path::new("system")) {
        Some(path) => {
            let unreadable = |error| refused(&format!("{} cannot be read", path.display())).with_source(error);
            for certificate in CertificateDer::pem_file_iter(&path).map_err(unreadable)? {
                let added = roots.add(certificate.map_err(unreadable)?);
                added.map_err(|error| refused("a certificate of an authority is malformed").with_source(error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn refused(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, detail)
}

/// Takes a certificate for any host: one of a trusted authority (`verify-ca`), or any at all (`require`, `prefer`).
/// That the server has the certificate's key is verified in both.
#[derive(Debug)]
struct AnyHost {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
