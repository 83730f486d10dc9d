//! The members of a room.

use entity::{Seq, member};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Time, UserView};
use crate::chat::model::{Member, Page};

/// A user in a room: the user's fields, and the user's role and receipts in the room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Member)]
pub struct MemberView<'a> {
    #[serde(flatten)]
    #[schema(value_type = UserView)]
    user: UserView<'a>,
    #[schema(inline)]
    role: RoleName,
    #[schema(value_type = i64, minimum = 0)]
    delivered: Seq,
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    joined_at: Time,
}

/// The role of a member in a group.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub enum RoleName {
    Owner,
    Admin,
    Member,
}

impl RoleName {
    pub fn of(role: member::Role) -> Self {
        match role {
            member::Role::Owner => Self::Owner,
            member::Role::Admin => Self::Admin,
            member::Role::Member => Self::Member,
        }
    }

    pub fn role(self) -> member::Role {
        match self {
            Self::Owner => member::Role::Owner,
            Self::Admin => member::Role::Admin,
            Self::Member => member::Role::Member,
        }
    }
}

impl<'a> MemberView<'a> {
    pub fn of(member: &'a Member) -> Self {
        Self {
            user: UserView::public(&member.user),
            role: RoleName::of(member.row.role),
            delivered: member.row.delivered_seq,
            read: member.row.read_seq,
            joined_at: Time(member.row.joined_at),
        }
    }
}

/// A page of the list of a room's members.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MemberPage)]
pub struct MemberPageView<'a> {
    #[schema(value_type = Vec<MemberView>)]
    members: Vec<MemberView<'a>>,
    /// Pass this as `after` to get the next page; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> MemberPageView<'a> {
    pub fn of(page: &'a Page<Member>) -> Self {
        Self { members: page.items.iter().map(MemberView::of).collect(), next: page.next.as_deref() }
    }
}
