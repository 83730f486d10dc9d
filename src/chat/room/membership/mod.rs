//! The membership of a room. Every change of it is one operation ([`Core::change_members`]), so that it
//! happens completely or not at all:
//!
//! 1. lock the room (`registry`), and wait until the messages sent to it before are stored,
//! 2. lock its row in a transaction, and check there that the caller may,
//! 3. write, and commit,
//! 4. change the room in memory, and publish.
//!
//! The permission is checked against rows that the transaction has locked. Earlier checks may refuse, to save
//! work; only this one allows.

mod reread;
mod roles;
mod rows;
mod settings;
pub(in crate::chat) mod system_messages;

use std::sync::Arc;

use entity::{
    RoomId, UserId, look_alike,
    member::{self, Role},
    notice, room,
};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use self::rows::{find_heir, lock_members, members_among, pass_on};
pub(in crate::chat) use self::rows::{insert_members, next_version, role_of};
pub(in crate::chat) use self::settings::RoomSetting;
use super::{
    Heads, Room, RoomMember,
    permissions::{Action, may},
};
use crate::{
    chat::{
        Core,
        connections::publish::Audience,
        event::{Change, Envelope, Event},
        model::Group,
    },
    error::{Entity, Error, Forbidden, Result},
    identity::Person,
    rates::Share,
    room_settings::RoomSettings,
};

/// One change of a room's membership.
#[derive(Debug)]
pub(in crate::chat) enum MembershipChange {
    /// A user joins a group.
    Join {
        user: UserId,
        person: Person,
        /// The hash that the password was checked against. The group may have another one by now.
        password_hash: Option<String>,
    },
    /// A member adds other users to a group.
    Add { by: UserId, users: Vec<(UserId, Person)> },
    /// A user leaves a group.
    Leave { user: UserId, username: Arc<str> },
    /// A member removes another member from a group.
    Remove { by: UserId, user: UserId, username: Arc<str> },
    /// The owner gives a member another role. Who makes somebody else the owner becomes an admin.
    SetRole { by: UserId, user: UserId, role: Role },
    /// A member sets something for all members; the room may be a direct one, too.
    Set { by: UserId, setting: RoomSetting },
    /// The account of a member was deleted; the room may be of any kind.
    AccountDeleted { user: UserId, username: Arc<str> },
    /// A member deletes a group, and with it all memberships.
    DeleteGroup { by: UserId },
}

/// The result of a change.
pub(in crate::chat) struct Changed {
    /// The room in memory.
    pub room: Arc<Room>,
    /// The room's row as the change left it.
    pub row: room::Model,
    /// The users who were not members before.
    pub added: Vec<UserId>,
    /// The group as it was before, if the change deleted it.
    pub deleted: Option<Group>,
}

/// What was written, and what to change in memory.
enum Written {
    /// All users were members already; the transaction wrote nothing.
    Nothing,
    Added {
        users: Vec<(UserId, Person)>,
        /// The part of the adding user's quota that this uses; kept after the commit.
        share: Option<Share>,
    },
    Removed {
        user: UserId,
        username: Arc<str>,
        heir: Heir,
    },
    /// Members have other roles.
    Roles(Vec<(UserId, Role)>),
    Settings(RoomSettings),
    Deleted,
}

/// The owner of a group after a member has left.
enum Heir {
    /// The same user as before.
    NotNeeded,
    User(UserId),
    /// Nobody is left, so the group was deleted.
    Nobody,
}

impl Core {
    /// Changes the membership of a room; see the module. Rooms that are not groups accept only
    /// [`MembershipChange::AccountDeleted`] and [`MembershipChange::Set`].
    ///
    /// # Errors
    /// `not_found` for a room that does not exist; `not_a_member`, `forbidden` or `wrong_password` if the
    /// caller may not; `unavailable` if the database did not answer. If only the answer of the commit was
    /// lost, memory follows the database as soon as the database answers again.
    pub(in crate::chat) async fn change_members(
        self: &Arc<Self>,
        room: RoomId,
        change: MembershipChange,
    ) -> Result<Changed> {
        let held = self.lock_room(room).await?.ok_or_else(|| change.absent())?;
        let live = &held.room;
        let is_group = live.kind == room::Kind::Group;
        let may_be_direct =
            matches!(change, MembershipChange::AccountDeleted { .. } | MembershipChange::Set { .. });
        if !is_group && !may_be_direct {
            return Err(change.absent());
        }
        let mut before = None;
        if change.takes_somebody_out() {
            // The messages that the leaving user sent before are stored first.
            self.writer.caught_up(room).await;
            if is_group {
                before = self.read_groups(vec![self.group_row(room).await?]).await?.pop();
            }
        }
        let tx = self.db.begin().await?;
        let row = next_version(&tx, room).await?.ok_or_else(|| change.absent())?;
        // Whether another process has changed the room since memory read it.
        let is_behind = live.version() + 1 != row.roster_version;
        let by = change.by();
        let written = self.write(&tx, &row, change).await;
        let has_written = matches!(
            written,
            Ok(Written::Added { .. } | Written::Removed { .. } | Written::Roles(_) | Written::Settings(_))
        );
        if is_behind && !has_written {
            self.reread_soon(room);
        }
        let written = written?;
        if matches!(written, Written::Nothing) {
            return Ok(Changed { room: live.clone(), row, added: Vec::new(), deleted: None });
        }
        let has_told = system_messages::tell(&tx, &row, by, &written, self.clock.now()).await?;
        let row = room::Entity::find_by_id(room).one(&*tx).await?.ok_or(Error::NotFound(Entity::Room))?;
        self.commit_in(tx, room).await?;
        let heads = has_told.then_some(Heads { seq: row.last_seq, change: row.last_change });
        let written = written.kept();
        if is_behind && row.deleted_at.is_none() {
            // This publishes the difference, which contains the change.
            if let Err(err) = self.reread_locked(&held).await {
                tracing::warn!(error = ?err, room.id = %room, "could not read a changed room");
                self.reread_soon(room);
            }
            if let Some(heads) = heads {
                self.note_stored_up_to(live, heads);
            }
            return Ok(Changed { room: live.clone(), row, added: written.added(), deleted: None });
        }
        let changed = self.apply(live, row, written, before).await;
        if let Some(heads) = heads {
            self.note_stored_up_to(live, heads);
        }
        Ok(changed)
    }

    /// Checks the permission and writes, under the lock of the room's row.
    async fn write(
        &self,
        tx: &DatabaseTransaction,
        row: &room::Model,
        change: MembershipChange,
    ) -> Result<Written> {
        match change {
            MembershipChange::Join { user, person, password_hash } => {
                if role_of(tx, row.id, user).await?.is_some() {
                    return Ok(Written::Nothing);
                }
                if row.password_hash.is_some() && row.password_hash != password_hash {
                    return Err(Error::Forbidden(Forbidden::WrongPassword));
                }
                self.add(tx, row, vec![(user, person)], None).await
            }
            MembershipChange::Add { by, users } => {
                may(role_of(tx, row.id, by).await?, Action::AddMembers)?;
                self.add(tx, row, users, Some(by)).await
            }
            MembershipChange::Leave { user, username }
            | MembershipChange::AccountDeleted { user, username } => {
                let role = role_of(tx, row.id, user).await?;
                let role = role.ok_or(Error::Forbidden(Forbidden::NotAMember))?;
                self.remove(tx, row, user, role, username).await
            }
            MembershipChange::Remove { by, user, username } => {
                let own = role_of(tx, row.id, by).await?;
                let role = role_of(tx, row.id, user).await?;
                may(own, Action::Remove(role.unwrap_or(Role::Member)))?;
                let role = role.ok_or(Error::NotFound(Entity::User))?;
                self.remove(tx, row, user, role, username).await
            }
            MembershipChange::SetRole { by, user, role } => self.set_role(tx, row, by, user, role).await,
            MembershipChange::Set { by, setting } => self.write_setting(tx, row, by, setting).await,
            MembershipChange::DeleteGroup { by } => {
                may(role_of(tx, row.id, by).await?, Action::Delete)?;
                lock_members(tx, member::of_rooms([row.id])).await?;
                self.delete_row(tx, row.id).await?;
                Ok(Written::Deleted)
            }
        }
    }

    async fn add(
        &self,
        tx: &DatabaseTransaction,
        row: &room::Model,
        users: Vec<(UserId, Person)>,
        by: Option<UserId>,
    ) -> Result<Written> {
        let inside = members_among(tx, row.id, users.iter().map(|(user, _)| *user)).await?;
        let new: Vec<(UserId, Person)> =
            users.into_iter().filter(|(user, _)| !inside.contains(user)).collect();
        if new.is_empty() {
            return Ok(Written::Nothing);
        }
        let share = by.map(|by| self.groups.quotas.add_members(by, new.len())).transpose()?;
        let count = member::of_rooms([row.id]).select_only().column_as(Expr::cust("COUNT(*)"), "count");
        let count: i64 = count.into_tuple().one(tx).await?.unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) + new.len() > self.settings.limits.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let members: Vec<(UserId, Role)> = new.iter().map(|(user, _)| (*user, Role::Member)).collect();
        insert_members(tx, row, &members, self.clock.now()).await?;
        Ok(Written::Added { users: new, share })
    }

    async fn remove(
        &self,
        tx: &DatabaseTransaction,
        row: &room::Model,
        user: UserId,
        role: Role,
        username: Arc<str>,
    ) -> Result<Written> {
        let is_owner = row.kind == room::Kind::Group && role == Role::Owner;
        let heir = if is_owner { find_heir(tx, row.id, user).await? } else { Heir::NotNeeded };
        let locked = match heir {
            Heir::User(heir) => vec![user, heir],
            _ => vec![user],
        };
        lock_members(tx, member::of_rooms([row.id]).filter(member::COLUMN.user_id.is_in(locked))).await?;
        member::Entity::delete_by_id((row.id, user)).exec(tx).await?;
        match heir {
            Heir::NotNeeded => {}
            Heir::User(heir) => pass_on(tx, row.id, heir, self.clock.now()).await?,
            Heir::Nobody => self.delete_row(tx, row.id).await?,
        }
        Ok(Written::Removed { user, username, heir })
    }

    /// Changes the room in memory after the commit, and publishes. The room stays locked, so that nothing
    /// about its members is published in between.
    async fn apply(
        self: &Arc<Self>,
        room: &Arc<Room>,
        row: room::Model,
        written: Written,
        before: Option<Group>,
    ) -> Changed {
        let version = row.roster_version;
        let mut added = Vec::new();
        let mut deleted = None;
        match written {
            Written::Nothing => {}
            Written::Added { users, .. } => {
                let mut joined = Vec::with_capacity(users.len());
                for (user, person) in users {
                    let member =
                        RoomMember { person: person.clone(), role: Role::Member, joined: row.last_seq };
                    room.add_member(user, member, row.last_seq, version);
                    self.attach_user(user, room, row.last_seq);
                    let event = Event::MemberJoined { group: row.id, username: person.username };
                    joined.push(Envelope::new(event));
                    added.push(user);
                }
                self.hub.publish_all(&joined, Audience::Room(room, None)).await;
            }
            Written::Removed { user, username, heir } => {
                if room.kind == room::Kind::Group {
                    let left = Event::MemberLeft { group: row.id, username };
                    self.hub.publish(left, Audience::Room(room, None));
                }
                let connections = room.take_out(user, version);
                self.detach(&connections, room);
                match heir {
                    Heir::NotNeeded => {}
                    Heir::User(heir) => self.change_role(room, &row, heir, Role::Owner),
                    Heir::Nobody => deleted = before,
                }
                // The messages that only this user had not received may now have been received by everyone.
                self.receipts.touch(room);
            }
            Written::Roles(roles) => self.change_roles(room, &row, &roles),
            Written::Settings(settings) => self.take_settings(room, settings, version),
            Written::Deleted => deleted = before,
        }
        if let Some(group) = &deleted {
            let connections = room.delete();
            self.detach(&connections, room);
            self.rooms_changed(group, Change::Deleted, None);
        }
        Changed { room: room.clone(), row, added, deleted }
    }

    /// Marks a group as deleted in the database, and frees its name.
    async fn delete_row(&self, tx: &DatabaseTransaction, group: RoomId) -> Result<()> {
        room::Entity::update_many()
            .col_expr(room::Column::DeletedAt, Expr::value(self.clock.now()))
            .col_expr(room::Column::NameKey, Expr::value(None::<String>))
            .filter(room::COLUMN.id.eq(group))
            .exec(tx)
            .await?;
        look_alike::free_of_group(group).exec(tx).await?;
        member::Entity::delete_many().filter(member::COLUMN.room_id.eq(group)).exec(tx).await?;
        self.tell_list(tx, group, notice::Kind::GroupDeleted).await
    }
}

impl Written {
    /// Keeps the quota share, after the commit.
    fn kept(mut self) -> Self {
        if let Self::Added { share, .. } = &mut self
            && let Some(share) = share.take()
        {
            share.keep();
        }
        self
    }

    fn added(&self) -> Vec<UserId> {
        match self {
            Self::Added { users, .. } => users.iter().map(|(user, _)| *user).collect(),
            _ => Vec::new(),
        }
    }
}

impl MembershipChange {
    fn takes_somebody_out(&self) -> bool {
        match self {
            Self::Join { .. } | Self::Add { .. } | Self::SetRole { .. } | Self::Set { .. } => false,
            Self::Leave { .. }
            | Self::Remove { .. }
            | Self::AccountDeleted { .. }
            | Self::DeleteGroup { .. } => true,
        }
    }

    /// The error if there is no such room.
    fn absent(&self) -> Error {
        Error::NotFound(match self {
            Self::AccountDeleted { .. } | Self::Set { .. } => Entity::Room,
            _ => Entity::Group,
        })
    }
}
