//! The connect parameters of a native client, besides its credential. On Socket.IO they are fields of `auth`.
//! On a plain WebSocket they are query parameters.

use std::collections::HashMap;

use entity::{ChangeNumber, RoomId, Seq};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    chat::connections::connection::{ConnectOptions, DeviceCursor},
    error::{Error, Result},
    gateway::wire::forms,
};

/// How a client confirms that messages have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptMode {
    /// The client acknowledges each `response`.
    Acknowledged,
    /// The client sends `delivered` whenever it chooses.
    Batched,
}

/// What a client may pass besides its credential when it connects.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectParameters {
    /// Of each room, by its roomId, the seq up to which this device has everything. The server sends later messages
    /// and marks earlier ones as delivered.
    #[schema(nullable = false)]
    since: Option<HashMap<String, i64>>,
    /// Of each room, by its roomId, the newest change that this device has, or that with the oldest seq that it holds.
    /// The server sends what was changed since, and then `synced`. `{}` for a device that has nothing yet.
    #[schema(nullable = false)]
    changes: Option<HashMap<String, Cursor>>,
    /// `false`: the server sends no old messages.
    #[schema(nullable = false)]
    catch_up: Option<bool>,
    /// `batched`: `response` does not ask for an acknowledgement.
    #[schema(schema_with = batched)]
    receipts: Option<String>,
}

/// What a device has of a room's changes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
enum Cursor {
    Change(i64),
    Held {
        change: i64,
        /// The oldest seq that it holds.
        from: i64,
    },
}

impl Cursor {
    fn held(self) -> DeviceCursor {
        let (change, from) = match self {
            Self::Change(change) => (change, 0),
            Self::Held { change, from } => (change, from),
        };
        DeviceCursor { change: ChangeNumber(change.max(0)), from: Seq(from) }
    }
}

fn batched() -> utoipa::openapi::ObjectBuilder {
    forms::constant("batched")
}

impl ConnectParameters {
    pub fn options(&self) -> ConnectOptions {
        // Text that is not an id is ignored like an id of no room: neither has anything to send.
        let named = |(room, seq): (&String, &i64)| Some((room.parse::<RoomId>().ok()?, Seq(*seq)));
        let cursor = |(room, cursor): (&String, &Cursor)| Some((room.parse::<RoomId>().ok()?, cursor.held()));
        ConnectOptions {
            since: self.since.as_ref().map(|since| since.iter().filter_map(named).collect()),
            changes: self.changes.as_ref().map(|changes| changes.iter().filter_map(cursor).collect()),
            catch_up: self.catch_up.unwrap_or(true),
            ..ConnectOptions::default()
        }
    }

    pub fn receipts(&self) -> Result<ReceiptMode> {
        match self.receipts.as_deref() {
            None => Ok(ReceiptMode::Acknowledged),
            Some("batched") => Ok(ReceiptMode::Batched),
            Some(_) => Err(Error::invalid("receipts", "can only be \"batched\"")),
        }
    }
}
