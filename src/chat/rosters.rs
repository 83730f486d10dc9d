//! The rooms that are in memory, and how they get there.
//!
//! A roster stays as long as somebody holds it: its listeners, a draft on its way, receipts that
//! are not saved. Loading a room and changing who is in it take the same lock, so a roster never
//! misses a change that was stored while it was being read.
//!
//! Invariant: **a room in memory has the live connections of all its members attached**, whoever loaded it. It is
//! kept here for rooms that are loaded, in `membership` for users who come into a room, and in `connect` for new
//! connections. A connection is in the hub before its rooms are looked up, so one of the three attaches it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Weak},
};

use entity::{
    RoomId, Seq, UserId, room,
    user::{self, username_key},
};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryResult, QuerySelect};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::{
    Core,
    nouns::Person,
    roster::{ById, Entry, Peer, Roster},
    watermark::Marks,
};
use crate::{db::Db, error::Result, shutdown::Shutdown, together::Together};

/// Locks shared by all rooms; a room uses the one its id falls on.
const STRIPES: usize = 64;
/// Rooms read in one go: who is in thousands must not keep everybody else's waiting meanwhile.
const AT_ONCE: usize = 50;
/// Values in one list of a query, below what the databases take.
pub(super) const LISTED: usize = 5_000;

/// The rooms, deleted ones left out; of a direct one its users' names, whether they are deleted or not: they
/// keep their place in what was said.
const ROOMS: &str = "SELECT rooms.id, rooms.kind, rooms.last_seq, rooms.roster_version, \
    low.id, low.username, high.id, high.username FROM rooms \
    LEFT JOIN users AS low ON low.id = rooms.pair_low LEFT JOIN users AS high ON high.id = rooms.pair_high \
    WHERE rooms.deleted_at IS NULL AND rooms.id IN (rows)";
/// Everyone in the rooms.
const MEMBERS: &str = "SELECT members.room_id, members.user_id, members.role, members.delivered_seq, \
    members.read_seq, members.told_seq, users.username, users.first_name \
    FROM members INNER JOIN users ON users.id = members.user_id WHERE members.room_id IN (rows)";

pub(super) struct Rosters {
    /// Reads rooms, for everyone who needs some at the same time.
    stored: Together<RoomId, Option<Stored>>,
    resident: Mutex<Resident>,
    stripes: [AsyncMutex<()>; STRIPES],
    hasher: RandomState,
}

/// Entries whose room has gone from memory are swept when as many again have come.
#[derive(Default)]
struct Resident {
    rosters: HashMap<RoomId, Weak<Roster>>,
    sweep_at: usize,
}

/// Who is in a room as the database has it.
pub(super) struct Membership {
    /// Counts the changes of it.
    pub version: i64,
    pub members: ById<UserId, Entry>,
}

/// A room as the database has it.
struct Stored {
    kind: room::Kind,
    published: Seq,
    pair: Option<[Peer; 2]>,
    membership: Membership,
}

/// A room whose membership nobody else changes meanwhile.
pub(super) struct Held<'a> {
    pub roster: Arc<Roster>,
    _stripe: MutexGuard<'a, ()>,
}

impl Rosters {
    pub fn new(db: &Db, shutdown: &Shutdown) -> Self {
        let db = db.clone();
        let stored = Together::new(shutdown.clone(), db.patience(), move |rooms: Vec<RoomId>| {
            let db = db.clone();
            Box::pin(async move {
                let mut stored = read_all(&db, db.reader(), &rooms).await?;
                // Nobody else asks for the same one: who does holds its stripe.
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

    /// The roster, where it is in memory.
    pub fn resident(&self, room: RoomId) -> Option<Arc<Roster>> {
        self.resident.lock().rosters.get(&room)?.upgrade()
    }

    /// Reads the lobby into memory, before anybody is connected.
    pub async fn open_lobby(&self, lobby: RoomId) -> Result<Option<Arc<Roster>>> {
        Ok(self.get_all(vec![lobby], |_| {}).await?.pop())
    }

    /// All that are in memory.
    pub fn all(&self) -> Vec<Arc<Roster>> {
        self.resident.lock().rosters.values().filter_map(Weak::upgrade).collect()
    }

    /// The rosters of these rooms; those that do not exist are left out. `on_load` gets each room that was not in
    /// memory before anybody else does.
    async fn get_all(&self, rooms: Vec<RoomId>, on_load: impl Fn(&Arc<Roster>)) -> Result<Vec<Arc<Roster>>> {
        let mut found = Vec::with_capacity(rooms.len());
        let mut missing = Vec::new();
        for room in rooms {
            match self.resident(room) {
                Some(roster) => found.push(roster),
                None => missing.push(room),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        // Boxed: most rooms are in memory, and whoever connects would make room for this.
        Box::pin(self.load_all(missing, found, on_load)).await
    }

    async fn load_all(
        &self,
        missing: Vec<RoomId>,
        mut found: Vec<Arc<Roster>>,
        on_load: impl Fn(&Arc<Roster>),
    ) -> Result<Vec<Arc<Roster>>> {
        for part in missing.chunks(AT_ONCE) {
            // In ascending order, so that two who load the same rooms never wait for each other.
            let stripes: BTreeSet<usize> = part.iter().map(|room| self.stripe_of(*room)).collect();
            let mut guards = Vec::with_capacity(stripes.len());
            for stripe in stripes {
                guards.push(self.stripes[stripe].lock().await);
            }
            found.extend(self.load(part.to_vec(), &on_load).await?);
        }
        Ok(found)
    }

    /// Who is in a held room, as the database has it; none where the room is deleted.
    pub async fn read(&self, held: &Held<'_>) -> Result<Option<Membership>> {
        let stored = self.stored.ask(held.roster.id).await?;
        Ok(stored.map(|stored| stored.membership))
    }

    fn stripe_of(&self, room: RoomId) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u128(room.0.as_u128());
        usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)
    }

    /// Reads rooms into memory; the caller holds their stripes.
    async fn load(&self, rooms: Vec<RoomId>, on_load: &impl Fn(&Arc<Roster>)) -> Result<Vec<Arc<Roster>>> {
        let mut loaded = Vec::with_capacity(rooms.len());
        let mut missing = Vec::new();
        for room in rooms {
            // Somebody may have been quicker while this waited for the stripe.
            match self.resident(room) {
                Some(roster) => loaded.push(roster),
                None => missing.push(room),
            }
        }
        if missing.is_empty() {
            return Ok(loaded);
        }
        let asked = missing.iter().map(|room| self.stored.ask(*room));
        let stored = try_join_all(asked).await?;
        let new = loaded.len();
        for (id, stored) in missing.into_iter().zip(stored) {
            let Some(Stored { kind, published, pair, membership }) = stored else { continue };
            let Membership { version, members } = membership;
            let roster = Arc::new(Roster::new(id, kind, pair, published, version, members));
            on_load(&roster);
            loaded.push(roster);
        }
        let mut resident = self.resident.lock();
        for roster in &loaded[new..] {
            resident.rosters.insert(roster.id, Arc::downgrade(roster));
        }
        if resident.rosters.len() > resident.sweep_at {
            resident.rosters.retain(|_, roster| roster.strong_count() > 0);
            resident.sweep_at = (resident.rosters.len() * 2).max(256);
        }
        Ok(loaded)
    }
}

impl Core {
    /// The roster of a room that exists, from memory or from the database.
    pub(super) async fn room_in_memory(self: &Arc<Self>, room: RoomId) -> Result<Option<Arc<Roster>>> {
        Ok(self.rooms_in_memory(vec![room]).await?.pop())
    }

    /// The rosters of these rooms; those that do not exist are left out.
    pub(super) async fn rooms_in_memory(self: &Arc<Self>, rooms: Vec<RoomId>) -> Result<Vec<Arc<Roster>>> {
        self.rosters.get_all(rooms, |roster| self.attach_members(roster)).await
    }

    /// The roster, and the right to change who is in the room; none where there is no such room.
    pub(super) async fn hold(self: &Arc<Self>, room: RoomId) -> Result<Option<Held<'_>>> {
        let rosters = &self.rosters;
        let stripe = rosters.stripes[rosters.stripe_of(room)].lock().await;
        let roster = match rosters.resident(room) {
            Some(roster) => Some(roster),
            None => rosters.load(vec![room], &|roster| self.attach_members(roster)).await?.pop(),
        };
        Ok(roster.filter(|roster| !roster.is_deleted()).map(|roster| Held { roster, _stripe: stripe }))
    }
}

/// Who is in these rooms, as this connection sees them; deleted rooms are left out.
pub(super) async fn read_members(
    db: &Db,
    connection: &impl ConnectionTrait,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, Membership>> {
    let stored = read_all(db, connection, rooms).await?;
    Ok(stored.into_iter().map(|(room, stored)| (room, stored.membership)).collect())
}

async fn read_all(
    db: &Db,
    connection: &impl ConnectionTrait,
    rooms: &[RoomId],
) -> Result<HashMap<RoomId, Stored>> {
    let ids = || rooms.iter().map(|room| room.0);
    let mut stored = HashMap::with_capacity(rooms.len());
    for row in connection.query_all_raw(db.listing(ROOMS, ids())).await? {
        let room = Stored {
            kind: row.try_get_by_index(1)?,
            published: row.try_get_by_index(2)?,
            pair: peer(&row, 4)?.zip(peer(&row, 6)?).map(Into::into),
            membership: Membership { version: row.try_get_by_index(3)?, members: ById::default() },
        };
        stored.insert(row.try_get_by_index(0)?, room);
    }
    for row in connection.query_all_raw(db.listing(MEMBERS, ids())).await? {
        // Made or deleted between the two.
        let Some(room) = stored.get_mut(&row.try_get_by_index(0)?) else { continue };
        let marks = Marks {
            delivered: row.try_get_by_index(3)?,
            read: row.try_get_by_index(4)?,
            told: row.try_get_by_index(5)?,
        };
        let person = Person::new(row.try_get_by_index(6)?, row.try_get_by_index(7)?);
        let entry = Entry::new(person, row.try_get_by_index(2)?, marks);
        room.membership.members.insert(row.try_get_by_index(1)?, entry);
    }
    Ok(stored)
}

/// One of a direct room's users, from a column with the id and the next with the username; none in other rooms.
fn peer(row: &QueryResult, at: usize) -> Result<Option<Peer>, DbErr> {
    let Some(id) = row.try_get_by_index(at)? else { return Ok(None) };
    let username: String = row.try_get_by_index(at + 1)?;
    Ok(Some(Peer { id, key: username_key(&username).into(), username: username.into() }))
}

/// What these users are called, deleted ones too.
pub(super) async fn people(
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
