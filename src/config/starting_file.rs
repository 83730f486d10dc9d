//! The file that production starts with, for `parlor config init`.

use crate::random::hex_digits;

/// Bytes of a new key.
const BYTES: usize = 32;

/// A minimal file for production, with a new key that signs tokens.
///
/// # Errors
/// The system gives no random bytes.
pub fn starting_file() -> Result<String, getrandom::Error> {
    Ok(format!(
        "\
# Parlor's settings in production. What is not set here has its default: `parlor config default` prints all settings
# with their meaning. This file holds a secret, so only the server may read it.
# Check it with `parlor --mode production --config <this file> config check`, and the machine with `... doctor`.

[server]
# Where the proxy finds Parlor.
listen = \"127.0.0.1:8087\"
# The address that browsers open: yours.
public_url = \"https://chat.example.com\"
# The proxy with TLS in front.
trusted_proxies = [\"127.0.0.1\", \"::1\"]

[database]
# Or postgres://user:password@host/database.
url = \"sqlite:///var/lib/parlor/parlor.db\"

[auth]
# Signs tokens. Whoever has it can sign in as anybody. Keep it: with another one, everybody has to sign in again.
jwt_secret = \"{}\"
",
        hex_digits::<BYTES>()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mode};

    #[test]
    fn it_is_accepted_in_production_and_no_two_have_the_same_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("parlor.toml");
        let text = starting_file().expect("random bytes");
        std::fs::write(&file, &text).expect("written");
        Config::load(Mode::Production, Some(&file), []).expect("a valid file");
        assert_ne!(text, starting_file().expect("random bytes"));
    }
}
