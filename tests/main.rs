//! The tests: one binary, one file a behaviour, the real server on a port of its own every time.
//!
//! Every test runs on the database that `PARLOR_TEST_DATABASE` names (`sqlite`, which is the default,
//! or `postgres`); to run the suite on both, run it twice.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]

mod harness;

// The door: Engine.IO, Socket.IO and HTTP to the letter.
mod client_script;
mod engine_conduct;
mod handshake;
mod socket_conduct;

// Accounts, logins, and the words of refusal.
mod issuers;
mod refusals;
mod rest;
mod sessions;
mod sign_up_and_login;
mod tickets;

// Other wire forms than Socket.IO.
mod encrypted_dialect;
mod plain_websocket;

// What must not happen.
mod architecture;
mod bad_input;
mod bounds;
mod documents;
mod floods;
mod http_conduct;
mod impossible;
mod limits;
mod lists;
mod logs;
mod lost_rights;
mod membership_races;
mod origins;
mod properties;
mod quotas;
mod restart;
mod slow_answers;
mod slow_reader;
mod storage_faults;
mod two_processes;
mod whole_commands;

// What people do.
mod catching_up;
mod groups;
mod idempotency;
mod lobby;
mod lobby_page;
mod messaging;
mod ordering;
mod permissions;
mod presence;
mod receipts;

// The front ends of the seeds.
mod lobby_dialect;
mod rooms_dialect;

// The command line, clients and a browser, and everything once more on the other database.
mod both_databases;
mod cli;
mod clients;
