//! The React rooms app (docs/dialects.md).

pub mod events;
mod visit;
