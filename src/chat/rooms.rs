//! Groups and direct rooms: create, join, leave, change, delete, list.
//!
//! Whoever changes who is in a room holds it (rosters.rs), stores the change with the room's next
//! roster version, and only then changes the roster in memory and tells the members.

use std::{collections::HashMap, sync::Arc, time::Duration};

use entity::{
    RoomId, Seq, UserId,
    member::{self, Role},
    room, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationTrait,
    sea_query::{Expr, ExprTrait, Func},
};
use secrecy::SecretString;

use super::{
    Chat, Core,
    caller::Caller,
    connection::Connection,
    event::{Change, Event},
    members::{Action, may},
    nouns::{Group, Member, Page},
    roster::{Entry, Marks, Roster},
    rosters::{LISTED, Rosters, names_of},
    text::{self, GroupName},
    users::{LIST_MOST, LIST_USUAL, containing},
};
use crate::{
    clock::Clock,
    db::Db,
    error::{Busy, Clash, Denial, Error, Noun, OnUnique, Result},
    password,
};

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
    /// The `next` of the part before.
    pub after: Option<String>,
}

impl Chat {
    /// Makes a group and tells its members, and everyone that there is one more to join.
    ///
    /// # Errors
    /// `conflict` where the name is taken; `not_found` where a user does not exist.
    pub async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group> {
        let core = &self.core;
        let password_hash = core.room_hash(new.password).await?;
        let users = core.users_named(&new.users).await?;
        if users.len() >= core.settings.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let now = core.clock.now();
        let room = RoomId::new();
        let tx = core.db.begin().await?;
        let row = room::ActiveModel {
            id: Set(room),
            kind: Set(room::Kind::Group),
            name: Set(Some(new.name.as_str().to_owned())),
            name_key: Set(Some(new.name.as_str().to_owned())),
            password_hash: Set(password_hash),
            owner_id: Set(Some(caller.user)),
            pair_low: Set(None),
            pair_high: Set(None),
            last_seq: Set(Seq::ZERO),
            roster_version: Set(1),
            created_at: Set(now),
            active_at: Set(now),
            deleted_at: Set(None),
        };
        let row = row.insert(&tx).await.on_unique(Clash::GroupNameTaken)?;
        let mut members = vec![(caller.user, Role::Owner)];
        let others = users.iter().map(|user| user.id).filter(|user| *user != caller.user);
        members.extend(others.map(|user| (user, Role::Member)));
        insert_members(&tx, &row, &members, now).await?;
        tx.commit().await?;

        let roster = core.roster(room).await?;
        for (user, _) in &members {
            core.attach_user(*user, &roster, Seq::ZERO);
        }
        let group = core.group_as_stored(row, &roster).await;
        core.announce(&group, members.iter().map(|(user, _)| *user));
        core.rooms_changed(&group, Change::Created);
        Ok(group)
    }

    /// Tells a group's members of it, once more.
    pub async fn announce_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        let roster = core.group_roster(group).await?;
        may(roster.role(caller.user), Action::Announce)?;
        let group = core.group_noun(core.group_row(group).await?).await?;
        core.announce(&group, roster.names().into_keys());
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
        let roster = core.group_roster(row.id).await?;
        if roster.role(caller.user).is_none() {
            core.check_room_password(caller, row.password_hash.clone(), password).await?;
            core.put_in(row.id, &[(caller.user, caller.username.clone())], None).await?;
        }
        Ok(core.group_as_stored(row, &roster).await)
    }

    /// Goes out of a group. The owner's place passes to an admin or the member who has been in
    /// longest; a group that nobody is left in is deleted. Answers how the group stood then.
    pub async fn leave(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        let roster = core.group_roster(group).await?;
        if roster.role(caller.user).is_none() {
            return Err(Error::Forbidden(Denial::NotAMember));
        }
        let row = core.take_out(group, caller.user, &caller.username).await?;
        Ok(core.group_as_stored(row, &roster).await.public())
    }

    /// Renames a group, or changes or removes its password.
    pub async fn update_group(&self, caller: &Caller, group: RoomId, change: GroupChange) -> Result<Group> {
        let core = &self.core;
        may(core.group_roster(group).await?.role(caller.user), Action::Update)?;
        let password_hash = match change.password {
            Some(password) => Some(core.room_hash(password).await?),
            None => None,
        };
        // Hashing takes its time; what holds now is asked again.
        let held = core.hold_group(group).await?;
        may(held.roster.role(caller.user), Action::Update)?;
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
                .exec(core.db.writer())
                .await
                .on_unique(Clash::GroupNameTaken)?;
            if changed.rows_affected == 0 {
                return Err(Error::NotFound(Noun::Group));
            }
        }
        let group = core.group_noun(core.group_row(group).await?).await?;
        core.rooms_changed(&group, Change::Updated);
        Ok(group)
    }

    /// Ends a group. What was said in it stays in the database; nobody is in it any more.
    pub async fn delete_group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        let held = core.hold_group(group).await?;
        may(held.roster.role(caller.user), Action::Delete)?;
        let noun = core.group_noun(core.group_row(group).await?).await?;
        let tx = core.db.begin().await?;
        next_version(&tx, group).await?;
        lock_members(&tx, group).await?;
        core.delete_row(&tx, group).await?;
        core.commit_in(tx, group).await?;
        let listeners = held.roster.delete();
        core.detach(&listeners, &held.roster);
        core.rooms_changed(&noun, Change::Deleted);
        Ok(noun.public())
    }

    /// Puts users into a group, without its password.
    pub async fn add_members(&self, caller: &Caller, group: RoomId, usernames: Vec<String>) -> Result<Group> {
        let core = &self.core;
        let roster = core.group_roster(group).await?;
        may(roster.role(caller.user), Action::AddMembers)?;
        let users = core.users_named(&usernames).await?;
        let users: Vec<(UserId, Arc<str>)> =
            users.into_iter().map(|row| (row.id, row.username.into())).collect();
        let row = core.group_row(group).await?;
        let added = core.put_in(group, &users, Some(caller.user)).await?;
        let group = core.group_as_stored(row, &roster).await;
        core.announce(&group, added.into_iter());
        Ok(group)
    }

    /// Puts a user out of a group; their sockets stop hearing it at once.
    pub async fn remove_member(&self, caller: &Caller, group: RoomId, username: &str) -> Result<Group> {
        let core = &self.core;
        let roster = core.group_roster(group).await?;
        let own = roster.role(caller.user);
        let target = core.user_named(username).await?;
        let role = roster.role(target.id);
        may(own, Action::Remove(role.unwrap_or(Role::Member)))?;
        if role.is_none() {
            return Err(Error::NotFound(Noun::User));
        }
        let row = core.take_out(group, target.id, &target.username).await?;
        Ok(core.group_as_stored(row, &roster).await)
    }

    /// One group: its members see who is in it.
    pub async fn group(&self, caller: &Caller, group: RoomId) -> Result<Group> {
        let core = &self.core;
        let row = core.group_row(group).await?;
        let roster = core.group_roster(group).await?;
        let group = core.group_noun(row).await?;
        Ok(if roster.role(caller.user).is_some() { group } else { group.public() })
    }

    /// The groups that can be joined, in order of their names, part by part.
    pub async fn groups(&self, _caller: &Caller, list: ListGroups) -> Result<Page<Group>> {
        let core = &self.core;
        let limit = list.limit.unwrap_or(LIST_USUAL).clamp(1, LIST_MOST);
        let mut query = room::live()
            .filter(room::COLUMN.kind.eq(room::Kind::Group))
            .order_by_asc(room::COLUMN.name_key)
            .limit(limit + 1);
        if let Some(after) = list.after.filter(|after| text::is_storable(after)) {
            query = query.filter(room::COLUMN.name_key.gt(after));
        }
        if let Some(search) = list.search.filter(|search| !search.is_empty()) {
            if !text::is_storable(&search) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let name = Func::lower(Expr::col((room::Entity, room::Column::Name)));
            query = query.filter(Expr::expr(name).like(containing(&search)));
        }
        let mut rows = query.all(core.db.reader()).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).and_then(|row| row.name_key.clone());
        Ok(Page { items: core.group_nouns(rows).await?, next })
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
        core.roster_for(caller, room).await?;
        let limit = limit.unwrap_or(LIST_USUAL).clamp(1, LIST_MOST);
        let mut query = member::of_rooms([room])
            .find_also_related(user::Entity)
            .order_by_asc(user::COLUMN.username_key)
            .limit(limit + 1);
        if let Some(after) = after.filter(|after| text::is_storable(after)) {
            query = query.filter(user::COLUMN.username_key.gt(after));
        }
        let mut rows = query.all(core.db.reader()).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let items: Vec<Member> = rows
            .into_iter()
            .filter_map(|(row, user)| Some(Member { user: core.user_noun(user?), row }))
            .collect();
        let next = items.last().filter(|_| more).map(|member| member.user.row.username_key.clone());
        Ok(Page { items, next })
    }
}

impl Core {
    /// The roster of a room that exists.
    pub(super) async fn roster(&self, room: RoomId) -> Result<Arc<Roster>> {
        let roster = self.rosters.get(self.db.reader(), room).await?;
        roster.filter(|roster| !roster.is_deleted()).ok_or(Error::NotFound(Noun::Room))
    }

    /// The roster of a room that the caller is in. A group's existence is public; a direct room's
    /// is its members' business.
    pub(super) async fn roster_for(&self, caller: &Caller, room: RoomId) -> Result<Arc<Roster>> {
        let roster = self.roster(room).await?;
        if roster.kind == room::Kind::Lobby || roster.role(caller.user).is_some() {
            return Ok(roster);
        }
        Err(match roster.kind {
            room::Kind::Direct => Error::NotFound(Noun::Room),
            _ => Error::Forbidden(Denial::NotAMember),
        })
    }

    /// The roster of a group that exists.
    async fn group_roster(&self, group: RoomId) -> Result<Arc<Roster>> {
        let roster = self.rosters.get(self.db.reader(), group).await?;
        roster
            .filter(|roster| roster.kind == room::Kind::Group && !roster.is_deleted())
            .ok_or(Error::NotFound(Noun::Group))
    }

    async fn hold_group(&self, group: RoomId) -> Result<super::rosters::Held<'_>> {
        let held = self.rosters.hold(self.db.reader(), group).await?;
        held.filter(|held| held.roster.kind == room::Kind::Group).ok_or(Error::NotFound(Noun::Group))
    }

    async fn group_row(&self, group: RoomId) -> Result<room::Model> {
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
        let attempt = self.failures.attempt(&format!("room passwords of {}", caller.user), caller.address)?;
        match self.passwords.verify(password, Some(hash)).await {
            Ok(true) => {
                attempt.succeeded();
                Ok(())
            }
            Ok(false) => Err(Error::Forbidden(Denial::WrongPassword)),
            Err(err) => {
                // Not checked, so not wrong either.
                attempt.withdraw();
                Err(err)
            }
        }
    }

    /// Puts users into a room and tells its members. Answers who was not in it before. `by` is who
    /// adds them, where they do not come by themselves.
    async fn put_in(
        self: &Arc<Self>,
        room: RoomId,
        users: &[(UserId, Arc<str>)],
        by: Option<UserId>,
    ) -> Result<Vec<UserId>> {
        let held = self.hold_group(room).await?;
        let roster = &held.roster;
        if let Some(by) = by {
            may(roster.role(by), Action::AddMembers)?;
        }
        let new: Vec<&(UserId, Arc<str>)> =
            users.iter().filter(|(user, _)| roster.role(*user).is_none()).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let tx = self.db.begin().await?;
        let version = next_version(&tx, room).await?;
        let row = room::Entity::find_by_id(room).one(&tx).await?.ok_or(Error::NotFound(Noun::Group))?;
        let count = member::of_rooms([room]).select_only().column_as(Expr::cust("COUNT(*)"), "count");
        let count: i64 = count.into_tuple().one(&tx).await?.unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) + new.len() > self.settings.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let members: Vec<(UserId, Role)> = new.iter().map(|(user, _)| (*user, Role::Member)).collect();
        insert_members(&tx, &row, &members, self.clock.now()).await?;
        self.commit_in(tx, room).await?;
        for (user, username) in &new {
            let entry = Entry::new(username.clone(), Role::Member, Marks::at(row.last_seq));
            roster.add_member(*user, entry, version);
            self.attach_user(*user, roster, row.last_seq);
            roster.tell(Event::MemberJoined { group: room, username: username.clone() }, None);
        }
        Ok(new.iter().map(|(user, _)| *user).collect())
    }

    /// Takes a user out of a room of any kind and tells its members, the one who goes as well.
    /// Answers the room as it was stored then.
    pub(super) async fn take_out(
        self: &Arc<Self>,
        room: RoomId,
        user: UserId,
        username: &str,
    ) -> Result<room::Model> {
        let held = self.rosters.hold(self.db.reader(), room).await?.ok_or(Error::NotFound(Noun::Room))?;
        let roster = &held.roster;
        let is_group = roster.kind == room::Kind::Group;
        // For the last word on a group that goes with its last member.
        let before = if is_group { Some(self.group_noun(self.group_row(room).await?).await?) } else { None };
        let tx = self.db.begin().await?;
        let version = next_version(&tx, room).await?;
        lock_members(&tx, room).await?;
        let gone = member::Entity::delete_by_id((room, user)).exec(&tx).await?;
        if gone.rows_affected == 0 {
            tx.rollback().await?;
            // Whoever took them out did not get to tell this roster.
            let connections = roster.remove_member(user, version - 1);
            self.detach(&connections, roster);
            return Err(Error::Forbidden(Denial::NotAMember));
        }
        let heir = if is_group { self.pass_on(&tx, room, user).await? } else { Heir::NotNeeded };
        let row = room::Entity::find_by_id(room).one(&tx).await?.ok_or(Error::NotFound(Noun::Room))?;
        self.commit_in(tx, room).await?;

        if is_group {
            roster.tell(Event::MemberLeft { group: room, username: username.into() }, None);
        }
        let connections = roster.remove_member(user, version);
        self.detach(&connections, roster);
        match (heir, before) {
            (Heir::User(heir), _) => roster.set_role(heir, Role::Owner),
            (Heir::Nobody, Some(group)) => {
                let listeners = roster.delete();
                self.detach(&listeners, roster);
                self.rooms_changed(&group, Change::Deleted);
            }
            _ => {}
        }
        // Those who are left may now all have got what only the one who went had not.
        self.receipts.touch(roster);
        Ok(row)
    }

    /// Brings a roster up to date that another process has changed the room under: the command line,
    /// or another node.
    pub(super) async fn reread(self: &Arc<Self>, room: RoomId) -> Result<()> {
        let Some(held) = self.rosters.hold(self.db.reader(), room).await? else { return Ok(()) };
        let roster = &held.roster;
        let (gone, come) = match self.rosters.read(self.db.reader(), room).await? {
            Some((version, members)) => roster.reconcile(version, members),
            None => (roster.delete(), Vec::new()),
        };
        self.detach(&gone, roster);
        for user in come {
            if let Some(entry) = roster.member(user) {
                self.attach_user(user, roster, entry.marks.delivered);
            }
        }
        self.receipts.touch(roster);
        Ok(())
    }

    /// Commits a change of who is in a room. Where the answer is lost, whether it happened is read
    /// from the database as soon as that is back.
    async fn commit_in(self: &Arc<Self>, tx: DatabaseTransaction, room: RoomId) -> Result<()> {
        let Err(err) = tx.commit().await else { return Ok(()) };
        tracing::warn!(error = %err, room.id = %room, "the answer of a commit was lost");
        let core = self.clone();
        self.shutdown.spawn(async move {
            let mut pause = Duration::from_millis(200);
            while core.reread(room).await.is_err() && !core.shutdown.has_begun() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        });
        Err(Error::Unavailable(Busy::Database))
    }

    /// Finds the next owner where the owner has gone; without anybody left, deletes the group.
    async fn pass_on(&self, tx: &DatabaseTransaction, group: RoomId, gone: UserId) -> Result<Heir> {
        let left: Vec<member::Model> =
            member::of_rooms([group]).order_by_asc(member::COLUMN.joined_at).all(tx).await?;
        let Some(heir) = left.iter().find(|row| row.role == Role::Admin).or(left.first()) else {
            self.delete_row(tx, group).await?;
            return Ok(Heir::Nobody);
        };
        if left.iter().any(|row| row.role == Role::Owner) {
            return Ok(Heir::NotNeeded);
        }
        tracing::info!(room.id = %group, user.id = %heir.user_id, "the group passed from {gone} to another owner");
        let user = heir.user_id;
        let mut row = heir.clone().into_active_model();
        row.role = Set(Role::Owner);
        row.update(tx).await?;
        room::Entity::update_many()
            .col_expr(room::Column::OwnerId, Expr::value(user.0))
            .filter(room::COLUMN.id.eq(group))
            .exec(tx)
            .await?;
        Ok(Heir::User(user))
    }

    /// Ends a group in the database, and frees its name.
    async fn delete_row(&self, tx: &DatabaseTransaction, group: RoomId) -> Result<()> {
        room::Entity::update_many()
            .col_expr(room::Column::DeletedAt, Expr::value(self.clock.now()))
            .col_expr(room::Column::NameKey, Expr::value(None::<String>))
            .filter(room::COLUMN.id.eq(group))
            .exec(tx)
            .await?;
        member::Entity::delete_many().filter(member::COLUMN.room_id.eq(group)).exec(tx).await?;
        Ok(())
    }

    /// The direct room of two users; made where it is missing.
    pub(super) async fn open_direct(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        other: &user::Model,
    ) -> Result<Arc<Roster>> {
        let users = [caller.user, other.id];
        let room = match room::between(users[0], users[1]).one(self.db.reader()).await? {
            Some(row) => row.id,
            None => self.make_direct(users).await?,
        };
        let roster = self.roster(room).await?;
        for user in users {
            self.attach_user(user, &roster, Seq::ZERO);
        }
        if let Some(connection) = connection {
            self.attach(connection, &roster, Seq::ZERO);
        }
        Ok(roster)
    }

    async fn make_direct(&self, users: [UserId; 2]) -> Result<RoomId> {
        let (low, high) = room::pair(users[0], users[1]);
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let made = room::ActiveModel {
            id: Set(RoomId::new()),
            kind: Set(room::Kind::Direct),
            name: Set(None),
            name_key: Set(None),
            password_hash: Set(None),
            owner_id: Set(None),
            pair_low: Set(Some(low)),
            pair_high: Set(Some(high)),
            last_seq: Set(Seq::ZERO),
            roster_version: Set(1),
            created_at: Set(now),
            active_at: Set(now),
            deleted_at: Set(None),
        };
        let row = match made.insert(&tx).await {
            Ok(row) => row,
            Err(err) if is_unique(&err) => {
                // The other one wrote first, at the same moment.
                tx.rollback().await?;
                let row = room::between(low, high).one(self.db.writer()).await?;
                return row.map(|row| row.id).ok_or(Error::NotFound(Noun::Room));
            }
            Err(err) => return Err(err.into()),
        };
        let mut members = vec![(low, Role::Member)];
        if high != low {
            members.push((high, Role::Member));
        }
        insert_members(&tx, &row, &members, now).await?;
        tx.commit().await?;
        Ok(row.id)
    }

    fn announce(&self, group: &Group, users: impl Iterator<Item = UserId>) {
        self.hub.tell_users(users, Event::NewGroup(group.clone()));
    }

    fn rooms_changed(&self, group: &Group, change: Change) {
        self.hub.tell_everyone(Event::RoomsChanged { group: group.public(), change }, None);
    }

    /// A group as its members see it.
    pub(super) async fn group_noun(&self, row: room::Model) -> Result<Group> {
        let users: Vec<user::Model> = user::live()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(row.id))
            .order_by_asc(member::COLUMN.joined_at)
            .order_by_asc(user::COLUMN.username_key)
            .limit(Group::USERS as u64)
            .all(self.db.reader())
            .await?;
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
                let names = roster.names();
                let owner = row.owner_id.and_then(|owner| names.get(&owner).cloned()).unwrap_or_default();
                Group { owner, member_count: names.len() as u64, users: None, row }
            }
        }
    }

    /// Groups as everyone sees them.
    pub(super) async fn group_nouns(&self, rows: Vec<room::Model>) -> Result<Vec<Group>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let owners = names_of(self.db.reader(), rows.iter().filter_map(|row| row.owner_id).collect()).await?;
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
            owner: row.owner_id.and_then(|owner| owners.get(&owner).cloned()).unwrap_or_default(),
            member_count: counts.get(&row.id).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0),
            users: None,
            row,
        };
        Ok(rows.into_iter().map(noun).collect())
    }
}

/// Whom a group passes to.
enum Heir {
    NotNeeded,
    User(UserId),
    Nobody,
}

fn is_unique(err: &sea_orm::DbErr) -> bool {
    matches!(err.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// Counts a change of who is in the room, and locks the room's row until the commit: no message
/// gets a seq between this and the seqs that new members start at.
async fn next_version(tx: &DatabaseTransaction, room: RoomId) -> Result<i64> {
    room::Entity::update_many()
        .col_expr(room::Column::RosterVersion, Expr::col(room::Column::RosterVersion).add(1))
        .filter(room::COLUMN.id.eq(room))
        .exec(tx)
        .await?;
    let version: Option<i64> = room::Entity::find_by_id(room)
        .select_only()
        .column(room::Column::RosterVersion)
        .into_tuple()
        .one(tx)
        .await?;
    version.ok_or(Error::NotFound(Noun::Room))
}

/// Locks all members of a room in the order in which receipts lock them.
async fn lock_members(tx: &DatabaseTransaction, room: RoomId) -> Result<()> {
    let _: Vec<UserId> = member::of_rooms([room])
        .select_only()
        .column(member::Column::UserId)
        .order_by_asc(member::Column::UserId)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await?;
    Ok(())
}

/// New members' receipts start at the room's newest message; what is older is there to read.
async fn insert_members(
    tx: &impl ConnectionTrait,
    room: &room::Model,
    members: &[(UserId, Role)],
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    // Below the parameters that one statement may have.
    for part in members.chunks(1_000) {
        // An account that is being deleted leaves all its rooms; this one must not be missed.
        let live: Vec<UserId> = user::live()
            .filter(user::COLUMN.id.is_in(part.iter().map(|(user, _)| *user)))
            .order_by_asc(user::COLUMN.id)
            .lock_shared()
            .select_only()
            .column(user::Column::Id)
            .into_tuple()
            .all(tx)
            .await?;
        if live.len() < part.len() {
            return Err(Error::NotFound(Noun::User));
        }
        let rows = part.iter().map(|(user, role)| member::ActiveModel {
            room_id: Set(room.id),
            user_id: Set(*user),
            role: Set(*role),
            joined_at: Set(now),
            delivered_seq: Set(room.last_seq),
            read_seq: Set(room.last_seq),
            told_seq: Set(room.last_seq),
        });
        // Who is in already, because the answer of an earlier commit was lost, stays in.
        member::Entity::insert_many(rows).on_conflict_do_nothing().exec_without_returning(tx).await?;
    }
    Ok(())
}

/// The lobby's id: fixed, so that every database has the same one.
const LOBBY: RoomId = RoomId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));

/// Reads the lobby, and makes it in a new database.
pub(super) async fn open_lobby(db: &Db, clock: &Clock, rosters: &Rosters) -> Result<Arc<Roster>> {
    let now = clock.now();
    if room::Entity::find_by_id(LOBBY).one(db.reader()).await?.is_none() {
        let row = room::ActiveModel {
            id: Set(LOBBY),
            kind: Set(room::Kind::Lobby),
            name: Set(None),
            name_key: Set(None),
            password_hash: Set(None),
            owner_id: Set(None),
            pair_low: Set(None),
            pair_high: Set(None),
            last_seq: Set(Seq::ZERO),
            roster_version: Set(1),
            created_at: Set(now),
            active_at: Set(now),
            deleted_at: Set(None),
        };
        // Another node may make it at the same moment; either way it is there then.
        room::Entity::insert(row).on_conflict_do_nothing().exec_without_returning(db.writer()).await?;
    }
    rosters.get(db.reader(), LOBBY).await?.ok_or_else(|| Error::internal("the lobby could not be made"))
}
