//! The tests: one binary, one file a behaviour, the real server on a port of its own every time.
//!
//! Every test runs on the database that `PARLOR_TEST_DATABASE` names (`sqlite`, which is the default,
//! or `postgres`); to run the suite on both, run it twice.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]

mod harness;

// The door: Engine.IO, Socket.IO and HTTP to the letter.
mod handshake;

// What people do.
mod messaging;
