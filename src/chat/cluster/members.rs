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

/// Loads those of the rooms of which a member is connected here.
pub(super) async fn load(core: &Arc<Core>, rooms: Vec<RoomId>) -> Result<()> {
    for part in rooms.chunks(LISTED) {
        load_found(core, sql::MEMBERS, part.iter().map(|room| room.0).collect()).await?;
    }
    Ok(())
}

/// Loads all rooms of these users.
pub(super) async fn load_rooms_of(core: &Arc<Core>, users: Vec<UserId>) -> Result<()> {
    for part in users.chunks(LISTED) {
        load_found(core, sql::ROOMS_OF_USERS, part.iter().map(|user| user.0).collect()).await?;
    }
    Ok(())
}

/// Loads the rooms that this statement finds for these ids, if they are not in memory and a member is connected here.
/// These members are new to the room: otherwise it would be in memory.
async fn load_found(core: &Arc<Core>, statement: &str, ids: Vec<Uuid>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, statement, [ids.into()]);
    let mut here: BTreeMap<RoomId, Vec<UserId>> = BTreeMap::new();
    for row in core.db.reader().query_all_raw(asked).await? {
        let (room, user): (RoomId, UserId) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if core.hub.has(user) && core.rooms.resident(room).is_none() {
            here.entry(room).or_default().push(user);
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
