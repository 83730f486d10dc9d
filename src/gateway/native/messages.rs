//! `privateMessage`, `groupMessage`, `lobbyMessage`, `history` and `getMessages`.

use entity::Seq;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    NativeAnswer, NativeCall,
    changes::{message_id, message_reply},
    group_id, place,
};
use crate::{
    chat::{Draft, HistoryQuery, Place},
    error::Result,
    gateway::{
        events::{Request, Socket},
        wire::{
            DraftFields, ENCRYPTED, HistoryView, MessageSchema, MessageView, TEXT,
            bounded::{ANSWER_BYTES, Bounded, Entries},
            draft_fields::{OPTIONAL, OPTIONAL_WITH_KIND, draft},
            forms::{AnyForm, Form, Forms, constant, exactly, text},
        },
    },
};

draft! {
    /// A message to a user.
    pub struct PrivateDraft {
        /// A username.
        receiver: String,
    }
}

draft! {
    /// A message to a group.
    pub struct GroupMessageDraft {
        /// A groupId.
        #[schema(format = Uuid)]
        receiver: String,
    }
}

draft! {
    /// A message to everyone.
    pub struct LobbyDraft {}
}

macro_rules! drafts {
    ($($draft:ident as $name:literal, $text:expr, $encrypted:expr;)+) => {$(
        impl Forms for $draft {
            const NAME: &'static str = $name;

            fn forms() -> Vec<Form> {
                vec![
                    Form::new($text, OPTIONAL_WITH_KIND).with("content", text()).with("kind", constant(TEXT)),
                    Form::new($encrypted, OPTIONAL).with("kind", constant(ENCRYPTED)),
                ]
            }
        }
    )+};
}

drafts! {
    PrivateDraft as "PrivateMessage", &["receiver", "content"], &["receiver", "content", "kind"];
    GroupMessageDraft as "GroupMessage", &["receiver", "content"], &["receiver", "content", "kind"];
    LobbyDraft as "LobbyMessage", &["content"], &["content", "kind"];
}

pub async fn private(
    call: NativeCall<'_, AnyForm<PrivateDraft>>,
    answer: NativeAnswer<MessageView<'static>>,
) {
    let ((receiver,), fields) = call.payload.0.parts();
    send(call.socket, Ok(Place::User(receiver)), fields, call.acknowledged, answer).await;
}

pub async fn group(
    call: NativeCall<'_, AnyForm<GroupMessageDraft>>,
    answer: NativeAnswer<MessageView<'static>>,
) {
    let ((receiver,), fields) = call.payload.0.parts();
    send(call.socket, group_id(&receiver).map(Place::Room), fields, call.acknowledged, answer).await;
}

pub async fn lobby(call: NativeCall<'_, AnyForm<LobbyDraft>>, answer: NativeAnswer<MessageView<'static>>) {
    let ((), fields) = call.payload.0.parts();
    send(call.socket, Ok(Place::Lobby), fields, call.acknowledged, answer).await;
}

/// The receiver alone, to look at before the event's turn.
#[derive(Deserialize)]
struct UserReceiver {
    receiver: String,
}

/// What the client has acknowledged in the room that a message is for.
pub fn acknowledged(socket: &Socket, request: &Request<'_>) -> Option<Seq> {
    let is_group = match request.event {
        "privateMessage" => false,
        "groupMessage" => true,
        _ => return None,
    };
    let UserReceiver { receiver } = request.decode().ok()?;
    let place = place(receiver, is_group).ok()?;
    Some(socket.chat.acknowledged(&socket.connection, &place))
}

async fn send(
    socket: &Socket,
    place: Result<Place>,
    fields: DraftFields,
    acknowledged: Option<Seq>,
    answer: NativeAnswer<MessageView<'static>>,
) {
    let limit = socket.chat.content_bytes();
    let (place, draft) = match place.and_then(|place| Ok((place, fields.draft(limit)?))) {
        Ok(wanted) => wanted,
        Err(err) => return answer.fail(&err),
    };
    let seen = acknowledged.unwrap_or_else(|| socket.chat.acknowledged(&socket.connection, &place));
    let draft = Draft { seen: Some(seen), ..draft };
    let reply = message_reply(answer);
    socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
}

/// Which messages to return. Without `before` and `after`, the newest.
#[derive(ToSchema)]
pub struct HistoryRequest {
    /// The lobby, and no receiver.
    lobby: bool,
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    /// Only messages before this seq. The newest of them are returned.
    #[schema(nullable = false)]
    before: Option<u32>,
    /// Only messages after this seq. The oldest of them are returned.
    #[schema(nullable = false)]
    after: Option<u32>,
    /// The message with this seq, with messages before and after it, and without `before` and `after`.
    #[schema(nullable = false)]
    around: Option<u32>,
    /// Only pinned messages.
    #[schema(nullable = false)]
    pinned: Option<bool>,
    /// The messageId of the root of a thread, or of a message in it: only the root and its replies.
    #[schema(nullable = false, format = Uuid)]
    thread: Option<String>,
    /// The most messages: 50 by default, at most 200.
    #[schema(nullable = false)]
    limit: Option<u32>,
    /// Whether the answer says up to which change it shows everything. A socket that passed `changes` is always told.
    #[schema(nullable = false)]
    changes: Option<bool>,
}

/// The fields that say which part of a history to return.
const PART: &[&str] = &["before", "after", "around", "pinned", "thread", "limit", "changes"];

impl Forms for HistoryRequest {
    const NAME: &'static str = "HistoryRequest";

    fn forms() -> Vec<Form> {
        vec![
            Form::new(&["receiver", "group"], PART),
            Form::new(&["lobby"], PART).with("lobby", exactly(true)),
        ]
    }
}

/// The fields as they come. In the lobby, nobody looks at the receiver.
#[derive(Deserialize)]
struct HistoryFields {
    #[serde(default)]
    lobby: bool,
    receiver: Option<Box<RawValue>>,
    group: Option<Box<RawValue>>,
    before: Option<u32>,
    after: Option<u32>,
    around: Option<u32>,
    pinned: Option<bool>,
    thread: Option<String>,
    limit: Option<u32>,
    changes: Option<bool>,
}

impl<'de> Deserialize<'de> for HistoryRequest {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let HistoryFields { lobby, receiver, group, before, after, around, pinned, thread, limit, changes } =
            HistoryFields::deserialize(input)?;
        let (receiver, group) = match lobby {
            true => (String::new(), false),
            false => (field("receiver", receiver)?, field("group", group)?),
        };
        Ok(Self { lobby, receiver, group, before, after, around, pinned, thread, limit, changes })
    }
}

fn field<T: de::DeserializeOwned, E: de::Error>(
    name: &'static str,
    json: Option<Box<RawValue>>,
) -> Result<T, E> {
    let json = json.ok_or_else(|| E::missing_field(name))?;
    serde_json::from_str(json.get()).map_err(E::custom)
}

pub async fn history(
    call: NativeCall<'_, AnyForm<HistoryRequest>>,
    answer: NativeAnswer<HistoryView<'static>>,
) {
    let AnyForm(HistoryRequest {
        lobby,
        receiver,
        group,
        before,
        after,
        around,
        pinned,
        thread,
        limit,
        changes,
    }) = call.payload;
    let read = async {
        let place = if lobby { Place::Lobby } else { place(receiver, group)? };
        let seq = |seq: Option<u32>| seq.map(|seq| Seq(seq.into()));
        let query = HistoryQuery {
            before: seq(before),
            after: seq(after),
            around: seq(around),
            pinned: pinned.unwrap_or(false),
            thread: thread.as_deref().map(message_id).transpose()?,
            limit: limit.map(Into::into),
            changes: changes.unwrap_or(false) || call.socket.connection.replays_changes(),
        };
        call.socket.chat.history(&call.socket.caller(), place, query).await
    };
    match read.await {
        Ok(page) => answer.succeed(HistoryView::of(&page)),
        Err(err) => answer.fail(&err),
    }
}

/// Messages by their ids.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetMessages {
    /// At most 100.
    message_ids: Vec<String>,
}

/// Messages, in the order in which they were asked for.
pub type MessageList = Entries<MessageSchema>;

pub async fn get(call: NativeCall<'_, GetMessages>, answer: NativeAnswer<MessageList>) {
    let read = async {
        // Text that is not an id names no message.
        let ids = call.payload.message_ids.iter().filter_map(|id| message_id(id).ok()).collect();
        let messages = call.socket.chat.messages(&call.socket.caller(), ids).await?;
        Bounded::of(ANSWER_BYTES, messages.iter().map(MessageView::of))
    };
    answer.give(read.await.map(Entries::from));
}
