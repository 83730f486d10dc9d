//! `createGroup`, `joinGroup`, `leaveGroup`, `updateGroup`, `deleteGroup`, `addMembers`, `removeMember`,
//! `setRole` and `setDisappearing`.

use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall, group_id, place};
use crate::{
    chat::{GroupChange, GroupRef, NewGroup, model::Group},
    error::{Error, Result},
    gateway::wire::{
        self, ConversationView, GroupView, MemberView, RoleName, UserRef,
        forms::{AnyForm, Form, Forms},
    },
    values::{GroupName, Lifetime},
};

type GroupAnswer = NativeAnswer<GroupView<'static>>;

fn give(answer: GroupAnswer, group: Result<Group>) {
    match group {
        Ok(group) => answer.succeed(GroupView::of(&group)),
        Err(err) => answer.fail(&err),
    }
}

/// A new group, or one that exists and is announced again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewGroupRequest {
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    group_name: Option<String>,
    /// Users to add.
    #[schema(nullable = false)]
    users: Option<Vec<UserRef>>,
    /// What users need to join.
    #[schema(value_type = Option<String>, nullable = false)]
    password: Option<SecretString>,
    #[schema(nullable = false, format = Uuid)]
    group_id: Option<String>,
}

impl Forms for NewGroupRequest {
    const NAME: &'static str = "CreateGroup";

    fn forms() -> Vec<Form> {
        vec![Form::new(&["groupName"], &["users", "password"]), Form::new(&["groupId"], &[])]
    }
}

pub async fn create(call: NativeCall<'_, AnyForm<NewGroupRequest>>, answer: GroupAnswer) {
    let (socket, AnyForm(create)) = (call.socket, call.payload);
    let group = async {
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
    give(answer, group.await);
}

/// A group to join, by its id or its name.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    #[schema(nullable = false, format = Uuid)]
    group_id: Option<String>,
    #[schema(nullable = false)]
    group_name: Option<String>,
    #[schema(value_type = Option<String>, nullable = false)]
    password: Option<SecretString>,
}

impl Forms for Join {
    const NAME: &'static str = "JoinGroup";

    fn forms() -> Vec<Form> {
        vec![Form::new(&["groupId"], &["password"]), Form::new(&["groupName"], &["password"])]
    }
}

pub async fn join(call: NativeCall<'_, AnyForm<Join>>, answer: GroupAnswer) {
    let (socket, AnyForm(join)) = (call.socket, call.payload);
    let group = async {
        let group = match (join.group_id, join.group_name) {
            (Some(id), _) => GroupRef::Id(group_id(&id)?),
            (None, Some(name)) => GroupRef::Name(name),
            (None, None) => return Err(Error::invalid("groupId", "is missing, and so is groupName")),
        };
        socket.chat.join(&socket.caller(), group, join.password).await
    };
    give(answer, group.await);
}

/// A group.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GroupReference)]
pub struct GroupId {
    #[schema(format = Uuid)]
    group_id: String,
}

pub async fn leave(call: NativeCall<'_, GroupId>, answer: GroupAnswer) {
    let group = async {
        let id = group_id(&call.payload.group_id)?;
        call.socket.chat.leave(&call.socket.caller(), id).await
    };
    give(answer, group.await);
}

pub async fn delete(call: NativeCall<'_, GroupId>, answer: GroupAnswer) {
    let group = async {
        let id = group_id(&call.payload.group_id)?;
        call.socket.chat.delete_group(&call.socket.caller(), id).await
    };
    give(answer, group.await);
}

/// The changes to a group. What is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UpdateGroup)]
pub struct Update {
    #[schema(format = Uuid)]
    group_id: String,
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    group_name: Option<String>,
    /// null removes the password.
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<SecretString>>,
    /// Whether changes of the membership and the name are told by messages of the server.
    #[schema(nullable = false)]
    system_messages: Option<bool>,
}

pub async fn update(call: NativeCall<'_, Update>, answer: GroupAnswer) {
    let (socket, update) = (call.socket, call.payload);
    let group = async {
        let change = GroupChange {
            name: update.group_name.as_deref().map(GroupName::parse).transpose()?,
            password: update.password,
            system_messages: update.system_messages,
        };
        socket.chat.update_group(&socket.caller(), group_id(&update.group_id)?, change).await
    };
    give(answer, group.await);
}

/// Users to add to a group.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddMembers {
    #[schema(format = Uuid)]
    group_id: String,
    users: Vec<UserRef>,
}

pub async fn add_members(call: NativeCall<'_, AddMembers>, answer: GroupAnswer) {
    let (socket, add) = (call.socket, call.payload);
    let group = async {
        let users = UserRef::usernames(add.users);
        socket.chat.add_members(&socket.caller(), group_id(&add.group_id)?, users).await
    };
    give(answer, group.await);
}

/// A member to remove from a group.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoveMember {
    #[schema(format = Uuid)]
    group_id: String,
    username: String,
}

/// The role that a member is to have.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleChange {
    #[schema(format = Uuid)]
    group_id: String,
    username: String,
    role: RoleName,
}

pub async fn set_role(call: NativeCall<'_, RoleChange>, answer: NativeAnswer<MemberView<'static>>) {
    let RoleChange { group_id: group, username, role } = call.payload;
    let socket = call.socket;
    let changed =
        async { socket.chat.set_role(&socket.caller(), group_id(&group)?, &username, role.role()).await };
    match changed.await {
        Ok(member) => answer.succeed(MemberView::of(&member)),
        Err(err) => answer.fail(&err),
    }
}

pub async fn remove_member(call: NativeCall<'_, RemoveMember>, answer: GroupAnswer) {
    let (socket, remove) = (call.socket, call.payload);
    let group = async {
        let id = group_id(&remove.group_id)?;
        socket.chat.remove_member(&socket.caller(), id, &remove.username).await
    };
    give(answer, group.await);
}

/// After how long messages of a room disappear that are sent from now on.
#[derive(Deserialize, ToSchema)]
pub struct Disappearing {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    /// 5 to 7,776,000 (90 days); null: they stay.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, minimum = 5, maximum = 7_776_000)]
    seconds: Option<u32>,
}

pub async fn set_disappearing(
    call: NativeCall<'_, Disappearing>,
    answer: NativeAnswer<ConversationView<'static>>,
) {
    let Disappearing { receiver, group, seconds } = call.payload;
    let set = async {
        let after = seconds.map(|seconds| Lifetime::parse("seconds", seconds)).transpose()?;
        call.socket.chat.set_disappearing(&call.socket.caller(), place(receiver, group)?, after).await
    };
    match set.await {
        Ok(room) => answer.succeed(ConversationView::of(&room)),
        Err(err) => answer.fail(&err),
    }
}
