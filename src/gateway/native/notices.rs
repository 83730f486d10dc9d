//! The events that native clients receive: the one declaration of their names and payloads. The doc comments stand
//! in docs/events.md and in the other documents of the contract.

use std::collections::BTreeMap;

use entity::{ChangeNumber, RoomId, Seq};
use serde::Serialize;
use utoipa::ToSchema;

use super::receipts::Acknowledgement;
use crate::gateway::{
    events::{borrowed_responses, owned_responses, server_events},
    wire::{GroupView, MessageChangedView, MessageSchema, MessageView, RoleName, RoomChangedView, Time},
};

server_events! {
    /// every socket of every member, the sender's too, in seq order per room
    RESPONSE = "response": MessageNotice<'static> => Acknowledgement;
    /// all users who are online; the lobby keeps no receipts
    LOBBY = "lobby": MessageNotice<'static>;
    /// every socket of every member, when a message was changed, in `change` order per room, and never before the message;
    /// after an absence, each changed message once
    MESSAGE_CHANGED = "messageChanged": MessageChangedView<'static>;
    /// a socket that passed `changes`, when it has everything: once for all rooms, later for one
    SYNCED = "synced": Synced;
    /// the sender, once, when the last member has received it, however much later; `deliveredToAll` is `true`
    DELIVERED_TO_ALL = "updateDeliveryStatusOnConnection": MessageNotice<'static>;
    /// the other members, and the reader's own other sockets; also after they were away
    MESSAGE_READ = "messageRead": MessageRead<'static>;
    /// the user's own other sockets, when something differs in one of the user's rooms: after `setRoom`, when the user
    /// has read on, and when a deletion or an edit changes what is unread
    ROOM_CHANGED = "roomChanged": RoomChangedView<'static>;
    /// all other users while at most 1,000 are online; above that, users who share a room. If many connect at once,
    /// the events come together, up to 50 ms later
    ONLINE_STATUS = "onlineStatus": OnlineStatus<'static>;
    /// the members of a new group; a user added to one
    NEW_GROUP = "newgrp": GroupNotice<'static>;
    /// all users, at a limited rate; `change` is `"created"`, `"updated"` or `"deleted"`. A single change at once; changes within `limits.list_interval` (500 ms) after it
    /// together, each group once in its newest state
    ROOMS_CHANGED = "roomsChanged": RoomsChanged<'static>;
    /// the members
    MEMBER_JOINED = "memberJoined": MembershipView<'static>;
    /// the members, and the user who leaves
    MEMBER_LEFT = "memberLeft": MembershipView<'static>;
    /// the members, when one of them has another role: also the new owner when the owner has left
    MEMBER_CHANGED = "memberChanged": MemberChangedView<'static>;
    /// the other members of a group or a direct room, not of the lobby; may be dropped. `false` is also sent when the
    /// socket goes that has said `true`, unless the user is typing there on another one
    TYPING = "typing": TypingView<'static>;
    /// 60 s before the token ends
    TOKEN_EXPIRING = "token-expiring": TokenExpiring;
    /// at the token's end; at once after a logout or a deletion. Then the socket is disconnected
    TOKEN_EXPIRED = "token-expired": LastWords<'static>;
    /// a socket of a user with too many connections, when a newer one needs its place. Then the socket leaves the
    /// namespace
    DISPLACED = "displaced": LastWords<'static>;
}

/// A message.
#[derive(Serialize, ToSchema)]
pub struct MessageNotice<'a> {
    #[schema(value_type = MessageSchema)]
    pub response: MessageView<'a>,
}

/// What this socket has now, by roomId.
#[derive(Serialize, ToSchema)]
pub struct Synced {
    #[schema(value_type = BTreeMap<String, SyncedUpTo>)]
    pub rooms: BTreeMap<String, SyncedUpTo>,
}

/// What this socket has of a room.
#[derive(Serialize, ToSchema)]
pub struct SyncedUpTo {
    #[schema(value_type = i64, minimum = 0)]
    pub seq: Seq,
    #[schema(value_type = i64, minimum = 0)]
    pub change: ChangeNumber,
    /// Too much has changed, or the numbers were not this server's: forget what you hold of this room, and read
    /// `history`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
}

/// A group.
#[derive(Serialize, ToSchema)]
pub struct GroupNotice<'a> {
    #[schema(value_type = GroupView)]
    pub response: GroupView<'a>,
}

/// A change in the list of groups.
#[derive(Serialize, ToSchema)]
pub struct RoomsChanged<'a> {
    #[schema(value_type = GroupView)]
    pub response: GroupView<'a>,
    pub change: GroupListChange,
}

/// What has happened to a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = GroupChange)]
pub enum GroupListChange {
    Created,
    Updated,
    Deleted,
}

/// A member has read a room up to `seq`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageRead<'a> {
    #[schema(value_type = String, format = Uuid)]
    pub room_id: RoomId,
    /// A username for a direct room, the groupId for a group.
    pub receiver: String,
    pub group: bool,
    /// Who has read.
    pub username: &'a str,
    #[schema(value_type = i64, minimum = 0)]
    pub seq: Seq,
}

/// A user went online or offline.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnlineStatus<'a> {
    pub username: &'a str,
    pub online: bool,
    pub last_seen: Time,
}

/// A user and a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Membership)]
pub struct MembershipView<'a> {
    #[schema(value_type = String, format = Uuid)]
    pub group_id: RoomId,
    pub username: &'a str,
}

/// A member of a group, with the role that the member has now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MemberChanged)]
pub struct MemberChangedView<'a> {
    #[schema(value_type = String, format = Uuid)]
    pub group_id: RoomId,
    pub username: &'a str,
    pub role: RoleName,
}

/// A user is typing, or no longer.
#[derive(Serialize, ToSchema)]
#[schema(as = TypingNotice)]
pub struct TypingView<'a> {
    pub sender: &'a str,
    /// A username for a direct room, the groupId for a group.
    pub receiver: String,
    pub group: bool,
    pub typing: bool,
}

/// When the token of this socket ends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenExpiring {
    pub expires_at: Time,
}

/// Why this socket ends.
#[derive(Serialize, ToSchema)]
pub struct LastWords<'a> {
    /// A sentence for people. It may change.
    pub response: &'a str,
}

borrowed_responses!(
    MessageNotice as MessageNotice<'static>,
    MessageChangedView as MessageChangedView<'static>,
    GroupNotice as GroupNotice<'static>,
    RoomChangedView as RoomChangedView<'static>,
    RoomsChanged as RoomsChanged<'static>,
    MessageRead as MessageRead<'static>,
    OnlineStatus as OnlineStatus<'static>,
    MemberChangedView as MemberChangedView<'static>,
    MembershipView as MembershipView<'static>,
    TypingView as TypingView<'static>,
    LastWords as LastWords<'static>,
);
owned_responses!(Synced, TokenExpiring);
