//! `markRead` and `delivered`.

use std::collections::BTreeMap;

use entity::{RoomId, Seq};
use serde::{Deserialize, Serialize};

use super::{Addressed, group_id};
use crate::{
    error::{Error, Noun, Result},
    gateway::socketio::call::{Ack, ChatSocket, Request},
};

/// A seq as clients send it: never negative, never broken.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Up(Seq);

impl TryFrom<i64> for Up {
    type Error = &'static str;

    fn try_from(seq: i64) -> Result<Self, Self::Error> {
        if seq < 0 { Err("a seq cannot be negative") } else { Ok(Self(Seq(seq))) }
    }
}

#[derive(Deserialize)]
struct UpTo {
    seq: Up,
}

#[derive(Serialize)]
struct Standing {
    seq: Seq,
}

pub async fn mark_read(socket: &ChatSocket, request: Request<'_>, ack: Ack) {
    let read = async {
        let UpTo { seq } = request.decode()?;
        let place = request.decode::<Addressed>()?.place()?;
        socket.chat.mark_read(&socket.caller(), Some(&socket.connection), place, seq.0).await
    };
    match read.await {
        Ok(seq) => ack.succeed(Standing { seq }),
        Err(err) => ack.refuse(&err),
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

pub async fn delivered(socket: &ChatSocket, request: Request<'_>, ack: Ack) {
    let delivered = match request.decode::<Delivered>() {
        Ok(delivered) => delivered,
        Err(err) => return ack.refuse(&err),
    };
    match delivered {
        Delivered { rooms: Some(rooms), .. } => match many(socket, rooms).await {
            Ok(rooms) => ack.succeed(Standings { rooms }),
            Err(err) => ack.refuse(&err),
        },
        Delivered { room_id: Some(room), seq: Some(Up(seq)), .. } => match one(socket, &room, seq).await {
            Ok(seq) => ack.succeed(Standing { seq }),
            Err(err) => ack.refuse(&err),
        },
        _ => ack.refuse(&Error::invalid("roomId", "and seq are needed, or rooms")),
    }
}

async fn many(socket: &ChatSocket, rooms: BTreeMap<String, Up>) -> Result<BTreeMap<RoomId, Seq>> {
    let mut wanted = Vec::with_capacity(rooms.len());
    for (room, Up(seq)) in rooms {
        wanted.push((group_id(&room).map_err(|_| Error::NotFound(Noun::Room))?, seq));
    }
    let standings = socket.chat.delivered(&socket.caller(), Some(&socket.connection), wanted).await?;
    Ok(standings.into_iter().collect())
}

async fn one(socket: &ChatSocket, room: &str, seq: Seq) -> Result<Seq> {
    let room = room.parse().map_err(|_| Error::NotFound(Noun::Room))?;
    let standings =
        socket.chat.delivered(&socket.caller(), Some(&socket.connection), vec![(room, seq)]).await?;
    Ok(standings.first().map_or(Seq::ZERO, |(_, seq)| *seq))
}
