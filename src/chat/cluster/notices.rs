//! What other nodes have noted for this one: rooms that it may not have in memory, ended logins, new names.
//!
//! Ids are taken before a commit, so a notice may appear after one with a higher id. A [`Position`] is therefore a
//! snapshot of PostgreSQL, which knows the transactions that had not ended: no notice is read twice, and none is passed
//! over, however long its transaction takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entity::{RoomId, UserId, notice, user};
use parking_lot::Mutex;
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, EntityTrait, Statement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{members, receipts, sql};
use crate::{
    chat::{Chat, Core, event::Change},
    error::{Error, Result},
};

/// The most notices of one look. A node that has missed more reads everything.
const NOTICES: usize = 20_000;

/// Up to where notices were read: those that this snapshot of PostgreSQL shows.
pub(super) struct Position(String);

/// Users with connections here, some of whose logins have ended elsewhere.
#[derive(Default)]
pub(super) struct EndedLogins {
    of: Mutex<BTreeSet<UserId>>,
    work: Notify,
}

/// What the notices of one look are about.
#[derive(Default)]
struct NoticesOfLook {
    rooms: BTreeSet<RoomId>,
    listed: BTreeMap<RoomId, Change>,
    ended: BTreeSet<UserId>,
    renamed: BTreeSet<UserId>,
    receipts: BTreeSet<RoomId>,
    views: BTreeSet<(RoomId, UserId)>,
}

/// Reads the notices since the last look, and does what they ask for. Without a position, brings up to date what they
/// might have asked for. Returns the rooms whose membership has changed.
pub(super) async fn follow(core: &Arc<Core>, position: &mut Option<Position>) -> Result<BTreeSet<RoomId>> {
    let Some(read_to) = position else {
        // Before everything else is read: a notice that comes in between is read at the next look.
        let now = Position::now(core).await?;
        follow_without_notices(core).await?;
        *position = Some(now);
        return Ok(BTreeSet::new());
    };
    let Some((news, next)) = read(core, read_to).await? else {
        // The next look is at everything.
        *position = None;
        return Ok(BTreeSet::new());
    };
    let rooms = news.rooms.clone();
    news.take(core).await?;
    // Only now: if something failed, the next look tries again.
    if let Some(next) = next {
        *read_to = next;
    }
    Ok(rooms)
}

impl Position {
    async fn now(core: &Core) -> Result<Self> {
        let asked = Statement::from_string(DbBackend::Postgres, sql::SNAPSHOT);
        let row = core.db.reader().query_one_raw(asked).await?;
        let row = row.ok_or_else(|| Error::internal("PostgreSQL has no snapshot"))?;
        Ok(Self(row.try_get_by_index(0)?))
    }
}

/// The notices after a position, and the position after them if there are any; `None` if there are too many.
async fn read(core: &Core, position: &Position) -> Result<Option<(NoticesOfLook, Option<Position>)>> {
    let limit = i64::try_from(NOTICES + 1).unwrap_or(i64::MAX);
    let values = [position.0.as_str().into(), limit.into()];
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::NOTICES, values);
    let rows = core.db.reader().query_all_raw(asked).await?;
    if rows.len() > NOTICES {
        return Ok(None);
    }
    let mut news = NoticesOfLook::default();
    for row in &rows {
        let node: Option<Uuid> = row.try_get_by_index(0)?;
        let kind: String = row.try_get_by_index(1)?;
        // A node of a newer version may write kinds that this one does not know.
        if node != Some(core.cluster.id())
            && let Ok(kind) = notice::Kind::try_from_value(&kind)
        {
            news.add(kind, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        }
    }
    let next = rows.first().map(|row| row.try_get_by_index(4)).transpose()?.map(Position);
    Ok(Some((news, next)))
}

/// Brings up to date what notices tell of, because some may be lost: this node has just begun to look, was away for
/// long, or PostgreSQL has crashed and lost them. The rooms in memory are read by the same look. What is not found are
/// first names, a user's own settings, and entries of the list of groups: clients read them when they next ask.
async fn follow_without_notices(core: &Arc<Core>) -> Result<()> {
    let users: BTreeSet<UserId> = core.hub.all().iter().map(|connection| connection.user()).collect();
    core.cluster.ended_logins.add(users.iter().copied());
    members::load_rooms_of(core, users.into_iter().collect()).await?;
    receipts::follow(core, core.rooms.all()).await
}

impl NoticesOfLook {
    fn add(&mut self, kind: notice::Kind, room: Option<RoomId>, user: Option<UserId>) {
        let listed = match kind {
            notice::Kind::Membership => return self.rooms.extend(room),
            notice::Kind::LoginsEnded => return self.ended.extend(user),
            notice::Kind::UserRenamed => return self.renamed.extend(user),
            notice::Kind::Receipts => return self.receipts.extend(room),
            notice::Kind::View => return self.views.extend(room.zip(user)),
            notice::Kind::GroupCreated => Change::Created,
            notice::Kind::GroupUpdated => Change::Updated,
            notice::Kind::GroupDeleted => Change::Deleted,
        };
        if let Some(room) = room {
            self.listed.insert(room, listed);
        }
    }

    async fn take(self, core: &Arc<Core>) -> Result<()> {
        core.cluster.ended_logins.add(self.ended.into_iter().filter(|user| core.hub.has(*user)));
        for user in self.renamed {
            if let Some(row) = user::Entity::find_by_id(user).one(core.db.reader()).await? {
                core.rename(&row).await?;
            }
        }
        // Rooms in memory follow by their versions. A new group may be in memory already, because one of its members has
        // named it here; nobody was told of it then.
        let is_new = |room: &RoomId| self.listed.get(room) == Some(&Change::Created);
        let is_absent = |room: &RoomId| core.rooms.resident(*room).is_none();
        let unknown = self.rooms.into_iter().filter(|room| is_new(room) || is_absent(room));
        members::load(core, unknown).await?;
        receipts::follow(core, core.rooms.resident_among(self.receipts)).await?;
        for (room, user) in self.views {
            if core.hub.has(user) {
                core.follow_view(room, user).await?;
            }
        }
        for (group, change) in self.listed {
            core.list_changed(group, change).await?;
        }
        Ok(())
    }
}

impl EndedLogins {
    fn add(&self, users: impl Iterator<Item = UserId>) {
        let mut of = self.of.lock();
        let before = of.len();
        of.extend(users);
        if of.len() > before {
            self.work.notify_one();
        }
    }
}

impl Chat {
    /// Waits until another node has ended logins of users who are connected here. Returns the logins of their
    /// connections: those that have ended may be among them.
    pub async fn logins_ended_elsewhere(&self) -> Vec<entity::SessionId> {
        let ended = &self.core.cluster.ended_logins;
        loop {
            let users = std::mem::take(&mut *ended.of.lock());
            if !users.is_empty() {
                let connections = users.into_iter().flat_map(|user| self.core.hub.of_user(user));
                return connections.map(|connection| connection.caller().session).collect();
            }
            ended.work.notified().await;
        }
    }
}
