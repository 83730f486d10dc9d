//! Receipts of the same room at several nodes. Each node saves those that its own connections have moved, and then tells
//! the others. While the bus works, it sends them the receipts themselves. A node that misses a frame, or hears nothing,
//! reads those of all rooms in memory. While a node does not hear itself and all others, it also notes the rooms, at most
//! once for each room and look, and the others read the marks of all members. They take over the higher ones.
//!
//! Every node notifies its own connections of deliveries. So a sender's `notified` mark is not taken over: the other
//! node's connections are not this one's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entity::{RoomId, UserId, notice};
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::sql;
use crate::{
    bus::frame::{FrameEntry, MemberMarks, RoomMarks},
    chat::{
        Core, receipts,
        room::{Room, watermark::Marks},
    },
    error::Result,
};

/// The most rooms of one statement.
const ROOMS: usize = 1_000;

/// The most members of one entry of a frame.
const MEMBERS: usize = 40;

/// Rooms whose receipts were saved here, and of which the other nodes were not told. At most the rooms in memory.
#[derive(Default)]
pub(super) struct MovedRooms(Mutex<BTreeSet<RoomId>>);

/// Saved receipts that wait to be told: at most one of each member of the rooms in memory.
#[derive(Default)]
pub(super) struct SavedMarks(BTreeMap<RoomId, BTreeMap<UserId, Marks>>);

impl SavedMarks {
    pub fn add(&mut self, room: RoomId, of: impl Iterator<Item = (UserId, Marks)>) {
        let known = self.0.entry(room).or_default();
        for (user, marks) in of {
            known.entry(user).and_modify(|known| *known = known.max(marks)).or_insert(marks);
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = FrameEntry> {
        self.0.iter().flat_map(|(room, of)| {
            let of: Vec<MemberMarks> = of.iter().map(|(user, marks)| told(*user, *marks)).collect();
            let parts = of.chunks(MEMBERS).map(|part| RoomMarks { room: *room, of: part.to_vec() });
            parts.map(FrameEntry::Marks).collect::<Vec<_>>()
        })
    }
}

fn told(user: UserId, marks: Marks) -> MemberMarks {
    MemberMarks { user, delivered: marks.delivered, read: marks.read, read_at: marks.read_at }
}

/// Takes over what another node has told.
pub(super) fn hear(core: &Arc<Core>, told: RoomMarks) {
    let Some(room) = core.told_of(told.room) else { return };
    let marks = told.of.into_iter().map(|told| {
        let marks =
            Marks { delivered: told.delivered, read: told.read, read_at: told.read_at, ..Marks::default() };
        (told.user, marks)
    });
    take_over(core, &room, marks.collect());
}

fn take_over(core: &Arc<Core>, room: &Arc<Room>, marks: Vec<(UserId, Marks)>) {
    let readers = room.follow_marks(marks);
    receipts::show_readers(core, room, readers);
    core.receipts.touch(room);
}

impl MovedRooms {
    pub fn add(&self, room: RoomId) {
        self.0.lock().insert(room);
    }

    pub fn take(&self) -> Vec<RoomId> {
        std::mem::take(&mut *self.0.lock()).into_iter().collect()
    }
}

/// Tells the other nodes of the receipts that were saved since the last look. Returns whether there were any.
pub(super) async fn tell(core: &Core) -> Result<bool> {
    let mut untold = Untold { of: &core.cluster.receipts, rooms: core.cluster.receipts.take() };
    for part in untold.rooms.chunks(ROOMS) {
        let told =
            part.iter().map(|room| notice::of_room(notice::Kind::Receipts, *room, Some(core.cluster.id)));
        notice::tell(&*core.db.writer().await?, told).await?;
    }
    Ok(!std::mem::take(&mut untold.rooms).is_empty())
}

/// Rooms that are being told. Those that are left when it is dropped, because of an error or a timeout, are told later.
struct Untold<'a> {
    of: &'a MovedRooms,
    rooms: Vec<RoomId>,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.rooms.iter().for_each(|room| self.of.add(*room));
    }
}

/// Takes over the receipts of these rooms from the database, and tells the connections here.
pub(super) async fn follow(core: &Arc<Core>, rooms: Vec<Arc<Room>>) -> Result<()> {
    for part in rooms.chunks(ROOMS) {
        follow_part(core, part).await?;
    }
    Ok(())
}

async fn follow_part(core: &Arc<Core>, rooms: &[Arc<Room>]) -> Result<()> {
    let ids: Vec<Uuid> = rooms.iter().map(|room| room.id.0).collect();
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::MARKS, [ids.into()]);
    let mut stored: BTreeMap<RoomId, Vec<(UserId, Marks)>> = BTreeMap::new();
    for row in core.db.reader().query_all_raw(asked).await? {
        let marks = Marks {
            delivered: row.try_get_by_index(2)?,
            read: row.try_get_by_index(3)?,
            read_at: row.try_get_by_index(4)?,
            ..Marks::default()
        };
        stored.entry(row.try_get_by_index(0)?).or_default().push((row.try_get_by_index(1)?, marks));
    }
    for room in rooms {
        take_over(core, room, stored.remove(&room.id).unwrap_or_default());
    }
    Ok(())
}
