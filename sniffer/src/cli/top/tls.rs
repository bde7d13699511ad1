//! The daemon's certificate, and whether it is believed.

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is believed.
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// The system's authorities, or those of a file of PEM certificates.
    pub(super) fn new(authorities: Option<&Path>) -> anyhow::Result<Self> {
        let named = authorities.map(read).transpose()?;
        let (roots, named) = match named {
            Some(named) => (named.clone(), named),
            None => (of_the_system()?, Vec::new()),
        };
        let mut store = RootCertStore::empty();
        let (_, unread) = store.add_parsable_certificates(roots);
        let provider = Arc::new(ring::default_provider());
        let known = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
            .build()
            .with_context(|| match authorities {
                Some(path) => format!(
                    "--ca-cert {}: {unread} certificates in it cannot be used",
                    path.display()
                ),
                None => "the system's certificates cannot be used".to_owned(),
            })?;
        let believed = Arc::new(Believed { known, named });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(believed)
            .with_no_client_auth();
        Ok(Self(Arc::new(config).into()))
    }

    /// Shakes hands with the daemon of this name.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.with_context(|| {
        format!(
            "--ca-cert {}: cannot read it as certificates in PEM",
            path.display()
        )
    })?;
    if all.is_empty() {
        bail!(
            "--ca-cert {}: there is no certificate in PEM in it",
            path.display()
        );
    }
    Ok(all)
}

fn of_the_system() -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        bail!(
            "the system has no certificates of authorities{}: install ca-certificates, or name the daemon's with \
             --ca-cert FILE",
            why.unwrap_or_default()
        );
    }
    Ok(found.certs)
}

/// What was wrong with a handshake, and what to do.
pub(super) fn explain(error: &io::Error, plain: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let what_to_do = match inner {
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            "nobody who is trusted here signed its certificate: name the authority's, or the daemon's own, with \
             --ca-cert FILE"
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "name the daemon as its certificate does",
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "give the daemon a new certificate",
        Some(Error::InvalidMessage(_)) => {
            return format!("it speaks no TLS: ask it as {plain}");
        }
        _ => "is it llmtap with --tls-cert?",
    };
    let why = inner.map_or_else(|| error.to_string(), ToString::to_string);
    format!("{why}; {what_to_do}")
}

/// Certificates that chain to a known one; and one that the person named itself.
///
/// The latter is for a certificate that signed itself, above all: `openssl req -x509` makes such as an authority's,
/// and by the rules of the web no server shows that one. Who named it in a file means it.
#[derive(Debug)]
struct Believed {
    known: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Believed {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_chain = self
            .known
            .verify_server_cert(shown, between, name, ocsp, now);
        match by_chain {
            // Signed by an authority that is not named, or an authority's own, for which rustls has no word. That its
            // times are good was looked at before.
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if self.named.iter().any(|named| named == shown) => {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls12_signature(message, shown, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls13_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}
