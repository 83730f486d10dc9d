//! How two databases are compared: each table by the number of its rows, and by a hash of all values that does not
//! depend on their order, because the databases sort texts differently.

use std::fmt;

use chrono::SubsecRound;
use sea_orm::{Iterable, ModelTrait, Value};
use sha2::{Digest, Sha256};

/// The digits of a second that PostgreSQL stores.
const MICROSECONDS: u16 = 6;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    rows: u64,
    /// The exclusive or of the hashes of all rows. Rows have a primary key, so no two are the same.
    hash: [u8; 32],
}

impl Fingerprint {
    /// Adds a row. Returns its size, in bytes of text.
    pub fn add<M: ModelTrait>(&mut self, row: &M) -> usize {
        let mut text = String::new();
        for column in <M::Entity as sea_orm::EntityTrait>::Column::iter() {
            // The separator cannot be part of the Debug form of a value.
            text.push('\n');
            text.push_str(&format!("{:?}", as_stored(row.get(column))));
        }
        for (all, one) in self.hash.iter_mut().zip(Sha256::digest(&text)) {
            *all ^= one;
        }
        self.rows += 1;
        text.len()
    }
}

/// SQLite stores nanoseconds, PostgreSQL microseconds.
fn as_stored(value: Value) -> Value {
    match value {
        Value::ChronoDateTimeUtc(Some(at)) => Value::ChronoDateTimeUtc(Some(at.trunc_subsecs(MICROSECONDS))),
        value => value,
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10} rows  ", self.rows)?;
        self.hash.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
