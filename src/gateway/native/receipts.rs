//! `markRead` and `delivered`, and the acknowledgement of a `response`.

use std::collections::BTreeMap;

use entity::{RoomId, Seq};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Addressed, Answer, group_id};
use crate::{
    error::{Entity, Error, Result},
    gateway::events::{Ack, Request, Socket},
};

/// A seq as clients send it: a whole number, never negative.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Up(Seq);

impl TryFrom<i64> for Up {
    type Error = &'static str;

    fn try_from(seq: i64) -> Result<Self, Self::Error> {
        if seq < 0 { Err("a seq cannot be negative") } else { Ok(Self(Seq(seq))) }
    }
}

/// The client's acknowledgement of a `response`.
#[derive(Default, Deserialize)]
pub struct Acknowledgement {
    success: Option<bool>,
}

impl Acknowledgement {
    pub fn of(answer: Json) -> Self {
        serde_json::from_value(answer).unwrap_or_default()
    }

    /// Whether the message has arrived. This is true for every answer except `success: false`, even for an
    /// answer that has not the form of an acknowledgement: an answer proves that the client has received the
    /// message.
    pub fn says_arrived(&self) -> bool {
        self.success != Some(false)
    }
}

#[derive(Deserialize)]
struct UpTo {
    seq: Up,
}

#[derive(Serialize)]
struct ReadUpTo {
    seq: Seq,
}

pub async fn mark_read(socket: &Socket, request: Request<'_>, ack: Ack) {
    let read = async {
        let UpTo { seq } = request.decode()?;
        let place = request.decode::<Addressed>()?.place()?;
        socket.chat.mark_read(&socket.caller(), Some(&socket.connection), place, seq.0).await
    };
    match read.await {
        Ok(seq) => ack.succeed(ReadUpTo { seq }),
        Err(err) => ack.fail(&err),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    room_id: Option<String>,
    seq: Option<Up>,
    rooms: Option<BTreeMap<String, Up>>,
}

#[derive(Serialize)]
struct Standings {
    rooms: BTreeMap<RoomId, Seq>,
}

pub async fn delivered(socket: &Socket, request: Request<'_>, ack: Ack) {
    let delivered = match request.decode::<Delivered>() {
        Ok(delivered) => delivered,
        Err(err) => return ack.fail(&err),
    };
    match delivered {
        Delivered { rooms: Some(rooms), .. } => match many(socket, rooms).await {
            Ok(rooms) => ack.succeed(Standings { rooms }),
            Err(err) => ack.fail(&err),
        },
        Delivered { room_id: Some(room), seq: Some(Up(seq)), .. } => match one(socket, &room, seq).await {
            Ok(seq) => ack.succeed(ReadUpTo { seq }),
            Err(err) => ack.fail(&err),
        },
        _ => ack.fail(&Error::invalid("roomId", "and seq are needed, or rooms")),
    }
}

async fn many(socket: &Socket, rooms: BTreeMap<String, Up>) -> Result<BTreeMap<RoomId, Seq>> {
    let mut wanted = Vec::with_capacity(rooms.len());
    for (room, Up(seq)) in rooms {
        wanted.push((group_id(&room).map_err(|_| Error::NotFound(Entity::Room))?, seq));
    }
    let standings = socket.chat.delivered(&socket.caller(), Some(&socket.connection), wanted).await?;
    Ok(standings.into_iter().collect())
}

async fn one(socket: &Socket, room: &str, seq: Seq) -> Result<Seq> {
    let room = room.parse().map_err(|_| Error::NotFound(Entity::Room))?;
    let standings =
        socket.chat.delivered(&socket.caller(), Some(&socket.connection), vec![(room, seq)]).await?;
    Ok(standings.first().map_or(Seq::ZERO, |(_, seq)| *seq))
}
