//! What the bus asks PostgreSQL for each message.

/// Sends the payloads `$2` to all who listen to the channel `$1`.
pub const NOTIFY: &str = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
