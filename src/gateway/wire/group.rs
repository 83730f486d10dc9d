//! Groups.

use entity::{RoomId, Seq};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Time, UserView};
use crate::chat::model::{Group, Page};

/// A named room that users join.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Group)]
pub struct GroupView<'a> {
    /// The room's id.
    #[schema(value_type = String, format = Uuid)]
    group_id: RoomId,
    group_name: &'a str,
    /// Whether a password is needed to join.
    has_password: bool,
    /// The owner's username.
    owner: &'a str,
    member_count: u64,
    /// Shown to members only; at most 200 users.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<UserView>>)]
    users: Option<Vec<UserView<'a>>>,
    #[schema(value_type = i64, minimum = 0)]
    last_seq: Seq,
    created_at: Time,
    /// Changes of the membership and the name are told by messages of the server.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    system_messages: bool,
}

impl<'a> GroupView<'a> {
    pub fn of(group: &'a Group) -> Self {
        let row = &group.row;
        Self {
            group_id: row.id,
            group_name: row.name.as_deref().unwrap_or_default(),
            has_password: row.password_hash.is_some(),
            owner: &group.owner.username,
            member_count: group.member_count,
            users: group.users.as_ref().map(|users| users.iter().map(UserView::public).collect()),
            last_seq: row.last_seq,
            created_at: Time(row.created_at),
            system_messages: group.tells_changes(),
        }
    }
}

/// A page of the list of groups.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = GroupPage)]
pub struct GroupPageView<'a> {
    #[schema(value_type = Vec<GroupView>)]
    groups: Vec<GroupView<'a>>,
    /// Pass this as `after` to get the next page; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> GroupPageView<'a> {
    pub fn of(page: &'a Page<Group>) -> Self {
        Self { groups: page.items.iter().map(GroupView::of).collect(), next: page.next.as_deref() }
    }
}
