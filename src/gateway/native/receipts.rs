//! `markRead` and `delivered`, and the acknowledgement of a `response`.

use std::collections::BTreeMap;

use entity::{RoomId, Seq};
use serde::{Deserialize, Serialize, de};
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall, changes::message_id, group_id, place};
use crate::{
    chat::ReadThreads,
    error::{Entity, Error, Result},
    gateway::{
        events::{Response, Socket, owned_responses},
        wire::forms::{AnyForm, Form, Forms},
    },
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
#[derive(Default, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// `false`: it has not arrived.
    #[schema(value_type = bool)]
    success: Option<bool>,
    /// The client's own username. The server does not read it.
    #[serde(rename = "receiver")]
    #[schema(value_type = Option<String>, nullable = false)]
    _receiver: Option<de::IgnoredAny>,
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

/// How far a conversation was read.
#[derive(Deserialize, ToSchema)]
pub struct MarkRead {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    #[schema(value_type = i64, minimum = 0)]
    seq: Up,
    /// The root of a thread, or a message in it: its replies were read, and not the room.
    #[schema(nullable = false, format = Uuid)]
    thread: Option<String>,
    /// The replies of all threads were read that one follows, and not the room.
    #[schema(nullable = false)]
    threads: Option<bool>,
}

/// The current receipt of a room.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReadUpTo {
    #[schema(value_type = i64, minimum = 0)]
    seq: Seq,
}

owned_responses!(ReadUpTo);

pub async fn mark_read(call: NativeCall<'_, MarkRead>, answer: NativeAnswer<ReadUpTo>) {
    let MarkRead { receiver, group, seq, thread, threads } = call.payload;
    let socket = call.socket;
    let caller = socket.caller();
    let read = async {
        let place = place(receiver, group)?;
        let threads = match (thread, threads) {
            (Some(thread), _) => ReadThreads::One(message_id(&thread)?),
            (None, Some(true)) => ReadThreads::All,
            (None, _) => {
                return socket.chat.mark_read(&caller, Some(&socket.connection), place, seq.0).await;
            }
        };
        socket.chat.mark_threads_read(&caller, place, threads, seq.0).await
    };
    answer.give(read.await.map(|seq| ReadUpTo { seq }));
}

/// What has arrived: in one room, or in several.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    #[schema(nullable = false, format = Uuid)]
    room_id: Option<String>,
    #[schema(value_type = Option<i64>, nullable = false, minimum = 0)]
    seq: Option<Up>,
    /// Of each room, by its roomId, the seq.
    #[schema(value_type = Option<BTreeMap<String, i64>>, nullable = false)]
    rooms: Option<BTreeMap<String, Up>>,
}

impl Forms for Delivered {
    const NAME: &'static str = "Delivered";

    fn forms() -> Vec<Form> {
        vec![Form::new(&["roomId", "seq"], &[]), Form::new(&["rooms"], &[])]
    }
}

/// The current receipts: of the one room, or of the several rooms that were named.
#[derive(Serialize, ToSchema)]
pub struct DeliveredUpTo {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, minimum = 0)]
    seq: Option<Seq>,
    /// Of each room, by its roomId, the seq.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, i64>>, nullable = false)]
    rooms: Option<BTreeMap<RoomId, Seq>>,
}

impl Forms for DeliveredUpTo {
    const NAME: &'static str = "DeliveredReceipts";

    fn forms() -> Vec<Form> {
        vec![Form::new(&["seq"], &[]), Form::new(&["rooms"], &[])]
    }
}

impl Response for DeliveredUpTo {
    type View<'a> = Self;
    type Schema = AnyForm<Self>;
}

pub async fn delivered(call: NativeCall<'_, AnyForm<Delivered>>, answer: NativeAnswer<DeliveredUpTo>) {
    let AnyForm(delivered) = call.payload;
    answer.give(match delivered {
        Delivered { rooms: Some(rooms), .. } => {
            let receipts = many(call.socket, rooms).await;
            receipts.map(|rooms| DeliveredUpTo { seq: None, rooms: Some(rooms) })
        }
        Delivered { room_id: Some(room), seq: Some(Up(seq)), .. } => {
            let receipt = one(call.socket, &room, seq).await;
            receipt.map(|seq| DeliveredUpTo { seq: Some(seq), rooms: None })
        }
        _ => Err(Error::invalid("roomId", "and seq are needed, or rooms")),
    });
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
