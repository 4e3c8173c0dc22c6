use palanquin_engine::contract::{Error, ErrorKind, Result};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// TLS with the authorities this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others). Reads certificates.
///
/// # Errors
/// `InvalidRequest` if TLS cannot be set up.
pub(super) fn config() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, "TLS cannot be set up").with_source(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
