//! The React rooms app (docs/dialects.md).

pub mod events;
pub mod joined;
