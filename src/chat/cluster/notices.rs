//! What other nodes have noted for this one: rooms that it may not have in memory, ended logins, new names.
//!
//! Ids are taken before a commit, so a notice may appear after one with a higher id. The looks at intervals therefore read
//! the notices of the last ten seconds again, and skip those that they know. A transaction that takes longer than that is
//! noticed by the version of the room, or by the job that looks for ended logins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entity::{RoomId, UserId, notice, room, user};
use parking_lot::Mutex;
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, EntityTrait, Statement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{receipts, sql};
use crate::{
    chat::{Chat, Core, event::Change},
    error::Result,
};

/// The most notices of one look. The next one reads the others.
const NOTICES: i64 = 20_000;

/// Up to where notices were read.
pub(super) struct Position {
    /// No notice up to here can appear any more.
    settled: i64,
    /// Those after it that were read.
    seen: BTreeSet<i64>,
}

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

/// Reads the notices since the last look, with `late` also those that have appeared before newer ones were read, and does
/// what they ask for. Returns the rooms whose membership has changed.
pub(super) async fn follow(
    core: &Arc<Core>,
    position: &mut Option<Position>,
    late: bool,
) -> Result<BTreeSet<RoomId>> {
    let position = match position {
        Some(position) => position,
        None => position.insert(Position::before_latest(core).await?),
    };
    let (news, next) = read(core, position, late).await?;
    let rooms = news.rooms.clone();
    news.take(core).await?;
    // Only now: if something failed, the next look tries again.
    *position = next;
    Ok(rooms)
}

impl Position {
    async fn before_latest(core: &Core) -> Result<Self> {
        let asked = Statement::from_string(DbBackend::Postgres, sql::BEFORE_LATEST);
        let row = core.db.reader().query_one_raw(asked).await?;
        let settled = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
        Ok(Self { settled, seen: BTreeSet::new() })
    }

    /// The newest notice that was read.
    fn newest(&self) -> i64 {
        self.seen.last().copied().unwrap_or(self.settled)
    }
}

async fn read(core: &Core, position: &Position, late: bool) -> Result<(NoticesOfLook, Position)> {
    let after = if late { position.settled } else { position.newest() };
    let values = [after.into(), NOTICES.into()];
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::NOTICES, values);
    let mut news = NoticesOfLook::default();
    let kept = if late { BTreeSet::new() } else { position.seen.clone() };
    let mut next = Position { settled: position.settled, seen: kept };
    for row in core.db.reader().query_all_raw(asked).await? {
        let id: i64 = row.try_get_by_index(0)?;
        let node: Option<Uuid> = row.try_get_by_index(1)?;
        let kind: String = row.try_get_by_index(2)?;
        let is_news = !position.seen.contains(&id) && node != Some(core.cluster.id());
        // A node of a newer version may write kinds that this one does not know.
        if is_news && let Ok(kind) = notice::Kind::try_from_value(&kind) {
            news.add(kind, row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        }
        // Those before it are as old, or were read.
        if row.try_get_by_index(5)? && next.seen.is_empty() {
            next.settled = id;
        } else {
            next.seen.insert(id);
        }
    }
    Ok((news, next))
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
        // Rooms in memory follow by their versions.
        let absent = self.rooms.into_iter().filter(|room| core.rooms.resident(*room).is_none());
        load_for_members(core, absent.collect()).await?;
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

/// Loads those of the rooms of which a member is connected here. Loading subscribes the connections of all members. The
/// room was not in memory, so these members are new to it.
async fn load_for_members(core: &Arc<Core>, rooms: Vec<RoomId>) -> Result<()> {
    if rooms.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::MEMBERS, [ids.into()]);
    let mut here: BTreeMap<RoomId, Vec<UserId>> = BTreeMap::new();
    for row in core.db.reader().query_all_raw(asked).await? {
        let (room, user): (RoomId, UserId) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if core.hub.has(user) {
            here.entry(room).or_default().push(user);
        }
    }
    for (room, users) in here {
        let live = core.room_in_memory(room).await?;
        if live.is_some_and(|live| live.kind == room::Kind::Group) {
            core.announce_soon(room, users);
        }
    }
    Ok(())
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
