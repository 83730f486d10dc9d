//! The rooms that are in memory, and how they get there.
//!
//! A roster stays as long as somebody holds it: its listeners, a draft on its way, receipts that
//! are not saved. Loading a room and changing who is in it take the same lock, so a roster never
//! misses a change that was stored while it was being read.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Weak},
};

use entity::{
    RoomId, Seq, UserId, member,
    member::Role,
    room,
    user::{self, username_key},
};
use parking_lot::Mutex;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::{
    nouns::Person,
    roster::{Entry, Peer, Roster},
    watermark::Marks,
};
use crate::error::Result;

/// Locks shared by all rooms; a room uses the one its id falls on.
const STRIPES: usize = 64;
/// Rooms read in one go: who is in thousands must not keep everybody else's waiting meanwhile.
const ROOMS: usize = 50;
/// Values in one list of a query, below what the databases take.
pub(super) const LISTED: usize = 5_000;

pub(super) struct Rosters {
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

/// A room whose membership nobody else changes meanwhile.
pub(super) struct Held<'a> {
    pub roster: Arc<Roster>,
    _stripe: MutexGuard<'a, ()>,
}

impl Rosters {
    pub fn new() -> Self {
        Self {
            resident: Mutex::default(),
            stripes: std::array::from_fn(|_| AsyncMutex::new(())),
            hasher: RandomState::new(),
        }
    }

    /// The roster, where it is in memory.
    pub fn resident(&self, room: RoomId) -> Option<Arc<Roster>> {
        self.resident.lock().rosters.get(&room)?.upgrade()
    }

    /// All that are in memory.
    pub fn all(&self) -> Vec<Arc<Roster>> {
        self.resident.lock().rosters.values().filter_map(Weak::upgrade).collect()
    }

    /// The roster of a room that exists, from memory or from the database.
    pub async fn get(&self, db: &impl ConnectionTrait, room: RoomId) -> Result<Option<Arc<Roster>>> {
        Ok(self.get_all(db, vec![room]).await?.pop())
    }

    /// The rosters of these rooms; those that do not exist are left out.
    pub async fn get_all(&self, db: &impl ConnectionTrait, rooms: Vec<RoomId>) -> Result<Vec<Arc<Roster>>> {
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
        for part in missing.chunks(ROOMS) {
            // In ascending order, so that two who load the same rooms never wait for each other.
            let stripes: BTreeSet<usize> = part.iter().map(|room| self.stripe_of(*room)).collect();
            let mut guards = Vec::with_capacity(stripes.len());
            for stripe in stripes {
                guards.push(self.stripes[stripe].lock().await);
            }
            found.extend(self.load(db, part.to_vec()).await?);
        }
        Ok(found)
    }

    /// The roster, and the right to change who is in the room.
    pub async fn hold(&self, db: &impl ConnectionTrait, room: RoomId) -> Result<Option<Held<'_>>> {
        let stripe = self.stripes[self.stripe_of(room)].lock().await;
        let roster = match self.resident(room) {
            Some(roster) => Some(roster),
            None => self.load(db, vec![room]).await?.pop(),
        };
        Ok(roster.filter(|roster| !roster.is_deleted()).map(|roster| Held { roster, _stripe: stripe }))
    }

    /// Who is in a held room, as the database has it, and which version that is.
    pub async fn read(
        &self,
        db: &impl ConnectionTrait,
        room: RoomId,
    ) -> Result<Option<(i64, HashMap<UserId, Entry>)>> {
        let Some(row) = room::live().filter(room::COLUMN.id.eq(room)).one(db).await? else { return Ok(None) };
        let members = members_of(db, [room].into_iter()).await?.remove(&room).unwrap_or_default();
        Ok(Some((row.roster_version, members)))
    }

    fn stripe_of(&self, room: RoomId) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u128(room.0.as_u128());
        usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)
    }

    /// Reads rooms into memory; the caller holds their stripes.
    async fn load(&self, db: &impl ConnectionTrait, rooms: Vec<RoomId>) -> Result<Vec<Arc<Roster>>> {
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
        let rows = room::live().filter(room::COLUMN.id.is_in(missing.iter().copied())).all(db).await?;
        let mut members = members_of(db, rows.iter().map(|row| row.id)).await?;
        let people = pair_people(db, &rows).await?;
        let mut resident = self.resident.lock();
        for row in rows {
            let pair = match (row.pair_low, row.pair_high) {
                (Some(low), Some(high)) => Some([low, high].map(|id| {
                    let username: Arc<str> =
                        people.get(&id).map(|person| person.username.clone()).unwrap_or_default();
                    Peer { id, key: username_key(&username).into(), username }
                })),
                _ => None,
            };
            let roster = Arc::new(Roster::new(&row, pair, members.remove(&row.id).unwrap_or_default()));
            resident.rosters.insert(row.id, Arc::downgrade(&roster));
            loaded.push(roster);
        }
        if resident.rosters.len() > resident.sweep_at {
            resident.rosters.retain(|_, roster| roster.strong_count() > 0);
            resident.sweep_at = (resident.rosters.len() * 2).max(256);
        }
        Ok(loaded)
    }
}

#[derive(FromQueryResult)]
struct MemberRow {
    room_id: RoomId,
    user_id: UserId,
    role: Role,
    delivered_seq: Seq,
    read_seq: Seq,
    told_seq: Seq,
    username: String,
    first_name: Option<String>,
}

async fn members_of(
    db: &impl ConnectionTrait,
    rooms: impl Iterator<Item = RoomId>,
) -> Result<HashMap<RoomId, HashMap<UserId, Entry>>> {
    let rows: Vec<MemberRow> = member::of_rooms(rooms)
        .join(JoinType::InnerJoin, member::Relation::User.def())
        .select_only()
        .columns([
            member::Column::RoomId,
            member::Column::UserId,
            member::Column::Role,
            member::Column::DeliveredSeq,
            member::Column::ReadSeq,
            member::Column::ToldSeq,
        ])
        .columns([user::Column::Username, user::Column::FirstName])
        .into_model()
        .all(db)
        .await?;
    let mut members: HashMap<RoomId, HashMap<UserId, Entry>> = HashMap::new();
    for row in rows {
        let marks = Marks { delivered: row.delivered_seq, read: row.read_seq, told: row.told_seq };
        let entry = Entry::new(Person::new(row.username, row.first_name), row.role, marks);
        members.entry(row.room_id).or_default().insert(row.user_id, entry);
    }
    Ok(members)
}

/// The names of direct rooms' users, deleted ones too: they keep their place in what was said.
async fn pair_people(db: &impl ConnectionTrait, rows: &[room::Model]) -> Result<HashMap<UserId, Person>> {
    let ids: HashSet<UserId> = rows.iter().flat_map(|row| [row.pair_low, row.pair_high]).flatten().collect();
    people(db, ids).await
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
