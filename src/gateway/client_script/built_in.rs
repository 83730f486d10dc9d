//! The scripts of socket.io-client that `build.rs` has put into the program, if it found them.

#[cfg(with_client)]
mod files {
    pub const VERSION: &str = env!("PARLOR_CLIENT_VERSION");
    pub const LICENCE: &str = include_str!(concat!(env!("OUT_DIR"), "/client/LICENSE"));
    pub const SCRIPTS: [(&str, &[u8]); 3] = [
        ("socket.io.js", include_bytes!(concat!(env!("OUT_DIR"), "/client/socket.io.js"))),
        ("socket.io.min.js", include_bytes!(concat!(env!("OUT_DIR"), "/client/socket.io.min.js"))),
        ("socket.io.esm.min.js", include_bytes!(concat!(env!("OUT_DIR"), "/client/socket.io.esm.min.js"))),
    ];
}

#[cfg(not(with_client))]
mod files {
    pub const VERSION: &str = "";
    pub const LICENCE: &str = "";
    pub const SCRIPTS: [(&str, &[u8]); 0] = [];
}

/// The version of the package; empty without one.
pub use files::VERSION;

/// The text of a script.
pub fn script(file: &str) -> Option<&'static [u8]> {
    files::SCRIPTS.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// The package with its version, and the notice that has to go along with it.
pub fn notice() -> Option<(String, &'static str)> {
    (!VERSION.is_empty()).then(|| (format!("socket.io-client {VERSION}"), files::LICENCE))
}
