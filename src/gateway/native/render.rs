//! The core's events in the form of docs/events.md, server to client.

use serde_json::value::{RawValue, to_raw_value};

use super::notices::{
    DELIVERED_TO_ALL, DISPLACED, GroupListChange, GroupNotice, LOBBY, LastWords, MEMBER_CHANGED,
    MEMBER_JOINED, MEMBER_LEFT, MESSAGE_CHANGED, MESSAGE_READ, MemberChangedView, MembershipView,
    MessageNotice, MessageRead, NEW_GROUP, ONLINE_STATUS, OnlineStatus, RESPONSE, ROOM_CHANGED,
    ROOMS_CHANGED, RoomsChanged, SYNCED, Synced, SyncedUpTo, TOKEN_EXPIRED, TOKEN_EXPIRING, TYPING,
    TokenExpiring, TypingView,
};
use crate::{
    chat::{
        event::{Change, Event},
        model::{Receiver, SyncedRoom},
    },
    gateway::{
        events::{Named, Response},
        wire::{GroupView, MessageChangedView, MessageView, RoleName, RoomChangedView, Time},
    },
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

/// See the module.
pub fn render(event: &Event) -> Rendered {
    match event {
        Event::Message(message) => {
            let is_lobby = matches!(message.receiver, Receiver::Lobby(_));
            let notice = MessageNotice { response: MessageView::of(message) };
            Rendered { is_response: !is_lobby, ..named(if is_lobby { LOBBY } else { RESPONSE }, &notice) }
        }
        Event::DeliveredToAll(message) => {
            named(DELIVERED_TO_ALL, &MessageNotice { response: MessageView::of(message) })
        }
        Event::MessageChanged(change) => named(MESSAGE_CHANGED, &MessageChangedView::of(change)),
        Event::Synced(rooms) => {
            let of = |room: &SyncedRoom| {
                let SyncedRoom { room, seq, change, reset } = *room;
                (room.to_string(), SyncedUpTo { seq, change, reset })
            };
            named(SYNCED, &Synced { rooms: rooms.iter().map(of).collect() })
        }
        Event::Read { room, receiver, username, seq } => {
            let (receiver, group) = addressee(receiver);
            named(MESSAGE_READ, &MessageRead { room_id: *room, receiver, group, username, seq: *seq })
        }
        Event::RoomChanged { room, set } => named(ROOM_CHANGED, &RoomChangedView::of(*room, set)),
        Event::Presence(presence) => named(
            ONLINE_STATUS,
            &OnlineStatus {
                username: &presence.username,
                online: presence.online,
                last_seen: Time(presence.last_seen),
            },
        ),
        Event::NewGroup(group) => named(NEW_GROUP, &GroupNotice { response: GroupView::of(group) }),
        Event::RoomsChanged { group, change } => named(
            ROOMS_CHANGED,
            &RoomsChanged {
                response: GroupView::of(group),
                change: match change {
                    Change::Created => GroupListChange::Created,
                    Change::Updated => GroupListChange::Updated,
                    Change::Deleted => GroupListChange::Deleted,
                },
            },
        ),
        Event::MemberJoined { group, username } => {
            named(MEMBER_JOINED, &MembershipView { group_id: *group, username })
        }
        Event::MemberLeft { group, username } => {
            named(MEMBER_LEFT, &MembershipView { group_id: *group, username })
        }
        Event::MemberChanged { group, username, role } => named(
            MEMBER_CHANGED,
            &MemberChangedView { group_id: *group, username, role: RoleName::of(*role) },
        ),
        Event::Typing { sender, receiver, typing } => {
            let (receiver, group) = addressee(receiver);
            Rendered {
                is_lossy: true,
                ..named(TYPING, &TypingView { sender, receiver, group, typing: *typing })
            }
        }
        Event::TokenExpiring { expires_at } => {
            named(TOKEN_EXPIRING, &TokenExpiring { expires_at: Time(*expires_at) })
        }
        Event::TokenExpired { reason } => named(TOKEN_EXPIRED, &LastWords { response: reason }),
        Event::Displaced { reason } => named(DISPLACED, &LastWords { response: reason }),
    }
}

fn named<P: Response>(event: Named<P>, payload: &P::View<'_>) -> Rendered {
    let payload = to_raw_value(payload).unwrap_or_else(|err| {
        // Strings, numbers, and JSON that was checked when it was received: this cannot fail.
        tracing::error!(error = %err, event = event.name, "could not render an event");
        RawValue::NULL.to_owned()
    });
    Rendered { name: event.name, payload, is_response: false, is_lossy: false }
}

fn addressee(receiver: &Receiver) -> (String, bool) {
    match receiver {
        Receiver::User(username) => (username.to_string(), false),
        Receiver::Group(room) | Receiver::Lobby(room) => (room.to_string(), true),
    }
}
