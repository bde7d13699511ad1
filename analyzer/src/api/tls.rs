//! The API by TLS.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take: a few round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A certificate and its key, ready to be shown.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ServerConfig>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}. It must be a file in PEM")]
    File(PathBuf, pem::Error),
    /// There is none in the file.
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(PathBuf),
    /// They do not go together, or are not good.
    #[error("{0} and {1} cannot be used: {2}")]
    Unusable(PathBuf, PathBuf, rustls::Error),
}

impl Tls {
    /// Reads a chain of certificates and the key of the first, both in PEM.
    ///
    /// # Errors
    /// Where they cannot be read or used.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let file = |error| TlsError::File(cert.to_owned(), error);
        let chain = CertificateDer::pem_file_iter(cert).map_err(file)?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(file)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(cert.to_owned()));
        }
        let secret = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::File(key.to_owned(), error))?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, secret)
            });
        let mut config =
            config.map_err(|error| TlsError::Unusable(cert.to_owned(), key.to_owned(), error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands; nothing where the other end does not, or not in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0));
        timeout(HANDSHAKE, acceptor.accept(stream)).await.ok()?.ok()
    }
}
