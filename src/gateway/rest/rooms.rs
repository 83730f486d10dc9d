//! `/api/rooms`: groups, their members, and the caller's conversations. `chat` checks the permissions.

use axum::{extract::State, response::Response};
use entity::RoomId;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{Json, Listing, PathParameter, QueryParameters},
    openapi::{Always, MayClash, NeedsBody, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing, Throttled},
};
use crate::{
    chat::{GroupChange, GroupRef, ListGroups, ListRooms, NewGroup, Place, model::After},
    error::Result,
    gateway::wire::{
        self, ConversationSchema, ConversationView, GroupPageView, GroupView, MemberPageView, MemberView,
        RoleName, UserRef,
        bounded::{ANSWER_BYTES, Bounded, entries},
    },
    identity::Caller,
    values::{GroupName, Lifetime},
};

/// A new group.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupDraft {
    #[schema(min_length = 1, max_length = 100)]
    group_name: String,
    /// The members, besides the caller.
    #[serde(default)]
    users: Vec<UserRef>,
    /// The password that is needed to join.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1024)]
    password: Option<SecretString>,
}

/// Create a group.
#[utoipa::path(
    post, path = "/api/rooms", tag = "rooms", operation_id = "createGroup",
    request_body = GroupDraft,
    responses(
        (status = 201, description = "The new group", body = GroupView),
        NeedsBody, NeedsCaller, NeedsThing, MayClash, Always
    )
)]
pub async fn create(
    State(rest): State<Rest>,
    caller: Caller,
    Json(draft): Json<GroupDraft>,
) -> Result<Response> {
    let new = NewGroup {
        name: GroupName::parse(&draft.group_name)?,
        users: UserRef::usernames(draft.users),
        password: draft.password,
    };
    let group = rest.chat.create_group(&caller, None, new).await?;
    answer::json(StatusCode::CREATED, GroupView::of(&group))
}

/// List all groups, with the fields that everyone may see.
#[utoipa::path(
    get, path = "/api/rooms", tag = "rooms", operation_id = "listGroups",
    params(Listing),
    responses(
        (status = 200, description = "The groups", body = GroupPageView),
        NeedsQuery, NeedsCaller, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    QueryParameters(listing): QueryParameters<Listing>,
) -> Result<Response> {
    let Listing { search, limit, after } = listing;
    let after = after.map(After::Key);
    let page = rest.chat.groups(&caller, ListGroups { search, limit, after }).await?;
    answer::ok(GroupPageView::of(&page))
}

/// A page of the caller's conversations.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversationListing {
    /// The maximum number of conversations: 2,000 by default, which is also the limit.
    limit: Option<usize>,
    /// The `roomId` of the last conversation of the previous page.
    #[param(value_type = Option<String>, format = Uuid)]
    after: Option<RoomId>,
}

/// List the caller's conversations, most recent first.
/// The array ends before it exceeds 1 MB. Request the next page to get the rest.
#[utoipa::path(
    get, path = "/api/rooms/mine", tag = "rooms", operation_id = "listConversations",
    params(ConversationListing),
    responses(
        (status = 200, description = "The conversations", body = Vec<ConversationSchema>),
        NeedsQuery, NeedsCaller, Always
    )
)]
pub async fn mine(
    State(rest): State<Rest>,
    caller: Caller,
    QueryParameters(listing): QueryParameters<ConversationListing>,
) -> Result<Response> {
    let part = |limit, next: Option<String>| {
        rest.chat.conversations(&caller, ListRooms::part(limit, next, listing.after))
    };
    let push = |array: &mut Bounded, room: &_| array.push(ANSWER_BYTES, ConversationView::of(room));
    answer::ok(Bounded::default().gather(entries(listing.limit), part, push).await?)
}

/// What is needed to join a group.
#[derive(Default, Deserialize, ToSchema)]
pub struct Entry {
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// Join a group. A group without a password needs no body.
#[utoipa::path(
    post, path = "/api/rooms/{id}/join", tag = "rooms", operation_id = "joinGroup",
    request_body = Option<Entry>,
    params(("id" = Uuid, Path, description = "A groupId")),
    responses(
        (status = 200, description = "The group joined", body = GroupView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Throttled, Always
    )
)]
pub async fn join(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    entry: Option<Json<Entry>>,
) -> Result<Response> {
    let password = entry.and_then(|Json(entry)| entry.password);
    let group = rest.chat.join(&caller, GroupRef::Id(room), password).await?;
    answer::ok(GroupView::of(&group))
}

/// Leave a group.
#[utoipa::path(
    post, path = "/api/rooms/{id}/leave", tag = "rooms", operation_id = "leaveGroup",
    params(("id" = Uuid, Path, description = "A groupId")),
    responses(
        (status = 200, description = "The group left", body = GroupView),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn leave(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
) -> Result<Response> {
    let group = rest.chat.leave(&caller, room).await?;
    answer::ok(GroupView::of(&group))
}

/// The changes to a group. A null password removes the password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdate {
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    group_name: Option<String>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1024)]
    password: Option<Option<SecretString>>,
    /// Whether changes of the membership and the name are told by messages of the server.
    #[schema(nullable = false)]
    system_messages: Option<bool>,
}

/// Rename a group, or change its password.
#[utoipa::path(
    patch, path = "/api/rooms/{id}", tag = "rooms", operation_id = "updateGroup",
    request_body = GroupUpdate,
    params(("id" = Uuid, Path, description = "A groupId")),
    responses(
        (status = 200, description = "The group as it is now", body = GroupView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, MayClash, Always
    )
)]
pub async fn change(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    Json(update): Json<GroupUpdate>,
) -> Result<Response> {
    let name = update.group_name.as_deref().map(GroupName::parse).transpose()?;
    let change = GroupChange { name, password: update.password, system_messages: update.system_messages };
    let group = rest.chat.update_group(&caller, room, change).await?;
    answer::ok(GroupView::of(&group))
}

/// Delete a group.
#[utoipa::path(
    delete, path = "/api/rooms/{id}", tag = "rooms", operation_id = "deleteGroup",
    params(("id" = Uuid, Path, description = "A groupId")),
    responses(
        (status = 204, description = "It is gone"),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
) -> Result<Response> {
    rest.chat.delete_group(&caller, room).await?;
    Ok(answer::no_content())
}

/// A page of the list of members.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberListing {
    /// The maximum number of members: 100 by default, at most 200.
    limit: Option<u64>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// List the members of one of the caller's rooms.
#[utoipa::path(
    get, path = "/api/rooms/{id}/members", tag = "rooms", operation_id = "listMembers",
    params(("id" = Uuid, Path, description = "A roomId"), MemberListing),
    responses(
        (status = 200, description = "The members", body = MemberPageView),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn members(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    QueryParameters(listing): QueryParameters<MemberListing>,
) -> Result<Response> {
    let page = rest.chat.members(&caller, room, listing.limit, listing.after).await?;
    answer::ok(MemberPageView::of(&page))
}

/// The users to add.
#[derive(Deserialize, ToSchema)]
pub struct NewMembers {
    users: Vec<UserRef>,
}

/// Add users to a group.
#[utoipa::path(
    post, path = "/api/rooms/{id}/members", tag = "rooms", operation_id = "addMembers",
    request_body = NewMembers,
    params(("id" = Uuid, Path, description = "A groupId")),
    responses(
        (status = 200, description = "The group as it is now", body = GroupView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn add_members(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    Json(new): Json<NewMembers>,
) -> Result<Response> {
    let group = rest.chat.add_members(&caller, room, UserRef::usernames(new.users)).await?;
    answer::ok(GroupView::of(&group))
}

/// The role that a member is to have.
#[derive(Deserialize, ToSchema)]
pub struct NewRole {
    role: RoleName,
}

/// Give a member of a group another role. Who makes somebody else the owner becomes an admin.
#[utoipa::path(
    patch, path = "/api/rooms/{id}/members/{username}", tag = "rooms", operation_id = "setRole",
    params(("id" = Uuid, Path, description = "A groupId"), ("username" = String, Path)),
    request_body = NewRole,
    responses(
        (status = 200, description = "The member as it is now", body = MemberView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn set_role(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter((room, username)): PathParameter<(RoomId, String)>,
    Json(NewRole { role }): Json<NewRole>,
) -> Result<Response> {
    let member = rest.chat.set_role(&caller, room, &username, role.role()).await?;
    answer::ok(MemberView::of(&member))
}

/// Remove a user from a group. The user's connections leave it at once.
#[utoipa::path(
    delete, path = "/api/rooms/{id}/members/{username}", tag = "rooms",
    operation_id = "removeMember",
    params(("id" = Uuid, Path, description = "A groupId"), ("username" = String, Path)),
    responses(
        (status = 200, description = "The group as it is now", body = GroupView),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn remove_member(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter((room, username)): PathParameter<(RoomId, String)>,
) -> Result<Response> {
    let group = rest.chat.remove_member(&caller, room, &username).await?;
    answer::ok(GroupView::of(&group))
}

/// After how long messages of a room disappear that are sent from now on.
#[derive(Deserialize, ToSchema)]
pub struct DisappearAfter {
    /// 5 to 7,776,000 (90 days); null: they stay.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, minimum = 5, maximum = 7_776_000)]
    seconds: Option<u32>,
}

/// Set after how long messages of a room disappear: either of two users, and a group's owner and admins.
#[utoipa::path(
    put, path = "/api/rooms/{id}/disappearing", tag = "rooms", operation_id = "setDisappearing",
    params(("id" = Uuid, Path, description = "A roomId")),
    request_body = DisappearAfter,
    responses(
        (status = 200, description = "The conversation as it is now", body = ConversationSchema),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn set_disappearing(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    Json(DisappearAfter { seconds }): Json<DisappearAfter>,
) -> Result<Response> {
    let after = seconds.map(|seconds| Lifetime::parse("seconds", seconds)).transpose()?;
    let room = rest.chat.set_disappearing(&caller, Place::Room(room), after).await?;
    answer::ok(ConversationView::of(&room))
}
