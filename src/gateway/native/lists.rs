//! `listGroups`, `listUsers` and `listRooms`: lists in one array, which ends where the list ends, at the limit,
//! or at the bytes that an answer may have. What follows is asked for by the last entry's id.

use entity::{RoomId, UserId};
use serde::Deserialize;

use super::Answer;
use crate::{
    chat::{ListGroups, ListRooms, ListUsers, nouns::After},
    error::Result,
    gateway::{
        bounded::{ANSWER_BYTES, Bounded, entries},
        events::{Ack, Request, Socket},
        wire::{ConversationView, GroupView, UserView},
    },
};

#[derive(Deserialize)]
struct Part<Id> {
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
        let Part { search, limit, after } = request.decode()?;
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
        let Part::<UserId> { search, limit, after } = request.decode()?;
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
        let Part::<RoomId> { search: _, limit, after } = request.decode()?;
        let part = |limit, next: Option<String>| {
            socket.chat.conversations(&caller, ListRooms::part(limit, next, after))
        };
        let push = |array: &mut Bounded, room: &_| array.push(ANSWER_BYTES, ConversationView::of(room));
        Bounded::default().gather(entries(limit), part, push).await
    };
    answer(ack, rooms.await);
}
