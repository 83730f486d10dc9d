//! The registry of the rooms in memory, and how rooms are loaded.
//!
//! A room stays in memory as long as anything holds it: a subscription, a queued message, receipts that are
//! not saved. Loading a room and changing its membership take the same lock, so a room in memory never misses
//! a change that was stored while it was being read.
//!
//! Invariant: **all connections of a room's members are subscribed to it while it is in memory**. Three
//! places keep it: this file for rooms that are loaded, `membership` for users who join a room, and
//! `lifecycle` for new connections. A connection enters the hub before its rooms are read, so one of the
//! three subscribes it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Weak},
};

use entity::{RoomId, UserId, room, user};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryResult, QuerySelect};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::{ById, Heads, Peer, Room, StoredMember, watermark::Marks};
use crate::{
    chat::{Core, sql},
    db::{Db, coalesce::Coalescer},
    error::Result,
    identity::Person,
    room_settings::RoomSettings,
    shutdown::Shutdown,
    sweep::SweepLength,
};

/// Locks shared by all rooms; the hash of a room's id selects its lock.
const STRIPES: usize = 64;
/// Rooms that are read at once, so that a user in thousands of rooms does not block others.
const AT_ONCE: usize = 50;
/// The most values in one list of a query, below the limits of the databases.
pub(in crate::chat) const LISTED: usize = 5_000;

pub(super) struct RoomRegistry {
    /// Reads rooms, with one query for all tasks that need rooms at the same time.
    stored: Coalescer<RoomId, Option<StoredRoom>>,
    resident: Mutex<Resident>,
    stripes: [AsyncMutex<()>; STRIPES],
    hasher: RandomState,
}

/// Entries of rooms that are no longer in memory are removed when the map has doubled.
#[derive(Default)]
struct Resident {
    rooms: HashMap<RoomId, Weak<Room>>,
    sweep_at: SweepLength,
}

/// The membership of a room, as in the database.
pub(in crate::chat) struct StoredMembership {
    /// Each change of the membership increases it.
    pub version: i64,
    pub settings: RoomSettings,
    pub members: ById<UserId, StoredMember>,
}

/// A room, as in the database.
struct StoredRoom {
    kind: room::Kind,
    heads: Heads,
    pair: Option<[Peer; 2]>,
    membership: StoredMembership,
}

/// A locked room: no other task changes its membership while this is kept.
pub(in crate::chat) struct LockedRoom<'a> {
    pub room: Arc<Room>,
    _stripe: MutexGuard<'a, ()>,
}

impl RoomRegistry {
    pub fn new(db: &Db, shutdown: &Shutdown) -> Self {
        let db = db.clone();
        let stored = Coalescer::new(shutdown.clone(), db.patience(), move |rooms: Vec<RoomId>| {
            let db = db.clone();
            Box::pin(async move {
                let mut stored = read_all(&db, db.reader(), &rooms).await?;
                // No other task asks for the same room: each task that asks holds the room's stripe.
                Ok(rooms.iter().map(|room| stored.remove(room)).collect())
            })
        });
        Self {
            stored,
            resident: Mutex::default(),
            stripes: std::array::from_fn(|_| AsyncMutex::new(())),
            hasher: RandomState::new(),
        }
    }

    /// The room, if it is in memory.
    pub fn resident(&self, room: RoomId) -> Option<Arc<Room>> {
        self.resident.lock().rooms.get(&room)?.upgrade()
    }

    /// Those of the rooms that are in memory, and those that are not.
    fn residents(&self, rooms: Vec<RoomId>) -> (Vec<Arc<Room>>, Vec<RoomId>) {
        let mut found = Vec::with_capacity(rooms.len());
        let mut missing = Vec::new();
        for room in rooms {
            match self.resident(room) {
                Some(live) => found.push(live),
                None => missing.push(room),
            }
        }
        (found, missing)
    }

    /// Loads the lobby, before any user is connected.
    pub async fn open_lobby(&self, lobby: RoomId) -> Result<Option<Arc<Room>>> {
        Ok(self.get_all(vec![lobby], |_| {}).await?.pop())
    }

    /// All rooms in memory.
    pub fn all(&self) -> Vec<Arc<Room>> {
        self.resident.lock().rooms.values().filter_map(Weak::upgrade).collect()
    }

    /// These rooms, without those that do not exist. `on_load` is called for each room that is loaded, before
    /// any other task gets the room.
    async fn get_all(&self, rooms: Vec<RoomId>, on_load: impl Fn(&Arc<Room>)) -> Result<Vec<Arc<Room>>> {
        let (found, missing) = self.residents(rooms);
        if missing.is_empty() {
            return Ok(found);
        }
        // Boxed, because most rooms are in memory: the future of each new connection would reserve space for
        // this.
        Box::pin(self.load_all(missing, found, on_load)).await
    }

    async fn load_all(
        &self,
        missing: Vec<RoomId>,
        mut found: Vec<Arc<Room>>,
        on_load: impl Fn(&Arc<Room>),
    ) -> Result<Vec<Arc<Room>>> {
        for part in missing.chunks(AT_ONCE) {
            // In ascending order, so that two tasks that load the same rooms never deadlock.
            let stripes: BTreeSet<usize> = part.iter().map(|room| self.stripe_of(*room)).collect();
            let mut guards = Vec::with_capacity(stripes.len());
            for stripe in stripes {
                guards.push(self.stripes[stripe].lock().await);
            }
            found.extend(self.load(part.to_vec(), &on_load).await?);
        }
        Ok(found)
    }

    /// The membership of a locked room, as in the database; `None` if the room is deleted.
    pub async fn read(&self, held: &LockedRoom<'_>) -> Result<Option<StoredMembership>> {
        let stored = self.stored.ask(held.room.id).await?;
        Ok(stored.map(|stored| stored.membership))
    }

    fn stripe_of(&self, room: RoomId) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u128(room.0.as_u128());
        usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)
    }

    /// Loads rooms. The caller holds their stripes.
    async fn load(&self, rooms: Vec<RoomId>, on_load: &impl Fn(&Arc<Room>)) -> Result<Vec<Arc<Room>>> {
        // Another task may have loaded some of them while this one waited for the stripes.
        let (mut loaded, missing) = self.residents(rooms);
        if missing.is_empty() {
            return Ok(loaded);
        }
        let asked = missing.iter().map(|room| self.stored.ask(*room));
        let stored = try_join_all(asked).await?;
        let new = loaded.len();
        for (id, stored) in missing.into_iter().zip(stored) {
            let Some(StoredRoom { kind, heads, pair, membership }) = stored else { continue };
            let StoredMembership { version, settings, members } = membership;
            let live = Arc::new(Room::new(id, kind, pair, heads, version, members));
            live.set_settings(settings);
            on_load(&live);
            loaded.push(live);
        }
        let mut resident = self.resident.lock();
        for live in &loaded[new..] {
            resident.rooms.insert(live.id, Arc::downgrade(live));
        }
        if resident.sweep_at.is_exceeded(resident.rooms.len()) {
            resident.rooms.retain(|_, live| live.strong_count() > 0);
            let left = resident.rooms.len();
            resident.sweep_at.swept(left);
        }
        Ok(loaded)
    }
}

impl Core {
    /// A room that exists, from memory or from the database.
    pub(in crate::chat) async fn room_in_memory(self: &Arc<Self>, room: RoomId) -> Result<Option<Arc<Room>>> {
        Ok(self.rooms_in_memory(vec![room]).await?.pop())
    }

    /// These rooms, without those that do not exist.
    pub(in crate::chat) async fn rooms_in_memory(
        self: &Arc<Self>,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Arc<Room>>> {
        let live = self.rooms.registry.get_all(rooms, |room| self.begin(room)).await?;
        self.cluster.have_come(&live);
        Ok(live)
    }

    /// A room was loaded, and no other task knows it yet.
    fn begin(self: &Arc<Self>, room: &Arc<Room>) {
        // Kept from the last time that it was in memory; another node may have changed them since.
        self.rooms.replay_cache.forget(room);
        self.attach_members(room);
    }

    /// Locks a room, so that the caller can change its membership; `None` if there is no such room.
    pub(in crate::chat) async fn lock_room(self: &Arc<Self>, room: RoomId) -> Result<Option<LockedRoom<'_>>> {
        let rooms = &self.rooms.registry;
        let stripe = rooms.stripes[rooms.stripe_of(room)].lock().await;
        let live = match rooms.resident(room) {
            Some(live) => Some(live),
            None => {
                let loaded = rooms.load(vec![room], &|live| self.begin(live)).await?;
                self.cluster.have_come(&loaded);
                loaded.into_iter().next()
            }
        };
        Ok(live.filter(|live| !live.is_deleted()).map(|live| LockedRoom { room: live, _stripe: stripe }))
    }
}

/// The memberships of these rooms, as this database connection sees them, without deleted rooms.
pub(in crate::chat) async fn read_members(
    db: &Db,
    connection: &impl ConnectionTrait,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, StoredMembership>> {
    let stored = read_all(db, connection, rooms).await?;
    Ok(stored.into_iter().map(|(room, stored)| (room, stored.membership)).collect())
}

async fn read_all(
    db: &Db,
    connection: &impl ConnectionTrait,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, StoredRoom>> {
    let ids = || rooms.iter().map(|room| room.0);
    let mut stored = HashMap::with_capacity(rooms.len());
    for row in connection.query_all_raw(db.values_list(sql::ROOMS, ids())).await? {
        let room = StoredRoom {
            kind: row.try_get_by_index(1)?,
            heads: Heads { seq: row.try_get_by_index(2)?, change: row.try_get_by_index(4)? },
            pair: peer(&row, 5)?.zip(peer(&row, 8)?).map(Into::into),
            membership: StoredMembership {
                version: row.try_get_by_index(3)?,
                settings: RoomSettings::read(row.try_get_by_index::<Option<String>>(11)?.as_deref()),
                members: ById::default(),
            },
        };
        stored.insert(row.try_get_by_index(0)?, room);
    }
    for row in connection.query_all_raw(db.values_list(&sql::members(), ids())).await? {
        // Made or deleted between the two queries.
        let Some(room) = stored.get_mut(&row.try_get_by_index(0)?) else { continue };
        let marks = Marks {
            delivered: row.try_get_by_index(3)?,
            read: row.try_get_by_index(4)?,
            notified: row.try_get_by_index(5)?,
            read_at: row.try_get_by_index(8)?,
        };
        let person = Person::new(row.try_get_by_index(6)?, row.try_get_by_index(7)?);
        let member = StoredMember {
            person,
            role: row.try_get_by_index(2)?,
            marks,
            is_marked_unread: row.try_get_by_index::<i32>(9)? > 0,
            joined: row.try_get_by_index(10)?,
        };
        room.membership.members.insert(row.try_get_by_index(1)?, member);
    }
    Ok(stored)
}

/// One user of a direct room, from the column with the id and the next ones with the username and its key; `None`
/// in other rooms.
fn peer(row: &QueryResult, at: usize) -> Result<Option<Peer>, DbErr> {
    let Some(id) = row.try_get_by_index(at)? else { return Ok(None) };
    let username: String = row.try_get_by_index(at + 1)?;
    let key: String = row.try_get_by_index(at + 2)?;
    Ok(Some(Peer { id, key: key.into(), username: username.into() }))
}

/// The names of these users, also of deleted ones.
pub(in crate::chat) async fn people(
    db: &impl ConnectionTrait,
    users: HashSet<UserId>,
) -> Result<HashMap<UserId, Person>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let users: Vec<UserId> = users.into_iter().collect();
    let mut found = HashMap::with_capacity(users.len());
    for part in users.chunks(LISTED) {
        let rows: Vec<(UserId, String, Option<String>)> = user::Entity::find()
            .filter(user::COLUMN.id.is_in(part.iter().copied()))
            .select_only()
            .columns([user::Column::Id, user::Column::Username, user::Column::FirstName])
            .into_tuple()
            .all(db)
            .await?;
        found.extend(rows.into_iter().map(|(id, username, first)| (id, Person::new(username, first))));
    }
    Ok(found)
}
