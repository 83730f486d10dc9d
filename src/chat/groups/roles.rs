//! Roles in a group: only the owner gives them.

use entity::{
    RoomId,
    member::{self, Role},
};
use sea_orm::EntityTrait;

use crate::{
    chat::{
        Chat,
        model::Member,
        room::{
            membership::MembershipChange,
            permissions::{Action, may},
        },
    },
    error::{Entity, Error, Result},
    identity::Caller,
};

impl Chat {
    /// Gives a member of a group another role. Who makes somebody else the owner becomes an admin. Returns the member.
    pub async fn set_role(
        &self,
        caller: &Caller,
        group: RoomId,
        username: &str,
        role: Role,
    ) -> Result<Member> {
        let core = &self.core;
        let own = core.role_in_group(group, caller.user).await?;
        may(own, Action::SetRole)?;
        let target = core.user_named(username).await?;
        let change = MembershipChange::SetRole { by: caller.user, user: target.id, role };
        core.change_members(group, change).await?;
        let row = member::Entity::find_by_id((group, target.id)).one(core.db.reader()).await?;
        Ok(Member { user: core.to_user(target), row: row.ok_or(Error::NotFound(Entity::User))? })
    }
}
