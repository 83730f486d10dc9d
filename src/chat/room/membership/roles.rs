//! The roles of a group's members: given by the owner, or passed on when the owner leaves.

use std::sync::Arc;

use entity::{
    UserId,
    member::{self, Role},
    notice, room,
};
use sea_orm::{ColumnTrait, DatabaseTransaction, QueryFilter};

use super::{
    Written,
    rows::{lock_members, pass_on, role_of, write_role},
};
use crate::{
    chat::{
        Core,
        connections::publish::Audience,
        event::{Change, Event},
        model::Group,
        room::{
            Room,
            permissions::{Action, may},
        },
    },
    error::{Entity, Error, Result},
};

impl Core {
    /// Writes the role that the owner gives a member. Who makes somebody else the owner becomes an admin.
    pub(super) async fn set_role(
        &self,
        tx: &DatabaseTransaction,
        row: &room::Model,
        by: UserId,
        user: UserId,
        role: Role,
    ) -> Result<Written> {
        may(role_of(tx, row.id, by).await?, Action::SetRole)?;
        let current = role_of(tx, row.id, user).await?.ok_or(Error::NotFound(Entity::User))?;
        if current == role {
            return Ok(Written::Nothing);
        }
        if user == by {
            return Err(Error::invalid("role", "an owner makes another member the owner"));
        }
        let roles = match role {
            Role::Owner => vec![(user, Role::Owner), (by, Role::Admin)],
            role => vec![(user, role)],
        };
        let locked = roles.iter().map(|(user, _)| *user);
        lock_members(tx, member::of_rooms([row.id]).filter(member::COLUMN.user_id.is_in(locked))).await?;
        for (user, role) in &roles {
            match role {
                Role::Owner => {
                    pass_on(tx, row.id, *user, self.clock.now()).await?;
                    self.tell_list(tx, row.id, notice::Kind::GroupUpdated).await?;
                }
                role => write_role(tx, row.id, *user, *role).await?,
            }
        }
        Ok(Written::Roles(roles))
    }

    /// Changes roles in memory, and tells the members. A new owner shows in the list of groups.
    pub(super) fn change_roles(&self, room: &Arc<Room>, row: &room::Model, roles: &[(UserId, Role)]) {
        for (user, role) in roles {
            self.change_role(room, row, *user, *role);
        }
        if roles.iter().any(|(_, role)| *role == Role::Owner) {
            self.rooms_changed(&Group::in_memory(row.clone(), room), Change::Updated, None);
        }
    }

    /// Changes one role in memory, and tells the members.
    pub(super) fn change_role(&self, room: &Arc<Room>, row: &room::Model, user: UserId, role: Role) {
        room.set_role(user, role, row.roster_version);
        if room.kind == room::Kind::Group {
            self.tell_role(room, user, role);
        }
    }

    /// Tells the members of a group the role of one of them.
    pub(super) fn tell_role(&self, room: &Arc<Room>, user: UserId, role: Role) {
        let Some(person) = room.person(user) else { return };
        let changed = Event::MemberChanged { group: room.id, username: person.username, role };
        self.hub.publish(changed, Audience::Room(room, None));
    }
}
