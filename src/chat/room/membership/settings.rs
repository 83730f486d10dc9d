//! What the members of a room set for all of them. It has the version of the membership, so that other processes notice.

use std::sync::Arc;

use entity::{UserId, member, room};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, sea_query::Expr};

use super::{MembershipChange, Written, rows::role_of};
use crate::{
    chat::{
        Chat, Core, Place,
        connections::publish::Audience,
        event::Event,
        model::{Conversation, RoomChange},
        room::{Room, permissions::moderates},
    },
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
    room_settings::RoomSettings,
    values::Lifetime,
};

/// One setting, as somebody wants it.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) enum RoomSetting {
    DisappearAfter(Option<Lifetime>),
}

impl Chat {
    /// Sets after how long messages disappear that are sent to a place from now on: either of two users, and a group's
    /// owner and admins. Tells the members, and returns the room.
    ///
    /// # Errors
    /// `not_found` for two users who have never written to each other, `not_a_member`, `forbidden` (`role`).
    pub async fn set_disappearing(
        &self,
        caller: &Caller,
        place: Place,
        after: Option<Lifetime>,
    ) -> Result<Conversation> {
        let core = &self.core;
        let room = core.find_place(caller, None, &place).await?.ok_or(Error::NotFound(Entity::Room))?;
        if room.kind == room::Kind::Lobby {
            return Err(Error::Forbidden(Forbidden::Role));
        }
        core.set(caller, &room, RoomSetting::DisappearAfter(after)).await?;
        let member = member::Entity::find_by_id((room.id, caller.user)).one(core.db.reader()).await?;
        let member = member.ok_or(Error::Forbidden(Forbidden::NotAMember))?;
        core.seen_by(caller.user, room.id, member.view).await
    }
}

impl Core {
    /// Takes settings over, and tells the members what differs for them.
    pub(super) fn take_settings(&self, room: &Arc<Room>, settings: RoomSettings, version: i64) {
        let before = room.settings();
        room.take_settings(settings, version);
        if before.disappear_after != settings.disappear_after {
            let set = RoomChange { disappear_after: Some(settings.disappear_after), ..RoomChange::default() };
            self.hub.publish(Event::RoomChanged { room: room.id, set }, Audience::Room(room, None));
        }
    }

    /// Changes one setting of a room, or nothing if it is so already.
    pub(in crate::chat) async fn set(
        self: &Arc<Self>,
        caller: &Caller,
        room: &Room,
        setting: RoomSetting,
    ) -> Result<()> {
        let change = MembershipChange::Set { by: caller.user, setting };
        self.change_members(room.id, change).await.map(drop)
    }

    pub(super) async fn write_setting(
        &self,
        tx: &DatabaseTransaction,
        row: &room::Model,
        by: UserId,
        setting: RoomSetting,
    ) -> Result<Written> {
        let role = role_of(tx, row.id, by).await?.ok_or(Error::Forbidden(Forbidden::NotAMember))?;
        if row.kind != room::Kind::Direct && !moderates(row.kind, Some(role)) {
            return Err(Error::Forbidden(Forbidden::Role));
        }
        let before = RoomSettings::read(row.settings.as_deref());
        let mut settings = before;
        match setting {
            RoomSetting::DisappearAfter(after) => settings.disappear_after = after,
        }
        if settings == before {
            return Ok(Written::Nothing);
        }
        room::Entity::update_many()
            .col_expr(room::Column::Settings, Expr::value(settings.json()))
            .filter(room::COLUMN.id.eq(row.id))
            .exec(tx)
            .await?;
        Ok(Written::Settings(settings))
    }
}
