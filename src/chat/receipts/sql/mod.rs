//! Saves receipts, by one statement for each database.

pub(super) mod postgres;
pub(super) mod sqlite;
