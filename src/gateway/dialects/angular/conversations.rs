//! What the app shows after the sign-in: users and groups, messages, and a new group. Messages are sent over
//! the socket.

use std::collections::HashSet;

use axum::{extract::State, response::Response};
use entity::RoomId;
use serde::{Deserialize, Serialize};

use super::people::{self, is_own};
use crate::{
    chat::{
        ListRooms, NewGroup, Place,
        model::{Conversation, ConversationKind, User},
    },
    error::{Entity, Error, Forbidden, Result},
    gateway::{
        http::{
            Http, answer,
            extract::{Json, PathParameter, QueryParameters},
        },
        wire::{
            GroupView, MessageView, UserRef, UserView,
            bounded::{ANSWER_BYTES, Bounded, ENTRIES},
        },
    },
    identity::Caller,
    values::GroupName,
};

#[derive(Serialize)]
struct Overview {
    users: Bounded,
    groups: Bounded,
}

/// The most bytes of each of the two arrays.
const HALF: usize = ANSWER_BYTES / 2;

/// All users, including the caller, because a user may write to themself; and the caller's groups. Both
/// arrays begin with the most recent conversations, because each array ends before it exceeds its half of the
/// answer.
pub async fn all(
    State(http): State<Http>,
    caller: Caller,
    PathParameter(username): PathParameter<String>,
) -> Result<Response> {
    if !is_own(&caller, &username) {
        return Err(Error::Forbidden(Forbidden::NotYours));
    }
    let mut users = Bounded::default();
    let mut recent = HashSet::new();
    let part = |limit, next: Option<String>| {
        http.chat.conversations(&caller, ListRooms::part(limit, next, None).with_users())
    };
    let push = |groups: &mut Bounded, conversation: &Conversation| match &conversation.kind {
        ConversationKind::Group(group) => groups.push(HALF, GroupView::of(group)),
        ConversationKind::Direct { peer } if peer.row.deleted_at.is_none() => {
            recent.insert(peer.row.id);
            users.push(HALF, UserView::of(peer, &caller)).map(|_| true)
        }
        ConversationKind::Direct { .. } => Ok(true),
    };
    let groups = Bounded::default().gather(ENTRIES, part, push).await?;
    let push = |users: &mut Bounded, user: &User| {
        if recent.contains(&user.row.id) { Ok(true) } else { users.push(HALF, UserView::of(user, &caller)) }
    };
    let users = people::everyone(&http.chat, &caller, users, push).await?;
    answer::ok(Overview { users, groups })
}

#[derive(Deserialize)]
pub struct Which {
    group: YesOrNo,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum YesOrNo {
    Yes,
    No,
}

/// The messages between two users, or in a group, oldest first.
pub async fn messages(
    State(http): State<Http>,
    caller: Caller,
    PathParameter((sender, receiver)): PathParameter<(String, String)>,
    QueryParameters(Which { group }): QueryParameters<Which>,
) -> Result<Response> {
    let place = place(&caller, sender, receiver, group)?;
    let messages = http.chat.newest(&caller, place).await?;
    answer::ok(Bounded::newest(ANSWER_BYTES, messages.iter().rev().map(MessageView::of))?)
}

/// The caller must be the sender, or one of the two users: both users see the same conversation.
fn place(caller: &Caller, sender: String, receiver: String, group: YesOrNo) -> Result<Place> {
    match group {
        YesOrNo::Yes if is_own(caller, &sender) => {
            receiver.parse::<RoomId>().map(Place::Room).map_err(|_| Error::NotFound(Entity::Group))
        }
        YesOrNo::No if is_own(caller, &sender) => Ok(Place::User(receiver)),
        YesOrNo::No if is_own(caller, &receiver) => Ok(Place::User(sender)),
        _ => Err(Error::Forbidden(Forbidden::NotYours)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebGroup {
    group_name: String,
    users: Vec<UserRef>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    new_group: GroupView<'a>,
}

/// Creates a group of the caller with these users. The core notifies the members.
pub async fn create_group(
    State(http): State<Http>,
    caller: Caller,
    Json(draft): Json<WebGroup>,
) -> Result<Response> {
    let name = GroupName::parse(&draft.group_name)?;
    let new = NewGroup { name, users: UserRef::usernames(draft.users), password: None };
    let group = http.chat.create_group(&caller, None, new).await?;
    answer::ok(Made { new_group: GroupView::of(&group) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_read_from_either_end_and_a_group_by_its_sender() {
        const GROUP: &str = "0190a000-0000-7000-8000-000000000000";
        let ada = Caller { username: "Ada".into(), is_admin: false, ..Caller::operator() };
        for (sender, receiver, group, expected) in [
            ("Ada", "bob", YesOrNo::No, "bob"),
            ("ADA", "bob", YesOrNo::No, "bob"),
            ("bob", "ada", YesOrNo::No, "bob"),
            ("ada", "Ada", YesOrNo::No, "Ada"),
            ("ada", GROUP, YesOrNo::Yes, GROUP),
            // A username may look like a group's id.
            ("ada", GROUP, YesOrNo::No, GROUP),
            ("ada", "bob", YesOrNo::Yes, "not_found"),
            ("bob", "cyd", YesOrNo::No, "forbidden"),
            ("bob", GROUP, YesOrNo::Yes, "forbidden"),
            (GROUP, "ada", YesOrNo::Yes, "forbidden"),
        ] {
            let found = match place(&ada, sender.to_owned(), receiver.to_owned(), group) {
                Ok(Place::User(username)) => username,
                Ok(Place::Room(id)) => id.to_string(),
                Ok(Place::Lobby) => panic!("nobody asked for the lobby"),
                Err(err) => err.code().to_owned(),
            };
            assert_eq!(found, expected, "{sender} to {receiver}, group {group:?}");
        }
    }
}
