//! Who is in a room. Every change of it is one operation ([`Core::change_members`]), so that it is whole or did
//! not happen:
//!
//! 1. lock the room (`rosters`), and let what was sent to it before be stored,
//! 2. lock its row in a transaction and ask there whether the caller may,
//! 3. write, and commit,
//! 4. change the room in memory, and publish.
//!
//! The right is asked from the rows that the transaction has locked: what the caller was allowed a moment ago, or
//! what memory knows, decides nothing.

use std::{sync::Arc, time::Duration};

use entity::{
    RoomId, UserId,
    member::{self, Role},
    room, user,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Core,
    event::{Change, Envelope, Event},
    fanout,
    members::{Action, may},
    nouns::{Group, Person},
    roster::{Entry, Roster},
    rosters::{Held, Membership},
    watermark::Marks,
};
use crate::{
    db::Transaction,
    error::{Busy, Denial, Error, Noun, Result},
    rates::Share,
};

/// Members that one statement reads or writes, below the parameters that a statement may have.
const ROWS: usize = 1_000;

/// One change of who is in a room.
#[derive(Debug)]
pub(super) enum MembershipChange {
    /// A user joins a group by their own wish.
    Join {
        user: UserId,
        person: Person,
        /// The hash that the user's password was checked against; the group may have another by now.
        password_hash: Option<String>,
    },
    /// A member adds other users to a group.
    Add { by: UserId, users: Vec<(UserId, Person)> },
    /// A user leaves a group by their own wish.
    Leave { user: UserId, username: Arc<str> },
    /// A member removes another one from a group.
    Remove { by: UserId, user: UserId, username: Arc<str> },
    /// The account of a member, of any kind of room, was deleted.
    AccountDeleted { user: UserId, username: Arc<str> },
    /// A member deletes a group, and with it all memberships.
    DeleteGroup { by: UserId },
}

/// What a change came to.
pub(super) struct Changed {
    /// The room in memory.
    pub roster: Arc<Roster>,
    /// The room's row as the change left it.
    pub row: room::Model,
    /// The users that were not in the room before.
    pub added: Vec<UserId>,
    /// The group as it was before, where the change deleted it.
    pub deleted: Option<Group>,
}

/// What was written, and what memory has to learn from it.
enum Written {
    /// Everybody was in the room already; the transaction wrote nothing.
    Nothing,
    Added {
        users: Vec<(UserId, Person)>,
        /// What the one who added them has used up by it; to be kept after the commit.
        share: Option<Share>,
    },
    Removed {
        user: UserId,
        username: Arc<str>,
        heir: Heir,
    },
    Deleted,
}

/// Who owns a group after a member has gone.
enum Heir {
    /// The same user as before.
    NotNeeded,
    User(UserId),
    /// Nobody is left, so the group was deleted.
    Nobody,
}

impl Core {
    /// Changes who is in a room; see the module. Rooms of other kinds than groups know only
    /// [`MembershipChange::AccountDeleted`].
    ///
    /// # Errors
    /// `not_found` for a room that does not exist; `not_a_member`, `forbidden` or `wrong_password` where the caller
    /// may not; `unavailable` where the database did not answer. If only the answer of the commit was lost, memory
    /// follows the database as soon as that answers again.
    pub(super) async fn change_members(
        self: &Arc<Self>,
        room: RoomId,
        change: MembershipChange,
    ) -> Result<Changed> {
        let held = self.hold(room).await?.ok_or_else(|| change.absent())?;
        let roster = &held.roster;
        let is_group = roster.kind == room::Kind::Group;
        if !is_group && !matches!(change, MembershipChange::AccountDeleted { .. }) {
            return Err(change.absent());
        }
        let mut before = None;
        if change.takes_somebody_out() {
            // What the one who goes has sent before comes before.
            self.writer.caught_up(room).await;
            if is_group {
                before = self.group_nouns(vec![self.group_row(room).await?]).await?.pop();
            }
        }
        let tx = self.db.begin().await?;
        let row = next_version(&tx, room).await?.ok_or_else(|| change.absent())?;
        // Whether another process has changed the room since memory knew it.
        let is_behind = roster.version() + 1 != row.roster_version;
        let written = self.write(&tx, &row, change).await;
        if is_behind && !matches!(written, Ok(Written::Added { .. } | Written::Removed { .. })) {
            self.reread_soon(room);
        }
        let written = written?;
        if matches!(written, Written::Nothing) {
            return Ok(Changed { roster: roster.clone(), row, added: Vec::new(), deleted: None });
        }
        let row = room::Entity::find_by_id(room).one(&*tx).await?.ok_or(Error::NotFound(Noun::Room))?;
        self.commit_in(tx, room).await?;
        let written = written.kept();
        if is_behind && row.deleted_at.is_none() {
            // The change is part of the difference that this publishes.
            if let Err(err) = self.reread_held(&held).await {
                tracing::warn!(error = ?err, room.id = %room, "could not read a changed room");
                self.reread_soon(room);
            }
            return Ok(Changed { roster: roster.clone(), row, added: written.added(), deleted: None });
        }
        Ok(self.apply(roster, row, written, before).await)
    }

    /// Asks the right and writes, under the lock of the room's row.
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
                    return Err(Error::Forbidden(Denial::WrongPassword));
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
                let role = role.ok_or(Error::Forbidden(Denial::NotAMember))?;
                self.remove(tx, row, user, role, username).await
            }
            MembershipChange::Remove { by, user, username } => {
                let own = role_of(tx, row.id, by).await?;
                let role = role_of(tx, row.id, user).await?;
                may(own, Action::Remove(role.unwrap_or(Role::Member)))?;
                let role = role.ok_or(Error::NotFound(Noun::User))?;
                self.remove(tx, row, user, role, username).await
            }
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
        let share = by.map(|by| self.quotas.add_members(by, new.len())).transpose()?;
        let count = member::of_rooms([row.id]).select_only().column_as(Expr::cust("COUNT(*)"), "count");
        let count: i64 = count.into_tuple().one(tx).await?.unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) + new.len() > self.settings.group_members {
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
            Heir::User(heir) => pass_on(tx, row.id, heir).await?,
            Heir::Nobody => self.delete_row(tx, row.id).await?,
        }
        Ok(Written::Removed { user, username, heir })
    }

    /// Changes the room in memory after the commit, and publishes, with the room still locked: nothing about its
    /// members is told in between.
    async fn apply(
        self: &Arc<Self>,
        roster: &Arc<Roster>,
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
                    let entry = Entry::new(person.clone(), Role::Member, Marks::at(row.last_seq));
                    roster.add_member(user, entry, version);
                    self.attach_user(user, roster, row.last_seq);
                    let event = Event::MemberJoined { group: row.id, username: person.username };
                    joined.push(Envelope::new(event));
                    added.push(user);
                }
                fanout::tell_all(&roster.listeners(None), &joined).await;
            }
            Written::Removed { user, username, heir } => {
                if roster.kind == room::Kind::Group {
                    roster.tell(Event::MemberLeft { group: row.id, username }, None);
                }
                let connections = roster.remove_member(user, version);
                self.detach(&connections, roster);
                match heir {
                    Heir::NotNeeded => {}
                    Heir::User(heir) => roster.set_role(heir, Role::Owner),
                    Heir::Nobody => deleted = before,
                }
                // The messages that only the one who went had not received may now have reached everybody.
                self.receipts.touch(roster);
            }
            Written::Deleted => deleted = before,
        }
        if let Some(group) = &deleted {
            let listeners = roster.delete();
            self.detach(&listeners, roster);
            self.rooms_changed(group, Change::Deleted, None);
        }
        Changed { roster: roster.clone(), row, added, deleted }
    }

    /// Brings a room in memory up to date with the database: another process has changed it, or the answer of a
    /// commit was lost. Publishes what has changed.
    pub(super) async fn reread(self: &Arc<Self>, room: RoomId) -> Result<()> {
        match self.hold(room).await? {
            Some(held) => self.reread_held(&held).await,
            None => Ok(()),
        }
    }

    async fn reread_held(self: &Arc<Self>, held: &Held<'_>) -> Result<()> {
        let (roster, room) = (&held.roster, held.roster.id);
        match self.rosters.read(held).await? {
            Some(stored) => self.take_over(roster, stored),
            None => {
                let listeners = roster.delete();
                self.detach(&listeners, roster);
                if let Some(row) = room::Entity::find_by_id(room).one(self.db.reader()).await?
                    && row.kind == room::Kind::Group
                {
                    let group = Group { owner: Person::nobody(), member_count: 0, users: None, row };
                    self.rooms_changed(&group, Change::Deleted, None);
                }
            }
        }
        Ok(())
    }

    /// Takes over who is in a room from a version of the database, unless memory is as new, and publishes the
    /// difference.
    pub(super) fn take_over(self: &Arc<Self>, roster: &Arc<Roster>, stored: Membership) {
        let changes = roster.reconcile(stored.version, stored.members);
        self.detach(&changes.detached, roster);
        for (user, entry) in &changes.come {
            self.attach_user(*user, roster, entry.marks.delivered);
        }
        if roster.kind == room::Kind::Group {
            let group = roster.id;
            for person in changes.gone {
                roster.tell(Event::MemberLeft { group, username: person.username }, None);
            }
            for (_, entry) in changes.come {
                roster.tell(Event::MemberJoined { group, username: entry.person.username }, None);
            }
        }
        self.receipts.touch(roster);
    }

    /// Commits a change of a room, or a new room. Where the answer is lost, memory follows what really happened as
    /// soon as the database answers again.
    pub(super) async fn commit_in(self: &Arc<Self>, tx: Transaction, room: RoomId) -> Result<()> {
        let Err(err) = tx.commit().await else { return Ok(()) };
        tracing::warn!(error = %err, room.id = %room, "the answer of a commit was lost");
        self.reread_soon(room);
        Err(Error::Unavailable(Busy::Database))
    }

    /// Rereads a room in a task, again and again until the database answers.
    pub(super) fn reread_soon(self: &Arc<Self>, room: RoomId) {
        let core = self.clone();
        self.shutdown.spawn(async move {
            let mut pause = Duration::from_millis(200);
            while core.reread(room).await.is_err() && !core.shutdown.has_begun() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
                    () = core.shutdown.begun() => {}
                }
            }
        });
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
}

impl Written {
    /// The commit has happened.
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
            Self::Join { .. } | Self::Add { .. } => false,
            Self::Leave { .. }
            | Self::Remove { .. }
            | Self::AccountDeleted { .. }
            | Self::DeleteGroup { .. } => true,
        }
    }

    /// The refusal where there is no such room.
    fn absent(&self) -> Error {
        Error::NotFound(match self {
            Self::AccountDeleted { .. } => Noun::Room,
            _ => Noun::Group,
        })
    }
}

/// Counts a change of who is in a room that is not deleted, and locks the room's row until the commit: no message
/// gets a seq between this and the seqs that new members start at. Returns the row with its new version.
pub(super) async fn next_version(tx: &DatabaseTransaction, room: RoomId) -> Result<Option<room::Model>> {
    room::Entity::update_many()
        .col_expr(room::Column::RosterVersion, Expr::col(room::Column::RosterVersion).add(1))
        .filter(room::COLUMN.id.eq(room))
        .filter(room::COLUMN.deleted_at.is_null())
        .exec(tx)
        .await?;
    Ok(room::live().filter(room::COLUMN.id.eq(room)).one(tx).await?)
}

/// What a user is in a room, as the database has it.
pub(super) async fn role_of(db: &impl ConnectionTrait, room: RoomId, user: UserId) -> Result<Option<Role>> {
    let row = member::Entity::find_by_id((room, user)).select_only().column(member::Column::Role);
    Ok(row.into_tuple().one(db).await?)
}

/// Those of the users who are in a room.
async fn members_among(
    tx: &DatabaseTransaction,
    room: RoomId,
    users: impl Iterator<Item = UserId>,
) -> Result<Vec<UserId>> {
    let users: Vec<UserId> = users.collect();
    let mut inside = Vec::new();
    for part in users.chunks(ROWS) {
        let found: Vec<UserId> = member::of_rooms([room])
            .filter(member::COLUMN.user_id.is_in(part.iter().copied()))
            .select_only()
            .column(member::Column::UserId)
            .into_tuple()
            .all(tx)
            .await?;
        inside.extend(found);
    }
    Ok(inside)
}

/// The user whom a group passes to when its owner goes: the admin, or else the member, who joined first.
async fn find_heir(tx: &DatabaseTransaction, group: RoomId, owner: UserId) -> Result<Heir> {
    let others = || {
        member::of_rooms([group])
            .filter(member::COLUMN.user_id.ne(owner))
            .order_by_asc(member::COLUMN.joined_at)
            .order_by_asc(member::COLUMN.user_id)
    };
    let admin = others().filter(member::COLUMN.role.eq(Role::Admin)).one(tx).await?;
    let heir = match admin {
        Some(admin) => Some(admin),
        None => others().one(tx).await?,
    };
    Ok(heir.map_or(Heir::Nobody, |heir| Heir::User(heir.user_id)))
}

/// Makes a member the owner of a group.
async fn pass_on(tx: &DatabaseTransaction, group: RoomId, heir: UserId) -> Result<()> {
    tracing::info!(room.id = %group, user.id = %heir, "a group passed to another owner");
    member::Entity::update_many()
        .col_expr(member::Column::Role, Expr::value(Role::Owner))
        .filter(member::COLUMN.room_id.eq(group))
        .filter(member::COLUMN.user_id.eq(heir))
        .exec(tx)
        .await?;
    room::Entity::update_many()
        .col_expr(room::Column::OwnerId, Expr::value(heir.0))
        .filter(room::COLUMN.id.eq(group))
        .exec(tx)
        .await?;
    Ok(())
}

/// Locks members of a room in the order in which receipts lock them, so that neither waits for the other.
async fn lock_members(tx: &DatabaseTransaction, members: Select<member::Entity>) -> Result<()> {
    let _: Vec<UserId> = members
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
pub(super) async fn insert_members(
    tx: &impl ConnectionTrait,
    room: &room::Model,
    members: &[(UserId, Role)],
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    for part in members.chunks(ROWS) {
        // An account that is being deleted leaves all its rooms; the lock keeps it from missing this one.
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
            listening: Set(false),
        });
        member::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}
