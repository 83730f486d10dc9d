//! Rooms that are not in memory here, although a member is connected here: another node has made them, or has put the
//! member into them. Loading a room subscribes the connections of all its members.

use std::{collections::BTreeMap, sync::Arc};

use entity::{RoomId, UserId, room};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::sql;
use crate::{
    chat::{Core, room::registry::LISTED},
    error::Result,
};

/// Loads those of the rooms of which a member is connected here. All members are new to them.
pub(super) async fn load(core: &Arc<Core>, rooms: impl Iterator<Item = RoomId>) -> Result<()> {
    load_found(core, sql::MEMBERS, rooms.map(|room| room.0).collect(), |_| true).await
}

/// Loads all rooms of these users that are not in memory.
pub(super) async fn load_rooms_of(core: &Arc<Core>, users: Vec<UserId>) -> Result<()> {
    let ids = users.iter().map(|user| user.0).collect();
    load_found(core, sql::ROOMS_OF_USERS, ids, |room| core.rooms.resident(room).is_none()).await
}

/// Loads the rooms that this statement finds for these ids, if they are news and a member is connected here. Tells these
/// members of a group that they are in it.
async fn load_found(
    core: &Arc<Core>,
    statement: &str,
    ids: Vec<Uuid>,
    is_news: impl Fn(RoomId) -> bool,
) -> Result<()> {
    let mut here: BTreeMap<RoomId, Vec<UserId>> = BTreeMap::new();
    for part in ids.chunks(LISTED) {
        let asked = Statement::from_sql_and_values(DbBackend::Postgres, statement, [part.to_vec().into()]);
        for row in core.db.reader().query_all_raw(asked).await? {
            let (room, user): (RoomId, UserId) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if core.hub.has(user) && is_news(room) {
                here.entry(room).or_default().push(user);
            }
        }
    }
    for live in core.rooms_in_memory(here.keys().copied().collect()).await? {
        if live.kind == room::Kind::Group {
            let mut users = here.remove(&live.id).unwrap_or_default();
            // Those who are just connecting read their rooms by themselves.
            users.retain(|user| core.hub.of_user(*user).iter().any(|connection| connection.is_open()));
            core.announce_soon(live.id, users);
        }
    }
    Ok(())
}
