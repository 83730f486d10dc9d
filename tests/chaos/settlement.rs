//! The end of the membership storm, with the server in peace and the connections still there: memory is held against the
//! database, group by group.

use std::{collections::HashMap, time::Duration};

use entity::{RoomId, UserId, member, message, room};
use tokio::time::Instant;

use sea_orm::{ColumnTrait, Database, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    checker::{Rule, Violation},
    membership::{PREFIX, Storm},
    membership_check::{GroupRow, Groups},
    settlement_check::{check_list, check_mine, check_probes, probe_of},
};

/// How long the probes together may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often everything is probed at most.
const ROUNDS: usize = 3;

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
            name: row.name,
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

/// Probes every group that is left. Nothing else happens meanwhile, except that a request whose client hung up may
/// still arrive at a busy server. Where the rows changed meanwhile, everything is probed again.
pub async fn check(storm: &Storm, url: &str) -> Vec<Violation> {
    let people: Vec<UserId> = storm.people.iter().map(|person| person.id).collect();
    let mut found = Vec::new();
    let mut groups = read(url, &people).await.unwrap();
    for round in 1..=ROUNDS {
        let asked = groups;
        let mut unable = Vec::new();
        for (group, row) in asked.iter().filter(|(_, row)| !row.is_deleted) {
            let Some(owner) = row.owner else { continue };
            if !storm.is_settled(owner, *group).await {
                unable.push((owner, *group));
            }
        }
        // Now that every command that had arrived has ended.
        groups = read(url, &people).await.unwrap();
        found.clear();
        for (owner, group) in unable {
            // The last command may have changed the owner, or deleted the group.
            if have_same_members(&asked, &groups, &group) {
                let told = format!("the owner {owner} of {group} cannot change it");
                found.push(Violation { rule: Rule::Disagrees, told });
            }
        }
        found.extend(probe(storm, &groups, round).await);
        for person in 0..people.len() {
            found.extend(compare_lists(storm, &groups, person).await);
        }
        if found.is_empty() {
            break;
        }
        let later = read(url, &people).await.unwrap();
        if groups.keys().all(|group| have_same_members(&groups, &later, group)) {
            break;
        }
        groups = later;
    }
    found
}

/// Whether a group has the same members in both.
fn have_same_members(before: &Groups, after: &Groups, group: &RoomId) -> bool {
    before.get(group).zip(after.get(group)).is_some_and(|(before, after)| before.has_same_members(after))
}

/// Each owner posts a probe; the members hear it, and nobody else does. Then a group of everybody is told the end:
/// once a person has heard that, everything that was written to them before has arrived.
async fn probe(storm: &Storm, groups: &Groups, round: usize) -> Vec<Violation> {
    let probe_of = |group: &RoomId| probe_of(group, round);
    let live = || groups.iter().filter(|(_, row)| !row.is_deleted);
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
    let the_end = format!("the end {round}");
    let everybody: Vec<String> = storm.people.iter().map(|person| person.username.clone()).collect();
    let body = serde_json::json!({ "groupName": format!("{PREFIX}of all {round}"), "users": everybody });
    let Some((201, made)) = storm.asks(0, "POST", "/api/rooms", Some(body)).await else {
        found.push(Violation { rule: Rule::Disagrees, told: "the group of all was not made".to_owned() });
        return found;
    };
    storm.posts(0, made["groupId"].as_str().unwrap().parse().unwrap(), &the_end);
    let deadline = Instant::now() + PATIENCE;
    for person in 0..storm.people.len() {
        if !storm.hears(person, &the_end, deadline).await {
            let told = format!("person {person} did not hear the end");
            found.push(Violation { rule: Rule::NotAttached, told });
        }
    }
    // A connection that had fallen behind in a room is brought up to date after the others.
    let deadline = Instant::now() + PATIENCE / 3;
    for (group, row) in live() {
        for person in row.members.keys() {
            storm.hears(*person, &probe_of(group), deadline).await;
        }
    }
    found.extend(check_probes(&storm.log.entries(), groups, round));
    found
}

/// Asks for somebody's rooms, and for the members of every group.
async fn compare_lists(storm: &Storm, groups: &Groups, person: usize) -> Vec<Violation> {
    let names: Vec<&str> = storm.people.iter().map(|person| &*person.username).collect();
    let mine = storm.asks(person, "GET", "/api/rooms/mine", None).await;
    let mut found: Vec<Violation> = check_mine(person, groups, mine.as_ref()).into_iter().collect();
    for (group, row) in groups.iter().filter(|(_, row)| !row.is_deleted) {
        let path = format!("/api/rooms/{group}/members?limit=200");
        let answer = storm.asks(person, "GET", &path, None).await;
        found.extend(check_list(person, *group, row, &names, answer.as_ref()));
    }
    found
}
