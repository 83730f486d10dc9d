//! What a native client may ask for when it connects, besides showing who it is: the fields of `auth` on
//! Socket.IO, parameters of the query on a plain WebSocket.

use std::collections::HashMap;

use entity::{RoomId, Seq};
use serde::Deserialize;

use crate::{
    chat::connection::ConnectOptions,
    error::{Error, Result},
};

/// How a client says that messages have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// It acknowledges each `response`.
    Acknowledged,
    /// It sends `delivered` when it likes.
    Batched,
}

/// See the module.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wishes {
    since: Option<HashMap<String, i64>>,
    catch_up: Option<bool>,
    receipts: Option<String>,
}

impl Wishes {
    pub fn options(&self) -> ConnectOptions {
        let since = self.since.iter().flatten();
        ConnectOptions {
            // A room that does not exist is one that the user is not in; neither has anything to send.
            since: since.filter_map(|(room, seq)| Some((room.parse::<RoomId>().ok()?, Seq(*seq)))).collect(),
            catch_up: self.catch_up.unwrap_or(true),
            ..ConnectOptions::default()
        }
    }

    pub fn receipts(&self) -> Result<Receipts> {
        match self.receipts.as_deref() {
            None => Ok(Receipts::Acknowledged),
            Some("batched") => Ok(Receipts::Batched),
            Some(_) => Err(Error::invalid("receipts", "can only be \"batched\"")),
        }
    }
}
