//! Groups: create, join, leave, change, delete, list. `membership` changes their members.

mod list;
mod passwords;
pub(super) mod public_list;
mod quotas;
mod read;
mod roles;
mod update;

use std::sync::Arc;

use entity::{RoomId, UserId, look_alike, member::Role, notice, room, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, QueryFilter};
use secrecy::SecretString;

pub use self::{list::ListGroups, update::GroupChange};
use super::{
    Chat, ChatSettings, Core,
    connections::{connection::Connection, publish::Audience},
    event::{Change, Envelope, Event},
    model::Group,
    retry,
    room::{
        Room,
        create::new_room,
        membership::{MembershipChange, insert_members, role_of},
        permissions::{Action, may},
        registry::LockedRoom,
    },
};
use crate::{
    clock::Clock,
    error::{Conflict, Entity, Error, Forbidden, OnUnique, Result},
    identity::{Caller, Person},
    limits::Guesses,
    values::{self, GroupName},
};

/// What only groups need.
pub(super) struct Groups {
    pub quotas: quotas::Quotas,
    public_list: public_list::PublicList,
    /// Wrong passwords of groups.
    guesses: Guesses,
}

impl Groups {
    pub fn new(clock: &Clock, settings: &ChatSettings, guesses: Guesses) -> Self {
        let (quotas, public_list) =
            (quotas::Quotas::new(clock, settings), public_list::PublicList::default());
        Self { quotas, public_list, guesses }
    }
}

/// A new group. The caller is its owner and a member.
#[derive(Debug)]
pub struct NewGroup {
    pub name: GroupName,
    /// Usernames of further members.
    pub users: Vec<String>,
    /// The password that a user needs to join; `None` for an open group.
    pub password: Option<SecretString>,
}

/// The id or the name of a group.
#[derive(Clone, Debug)]
pub enum GroupRef {
    Id(RoomId),
    Name(String),
}

impl Chat {
    /// Makes a group. Notifies its members, and notifies everyone that the list of groups has a new entry.
    ///
    /// # Errors
    /// `conflict` if the name is taken; `not_found` if a user does not exist; `forbidden` if the caller owns
    /// too many groups; `rate_limited` if the caller has made too many groups, or added too many people,
    /// within an hour.
    pub async fn create_group(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        new: NewGroup,
    ) -> Result<Group> {
        let core = &self.core;
        let made = core.groups.quotas.groups.take(caller.user, 1)?;
        let users = core.users_named(&new.users).await?;
        if users.len() >= core.settings.limits.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let others = users.iter().filter(|user| user.id != caller.user).count();
        let added = core.groups.quotas.add_members(caller.user, others)?;
        if new.password.is_some() {
            // Before the work of hashing.
            core.is_name_free(&new.name).await?;
        }
        let password_hash = core.room_hash(new.password).await?;
        let now = core.clock.now();
        let tx = core.db.begin().await?;
        core.may_own_another(&tx, caller.user).await?;
        let row = room::ActiveModel {
            name: Set(Some(new.name.as_str().to_owned())),
            name_key: Set(Some(room::name_key(new.name.as_str()))),
            password_hash: Set(password_hash),
            owner_id: Set(Some(caller.user)),
            ..new_room(room::Kind::Group, now)
        };
        let row = row.insert(&*tx).await.on_unique(Conflict::GroupNameTaken)?;
        take_readings(&tx, row.id, &new.name).await?;
        let mut members = vec![(caller.user, Role::Owner)];
        let others = users.iter().map(|user| user.id).filter(|user| *user != caller.user);
        members.extend(others.map(|user| (user, Role::Member)));
        insert_members(&*tx, &row, &members, now).await?;
        notice::tell(&*tx, [notice::of_room(notice::Kind::Membership, row.id, None)]).await?;
        core.tell_list(&tx, row.id, notice::Kind::GroupCreated).await?;
        if let Err(lost) = core.commit_in(tx, row.id).await {
            core.announce_if_made(row.id);
            return Err(lost);
        }
        made.keep();
        added.keep();
        let room = core.loaded_room(row.id).await?;
        let group = core.group_as_stored(row, &room).await;
        let members: Vec<UserId> = members.into_iter().map(|(user, _)| user).collect();
        core.announce(&group, &members).await;
        core.rooms_changed(&group, Change::Created, connection);
        Ok(group)
    }

    /// Notifies a group's members of it once more.
    pub async fn announce_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::Announce)?;
        let room = core.group_in_memory(group).await?;
        let group = core.read_group(core.group_row(group).await?).await?;
        core.announce(&group, &room.users()).await;
        Ok(group)
    }

    /// Joins a group. A caller who is a member already stays one, whatever the password.
    ///
    /// # Errors
    /// `wrong_password`, also if a password is needed and none was given; `rate_limited` after too many wrong
    /// passwords; `not_found`.
    pub async fn join(
        &self,
        caller: &Caller,
        group: GroupRef,
        password: Option<SecretString>,
    ) -> Result<Group> {
        let core = &self.core;
        let row = match group {
            GroupRef::Id(id) => core.group_row(id).await?,
            GroupRef::Name(name) => core.group_row_named(&name).await?,
        };
        if role_of(core.db.reader(), row.id, caller.user).await?.is_some() {
            let room = core.group_in_memory(row.id).await?;
            return Ok(core.group_as_stored(row, &room).await);
        }
        let row = core.check_room_password(caller, row, password).await?;
        core.join_as(caller, row).await
    }

    /// Joins a group by its name and password, for dialects that ask every user for both. A caller who is a
    /// member already also needs the password.
    ///
    /// # Errors
    /// `wrong_password`, equally if there is no such group and if the password is wrong, and after the same
    /// time; `rate_limited` after too many wrong passwords.
    pub async fn enter(&self, caller: &Caller, name: &str, password: SecretString) -> Result<Group> {
        let core = &self.core;
        let row = match core.group_row_named(name).await {
            Ok(row) => Some(row),
            Err(Error::NotFound(_)) => None,
            Err(err) => return Err(err),
        };
        let is_open = row.as_ref().is_some_and(|row| row.password_hash.is_none());
        let row = if is_open { row } else { core.with_room_password(caller, row, password).await? };
        let Some(row) = row else {
            return Err(Error::Forbidden(Forbidden::WrongRoomOrPassword));
        };
        if role_of(core.db.reader(), row.id, caller.user).await?.is_some() {
            let room = core.group_in_memory(row.id).await?;
            return Ok(core.group_as_stored(row, &room).await);
        }
        match core.join_as(caller, row).await {
            // The password was changed, or the group deleted, at this moment.
            Err(Error::Forbidden(Forbidden::WrongPassword) | Error::NotFound(_)) => {
                Err(Error::Forbidden(Forbidden::WrongRoomOrPassword))
            }
            joined => joined,
        }
    }

    /// Leaves a group. If the owner leaves, the admin who joined first becomes the owner, or else the member
    /// who joined first. A group without members is deleted. Returns the group after that.
    pub async fn leave(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        if core.role_in_group(group, caller.user).await?.is_none() {
            return Err(Error::Forbidden(Forbidden::NotAMember));
        }
        let leave = MembershipChange::Leave { user: caller.user, username: caller.username.clone() };
        let changed = core.change_members(group, leave).await?;
        Ok(core.group_as_stored(changed.row, &changed.room).await.public())
    }

    /// Deletes a group. Its messages stay in the database; it has no members any more.
    pub async fn delete_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::Delete)?;
        let delete = MembershipChange::DeleteGroup { by: caller.user };
        let changed = core.change_members(group, delete).await?;
        changed.deleted.map(|group| group.public()).ok_or(Error::NotFound(Entity::Group))
    }

    /// Adds users to a group. No password is needed.
    pub async fn add_members(&self, caller: &Caller, group: RoomId, usernames: Vec<String>) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::AddMembers)?;
        let users = core.users_named(&usernames).await?;
        let person = |row: user::Model| (row.id, Person::new(row.username, row.first_name));
        let users: Vec<(UserId, Person)> = users.into_iter().map(person).collect();
        let add = MembershipChange::Add { by: caller.user, users };
        let changed = core.change_members(group, add).await?;
        let group = core.group_as_stored(changed.row, &changed.room).await;
        core.announce(&group, &changed.added).await;
        Ok(group)
    }

    /// Removes a user from a group. Their sockets receive nothing more from it.
    pub async fn remove_member(&self, caller: &Caller, group: RoomId, username: &str) -> Result<Group> {
        let core = &self.core;
        let own = core.role_in_group(group, caller.user).await?;
        let target = core.user_named(username).await?;
        let role = role_of(core.db.reader(), group, target.id).await?;
        may(own, Action::Remove(role.unwrap_or(Role::Member)))?;
        if role.is_none() {
            return Err(Error::NotFound(Entity::User));
        }
        let (user, username) = (target.id, target.username.into());
        let remove = MembershipChange::Remove { by: caller.user, user, username };
        let changed = core.change_members(group, remove).await?;
        Ok(core.group_as_stored(changed.row, &changed.room).await)
    }
}

impl Core {
    /// A group that exists, in memory.
    async fn group_in_memory(self: &Arc<Self>, group: RoomId) -> Result<Arc<Room>> {
        let room = self.room_in_memory(group).await?;
        room.filter(|room| room.kind == room::Kind::Group && !room.is_deleted())
            .ok_or(Error::NotFound(Entity::Group))
    }

    async fn lock_group(self: &Arc<Self>, group: RoomId) -> Result<LockedRoom<'_>> {
        let held = self.lock_room(group).await?;
        held.filter(|held| held.room.kind == room::Kind::Group).ok_or(Error::NotFound(Entity::Group))
    }

    /// The role of a user in a group that exists, by two indexed rows. The room is not loaded.
    async fn role_in_group(&self, group: RoomId, user: UserId) -> Result<Option<Role>> {
        self.group_row(group).await?;
        role_of(self.db.reader(), group, user).await
    }

    /// Joins a group. The caller was found to know its password, if it has one.
    async fn join_as(self: &Arc<Self>, caller: &Caller, row: room::Model) -> Result<Group> {
        let join = MembershipChange::Join {
            user: caller.user,
            person: caller.person(),
            password_hash: row.password_hash,
        };
        let changed = self.change_members(row.id, join).await?;
        Ok(self.group_as_stored(changed.row, &changed.room).await)
    }

    /// After a group's commit whose answer was lost: notifies its members as soon as the database answers, if
    /// the group was made.
    fn announce_if_made(self: &Arc<Self>, group: RoomId) {
        let core = self.clone();
        self.shutdown.spawn(async move {
            let made = retry::until_answered(&core.shutdown, || core.made_group(group)).await;
            if let Some((group, members)) = made.flatten() {
                core.announce(&group, &members).await;
                core.rooms_changed(&group, Change::Created, None);
            }
        });
    }

    /// Tells these users of a group in a task: another node has put them into it. Those who are not connected here
    /// have nothing to be told.
    pub(super) fn announce_soon(self: &Arc<Self>, group: RoomId, mut users: Vec<UserId>) {
        users.retain(|user| self.hub.has(*user));
        if users.is_empty() {
            return;
        }
        let core = self.clone();
        self.shutdown.spawn(async move {
            let made = retry::until_answered(&core.shutdown, || core.made_group(group)).await;
            if let Some((group, _)) = made.flatten() {
                core.announce(&group, &users).await;
            }
        });
    }

    /// A group and its members, if the group exists.
    async fn made_group(self: &Arc<Self>, group: RoomId) -> Result<Option<(Group, Vec<UserId>)>> {
        let Some(room) = self.room_in_memory(group).await? else { return Ok(None) };
        let group = self.read_group(self.group_row(group).await?).await?;
        Ok(Some((group, room.users())))
    }

    pub(super) async fn group_row(&self, group: RoomId) -> Result<room::Model> {
        let row = room::live()
            .filter(room::COLUMN.id.eq(group))
            .filter(room::COLUMN.kind.eq(room::Kind::Group))
            .one(self.db.reader())
            .await?;
        row.ok_or(Error::NotFound(Entity::Group))
    }

    async fn group_row_named(&self, name: &str) -> Result<room::Model> {
        if !values::may_be_a_name(name) {
            return Err(Error::NotFound(Entity::Group));
        }
        let row = room::named(name).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Entity::Group))
    }

    /// Checks that no group has this name.
    async fn is_name_free(&self, name: &GroupName) -> Result<()> {
        match self.group_row_named(name.as_str()).await {
            Ok(_) => Err(Error::Conflict(Conflict::GroupNameTaken)),
            Err(Error::NotFound(_)) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn announce(&self, group: &Group, users: &[UserId]) {
        let new = Envelope::new(Event::NewGroup(group.clone()));
        self.hub.publish_all(&[new], Audience::Users(users)).await;
    }
}

/// Takes the readings of a group's name.
///
/// # Errors
/// `conflict` if another group has one of them.
async fn take_readings(tx: &DatabaseTransaction, group: RoomId, name: &GroupName) -> Result<()> {
    let readings = look_alike::take_for_group(group, name.as_str());
    readings.exec_without_returning(tx).await.on_unique(Conflict::GroupNameLooksTaken)?;
    Ok(())
}
