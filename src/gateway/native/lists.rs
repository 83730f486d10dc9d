//! `listGroups`, `listUsers` and `listRooms`. Each returns one array, which ends at the end of the list, at
//! the limit, or at the byte limit of an answer. The last entry's id, sent as `after`, requests the next
//! page.

use entity::{RoomId, UserId};
use serde::Deserialize;

use super::Answer;
use crate::{
    chat::{ListGroups, ListRooms, ListUsers, model::After},
    error::Result,
    gateway::{
        events::{Ack, Request, Socket},
        wire::{
            ConversationView, GroupView, UserView,
            bounded::{ANSWER_BYTES, Bounded, entries},
        },
    },
};

#[derive(Deserialize)]
struct ListPart<Id> {
    search: Option<String>,
    limit: Option<usize>,
    after: Option<Id>,
}

fn answer(ack: Ack, array: Result<Bounded>) {
    match array {
        Ok(array) => ack.succeed(array),
        Err(err) => ack.fail(&err),
    }
}

pub async fn groups(socket: &Socket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let groups = async {
        let ListPart { search, limit, after } = request.decode()?;
        let part = |limit, next: Option<String>| {
            let after = After::part(next, after);
            socket.chat.groups(&caller, ListGroups { search: search.clone(), limit: Some(limit), after })
        };
        Bounded::default()
            .gather(entries(limit), part, |array, group| array.push(ANSWER_BYTES, GroupView::of(group)))
            .await
    };
    answer(ack, groups.await);
}

pub async fn users(socket: &Socket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let users = async {
        let ListPart::<UserId> { search, limit, after } = request.decode()?;
        let part = |limit, next: Option<String>| {
            let after = After::part(next, after);
            let list = ListUsers { search: search.clone(), limit: Some(limit), after, whole_profiles: false };
            socket.chat.users(&caller, list)
        };
        let push = |array: &mut Bounded, user: &_| array.push(ANSWER_BYTES, UserView::of(user, &caller));
        Bounded::default().gather(entries(limit), part, push).await
    };
    answer(ack, users.await);
}

pub async fn rooms(socket: &Socket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let rooms = async {
        let ListPart::<RoomId> { search: _, limit, after } = request.decode()?;
        let part = |limit, next: Option<String>| {
            socket.chat.conversations(&caller, ListRooms::part(limit, next, after))
        };
        let push = |array: &mut Bounded, room: &_| array.push(ANSWER_BYTES, ConversationView::of(room));
        Bounded::default().gather(entries(limit), part, push).await
    };
    answer(ack, rooms.await);
}
