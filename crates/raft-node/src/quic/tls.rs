//! Mutual TLS without certificate authorities: a peer is authenticated by the fingerprint of its
//! certificate and by proof that it holds the key.
//!
//! The dialling side expects one certificate. The accepting side learns which certificate the
//! dialling side holds, and decides after the handshake whether it belongs to a member: the members
//! change while the node runs.

use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use super::{LinkError, MAX_HANDSHAKES, RESERVED_HANDSHAKES, transport};
use crate::cluster::{Fingerprint, Identity};
use crate::wire::WIRE_VERSION;

/// Protocol name in the handshake (ALPN): nodes with another wire version do not connect.
pub(super) fn protocol() -> Vec<u8> {
    format!("raftian/{WIRE_VERSION}").into_bytes()
}

/// Protocol name of a player who asks to join.
pub(super) fn join_protocol() -> Vec<u8> {
    format!("raftian-join/{WIRE_VERSION}").into_bytes()
}

/// Settings to dial the one node that `expected` describes. Another member at the peer's address is
/// refused as well.
pub(super) fn client(
    identity: &Identity,
    expected: Pin,
    protocol: Vec<u8>,
) -> Result<quinn::ClientConfig, LinkError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pins = Arc::new(Verifier::new(&provider, expected));
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        // The verifier is stricter than a usual one: it accepts a single certificate.
        .dangerous()
        .with_custom_certificate_verifier(pins)
        .with_client_auth_cert(
            vec![identity.certificate().clone()],
            identity.key().clone_key(),
        )
        .map_err(unusable)?;
    tls.alpn_protocols = vec![protocol];
    // A resumed session would skip the verification of the certificate.
    tls.resumption = Resumption::disabled();
    let mut config =
        quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(unusable)?));
    config.transport_config(transport());
    Ok(config)
}

/// Settings to accept any node that holds the key of its certificate.
pub(super) fn server(identity: &Identity) -> Result<quinn::ServerConfig, LinkError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pins = Arc::new(Verifier::new(&provider, Pin::Any));
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(pins)
        .with_single_cert(
            vec![identity.certificate().clone()],
            identity.key().clone_key(),
        )
        .map_err(unusable)?;
    tls.alpn_protocols = vec![protocol(), join_protocol()];
    // No resumption, for the same reason as in `client`.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(
        QuicServerConfig::try_from(tls).map_err(unusable)?,
    ));
    config
        .transport_config(transport())
        .max_incoming(MAX_HANDSHAKES + RESERVED_HANDSHAKES);
    Ok(config)
}

/// Returns the fingerprint of the certificate with which the other side of `connection`
/// authenticated.
pub(super) fn peer(connection: &quinn::Connection) -> Option<Fingerprint> {
    let chain = connection
        .peer_identity()?
        .downcast::<Vec<CertificateDer<'static>>>()
        .ok()?;
    chain
        // The end entity, for which the handshake has proved possession of the key.
        .first()
        .map(|certificate| Fingerprint::of(certificate))
}

/// Returns whether the dialling side of `connection` asks to join.
pub(super) fn is_joining(connection: &quinn::Connection) -> bool {
    connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .is_some_and(|data| data.protocol == Some(join_protocol()))
}

/// Returns the TLS alert that ended a connection, on either side, if one did.
pub(super) fn alert(error: &quinn::ConnectionError) -> Option<Alert> {
    let code = match error {
        quinn::ConnectionError::TransportError(error) => u64::from(error.code),
        quinn::ConnectionError::ConnectionClosed(frame) => u64::from(frame.error_code),
        _ => return None,
    };
    // RFC 9001, section 4.8: an alert is carried as 0x100 plus its number; 120 is "no application
    // protocol".
    match code {
        0x178 => Some(Alert::ForeignProtocol),
        0x100..0x200 => Some(Alert::Refused),
        _ => None,
    }
}

/// Why TLS ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alert {
    /// The two sides use different wire versions.
    ForeignProtocol,
    /// One side did not accept the other's certificate.
    Refused,
}

fn unusable(error: impl ToString) -> LinkError {
    LinkError::Identity {
        reason: error.to_string(),
    }
}

/// Certificates that one side accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pin {
    /// The one with this fingerprint.
    Whole(Fingerprint),
    /// One whose fingerprint starts with these bytes.
    Start([u8; 16]),
    /// Any.
    Any,
}

/// Verifier of certificates by their fingerprints. Names, dates and issuers do not matter; the
/// signature that proves possession of the key is verified as usual.
#[derive(Debug)]
struct Verifier {
    accepted: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(provider: &CryptoProvider, accepted: Pin) -> Self {
        Verifier {
            accepted,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let fingerprint = Fingerprint::of(certificate);
        let is_accepted = match &self.accepted {
            Pin::Whole(expected) => fingerprint == *expected,
            Pin::Start(start) => fingerprint.bytes().starts_with(start),
            Pin::Any => true,
        };
        if is_accepted {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

/// Refuses TLS 1.2, which QUIC never uses.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(
        PeerIncompatible::Tls12NotOfferedOrEnabled,
    ))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A hint would only help a client to choose among several certificates.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::client::ResolvesClientCert;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;

    /// Presents one certificate and signs with one key, whether they belong together or not.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesClientCert for Shows {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    fn shows(certificate: &Identity, key: &Identity) -> Arc<Shows> {
        let provider = rustls::crypto::ring::default_provider();
        let key = provider
            .key_provider
            .load_private_key(key.key().clone_key())
            .expect("a key");
        Arc::new(Shows(Arc::new(CertifiedKey::new(
            vec![certificate.certificate().clone()],
            key,
        ))))
    }

    /// Runs a handshake in memory between `client` and `server`, whose certificate must be
    /// `expected`.
    fn handshake(expected: Pin, client: Arc<Shows>, server: Arc<Shows>) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = [&rustls::version::TLS13];
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(&provider, expected)))
            .with_client_cert_resolver(client);
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .with_client_cert_verifier(Arc::new(Verifier::new(&provider, Pin::Any)))
            .with_cert_resolver(server);
        let name = Identity::SERVER_NAME.try_into().expect("a name");
        let mut client = ClientConnection::new(Arc::new(client), name)?;
        let mut server = ServerConnection::new(Arc::new(server))?;
        // Two rounds complete a TLS 1.3 handshake.
        for _ in 0..2 {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).expect("memory");
            server.read_tls(&mut bytes.as_slice()).expect("memory");
            server.process_new_packets()?;
            bytes.clear();
            server.write_tls(&mut bytes).expect("memory");
            client.read_tls(&mut bytes.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(())
    }

    #[test]
    fn copied_certificate_without_its_key_is_refused() {
        let [a, b, thief] = [(); 3].map(|()| Identity::generate().expect("an identity"));
        let pin = Pin::Whole(b.fingerprint());
        assert_eq!(handshake(pin, shows(&a, &a), shows(&b, &b)), Ok(()));
        let refused = Err(Error::InvalidCertificate(CertificateError::BadSignature));
        assert_eq!(handshake(pin, shows(&a, &thief), shows(&b, &b)), refused);
        assert_eq!(handshake(pin, shows(&a, &a), shows(&b, &thief)), refused);
    }

    #[test]
    fn only_the_expected_certificate_is_accepted() {
        let [a, b, unknown] = [(); 3].map(|()| Identity::generate().expect("an identity"));
        let refused = Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ));
        let mut start = [0; 16];
        start.copy_from_slice(&b.fingerprint().bytes()[..16]);
        for pin in [Pin::Whole(b.fingerprint()), Pin::Start(start)] {
            assert_eq!(handshake(pin, shows(&a, &a), shows(&b, &b)), Ok(()));
            let other = handshake(pin, shows(&a, &a), shows(&unknown, &unknown));
            assert_eq!(other, refused);
            let own = handshake(pin, shows(&a, &a), shows(&a, &a));
            assert_eq!(own, refused, "the certificate of the dialling side");
        }
    }
}
