//! What a client may request when it connects, and what is known of it.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, RoomId, Seq, UserId};

/// What a client may request when it connects (docs/events.md, `auth`).
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Per room: the seq up to which the client has everything. `None` if the client does not say.
    pub since: Option<Vec<(RoomId, Seq)>>,
    /// Per room: up to which change of its messages the client has everything. `None` if the client does not replay
    /// changes.
    pub changes: Option<Vec<(RoomId, DeviceCursor)>>,
    /// Whether the client is told what else has changed while it was away; see [`super::news`].
    pub wants_news: bool,
    /// Whether the server sends missed messages first.
    pub catch_up: bool,
}

impl ConnectOptions {
    /// For gateways that send no missed messages.
    pub fn live_only() -> Self {
        Self { catch_up: false, wants_news: false, ..Self::default() }
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { since: None, changes: None, wants_news: true, catch_up: true }
    }
}

/// What a device has of a room's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCursor {
    /// It has everything up to this change.
    pub change: ChangeNumber,
    /// The oldest message that it holds.
    pub from: Seq,
}

/// Where a user is typing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chat) enum TypingPlace {
    Group(RoomId),
    /// To this user, with this name. They may have no room yet.
    User(UserId, Arc<str>),
}

/// What is known of a client that wants the news; see [`super::news`].
pub(in crate::chat) struct News {
    /// The rooms that it names. `None` if it names none because it does not say what it has.
    pub named: Option<HashSet<RoomId>>,
    /// When the user's last connection went.
    pub went_at: Option<DateTime<Utc>>,
}
