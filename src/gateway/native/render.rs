//! The core's events in the form of docs/events.md, server to client.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    chat::{
        event::{Change, Event},
        model::Receiver,
    },
    gateway::wire::{GroupView, MessageView, Time},
};

/// An event's name on the wire and its payload, encoded once for all clients that receive it.
pub struct Rendered {
    pub name: &'static str,
    pub payload: Box<RawValue>,
    /// Whether the client is asked to acknowledge it.
    pub is_response: bool,
    /// Whether it may be dropped.
    pub is_lossy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<T> {
    response: T,
}

#[derive(Serialize)]
struct RoomsChanged<'a> {
    response: GroupView<'a>,
    change: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageRead<'a> {
    room_id: String,
    receiver: String,
    group: bool,
    username: &'a str,
    seq: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnlineStatus<'a> {
    username: &'a str,
    online: bool,
    last_seen: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MembershipView<'a> {
    group_id: String,
    username: &'a str,
}

#[derive(Serialize)]
struct TypingView<'a> {
    sender: &'a str,
    receiver: String,
    group: bool,
    typing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenExpiring {
    expires_at: Time,
}

/// See the module.
pub fn render(event: &Event) -> Rendered {
    match event {
        Event::Message(message) => {
            let is_lobby = matches!(message.receiver, Receiver::Lobby(_));
            Rendered {
                is_response: !is_lobby,
                ..named(
                    if is_lobby { "lobby" } else { "response" },
                    &Response { response: MessageView::of(message) },
                )
            }
        }
        Event::DeliveredToAll(message) => {
            named("updateDeliveryStatusOnConnection", &Response { response: MessageView::of(message) })
        }
        Event::Read { room, receiver, username, seq } => {
            let (receiver, group) = addressee(receiver);
            named(
                "messageRead",
                &MessageRead { room_id: room.to_string(), receiver, group, username, seq: seq.0 },
            )
        }
        Event::Presence(presence) => named(
            "onlineStatus",
            &OnlineStatus {
                username: &presence.username,
                online: presence.online,
                last_seen: Time(presence.last_seen),
            },
        ),
        Event::NewGroup(group) => named("newgrp", &Response { response: GroupView::of(group) }),
        Event::RoomsChanged { group, change } => named(
            "roomsChanged",
            &RoomsChanged {
                response: GroupView::of(group),
                change: match change {
                    Change::Created => "created",
                    Change::Updated => "updated",
                    Change::Deleted => "deleted",
                },
            },
        ),
        Event::MemberJoined { group, username } => {
            named("memberJoined", &MembershipView { group_id: group.to_string(), username })
        }
        Event::MemberLeft { group, username } => {
            named("memberLeft", &MembershipView { group_id: group.to_string(), username })
        }
        Event::Typing { sender, receiver, typing } => {
            let (receiver, group) = addressee(receiver);
            Rendered {
                is_lossy: true,
                ..named("typing", &TypingView { sender, receiver, group, typing: *typing })
            }
        }
        Event::TokenExpiring { expires_at } => {
            named("token-expiring", &TokenExpiring { expires_at: Time(*expires_at) })
        }
        Event::TokenExpired { reason } => named("token-expired", &Response { response: reason }),
    }
}

fn named(name: &'static str, payload: &impl Serialize) -> Rendered {
    let payload = to_raw_value(payload).unwrap_or_else(|err| {
        // Strings, numbers, and JSON that was checked when it was received: this cannot fail.
        tracing::error!(error = %err, event = name, "could not render an event");
        RawValue::NULL.to_owned()
    });
    Rendered { name, payload, is_response: false, is_lossy: false }
}

fn addressee(receiver: &Receiver) -> (String, bool) {
    match receiver {
        Receiver::User(username) => (username.to_string(), false),
        Receiver::Group(room) | Receiver::Lobby(room) => (room.to_string(), true),
    }
}
