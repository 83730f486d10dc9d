//! What the database holds in the end: the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::{MessageId, RoomId, UserId, member, message, message_version, pin, reaction, room};
use sea_orm::{Database, EntityTrait, QueryOrder};
use serde_json::Value as Json;

use crate::{
    aftermath::GROUP,
    history::Place,
    membership::PREFIX,
    version::{Digest, Line, Mark, Version},
    world::World,
};

#[derive(Clone, Debug, Default)]
pub struct Room {
    /// None for a room that nobody was meant to make.
    pub place: Option<Place>,
    pub last_seq: i64,
    pub last_change: i64,
    /// In the order of seq.
    pub lines: Vec<Line>,
    pub receipts: BTreeMap<usize, Receipts>,
    /// The seqs of pinned messages.
    pub pins: BTreeSet<i64>,
    /// The seqs of messages of which earlier contents are kept.
    pub versions: BTreeSet<i64>,
    /// The seqs of replies in threads, with those of their roots.
    pub threads: BTreeMap<i64, i64>,
    /// Who is mentioned, by seq.
    pub mentions: BTreeMap<i64, BTreeSet<usize>>,
    /// Who has reacted, by seq and key.
    pub reactions: BTreeMap<i64, ByKey>,
    /// The same, as the summary of each message says.
    pub summaries: BTreeMap<i64, ByKey>,
}

/// People, by the key of their reaction.
pub type ByKey = BTreeMap<String, BTreeSet<usize>>;

#[derive(Clone, Copy, Debug, Default)]
pub struct Receipts {
    pub delivered: i64,
    pub read: i64,
}

impl Room {
    pub fn id_at(&self, seq: i64) -> Option<MessageId> {
        self.line_at(seq).map(|line| line.id)
    }

    pub fn is_lobby(&self) -> bool {
        self.place == Some(Place::Lobby)
    }

    pub fn line_at(&self, seq: i64) -> Option<&Line> {
        let at = self.lines.binary_search_by_key(&seq, |line| line.seq).ok()?;
        self.lines.get(at)
    }
}

pub type Stored = BTreeMap<RoomId, Room>;

/// Reads everything, past the server.
pub async fn read(url: &str, world: &World) -> Result<Stored, sea_orm::DbErr> {
    let database = Database::connect(url).await?;
    let numbers: HashMap<UserId, usize> =
        world.people.iter().enumerate().map(|(number, person)| (person.id, number)).collect();
    let number = |user: Option<UserId>| user.and_then(|user| numbers.get(&user).copied());
    let mut stored = Stored::new();
    for row in room::Entity::find().all(&database).await? {
        if row.name.as_deref().is_some_and(|name| name.starts_with(PREFIX) || name == GROUP) {
            // The storm of membership and the aftermath have rules of their own.
            continue;
        }
        let place = match row.kind {
            room::Kind::Lobby => Some(Place::Lobby),
            room::Kind::Group => world.groups.iter().position(|group| *group == row.id).map(Place::Group),
            room::Kind::Direct => number(row.pair_low)
                .and_then(|low| number(row.pair_high).map(|high| Place::between(low, high))),
        };
        let room =
            Room { place, last_seq: row.last_seq.0, last_change: row.last_change.0, ..Room::default() };
        stored.insert(row.id, room);
    }
    let rows =
        message::Entity::find().order_by_asc(message::Column::RoomId).order_by_asc(message::Column::Seq);
    for row in rows.all(&database).await? {
        let Some(room) = stored.get_mut(&row.room_id) else { continue };
        let content: String = serde_json::from_str(&row.content).unwrap_or(row.content);
        let marks: Json =
            row.marks.as_deref().map_or(Json::Null, |marks| serde_json::from_str(marks).unwrap());
        let extras: Json =
            row.extras.as_deref().map_or(Json::Null, |extras| serde_json::from_str(extras).unwrap());
        if let Some(root) = extras["thread"]["seq"].as_i64() {
            room.threads.insert(row.seq.0, root);
        }
        let mentioned = extras["mentioned"].as_array().into_iter().flatten();
        let mentioned: BTreeSet<usize> = mentioned
            .filter_map(|user| numbers.get(&user.as_str()?.parse::<UserId>().ok()?).copied())
            .collect();
        if !mentioned.is_empty() {
            room.mentions.insert(row.seq.0, mentioned);
        }
        for summary in marks["reactions"].as_array().into_iter().flatten() {
            let users = summary["users"].as_array().unwrap();
            let people: BTreeSet<usize> = users
                .iter()
                .filter_map(|user| world.people.iter().position(|person| person.username == *user))
                .collect();
            // There are fewer people than a summary names.
            assert_eq!(summary["count"].as_u64(), Some(people.len() as u64), "{summary}");
            let key = summary["key"].as_str().unwrap().to_owned();
            room.summaries.entry(row.seq.0).or_default().insert(key, people);
        }
        room.lines.push(Line {
            seq: row.seq.0,
            id: row.id,
            sender: number(Some(row.sender_id)),
            client_message_id: row.client_message_id,
            version: Version {
                change: row.change.0,
                content: Digest::of(&content),
                edits: marks["edits"].as_i64().unwrap_or(0),
                reactions: Digest::of(&marks["reactions"].to_string()),
                deleted: row.deleted_at.map(|at| Mark {
                    at: at.timestamp_millis(),
                    by: Digest::of(marks["deleted_by"].as_str().unwrap_or_default()),
                }),
                pinned: marks["pin"]["at"]
                    .as_i64()
                    .map(|at| Mark { at, by: Digest::of(marks["pin"]["by"].as_str().unwrap_or_default()) }),
                edited_at: row.edited_at.map_or(0, |at| at.timestamp_millis()),
            },
        });
    }
    for row in reaction::Entity::find().all(&database).await? {
        let (Some(room), Some(person)) = (stored.get_mut(&row.room_id), number(Some(row.user_id))) else {
            continue;
        };
        room.reactions.entry(row.seq.0).or_default().entry(row.key).or_default().insert(person);
    }
    for row in pin::Entity::find().all(&database).await? {
        if let Some(room) = stored.get_mut(&row.room_id) {
            room.pins.insert(row.seq.0);
        }
    }
    for row in message_version::Entity::find().all(&database).await? {
        if let Some(room) = stored.get_mut(&row.room_id) {
            room.versions.insert(row.seq.0);
        }
    }
    database.close().await?;
    for (id, person, receipts) in self::receipts(url, world).await? {
        if let Some(room) = stored.get_mut(&id) {
            room.receipts.insert(person, receipts);
        }
    }
    Ok(stored)
}

/// How far everyone is stored to have got in each room.
pub async fn receipts(url: &str, world: &World) -> Result<Vec<(RoomId, usize, Receipts)>, sea_orm::DbErr> {
    let database = Database::connect(url).await?;
    let rows = member::Entity::find().all(&database).await?;
    database.close().await?;
    let receipts = rows.into_iter().filter_map(|row| {
        let person = world.people.iter().position(|person| person.id == row.user_id)?;
        Some((row.room_id, person, Receipts { delivered: row.delivered_seq.0, read: row.read_seq.0 }))
    });
    Ok(receipts.collect())
}
