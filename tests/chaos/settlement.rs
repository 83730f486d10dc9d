//! The end of the membership storm, with the server in peace and the connections still there: memory is held against the
//! database, group by group.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use entity::{RoomId, UserId, member, message, room};
use tokio::time::Instant;

use sea_orm::{ColumnTrait, Database, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    checker::{Rule, Violation},
    membership::{Fact, PREFIX, Storm},
    membership_check::{GroupRow, Groups},
};

/// How long the probes together may take.
const PATIENCE: Duration = Duration::from_secs(60);
const THE_END: &str = "the end";

/// Reads the storm's groups, past the server.
pub async fn read(url: &str, people: &[UserId]) -> Result<Groups, sea_orm::DbErr> {
    let database = Database::connect(url).await?;
    let numbers: HashMap<UserId, usize> =
        people.iter().enumerate().map(|(number, person)| (*person, number)).collect();
    let mut groups = Groups::new();
    let rooms = room::Entity::find().filter(room::Column::Name.starts_with(PREFIX)).all(&database).await?;
    for row in rooms {
        let owner = row.owner_id.and_then(|owner| numbers.get(&owner).copied());
        let group = GroupRow {
            is_deleted: row.deleted_at.is_some(),
            owner,
            last_seq: row.last_seq.0,
            ..GroupRow::default()
        };
        groups.insert(row.id, group);
    }
    for row in member::Entity::find().all(&database).await? {
        if let (Some(group), Some(number)) = (groups.get_mut(&row.room_id), numbers.get(&row.user_id)) {
            group.members.insert(*number, row.role == member::Role::Owner);
        }
    }
    let rows = message::Entity::find().order_by_asc(message::Column::Seq);
    for row in rows.all(&database).await? {
        if let Some(group) = groups.get_mut(&row.room_id) {
            let content = serde_json::from_str(&row.content).unwrap_or(row.content);
            group.messages.push((row.seq.0, content));
        }
    }
    database.close().await?;
    Ok(groups)
}

/// Probes every group that is left. Nothing else happens meanwhile.
pub async fn check(storm: &Storm, url: &str) -> Vec<Violation> {
    let people: Vec<UserId> = storm.people.iter().map(|person| person.id).collect();
    let mut found = Vec::new();
    let groups = read(url, &people).await.unwrap();
    for (group, row) in groups.iter().filter(|(_, row)| !row.is_deleted) {
        let Some(owner) = row.owner else { continue };
        if !storm.is_settled(owner, *group).await {
            let told = format!("the owner {owner} of {group} cannot change it");
            found.push(Violation { rule: Rule::Disagrees, told });
        }
    }
    // Now that every command has ended.
    let groups = read(url, &people).await.unwrap();
    found.extend(probe(storm, &groups).await);
    for person in 0..people.len() {
        found.extend(compare_lists(storm, &groups, person).await);
    }
    found
}

/// Each owner posts a probe; the members hear it, and nobody else does. Then a group of everybody is told the end:
/// once a person has heard that, everything that was written to them before has arrived.
async fn probe(storm: &Storm, groups: &Groups) -> Vec<Violation> {
    let live = || groups.iter().filter(|(_, row)| !row.is_deleted);
    let probe_of = |group: &RoomId| format!("probe of {group}");
    for (group, row) in live() {
        if let Some(owner) = row.owner {
            storm.posts(owner, *group, &probe_of(group));
        }
    }
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    for (group, _) in live() {
        if !storm.stores(&probe_of(group), deadline).await {
            let told = format!("the owner of {group} could not post in it");
            found.push(Violation { rule: Rule::Disagrees, told });
        }
    }
    let everybody: Vec<String> = storm.people.iter().map(|person| person.username.clone()).collect();
    let body = serde_json::json!({ "groupName": format!("{PREFIX}of all"), "users": everybody });
    let Some((201, made)) = storm.asks(0, "POST", "/api/rooms", Some(body)).await else {
        found.push(Violation { rule: Rule::Disagrees, told: "the group of all was not made".to_owned() });
        return found;
    };
    storm.posts(0, made["groupId"].as_str().unwrap().parse().unwrap(), THE_END);
    let deadline = Instant::now() + PATIENCE;
    for person in 0..storm.people.len() {
        if !storm.hears(person, THE_END, deadline).await {
            let told = format!("person {person} did not hear the end");
            found.push(Violation { rule: Rule::NotAttached, told });
        }
    }
    // A connection that had fallen behind in a room is brought up to date after the others.
    let deadline = Instant::now() + PATIENCE / 3;
    for (group, row) in live() {
        for person in row.members.keys() {
            if !storm.hears(*person, &probe_of(group), deadline).await {
                let told = format!("the {} did not reach person {person}, who is a member", probe_of(group));
                found.push(Violation { rule: Rule::NotAttached, told });
            }
        }
    }
    for entry in storm.log.entries() {
        let Fact::Heard { group, content, .. } = &entry.fact else { continue };
        let is_member = groups.get(group).is_some_and(|group| group.members.contains_key(&entry.person));
        if content.starts_with("probe of ") && !is_member {
            let told = format!("person {} heard the {content:?} of a group of others", entry.person);
            found.push(Violation { rule: Rule::StillHears, told });
        }
    }
    found
}

/// What the server answers about groups and members is what the rows say.
async fn compare_lists(storm: &Storm, groups: &Groups, person: usize) -> Vec<Violation> {
    let mut found = Vec::new();
    let mine: BTreeSet<RoomId> =
        groups.iter().filter(|(_, row)| row.members.contains_key(&person)).map(|(id, _)| *id).collect();
    let listed: BTreeSet<RoomId> = match storm.asks(person, "GET", "/api/rooms/mine", None).await {
        Some((200, rooms)) => {
            let ids = rooms.as_array().into_iter().flatten().filter_map(|room| room["roomId"].as_str());
            ids.filter_map(|id| id.parse().ok()).filter(|id| groups.contains_key(id)).collect()
        }
        answer => {
            let told = format!("person {person} cannot list their rooms: {answer:?}");
            return vec![Violation { rule: Rule::Disagrees, told }];
        }
    };
    if listed != mine {
        let told = format!("person {person} is in {mine:?} and is shown {listed:?}");
        found.push(Violation { rule: Rule::Disagrees, told });
    }
    for (group, row) in groups.iter().filter(|(_, row)| !row.is_deleted) {
        let path = format!("/api/rooms/{group}/members?limit=200");
        let answer = storm.asks(person, "GET", &path, None).await;
        let is_right = match &answer {
            Some((200, page)) => {
                let listed = page["members"].as_array().map_or(0, Vec::len);
                row.members.contains_key(&person) && listed == row.members.len()
            }
            Some((403, _)) => !row.members.contains_key(&person),
            _ => false,
        };
        if !is_right {
            let told = format!("person {person} is answered {answer:?} about {group}: {:?}", row.members);
            found.push(Violation { rule: Rule::Disagrees, told });
        }
    }
    found
}
