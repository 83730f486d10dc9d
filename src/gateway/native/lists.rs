//! `listGroups`, `listUsers` and `listRooms`: whole lists in one array. Who has more than fits into
//! a packet pages through them over HTTP.

use serde::Deserialize;

use super::Answer;
use crate::{
    chat::{ListGroups, ListUsers, nouns::Page},
    gateway::{
        events::{Ack, Request, Socket},
        wire::{ConversationView, GroupView, UserView},
    },
};

/// The most entries in one array; some 300 bytes each, so that it stays below the packet's limit.
const MOST: usize = 2_000;
/// Entries asked for at a time.
const PART: u64 = 200;

#[derive(Deserialize)]
struct Search {
    search: Option<String>,
}

pub async fn groups(socket: &Socket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let groups = async {
        let Search { search } = request.decode()?;
        let part = |after| {
            socket.chat.groups(&caller, ListGroups { search: search.clone(), limit: Some(PART), after })
        };
        Page::gather(MOST, part).await
    };
    match groups.await {
        Ok(groups) => ack.succeed(groups.iter().map(GroupView::of).collect::<Vec<_>>()),
        Err(err) => ack.fail(&err),
    }
}

pub async fn users(socket: &Socket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let users = async {
        let Search { search } = request.decode()?;
        let part = |after| {
            socket.chat.users(&caller, ListUsers { search: search.clone(), limit: Some(PART), after })
        };
        Page::gather(MOST, part).await
    };
    match users.await {
        Ok(users) => {
            ack.succeed(users.iter().map(|user| UserView::of(user, &caller)).collect::<Vec<_>>());
        }
        Err(err) => ack.fail(&err),
    }
}

pub async fn rooms(socket: &Socket, _: Request<'_>, ack: Ack) {
    match socket.chat.conversations(&socket.caller()).await {
        Ok(conversations) => ack.succeed(ConversationView::list(&conversations)),
        Err(err) => ack.fail(&err),
    }
}
