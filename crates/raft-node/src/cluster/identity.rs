//! A node's key and certificate, and the fingerprint that identifies it.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ClusterError;

/// Prefix of every fingerprint in a file.
const PREFIX: &str = "sha256:";

/// SHA-256 of a certificate in DER form. Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the fingerprint of the certificate with these DER bytes.
    pub fn of(certificate: &[u8]) -> Self {
        Fingerprint(Sha256::digest(certificate).into())
    }

    /// Returns the hash without its prefix.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Error of parsing a text that is not a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a fingerprint: expected `sha256:` and 64 hexadecimal digits")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits = text.strip_prefix(PREFIX).ok_or(ParseFingerprintError)?;
        // Checked here because `from_str_radix` accepts a sign, and slicing requires ASCII.
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseFingerprintError);
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16)
                .map_err(|_| ParseFingerprintError)?;
        }
        Ok(Fingerprint(hash))
    }
}

/// A node's private key and self-signed certificate. Debug output contains only the fingerprint.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Subject name of every certificate. It distinguishes nothing: nodes are identified by
    /// fingerprint.
    pub const SERVER_NAME: &'static str = "raftian";

    /// Generates an identity: an ECDSA P-256 key and a certificate without a meaningful end date.
    pub fn generate() -> Result<Self, ClusterError> {
        Self::generate_with_pem().map(|(identity, _)| identity)
    }

    pub(super) fn generate_with_pem() -> Result<(Self, Armour), ClusterError> {
        let failed = |error: rcgen::Error| ClusterError::Key {
            reason: error.to_string(),
        };
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let mut params =
            rcgen::CertificateParams::new([Self::SERVER_NAME.to_owned()]).map_err(failed)?;
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, Self::SERVER_NAME);
        let certificate = params.self_signed(&key).map_err(failed)?;
        let armour = Armour {
            key: key.serialize_pem(),
            certificate: certificate.pem(),
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((
            Self::from_der(certificate.der().clone(), key.into()),
            armour,
        ))
    }

    /// Combines a certificate and its key. A node start fails if they do not match.
    pub fn from_der(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        let fingerprint = Fingerprint::of(&certificate);
        Identity {
            certificate,
            key,
            fingerprint,
        }
    }

    /// Checks that the key belongs to the certificate; the error is the reason why a node cannot
    /// start with them.
    pub(super) fn fits_its_key(&self) -> Result<(), String> {
        let provider = rustls::crypto::ring::default_provider();
        // This constructor compares the public keys of both.
        rustls::sign::CertifiedKey::from_der(
            vec![self.certificate.clone()],
            self.key.clone_key(),
            &provider,
        )
        .map(drop)
        .map_err(|error| error.to_string())
    }

    /// Returns the certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the private key, which must stay secret.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// Returns the hash of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// An identity in PEM form, for files.
pub(super) struct Armour {
    pub(super) key: String,
    pub(super) certificate: String,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity {
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
            fingerprint: self.fingerprint,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
