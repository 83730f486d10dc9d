//! What a native client is told when it reconnects, besides messages: groups that it has joined or left, or
//! that were deleted or changed, and who has read the user's messages meanwhile (docs/events.md).
//!
//! A group that is new to the client is announced before its messages: until then, its subscription stays
//! behind.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use entity::{RoomId, Seq, UserId, room};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Value};

use super::connection::Connection;
use crate::{
    chat::{
        Core,
        event::{Change, Envelope, Event},
        model::Group,
        room::{Reader, Room, registry::LISTED},
        sql,
    },
    db::values_list::{self, Pad},
    error::Result,
};

/// The most events that one connect causes; the most recent rooms come first. The rest is in `listRooms`.
const MOST: usize = 1_000;
/// In a larger group, the history says who has read what.
const READERS_TOLD_UP_TO: usize = 50;
/// How many messages before a `read` mark are looked at to find one of the user's own.
const LOOKED_AT: i64 = 1_000;
/// The most rows of one query. Each has four parameters.
const ROWS: usize = 250;
/// Events that are written without a pause.
const IN_ONE_GO: usize = 16;

/// A room in which members have read meanwhile, and these members, with their marks.
type ReadRoom = (Arc<Room>, Vec<Reader>);

/// What is told of one room.
enum Item {
    /// The user has joined a group.
    Joined(Arc<Room>),
    /// The user has left a group.
    Left,
    Deleted,
    Updated,
    Read(ReadRoom),
}

impl Core {
    /// Starts a task that tells a connection the news, if there may be any. Returns the rooms that the task
    /// announces, and then brings up to date.
    pub(in crate::chat) fn tell_news(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        live_rooms: &[Arc<Room>],
    ) -> BTreeSet<RoomId> {
        let Some(news) = connection.news.lock().take() else { return BTreeSet::new() };
        let user = connection.user();
        let went_at = news.went_at.map_or(0, |at| at.timestamp_millis());
        let own = live_rooms.iter().filter(|room| room.id != self.rooms.lobby().id);
        let read: Vec<ReadRoom> = own
            .clone()
            .map(|room| (room.clone(), room.readers_since(user, went_at, READERS_TOLD_UP_TO)))
            .filter(|(_, readers)| !readers.is_empty())
            .collect();
        let is_new = |room: &Room| {
            room.kind == room::Kind::Group
                && news.named.as_ref().is_some_and(|named| !named.contains(&room.id))
        };
        let joined: Vec<Arc<Room>> = own.filter(|room| is_new(room)).cloned().collect();
        let announced_later = joined.iter().map(|room| room.id).collect();
        let named = news.named.unwrap_or_default();
        if read.is_empty() && joined.is_empty() && named.is_empty() {
            return announced_later;
        }
        let (core, connection) = (self.clone(), connection.clone());
        self.shutdown.spawn(async move {
            let told = tokio::select! {
                told = core.tell(&connection, went_at, named, &joined, read) => told,
                () = connection.over() => return,
            };
            if let Err(err) = told {
                tracing::warn!(error = ?err, connection.id = %connection.id, "could not read what a client missed");
                connection.disconnect("what it missed could not be read");
            }
            // The groups that were not announced, because there were more than [`MOST`] of them.
            for room in joined {
                core.bring_up(&connection, &room);
                core.receipts.touch(&room);
            }
        });
        announced_later
    }

    async fn tell(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        went_at: i64,
        named: HashSet<RoomId>,
        joined: &[Arc<Room>],
        read: Vec<ReadRoom>,
    ) -> Result<()> {
        let mut items: HashMap<RoomId, Vec<Item>> = HashMap::new();
        for room in joined {
            items.entry(room.id).or_default().push(Item::Joined(room.clone()));
        }
        for room in self.with_own_messages(connection.user(), read).await? {
            items.entry(room.0.id).or_default().push(Item::Read(room));
        }
        let mut rows = self.room_rows(named.iter().chain(items.keys()).copied().collect()).await?;
        for row in rows.iter().filter(|row| named.contains(&row.id)) {
            if let Some(change) = change_of(row, is_member(connection, row.id), went_at) {
                items.entry(row.id).or_default().insert(0, change);
            }
        }
        rows.retain(|row| items.contains_key(&row.id));
        rows.sort_by_key(|row| std::cmp::Reverse((row.active_at, row.id)));
        rows.truncate(MOST);
        let groups = self.read_groups(rows).await?;
        self.notify_of(connection, groups, items).await;
        Ok(())
    }

    /// The rows of these rooms, also of deleted ones, without the lobby.
    async fn room_rows(&self, mut rooms: HashSet<RoomId>) -> Result<Vec<room::Model>> {
        rooms.remove(&self.rooms.lobby().id);
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        let mut rows = Vec::with_capacity(rooms.len());
        for part in rooms.chunks(LISTED) {
            let part = room::Entity::find().filter(room::COLUMN.id.is_in(part.iter().copied()));
            rows.extend(part.all(self.db.reader()).await?);
        }
        Ok(rows)
    }

    /// Writes the events of these items, group by group. Brings each joined group up to date once it is announced.
    async fn notify_of(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        groups: Vec<Group>,
        mut items: HashMap<RoomId, Vec<Item>>,
    ) {
        let mut left = MOST;
        for group in groups {
            for item in items.remove(&group.row.id).into_iter().flatten() {
                for event in events_of(&item, &group, connection) {
                    if left == 0 || connection.is_over() {
                        return;
                    }
                    left -= 1;
                    connection.notify(&Envelope::new(event));
                    if left.is_multiple_of(IN_ONE_GO) {
                        tokio::task::yield_now().await;
                    }
                }
                if let Item::Joined(room) = item {
                    self.bring_up(connection, &room);
                    self.receipts.touch(&room);
                }
            }
        }
    }

    /// Those of the readers whose mark is past a message of the user.
    async fn with_own_messages(&self, user: UserId, read: Vec<ReadRoom>) -> Result<Vec<ReadRoom>> {
        let mut asked: Vec<(RoomId, Seq)> = read
            .iter()
            .flat_map(|(room, readers)| readers.iter().map(|reader| (room.id, reader.seq)))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        let mut found: HashSet<(RoomId, Seq)> = HashSet::new();
        let db = self.db.reader();
        for part in asked.chunks(ROWS) {
            let rows = part.iter().map(|(room, seq)| -> [Value; 4] {
                let after = (seq.0 - LOOKED_AT).max(0);
                [room.0.into(), user.0.into(), after.into(), seq.0.into()]
            });
            let own = values_list::statement(db.get_database_backend(), sql::OWN_UP_TO, rows, Pad::Null);
            for row in db.query_all_raw(own).await? {
                found.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
            }
        }
        let mut read = read;
        for (room, readers) in &mut read {
            readers.retain(|reader| found.contains(&(room.id, reader.seq)));
        }
        read.retain(|(_, readers)| !readers.is_empty());
        Ok(read)
    }
}

fn is_member(connection: &Connection, room: RoomId) -> bool {
    connection.rooms.lock().iter().any(|live| live.id == room)
}

/// How a group that the client named has changed since `went_at`.
fn change_of(row: &room::Model, is_member: bool, went_at: i64) -> Option<Item> {
    if row.kind != room::Kind::Group {
        return None;
    }
    match (row.deleted_at, is_member) {
        (Some(_), _) => Some(Item::Deleted),
        (None, false) => Some(Item::Left),
        (None, true) => (row.changed_at > 0 && row.changed_at >= went_at).then_some(Item::Updated),
    }
}

fn events_of(item: &Item, group: &Group, connection: &Connection) -> Vec<Event> {
    let id = group.row.id;
    let changed = |change| Event::RoomsChanged { group: group.clone(), change };
    match item {
        // It may have been left meanwhile.
        Item::Joined(_) if !is_member(connection, id) => Vec::new(),
        Item::Joined(_) => vec![Event::NewGroup(group.clone())],
        // It may have been joined again meanwhile, which was told.
        Item::Left if is_member(connection, id) => Vec::new(),
        Item::Left => {
            vec![Event::MemberLeft { group: id, username: connection.caller().username.clone() }]
        }
        Item::Deleted => vec![changed(Change::Deleted)],
        Item::Updated => vec![changed(Change::Updated)],
        Item::Read((room, readers)) => readers
            .iter()
            .map(|reader| Event::Read {
                room: id,
                receiver: room.receiver_from(reader.user),
                username: reader.username.clone(),
                seq: reader.seq,
            })
            .collect(),
    }
}
