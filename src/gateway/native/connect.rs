//! The connect parameters of a native client, besides its credential. On Socket.IO they are fields of `auth`.
//! On a plain WebSocket they are query parameters.

use std::collections::HashMap;

use entity::{RoomId, Seq};
use serde::Deserialize;

use crate::{
    chat::connections::connection::ConnectOptions,
    error::{Error, Result},
};

/// How a client confirms that messages have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptMode {
    /// The client acknowledges each `response`.
    Acknowledged,
    /// The client sends `delivered` whenever it chooses.
    Batched,
}

/// See the module.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectParameters {
    since: Option<HashMap<String, i64>>,
    catch_up: Option<bool>,
    receipts: Option<String>,
}

impl ConnectParameters {
    pub fn options(&self) -> ConnectOptions {
        let since = self.since.iter().flatten();
        ConnectOptions {
            // An id of no room is ignored like a room of which the user is not a member: neither has anything
            // to send.
            since: since.filter_map(|(room, seq)| Some((room.parse::<RoomId>().ok()?, Seq(*seq)))).collect(),
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
