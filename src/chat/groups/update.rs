//! Changes a group's name, password or settings.

use std::sync::Arc;

use entity::{RoomId, look_alike, notice, room};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use secrecy::SecretString;

use super::take_readings;
use crate::{
    chat::{
        Chat, Core,
        event::Change,
        model::Group,
        room::{
            Heads,
            membership::{role_of, system_messages},
            permissions::{Action, may},
            registry::LockedRoom,
        },
    },
    error::{Conflict, Entity, Error, OnUnique, Result},
    identity::Caller,
    room_settings::RoomSettings,
    system_message::SystemMessage,
    values::GroupName,
};

/// The changes of a group. `Some(None)` removes the password.
#[derive(Debug, Default)]
pub struct GroupChange {
    pub name: Option<GroupName>,
    pub password: Option<Option<SecretString>>,
    /// Whether changes of the membership are told by messages of the server.
    pub system_messages: Option<bool>,
}

impl Chat {
    /// Renames a group, changes or removes its password, or switches its system messages.
    pub async fn update_group(&self, caller: &Caller, group: RoomId, change: GroupChange) -> Result<Group> {
        let core = &self.core;
        // Before the work of hashing. It is checked again under the lock.
        may(core.role_in_group(group, caller.user).await?, Action::Update)?;
        let password_hash = match change.password {
            Some(password) => Some(core.room_hash(password).await?),
            None => None,
        };
        let held = core.lock_group(group).await?;
        let tx = core.db.begin().await?;
        let before = room::live().filter(room::COLUMN.id.eq(group)).lock_exclusive().one(&*tx).await?;
        may(role_of(&*tx, group, caller.user).await?, Action::Update)?;
        let before = before.ok_or(Error::NotFound(Entity::Group))?;
        let settings = RoomSettings::read(before.settings.as_deref());
        let wanted = RoomSettings {
            system_messages: change.system_messages.unwrap_or(settings.system_messages),
            ..settings
        };
        // Only the columns that change: the writer updates the others all the time.
        let mut row = room::ActiveModel { id: Set(group), ..Default::default() };
        if let Some(name) = &change.name {
            row.name = Set(Some(name.as_str().to_owned()));
            row.name_key = Set(Some(room::name_key(name.as_str())));
        }
        if let Some(password_hash) = password_hash {
            row.password_hash = Set(password_hash);
        }
        // Other processes read the settings again with a new version.
        let version = (wanted != settings).then_some(before.roster_version + 1);
        if let Some(version) = version {
            row.settings = Set(wanted.json());
            row.roster_version = Set(version);
        }
        let mut has_told = false;
        if row.is_changed() {
            let is_renamed = row.name.is_set() && row.name.as_ref() != &before.name;
            let had_password = before.password_hash.is_some();
            let changes_flag =
                row.password_hash.is_set() && row.password_hash.as_ref().is_some() != had_password;
            if is_renamed || changes_flag {
                row.changed_at = Set(core.clock.now().timestamp_millis());
            }
            let changed = room::Entity::update_many()
                .set(row)
                .filter(room::COLUMN.id.eq(group))
                .filter(room::COLUMN.deleted_at.is_null())
                .exec(&*tx)
                .await
                .on_unique(Conflict::GroupNameTaken)?;
            if changed.rows_affected == 0 {
                return Err(Error::NotFound(Entity::Group));
            }
            if let Some(name) = change.name.as_ref().filter(|_| is_renamed) {
                let told = vec![SystemMessage::renamed(name.as_str())];
                let stored = room::Model { settings: wanted.json(), ..before };
                has_told = system_messages::store(&tx, &stored, caller.user, told, core.clock.now()).await?;
            }
        }
        if let Some(name) = &change.name {
            look_alike::free_of_group(group).exec(&*tx).await?;
            take_readings(&tx, group, name).await?;
        }
        core.tell_list(&tx, group, notice::Kind::GroupUpdated).await?;
        core.commit_in(tx, group).await?;
        core.take_update(&held, version.map(|version| (wanted, version)));
        let row = core.group_row(group).await?;
        if has_told {
            core.note_stored_up_to(&held.room, Heads { seq: row.last_seq, change: row.last_change });
        }
        let group = core.read_group(row).await?;
        core.rooms_changed(&group, Change::Updated, None);
        Ok(group)
    }
}

impl Core {
    /// Takes over settings that were committed under this version, while the group is locked.
    fn take_update(self: &Arc<Self>, held: &LockedRoom<'_>, changed: Option<(RoomSettings, i64)>) {
        let Some((settings, version)) = changed else { return };
        if held.room.version() + 1 == version {
            held.room.take_settings(settings, version);
        } else {
            self.reread_soon(held.room.id);
        }
    }
}
