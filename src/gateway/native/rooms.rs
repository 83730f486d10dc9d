//! `createGroup`, `joinGroup`, `leaveGroup`, `updateGroup`, `deleteGroup`, `addMembers` and
//! `removeMember`.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{Answer, group_id};
use crate::{
    chat::{GroupChange, GroupRef, NewGroup, model::Group},
    error::{Error, Result},
    gateway::{
        events::{Ack, Request, Socket},
        wire::{GroupView, UserRef},
    },
    values::GroupName,
};

fn answer(ack: Ack, group: Result<Group>) {
    match group {
        Ok(group) => ack.succeed(GroupView::of(&group)),
        Err(err) => ack.fail(&err),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewGroupRequest {
    group_name: Option<String>,
    users: Option<Vec<UserRef>>,
    password: Option<SecretString>,
    group_id: Option<String>,
}

pub async fn create(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let create: NewGroupRequest = request.decode()?;
        let caller = socket.caller();
        match (create.group_id, create.group_name) {
            (Some(id), _) => socket.chat.announce_group(&caller, group_id(&id)?).await,
            (None, Some(name)) => {
                let new = NewGroup {
                    name: GroupName::parse(&name)?,
                    users: UserRef::usernames(create.users.unwrap_or_default()),
                    password: create.password,
                };
                socket.chat.create_group(&caller, Some(&socket.connection), new).await
            }
            (None, None) => Err(Error::invalid("groupName", "is missing")),
        }
    };
    answer(ack, group.await);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Join {
    group_id: Option<String>,
    group_name: Option<String>,
    password: Option<SecretString>,
}

pub async fn join(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let join: Join = request.decode()?;
        let group = match (join.group_id, join.group_name) {
            (Some(id), _) => GroupRef::Id(group_id(&id)?),
            (None, Some(name)) => GroupRef::Name(name),
            (None, None) => return Err(Error::invalid("groupId", "is missing, and so is groupName")),
        };
        socket.chat.join(&socket.caller(), group, join.password).await
    };
    answer(ack, group.await);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupId {
    group_id: String,
}

pub async fn leave(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let named: GroupId = request.decode()?;
        socket.chat.leave(&socket.caller(), group_id(&named.group_id)?).await
    };
    answer(ack, group.await);
}

pub async fn delete(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let named: GroupId = request.decode()?;
        socket.chat.delete_group(&socket.caller(), group_id(&named.group_id)?).await
    };
    answer(ack, group.await);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    group_id: String,
    group_name: Option<String>,
    #[serde(default, deserialize_with = "named_or_null")]
    password: Option<Option<SecretString>>,
}

/// Distinguishes `null` from a missing field.
fn named_or_null<'de, D, T>(input: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(input).map(Some)
}

pub async fn update(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let update: Update = request.decode()?;
        let change = GroupChange {
            name: update.group_name.as_deref().map(GroupName::parse).transpose()?,
            password: update.password,
        };
        socket.chat.update_group(&socket.caller(), group_id(&update.group_id)?, change).await
    };
    answer(ack, group.await);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddMembers {
    group_id: String,
    users: Vec<UserRef>,
}

pub async fn add_members(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let add: AddMembers = request.decode()?;
        let users = UserRef::usernames(add.users);
        socket.chat.add_members(&socket.caller(), group_id(&add.group_id)?, users).await
    };
    answer(ack, group.await);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoveMember {
    group_id: String,
    username: String,
}

pub async fn remove_member(socket: &Socket, request: Request<'_>, ack: Ack) {
    let group = async {
        let remove: RemoveMember = request.decode()?;
        socket.chat.remove_member(&socket.caller(), group_id(&remove.group_id)?, &remove.username).await
    };
    answer(ack, group.await);
}
