//! The private id (`pid`) that the server adds to the answer to CONNECT. The stock client sends the last one
//! back when it reconnects, and so the server recognises the client.
//!
//! The library writes that answer itself and has no call to add anything. So the answer is replaced on its way
//! out.

use super::super::packets::TextReplacement;
use crate::{
    chat::ClientKey,
    error::{Error, Result},
    random::hex_digits,
};

const SECRET_BYTES: usize = 16;
const SECRET_DIGITS: usize = SECRET_BYTES * 2;
const SUFFIX_BYTES: usize = 4;

/// A client that the server can recognise when it reconnects.
#[derive(Clone, Copy, Debug)]
pub struct ReturningClient {
    pub key: ClientKey,
    /// Whether the client says that it was connected before.
    pub has_returned: bool,
}

/// A private id: a secret that stays the same for a client, and a suffix that makes each id new. A client that
/// received the same id twice would take its session for recovered and expect what it had missed.
pub struct PrivateId {
    secret: String,
    has_returned: bool,
}

impl PrivateId {
    /// The identity of a client that shows this id, or of a new client.
    pub fn of_client(shown: Option<&str>) -> Result<Self> {
        match shown.and_then(secret_of) {
            Some(secret) => Ok(Self { secret: secret.to_owned(), has_returned: true }),
            None => Ok(Self {
                secret: hex_digits::<SECRET_BYTES>().map_err(Error::internal)?,
                has_returned: false,
            }),
        }
    }

    pub fn client(&self) -> ReturningClient {
        let key = ClientKey::of_secret(self.secret.as_bytes());
        ReturningClient { key, has_returned: self.has_returned }
    }

    /// The answer to CONNECT with a new private id, in place of the library's.
    pub fn in_answer(&self, sid: &str) -> Result<TextReplacement> {
        let suffix = hex_digits::<SUFFIX_BYTES>().map_err(Error::internal)?;
        let secret = &self.secret;
        Ok(TextReplacement {
            expected: format!(r#"40{{"sid":"{sid}"}}"#),
            instead: format!(r#"40{{"sid":"{sid}","pid":"{secret}-{suffix}"}}"#),
        })
    }
}

fn secret_of(shown: &str) -> Option<&str> {
    let (secret, _) = shown.split_once('-')?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (secret.len() == SECRET_DIGITS && secret.bytes().all(is_digit)).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid_in(answer: &TextReplacement) -> &str {
        answer.instead.split("\"pid\":\"").nth(1).unwrap().trim_end_matches("\"}")
    }

    #[test]
    fn a_client_is_recognised_by_each_of_its_ids_and_each_is_new() {
        let first = PrivateId::of_client(None).unwrap();
        assert!(!first.client().has_returned);
        let one = first.in_answer("s1").unwrap();
        let other = first.in_answer("s1").unwrap();
        assert_ne!(pid_in(&one), pid_in(&other));
        for shown in [pid_in(&one), pid_in(&other)] {
            let back = PrivateId::of_client(Some(shown)).unwrap().client();
            assert!(back.has_returned && back.key == first.client().key);
        }
    }

    #[test]
    fn nobody_chooses_an_id() {
        for shown in ["", "-", "abc-def", &format!("{}-1", "A".repeat(32)), &"0".repeat(32)] {
            assert!(!PrivateId::of_client(Some(shown)).unwrap().client().has_returned, "{shown}");
        }
    }

    #[test]
    fn the_answer_fits_into_a_short_frame() {
        let answer = PrivateId::of_client(None).unwrap().in_answer("AAAAAAAAAAAAAAAA").unwrap();
        assert!(answer.instead.len() < 126);
        assert_eq!(answer.expected, r#"40{"sid":"AAAAAAAAAAAAAAAA"}"#);
    }
}
