//! `listGroups`, `listUsers` and `listRooms`: whole lists in one array. Who has more than fits into
//! a packet pages through them over HTTP.

use serde::Deserialize;

use crate::{
    chat::{
        Chat, ListGroups, ListUsers,
        caller::Caller,
        nouns::{Group, User},
    },
    error::Result,
    gateway::{
        socketio::call::{Ack, ChatSocket, Request},
        wire::{ConversationView, GroupView, UserView},
    },
};

/// The most entries in one array; some 300 bytes each, so that it stays below the packet's limit.
const MOST: usize = 2_000;

#[derive(Deserialize)]
struct Search {
    search: Option<String>,
}

pub async fn groups(socket: &ChatSocket, request: Request<'_>, ack: Ack) {
    let groups = async {
        let Search { search } = request.decode()?;
        all_groups(&socket.chat, &socket.caller(), search).await
    };
    match groups.await {
        Ok(groups) => ack.succeed(groups.iter().map(GroupView::of).collect::<Vec<_>>()),
        Err(err) => ack.refuse(&err),
    }
}

async fn all_groups(chat: &Chat, caller: &Caller, search: Option<String>) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut after = None;
    loop {
        let list = ListGroups { search: search.clone(), limit: Some(200), after };
        let page = chat.groups(caller, list).await?;
        groups.extend(page.items);
        after = page.next;
        if after.is_none() || groups.len() >= MOST {
            return Ok(groups);
        }
    }
}

pub async fn users(socket: &ChatSocket, request: Request<'_>, ack: Ack) {
    let caller = socket.caller();
    let users = async {
        let Search { search } = request.decode()?;
        all_users(&socket.chat, &caller, search).await
    };
    match users.await {
        Ok(users) => {
            ack.succeed(users.iter().map(|user| UserView::of(user, &caller)).collect::<Vec<_>>());
        }
        Err(err) => ack.refuse(&err),
    }
}

async fn all_users(chat: &Chat, caller: &Caller, search: Option<String>) -> Result<Vec<User>> {
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let list = ListUsers { search: search.clone(), limit: Some(200), after };
        let page = chat.users(caller, list).await?;
        users.extend(page.items);
        after = page.next;
        if after.is_none() || users.len() >= MOST {
            return Ok(users);
        }
    }
}

pub async fn rooms(socket: &ChatSocket, _: Request<'_>, ack: Ack) {
    match socket.chat.conversations(&socket.caller()).await {
        Ok(conversations) => ack.succeed(ConversationView::list(&conversations)),
        Err(err) => ack.refuse(&err),
    }
}
