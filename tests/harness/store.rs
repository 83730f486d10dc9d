//! What a device keeps of one room: the messages, and up to which change it has everything.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Person, Socket};

/// It is moved by `messageChanged` and `synced` alone.
#[derive(Default)]
pub struct Store {
    pub messages: BTreeMap<i64, Json>,
    pub change: i64,
}

impl Store {
    /// Takes everything that a socket has received in a room so far.
    pub fn take(&mut self, socket: &Socket, room: &str) {
        for told in socket.all("response") {
            let message = &told["response"];
            if message["roomId"] == room {
                self.messages.insert(message["seq"].as_i64().unwrap(), message.clone());
            }
        }
        for changed in socket.all("messageChanged") {
            if changed["roomId"] != room {
                continue;
            }
            let number = changed["change"].as_i64().unwrap();
            let message = self.messages.get_mut(&changed["seq"].as_i64().unwrap());
            if let Some(message) = message.filter(|it| number > it["change"].as_i64().unwrap_or(0)) {
                let fields = changed["set"].as_object().unwrap();
                message.as_object_mut().unwrap().extend(fields.clone());
                message["change"] = number.into();
            }
            self.change = self.change.max(number);
        }
        for synced in socket.all("synced") {
            if let Some(change) = synced["rooms"][room]["change"].as_i64() {
                self.change = self.change.max(change);
            }
        }
    }

    /// What the device passes when it connects.
    pub fn auth(&self, room: &str) -> Json {
        let seq = self.messages.keys().last().copied().unwrap_or(0);
        json!({ "since": { room: seq }, "changes": { room: self.change } })
    }

    /// Connects with what the device has, and returns what `synced` says of the room.
    pub async fn reconnects(&self, person: &Person, room: &str) -> (Socket, Json) {
        let socket = person.connect_with(self.auth(room)).await;
        let synced = socket.sees_any("synced").await;
        (socket, synced["rooms"][room].clone())
    }

    /// The contents, in the order of seq.
    pub fn contents(&self) -> Vec<String> {
        self.messages.values().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }

    /// Checks that everything that can change is as `history` says.
    #[track_caller]
    pub fn is_as(&self, history: &[Json]) {
        assert_eq!(self.messages.len(), history.len());
        for (mine, theirs) in self.messages.values().zip(history) {
            for field in [
                "seq",
                "content",
                "edits",
                "editedAt",
                "deletedAt",
                "deletedBy",
                "replyTo",
                "clientMessageId",
                "reactions",
                "pinnedAt",
                "pinnedBy",
                "change",
            ] {
                assert_eq!(mine[field], theirs[field], "{field} of {mine}");
            }
        }
    }
}
