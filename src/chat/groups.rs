//! Groups: create, join, leave, change, delete, list. Who is in them is changed in `membership`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use entity::{
    RoomId, UserId,
    member::{self, Role},
    room, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
    sea_query::{Expr, ExprTrait, Func},
};
use secrecy::SecretString;

use super::{
    Chat, Core,
    caller::Caller,
    connection::Connection,
    event::{Change, Envelope, Event},
    fanout,
    members::{Action, may},
    membership::{MembershipChange, insert_members, role_of},
    nouns::{After, Group, Member, Page, Person},
    profiles,
    rooms::new_room,
    roster::Roster,
    rosters::{Held, LISTED, people},
    text::{self, GroupName},
    users::{LIST_MOST, LIST_USUAL, containing},
};
use crate::{
    error::{Clash, Denial, Error, Noun, OnUnique, Result},
    password,
};

/// How long the server waits before it asks again after a commit whose answer was lost.
const LOST_PAUSE: Duration = Duration::from_secs(1);

/// A group to be made; the caller owns it and is in it.
#[derive(Debug)]
pub struct NewGroup {
    pub name: GroupName,
    /// Usernames of further members.
    pub users: Vec<String>,
    /// What who joins must know; none for an open group.
    pub password: Option<SecretString>,
}

/// What a group is found by.
#[derive(Clone, Debug)]
pub enum GroupRef {
    Id(RoomId),
    Name(String),
}

/// What to change of a group; `Some(None)` removes the password.
#[derive(Debug, Default)]
pub struct GroupChange {
    pub name: Option<GroupName>,
    pub password: Option<Option<SecretString>>,
}

/// Which part of the list of groups.
#[derive(Debug, Default)]
pub struct ListGroups {
    /// Part of a name.
    pub search: Option<String>,
    pub limit: Option<u64>,
    pub after: Option<After<RoomId>>,
}

impl Chat {
    /// Makes a group and tells its members, and everyone that there is one more to join.
    ///
    /// # Errors
    /// `conflict` where the name is taken; `not_found` where a user does not exist; `forbidden` where the
    /// caller owns too many groups; `rate_limited` where the caller has made too many, or added too many people,
    /// within an hour.
    pub async fn create_group(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        new: NewGroup,
    ) -> Result<Group> {
        let core = &self.core;
        let made = core.quotas.groups.take(caller.user, 1)?;
        let password_hash = core.room_hash(new.password).await?;
        let users = core.users_named(&new.users).await?;
        if users.len() >= core.settings.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let others = users.iter().filter(|user| user.id != caller.user).count();
        let added = core.quotas.add_members(caller.user, others)?;
        let now = core.clock.now();
        let tx = core.db.begin().await?;
        core.may_own_another(&tx, caller.user).await?;
        let row = room::ActiveModel {
            name: Set(Some(new.name.as_str().to_owned())),
            name_key: Set(Some(new.name.as_str().to_owned())),
            password_hash: Set(password_hash),
            owner_id: Set(Some(caller.user)),
            ..new_room(room::Kind::Group, now)
        };
        let row = row.insert(&*tx).await.on_unique(Clash::GroupNameTaken)?;
        let mut members = vec![(caller.user, Role::Owner)];
        let others = users.iter().map(|user| user.id).filter(|user| *user != caller.user);
        members.extend(others.map(|user| (user, Role::Member)));
        insert_members(&*tx, &row, &members, now).await?;
        if let Err(lost) = core.commit_in(tx, row.id).await {
            core.announce_if_made(row.id);
            return Err(lost);
        }
        made.keep();
        added.keep();
        let roster = core.roster(row.id).await?;
        let group = core.group_as_stored(row, &roster).await;
        core.announce(&group, members.iter().map(|(user, _)| *user)).await;
        core.rooms_changed(&group, Change::Created, connection);
        Ok(group)
    }

    /// Tells a group's members of it, once more.
    pub async fn announce_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::Announce)?;
        let roster = core.group_roster(group).await?;
        let group = core.group_noun(core.group_row(group).await?).await?;
        core.announce(&group, roster.people().into_keys()).await;
        Ok(group)
    }

    /// Comes into a group. Who is in already stays in, whatever the password.
    ///
    /// # Errors
    /// `wrong_password`, also where one is needed and none was given; `rate_limited` after too many
    /// of these; `not_found`.
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
            let roster = core.group_roster(row.id).await?;
            return Ok(core.group_as_stored(row, &roster).await);
        }
        core.check_room_password(caller, row.password_hash.clone(), password).await?;
        core.join_as(caller, row).await
    }

    /// Comes into a group by its name and password, on a wire that asks everybody for both: who is in
    /// already has to know the password, too.
    ///
    /// # Errors
    /// `wrong_password` alike where there is no such group and where the password is wrong, after the
    /// same time; `rate_limited` after too many of these.
    pub async fn enter(&self, caller: &Caller, name: &str, password: SecretString) -> Result<Group> {
        let core = &self.core;
        let row = match core.group_row_named(name).await {
            Ok(row) => Some(row),
            Err(Error::NotFound(_)) => None,
            Err(err) => return Err(err),
        };
        let is_open = row.as_ref().is_some_and(|row| row.password_hash.is_none());
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        let is_right = is_open || core.is_room_password(caller, hash, password).await?;
        let Some(row) = row.filter(|_| is_right) else {
            return Err(Error::Forbidden(Denial::WrongRoomOrPassword));
        };
        if role_of(core.db.reader(), row.id, caller.user).await?.is_some() {
            let roster = core.group_roster(row.id).await?;
            return Ok(core.group_as_stored(row, &roster).await);
        }
        match core.join_as(caller, row).await {
            // The password was changed, or the group deleted, at this moment.
            Err(Error::Forbidden(Denial::WrongPassword) | Error::NotFound(_)) => {
                Err(Error::Forbidden(Denial::WrongRoomOrPassword))
            }
            joined => joined,
        }
    }

    /// Goes out of a group. The owner's place passes to an admin or the member who has been in
    /// longest; a group that nobody is left in is deleted. Answers how the group stood then.
    pub async fn leave(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        if core.role_in_group(group, caller.user).await?.is_none() {
            return Err(Error::Forbidden(Denial::NotAMember));
        }
        let leave = MembershipChange::Leave { user: caller.user, username: caller.username.clone() };
        let changed = core.change_members(group, leave).await?;
        Ok(core.group_as_stored(changed.row, &changed.roster).await.public())
    }

    /// Renames a group, or changes or removes its password.
    pub async fn update_group(&self, caller: &Caller, group: RoomId, change: GroupChange) -> Result<Group> {
        let core = &self.core;
        // Before the work of hashing; it is asked again under the lock.
        may(core.role_in_group(group, caller.user).await?, Action::Update)?;
        let password_hash = match change.password {
            Some(password) => Some(core.room_hash(password).await?),
            None => None,
        };
        let _held = core.hold_group(group).await?;
        let tx = core.db.begin().await?;
        room::live().filter(room::COLUMN.id.eq(group)).lock_exclusive().one(&*tx).await?;
        may(role_of(&*tx, group, caller.user).await?, Action::Update)?;
        // Only what was named: the writer moves the other columns all the time.
        let mut row = room::ActiveModel { id: Set(group), ..Default::default() };
        if let Some(name) = change.name {
            row.name = Set(Some(name.as_str().to_owned()));
            row.name_key = Set(Some(name.as_str().to_owned()));
        }
        if let Some(password_hash) = password_hash {
            row.password_hash = Set(password_hash);
        }
        if row.is_changed() {
            let changed = room::Entity::update_many()
                .set(row)
                .filter(room::COLUMN.id.eq(group))
                .filter(room::COLUMN.deleted_at.is_null())
                .exec(&*tx)
                .await
                .on_unique(Clash::GroupNameTaken)?;
            if changed.rows_affected == 0 {
                return Err(Error::NotFound(Noun::Group));
            }
        }
        core.commit_in(tx, group).await?;
        let group = core.group_noun(core.group_row(group).await?).await?;
        core.rooms_changed(&group, Change::Updated, None);
        Ok(group)
    }

    /// Ends a group. What was said in it stays in the database; nobody is in it any more.
    pub async fn delete_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::Delete)?;
        let delete = MembershipChange::DeleteGroup { by: caller.user };
        let changed = core.change_members(group, delete).await?;
        changed.deleted.map(|group| group.public()).ok_or(Error::NotFound(Noun::Group))
    }

    /// Puts users into a group, without its password.
    pub async fn add_members(&self, caller: &Caller, group: RoomId, usernames: Vec<String>) -> Result<Group> {
        let core = &self.core;
        may(core.role_in_group(group, caller.user).await?, Action::AddMembers)?;
        let users = core.users_named(&usernames).await?;
        let person = |row: user::Model| (row.id, Person::new(row.username, row.first_name));
        let users: Vec<(UserId, Person)> = users.into_iter().map(person).collect();
        let add = MembershipChange::Add { by: caller.user, users };
        let changed = core.change_members(group, add).await?;
        let group = core.group_as_stored(changed.row, &changed.roster).await;
        core.announce(&group, changed.added.into_iter()).await;
        Ok(group)
    }

    /// Puts a user out of a group; their sockets stop hearing it at once.
    pub async fn remove_member(&self, caller: &Caller, group: RoomId, username: &str) -> Result<Group> {
        let core = &self.core;
        let own = core.role_in_group(group, caller.user).await?;
        let target = core.user_named(username).await?;
        let role = role_of(core.db.reader(), group, target.id).await?;
        may(own, Action::Remove(role.unwrap_or(Role::Member)))?;
        if role.is_none() {
            return Err(Error::NotFound(Noun::User));
        }
        let (user, username) = (target.id, target.username.into());
        let remove = MembershipChange::Remove { by: caller.user, user, username };
        let changed = core.change_members(group, remove).await?;
        Ok(core.group_as_stored(changed.row, &changed.roster).await)
    }

    /// The groups that can be joined, in order of their names, part by part.
    pub async fn groups(&self, _caller: &Caller, list: ListGroups) -> Result<Page<Group>> {
        let core = &self.core;
        let limit = list.limit.unwrap_or(LIST_USUAL).clamp(1, LIST_MOST);
        let mut query = room::live()
            .filter(room::COLUMN.kind.eq(room::Kind::Group))
            .order_by_asc(room::COLUMN.name_key)
            .limit(limit + 1);
        if let Some(after) = core.group_key(list.after).await?.filter(|after| text::is_storable(after)) {
            query = query.filter(room::COLUMN.name_key.gt(after));
        }
        if let Some(search) = list.search.filter(|search| !search.is_empty()) {
            if !text::may_be_part_of_a_name(&search) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let name = Func::lower(Expr::col((room::Entity, room::Column::Name)));
            query = query.filter(Expr::expr(name).like(containing(&search)));
        }
        let rows = query.all(core.db.reader()).await?;
        let Page { items, next } = Page::of(rows, limit, |row| row.name_key.clone());
        Ok(Page { items: core.group_nouns(items).await?, next })
    }

    /// Who is in a room, in order of their names, part by part; for its members.
    pub async fn members(
        &self,
        caller: &Caller,
        room: RoomId,
        limit: Option<u64>,
        after: Option<String>,
    ) -> Result<Page<Member>> {
        let core = &self.core;
        core.check_membership(caller, room).await?;
        let limit = limit.unwrap_or(LIST_USUAL).clamp(1, LIST_MOST);
        let mut query = user::Entity::find()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(room))
            .filter(member::is_member(room, caller.user))
            .order_by_asc(user::COLUMN.username_key)
            .limit(limit + 1);
        if let Some(after) = after.filter(|after| text::is_storable(after)) {
            query = query.filter(user::COLUMN.username_key.gt(after));
        }
        let users = profiles::small_only(query).all(core.db.reader()).await?;
        let Page { items, next } = Page::of(users, limit, |user| Some(user.username_key.clone()));
        let rows = member::of_rooms([room])
            .filter(member::COLUMN.user_id.is_in(items.iter().map(|user| user.id)))
            .all(core.db.reader())
            .await?;
        let mut rows: HashMap<UserId, member::Model> =
            rows.into_iter().map(|row| (row.user_id, row)).collect();
        // A user without a row left between the two queries.
        let member =
            |user: user::Model| Some(Member { row: rows.remove(&user.id)?, user: core.user_noun(user) });
        Ok(Page { items: items.into_iter().filter_map(member).collect(), next })
    }
}

impl Core {
    /// The roster of a group that exists.
    async fn group_roster(self: &Arc<Self>, group: RoomId) -> Result<Arc<Roster>> {
        let roster = self.room_in_memory(group).await?;
        roster
            .filter(|roster| roster.kind == room::Kind::Group && !roster.is_deleted())
            .ok_or(Error::NotFound(Noun::Group))
    }

    async fn hold_group(self: &Arc<Self>, group: RoomId) -> Result<Held<'_>> {
        let held = self.hold(group).await?;
        held.filter(|held| held.roster.kind == room::Kind::Group).ok_or(Error::NotFound(Noun::Group))
    }

    /// What a user is in a group that exists, by two indexed rows: a stranger's question loads nothing.
    async fn role_in_group(&self, group: RoomId, user: UserId) -> Result<Option<Role>> {
        self.group_row(group).await?;
        role_of(self.db.reader(), group, user).await
    }

    /// Joins a group whose password the caller was found to know, where it has one.
    async fn join_as(self: &Arc<Self>, caller: &Caller, row: room::Model) -> Result<Group> {
        let join = MembershipChange::Join {
            user: caller.user,
            person: caller.person(),
            password_hash: row.password_hash,
        };
        let changed = self.change_members(row.id, join).await?;
        Ok(self.group_as_stored(changed.row, &changed.roster).await)
    }

    /// After a group's commit whose answer was lost: tells its members of it as soon as the database answers, if it
    /// was made.
    fn announce_if_made(self: &Arc<Self>, group: RoomId) {
        let core = self.clone();
        self.shutdown.spawn(async move {
            while !core.shutdown.has_begun() {
                match core.made_group(group).await {
                    Ok(Some((group, members))) => {
                        core.announce(&group, members.into_iter()).await;
                        core.rooms_changed(&group, Change::Created, None);
                        return;
                    }
                    Ok(None) => return,
                    Err(_) => {}
                }
                tokio::select! {
                    () = tokio::time::sleep(LOST_PAUSE) => {}
                    () = core.shutdown.begun() => {}
                }
            }
        });
    }

    /// A group and its members, if the group is there.
    async fn made_group(self: &Arc<Self>, group: RoomId) -> Result<Option<(Group, Vec<UserId>)>> {
        let Some(roster) = self.room_in_memory(group).await? else { return Ok(None) };
        let group = self.group_noun(self.group_row(group).await?).await?;
        Ok(Some((group, roster.people().into_keys().collect())))
    }

    pub(super) async fn group_row(&self, group: RoomId) -> Result<room::Model> {
        let row = room::live()
            .filter(room::COLUMN.id.eq(group))
            .filter(room::COLUMN.kind.eq(room::Kind::Group))
            .one(self.db.reader())
            .await?;
        row.ok_or(Error::NotFound(Noun::Group))
    }

    async fn group_row_named(&self, name: &str) -> Result<room::Model> {
        if !text::is_storable(name) {
            return Err(Error::NotFound(Noun::Group));
        }
        let row = room::live().filter(room::COLUMN.name_key.eq(name)).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Noun::Group))
    }

    /// The key of the group that a part of a list begins behind.
    async fn group_key(&self, after: Option<After<RoomId>>) -> Result<Option<String>> {
        let id = match after {
            None => return Ok(None),
            Some(After::Key(key)) => return Ok(Some(key)),
            Some(After::Id(id)) => id,
        };
        // Not the key itself: a group that was deleted meanwhile has none, and its place in the list stays.
        let name = room::Entity::find_by_id(id).select_only().column(room::Column::Name).into_tuple();
        let name: Option<Option<String>> = name.one(self.db.reader()).await?;
        name.flatten().map(Some).ok_or(Error::invalid("after", "is not the id of a group"))
    }

    async fn room_hash(&self, password: Option<SecretString>) -> Result<Option<String>> {
        match password {
            None => Ok(None),
            Some(password) => {
                password::check_room(&password)?;
                Ok(Some(self.passwords.hash(password).await?))
            }
        }
    }

    async fn check_room_password(
        &self,
        caller: &Caller,
        hash: Option<String>,
        password: Option<SecretString>,
    ) -> Result<()> {
        let Some(hash) = hash else { return Ok(()) };
        // No guess, so it does not count as one.
        let Some(password) = password else { return Err(Error::Forbidden(Denial::WrongPassword)) };
        if self.is_room_password(caller, Some(hash), password).await? {
            Ok(())
        } else {
            Err(Error::Forbidden(Denial::WrongPassword))
        }
    }

    /// Whether a guess is right; without a hash it is not, after the same time. Too many wrong ones
    /// are refused without a look.
    async fn is_room_password(
        &self,
        caller: &Caller,
        hash: Option<String>,
        password: SecretString,
    ) -> Result<bool> {
        let attempt = self.failures.attempt(&format!("room passwords of {}", caller.user), caller.address)?;
        match self.passwords.verify(password, hash).await {
            Ok(true) => {
                attempt.succeeded();
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(err) => {
                // Not checked, so not wrong either.
                attempt.withdraw();
                Err(err)
            }
        }
    }

    async fn announce(&self, group: &Group, users: impl Iterator<Item = UserId>) {
        let connections: Vec<_> = users.flat_map(|user| self.hub.of_user(user)).collect();
        fanout::tell_all(&connections, &[Envelope::new(Event::NewGroup(group.clone()))]).await;
    }

    /// A group as its members see it.
    pub(super) async fn group_noun(&self, row: room::Model) -> Result<Group> {
        let users = user::live()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(row.id))
            .order_by_asc(member::COLUMN.joined_at)
            .order_by_asc(user::COLUMN.username_key)
            .limit(Group::USERS as u64);
        let users = profiles::small_only(users).all(self.db.reader()).await?;
        let users = users.into_iter().map(|row| self.user_noun(row)).collect();
        let group = self.group_nouns(vec![row]).await?.pop().ok_or(Error::NotFound(Noun::Group))?;
        Ok(Group { users: Some(users), ..group })
    }

    /// A group after a change that is stored already: the answer must not be a failure any more, so
    /// what cannot be read is left out.
    async fn group_as_stored(&self, row: room::Model, roster: &Roster) -> Group {
        match self.group_noun(row.clone()).await {
            Ok(group) => group,
            Err(err) => {
                tracing::warn!(error = ?err, room.id = %row.id, "answered without the members");
                let people = roster.people();
                let owner = row.owner_id.and_then(|owner| people.get(&owner).cloned());
                let owner = owner.unwrap_or_else(Person::nobody);
                Group { owner, member_count: people.len() as u64, users: None, row }
            }
        }
    }

    /// Groups as everyone sees them.
    pub(super) async fn group_nouns(&self, rows: Vec<room::Model>) -> Result<Vec<Group>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let owners = people(self.db.reader(), rows.iter().filter_map(|row| row.owner_id).collect()).await?;
        let mut counts: HashMap<RoomId, i64> = HashMap::with_capacity(rows.len());
        for part in rows.chunks(LISTED) {
            let part: Vec<(RoomId, i64)> = member::of_rooms(part.iter().map(|row| row.id))
                .select_only()
                .column(member::Column::RoomId)
                .column_as(Expr::cust("COUNT(*)"), "count")
                .group_by(member::Column::RoomId)
                .into_tuple()
                .all(self.db.reader())
                .await?;
            counts.extend(part);
        }
        let noun = |row: room::Model| Group {
            owner: row.owner_id.and_then(|owner| owners.get(&owner).cloned()).unwrap_or_else(Person::nobody),
            member_count: counts.get(&row.id).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0),
            users: None,
            row,
        };
        Ok(rows.into_iter().map(noun).collect())
    }
}
