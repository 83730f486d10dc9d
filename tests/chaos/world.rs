//! The people, rooms and messages as everybody knows them.

use std::{net::SocketAddr, sync::atomic::AtomicUsize, time::Duration};

use entity::RoomId;
use serde_json::Value as Json;
use tokio::time::timeout;

use crate::{
    cursors::version_of,
    version::Line,
    wire::{Introduction, Kind, Wire},
};

/// Somebody with an account and a login.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: String,
    pub id: entity::UserId,
    pub token: String,
}

/// What everybody knows.
pub struct World {
    pub people: Vec<Person>,
    pub groups: Vec<RoomId>,
    /// Who has made each group.
    pub owners: Vec<usize>,
    /// Steps that all devices together have taken.
    pub steps: AtomicUsize,
}

impl World {
    /// Whether somebody moderates a room.
    pub fn moderates(&self, person: usize, room: RoomId) -> bool {
        self.groups.iter().zip(&self.owners).any(|(group, owner)| *group == room && *owner == person)
    }

    pub fn number_of(&self, username: &Json) -> Option<usize> {
        self.people.iter().position(|person| person.username == *username)
    }

    pub fn line_of(&self, message: &Json) -> Line {
        Line {
            seq: seq_of(message),
            id: message["messageId"].as_str().unwrap().parse().unwrap(),
            sender: self.number_of(&message["sender"]),
            client_message_id: message["clientMessageId"].as_str().map(ToOwned::to_owned),
            version: version_of(message),
        }
    }
}

pub fn room_of(message: &Json) -> RoomId {
    message["roomId"].as_str().unwrap().parse().unwrap()
}

pub fn seq_of(message: &Json) -> i64 {
    message["seq"].as_i64().unwrap()
}

/// Somebody who only takes up room: many connections at once that do nothing, and go without a word.
pub async fn crowd(address: SocketAddr, people: &[Person], connections: usize) {
    let opened = (0..connections).map(|number| {
        let token = people[number % people.len()].token.clone();
        tokio::spawn(async move {
            let kind = [Kind::WebSocket, Kind::Plain, Kind::Polling][number % 3];
            let introduction =
                Introduction { token: &token, since: None, changes: None, batched: false, catch_up: true };
            Wire::open(kind, address, &introduction).await
        })
    });
    let opened: Vec<_> = opened.collect();
    for wire in opened {
        // Refused or not, it has asked.
        drop(timeout(Duration::from_secs(10), wire).await);
    }
}
