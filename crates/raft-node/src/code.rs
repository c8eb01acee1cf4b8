//! Codes: eight letters with which players join a match, on the local network or at the address of
//! a member.
//!
//! A code is an invite whose secret is derived from it. Members announce a hint of it on the local
//! network, so that the match is found without sending the code.
//!
//! Decision: 40 bits, and a secret that takes 200,000 rounds of PBKDF2 (RFC 8018) to derive.
//! Why: the code is read aloud across a room. A machine that pretends to be a member can try all
//! codes after a player has asked it to join; the rounds make that take longer than a match lasts.
//! Would change if: a code outlived its match; a ticket has 128 bits.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ticket::Secret;

/// Text before every code.
const PREFIX: &str = "RAFT";

/// Number of bytes in a code.
const BYTES: usize = 5;

/// Rounds of the derivation of a secret: about 0.1 s on the machine of a player.
const ROUNDS: NonZeroU32 = NonZeroU32::new(200_000).unwrap();

/// A code. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code([u8; BYTES]);

/// Part of a code that members announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hint(pub [u8; 4]);

/// Error of parsing a text that is not a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a code: expected RAFT and eight letters or digits, such as RAFT-7K3Q-2MXT")]
pub struct ParseCodeError;

impl Code {
    /// Makes a code of random bytes.
    pub fn new(random: [u8; BYTES]) -> Self {
        Code(random)
    }

    /// Returns the secret of the invite.
    pub fn secret(&self) -> Secret {
        let mut secret = [0; 16];
        let salt = b"raftian code secret";
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ROUNDS,
            salt,
            &self.0,
            &mut secret,
        );
        Secret(secret)
    }

    /// Returns the hint by which the match is found. It is derived from the secret, so that it is
    /// no faster way to try all codes.
    pub fn hint(&self) -> Hint {
        let mut hash = Sha256::new();
        hash.update("raftian code hint");
        hash.update(self.secret().0);
        let mut start = [0; 4];
        start.copy_from_slice(&hash.finalize()[..4]);
        Hint(start)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = BASE32_NOPAD.encode(&self.0);
        write!(f, "{PREFIX}-{}-{}", &letters[..4], &letters[4..])
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

impl FromStr for Code {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            // No code is longer, and a pasted file must not be read whole.
            .take(2 * PREFIX.len() + 8)
            .collect();
        let letters = plain.strip_prefix(PREFIX).ok_or(ParseCodeError)?;
        let bytes = BASE32_NOPAD
            .decode(letters.as_bytes())
            .map_err(|_| ParseCodeError)?;
        bytes.try_into().map(Code).map_err(|_| ParseCodeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoken_form_of_a_code_is_read() {
        let code = Code::new([1, 2, 3, 4, 255]);
        let text = code.to_string();
        assert_eq!((text.len(), &text[..5]), (14, "RAFT-"));
        assert_eq!(text.parse(), Ok(code));
        let spoken = format!(" {} ", text.to_lowercase().replace('-', " "));
        assert_eq!(spoken.parse(), Ok(code));
        assert_eq!(format!("{code:?}"), "Code(..)");
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in [
            "",
            "RAFT",
            "RAFT-AAAA",
            "RAFT-AAAA-AAA1",
            "RAFT-AAAA-AAAA-A",
            "AAAA-AAAA",
        ] {
            assert_eq!(text.parse::<Code>(), Err(ParseCodeError), "{text}");
        }
    }

    #[test]
    fn secret_and_hint_differ_between_codes_and_from_each_other() {
        let [a, b] = [Code::new([1; BYTES]), Code::new([2; BYTES])];
        assert_ne!(a.secret(), b.secret());
        assert_ne!(a.hint(), b.hint());
        assert_ne!(a.secret().0[..4], a.hint().0);
    }
}
