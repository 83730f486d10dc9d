//! Who is in a room: coming in, going out, and a group's passing to another owner.
//!
//! Whoever changes who is in a room holds it (rosters.rs), stores the change with the room's next
//! roster version, and only then changes the roster in memory and tells the members.

use std::{sync::Arc, time::Duration};

use entity::{
    RoomId, UserId,
    member::{self, Role},
    room, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Core,
    event::{Change, Envelope, Event},
    fanout,
    members::{Action, may},
    nouns::Person,
    roster::Entry,
    watermark::Marks,
};
use crate::{
    db::Transaction,
    error::{Busy, Denial, Error, Noun, Result},
};

impl Core {
    /// Puts users into a room and tells its members. Answers who was not in it before. `by` is who
    /// adds them, where they do not come by themselves.
    pub(super) async fn put_in(
        self: &Arc<Self>,
        room: RoomId,
        users: &[(UserId, Person)],
        by: Option<UserId>,
    ) -> Result<Vec<UserId>> {
        let held = self.hold_group(room).await?;
        let roster = &held.roster;
        if let Some(by) = by {
            may(roster.role(by), Action::AddMembers)?;
        }
        let new: Vec<&(UserId, Person)> =
            users.iter().filter(|(user, _)| roster.role(*user).is_none()).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let share = by.map(|by| self.quotas.add_members(by, new.len())).transpose()?;
        let tx = self.db.begin().await?;
        let version = next_version(&tx, room).await?;
        let row = room::Entity::find_by_id(room).one(&*tx).await?.ok_or(Error::NotFound(Noun::Group))?;
        let count = member::of_rooms([room]).select_only().column_as(Expr::cust("COUNT(*)"), "count");
        let count: i64 = count.into_tuple().one(&*tx).await?.unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) + new.len() > self.settings.group_members {
            return Err(Error::invalid("users", "are too many for one group"));
        }
        let members: Vec<(UserId, Role)> = new.iter().map(|(user, _)| (*user, Role::Member)).collect();
        insert_members(&*tx, &row, &members, self.clock.now()).await?;
        self.commit_in(tx, room).await?;
        if let Some(share) = share {
            share.keep();
        }
        for (user, person) in &new {
            let entry = Entry::new(person.clone(), Role::Member, Marks::at(row.last_seq));
            roster.add_member(*user, entry, version);
            self.attach_user(*user, roster, row.last_seq);
        }
        let joined = |(_, person): &&(UserId, Person)| {
            Envelope::new(Event::MemberJoined { group: room, username: person.username.clone() })
        };
        // Still with the room held, so that nothing about its members is told in between.
        fanout::tell_all(&roster.listeners(None), &new.iter().map(joined).collect::<Vec<_>>()).await;
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
        let held = self.rosters.hold(room).await?.ok_or(Error::NotFound(Noun::Room))?;
        let roster = &held.roster;
        let is_group = roster.kind == room::Kind::Group;
        self.writer.caught_up(room).await;
        // For the last word on a group that goes with its last member.
        let before = if is_group { Some(self.group_noun(self.group_row(room).await?).await?) } else { None };
        let tx = self.db.begin().await?;
        let version = next_version(&tx, room).await?;
        lock_members(&tx, room).await?;
        let gone = member::Entity::delete_by_id((room, user)).exec(&*tx).await?;
        if gone.rows_affected == 0 {
            drop(tx);
            // Whoever took them out did not get to tell this roster.
            let connections = roster.remove_member(user, version - 1);
            self.detach(&connections, roster);
            return Err(Error::Forbidden(Denial::NotAMember));
        }
        let heir = if is_group { self.pass_on(&tx, room, user).await? } else { Heir::NotNeeded };
        let row = room::Entity::find_by_id(room).one(&*tx).await?.ok_or(Error::NotFound(Noun::Room))?;
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
                self.rooms_changed(&group, Change::Deleted, None);
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
        let Some(held) = self.rosters.hold(room).await? else { return Ok(()) };
        let roster = &held.roster;
        let (gone, come) = match self.rosters.read(&held).await? {
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
    pub(super) async fn commit_in(self: &Arc<Self>, tx: Transaction, room: RoomId) -> Result<()> {
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
    pub(super) async fn delete_row(&self, tx: &DatabaseTransaction, group: RoomId) -> Result<()> {
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

/// Whom a group passes to.
enum Heir {
    NotNeeded,
    User(UserId),
    Nobody,
}

/// Counts a change of who is in the room, and locks the room's row until the commit: no message
/// gets a seq between this and the seqs that new members start at.
pub(super) async fn next_version(tx: &DatabaseTransaction, room: RoomId) -> Result<i64> {
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
pub(super) async fn lock_members(tx: &DatabaseTransaction, room: RoomId) -> Result<()> {
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
pub(super) async fn insert_members(
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
            listening: Set(false),
        });
        // Who is in already, because the answer of an earlier commit was lost, stays in.
        member::Entity::insert_many(rows).on_conflict_do_nothing().exec_without_returning(tx).await?;
    }
    Ok(())
}
