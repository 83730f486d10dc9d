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
mod direct_frames;
mod disabled_accounts;
mod issuers;
mod logins;
mod names;
mod own_account;
mod own_settings;
mod refusals;
mod rest;
mod sessions;
mod sign_up_and_login;
mod tickets;

// Other wire forms than Socket.IO.
mod encrypted_dialect;
mod plain_websocket;

// The web client, and pages for refusals.
mod web_client;

// The contract with front ends, as documents.
mod contract;
mod contract_released;

// What must not happen.
mod architecture;
mod bad_input;
mod bounds;
mod clock;
mod documents;
mod files;
mod floods;
mod guessing;
mod http_conduct;
mod idle_connections;
mod impossible;
mod limits;
mod lists;
mod logs;
mod lost_rights;
mod membership_races;
mod origins;
mod postgres;
mod properties;
mod quotas;
mod restart;
mod signals;
mod slow_answers;
mod slow_reader;
mod storage_faults;
mod terminal;
mod two_processes;
mod whole_commands;

// What people do.
mod answering;
mod bursts;
mod catching_up;
mod changes;
mod connection_limit;
mod deleting;
mod extras;
mod first_contract;
mod groups;
mod idempotency;
mod lobby;
mod lobby_page;
mod message_rights;
mod messaging;
mod ordering;
mod permissions;
mod pins;
mod presence;
mod reactions;
mod reading;
mod receipts;
mod reconnect_news;
mod roles;
mod threads;
mod typing;
mod unread;

// The front ends of the seeds.
mod lobby_dialect;
mod rooms_dialect;

// What an operator does: the first start, backups, another version, another database.
mod backups;
mod buses;
mod deploy;
mod first_start;
mod metrics;
mod moving;
mod nodes;
#[cfg(target_os = "linux")]
mod supervisor;
mod upgrades;

// The command line, clients and a browser, and everything once more on the other database.
mod both_databases;
mod cli;
mod clients;
