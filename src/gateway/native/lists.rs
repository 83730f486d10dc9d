//! `listGroups`, `listUsers` and `listRooms`. Each returns one array, which ends at the end of the list, at
//! the limit, or at the byte limit of an answer. The last entry's id, sent as `after`, requests the next
//! page.

use entity::{RoomId, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall};
use crate::{
    chat::{ListGroups, ListRooms, ListUsers, model::After},
    gateway::wire::{
        ConversationSchema, ConversationView, GroupView, UserView,
        bounded::{ANSWER_BYTES, Bounded, Entries, entries},
    },
};

/// Which part of a list to return.
#[derive(Deserialize, ToSchema)]
#[schema(as = ListRequest, bound = "")]
pub struct ListPart<Id> {
    /// Only names that contain this text.
    #[schema(nullable = false)]
    search: Option<String>,
    /// The most entries: 2,000 by default, which is also the maximum.
    #[schema(nullable = false)]
    limit: Option<usize>,
    /// The id of the last entry of the page before.
    #[schema(value_type = Option<String>, format = Uuid, nullable = false)]
    after: Option<Id>,
}

/// Which part of the conversations to return.
#[derive(Deserialize, ToSchema)]
#[schema(as = ListRoomsRequest)]
pub struct RoomsPart {
    /// The most entries: 2,000 by default, which is also the maximum.
    #[schema(nullable = false)]
    limit: Option<usize>,
    /// The roomId of the last entry of the page before.
    #[schema(value_type = Option<String>, format = Uuid, nullable = false)]
    after: Option<RoomId>,
}

pub type GroupList = Entries<GroupView<'static>>;
pub type UserList = Entries<UserView<'static>>;
pub type ConversationList = Entries<ConversationSchema>;

pub async fn groups(call: NativeCall<'_, ListPart<RoomId>>, answer: NativeAnswer<GroupList>) {
    let (chat, caller) = (&call.socket.chat, call.socket.caller());
    let ListPart { search, limit, after } = call.payload;
    let part = |limit, next: Option<String>| {
        let after = After::part(next, after);
        chat.groups(&caller, ListGroups { search: search.clone(), limit: Some(limit), after })
    };
    let push = |array: &mut Bounded, group: &_| array.push(ANSWER_BYTES, GroupView::of(group));
    answer.give(Bounded::default().gather(entries(limit), part, push).await.map(Entries::from));
}

pub async fn users(call: NativeCall<'_, ListPart<UserId>>, answer: NativeAnswer<UserList>) {
    let (chat, caller) = (&call.socket.chat, call.socket.caller());
    let ListPart { search, limit, after } = call.payload;
    let part = |limit, next: Option<String>| {
        let after = After::part(next, after);
        let list = ListUsers { search: search.clone(), limit: Some(limit), after, whole_profiles: false };
        chat.users(&caller, list)
    };
    let push = |array: &mut Bounded, user: &_| array.push(ANSWER_BYTES, UserView::of(user, &caller));
    answer.give(Bounded::default().gather(entries(limit), part, push).await.map(Entries::from));
}

pub async fn rooms(call: NativeCall<'_, RoomsPart>, answer: NativeAnswer<ConversationList>) {
    let (chat, caller) = (&call.socket.chat, call.socket.caller());
    let RoomsPart { limit, after } = call.payload;
    let part = |limit, next: Option<String>| chat.conversations(&caller, ListRooms::part(limit, next, after));
    let push = |array: &mut Bounded, room: &_| array.push(ANSWER_BYTES, ConversationView::of(room));
    answer.give(Bounded::default().gather(entries(limit), part, push).await.map(Entries::from));
}
