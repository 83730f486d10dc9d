//! Random secrets that go into links and addresses. The database stores only their digests.

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    random::hex_digits,
};

const BYTES: usize = 32;

/// A new secret: 64 hexadecimal digits.
pub(super) fn new() -> Result<SecretString> {
    hex_digits::<BYTES>().map(SecretString::from).map_err(Error::internal)
}

/// Whether the text can be a secret of [`new`]. Others need no look into the database.
pub(super) fn is_possible(text: &str) -> bool {
    text.len() == 2 * BYTES
}

pub(super) fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}
